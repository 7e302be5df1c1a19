"""Reading a store: both files' text into one checked Store, or every mistake in them at once.

`read_store` also takes the reading before, and then builds only what changed; `parse_store` starts from nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from bindings.cluster import NO_CLUSTER, Cluster, check_dependencies, read_cluster
from bindings.errors import StoreError
from bindings.metabase import EMPTY, EXAMPLE, Metabase, is_virtual_server, read_metabase
from bindings.mistakes import Mistakes, shown
from bindings.model import Group, Resource, Store, StoreProblem, VirtualServer
from bindings.watch import CLUSTER_FILE, METABASE_FILE

__all__ = ["IMPLIED_GROUP", "Reading", "StoreError", "parse_store", "read_store", "virtual_server_of"]

IMPLIED_GROUP = "default"


@dataclass(frozen=True, slots=True)
class Reading:
    """A sound store with the texts it was read from, so that the next reading can build on it."""

    store: Store
    metabase: Metabase
    cluster: Cluster
    texts: tuple[bytes | None, bytes | None]


def parse_store(metabase: bytes | None, cluster: bytes | None) -> Store:
    """Parse both files' text; None is a file that is not there. Raises StoreError with every mistake."""
    return read_store(metabase, cluster).store


def read_store(metabase: bytes | None, cluster: bytes | None, before: Reading | None = None) -> Reading:
    """Parse both files' text, keeping from the reading `before` what did not change. Raises StoreError.

    Equal texts give the reading before itself.
    """
    if metabase is None and cluster is None:
        raise StoreError([missing_metabase()])
    same_metabase = before is not None and before.texts[0] == metabase
    same_cluster = before is not None and before.texts[1] == cluster
    if before is not None and same_metabase and same_cluster:
        return before
    in_metabase, in_cluster = Mistakes(METABASE_FILE), Mistakes(CLUSTER_FILE)
    old_metabase, old_cluster = (before.metabase, before.cluster) if before else (EMPTY, NO_CLUSTER)
    servers: Metabase | None = old_metabase if same_metabase else EMPTY
    if metabase is not None and not same_metabase:
        servers = read_metabase(metabase, in_metabase, old_metabase)
    groups: Cluster | None = old_cluster if same_cluster else NO_CLUSTER
    if cluster is not None and not same_cluster:
        groups = read_cluster(cluster, in_cluster, old_cluster)
    store = _edited(before, servers) if before is not None and same_cluster and not same_metabase else None
    if store is None and groups is not None:
        joining = _Joining(servers, groups, before.store if before else None, in_cluster)
        store = joining.store(cluster_changed=not same_cluster)
    problems = [*in_metabase.summary(), *in_cluster.summary()]
    if problems or servers is None or groups is None or store is None:
        raise StoreError(problems)
    return Reading(store, servers, groups, (metabase, cluster))


def _edited(before: Reading, metabase: Metabase | None) -> Store | None:
    """Make the store anew where one virtual server has changed and the resources have not; None where they may have."""
    if metabase is None or metabase.changed is None:
        return None
    was, server = before.metabase.servers[metabase.changed], metabase.servers[metabase.changed]
    if was.auto_start != server.auto_start:
        return None
    return replace(before.store, metabase_revision=metabase.revision, virtual_servers=metabase.servers)


def virtual_server_of(resource: Resource) -> str | None:
    """Return the key of the virtual server that a resource names in its parameters, if it names one."""
    key = resource.parameters.get("virtual_server")
    return key if isinstance(key, str) else None


def missing_metabase() -> StoreProblem:
    """Say what to create in a folder without a store."""
    return StoreProblem(METABASE_FILE, "", "", "there is no such file", f"create it with one line such as {EXAMPLE}")


class _Joining:
    """Joins the two documents: resources find their virtual servers, and the others' become resources themselves."""

    def __init__(self, metabase: Metabase | None, cluster: Cluster, before: Store | None, mistakes: Mistakes) -> None:
        self._metabase = metabase
        self._cluster = cluster
        self._mistakes = mistakes
        self._before = before.groups.get(IMPLIED_GROUP) if before else None

    def store(self, *, cluster_changed: bool) -> Store:
        """Return the joined store; whoever finds mistakes noted must throw it away."""
        cluster, metabase = self._cluster, self._metabase or EMPTY
        groups: dict[str, Group] = {}
        named: set[str] = set()
        for group in cluster.groups.values():
            resources = {name: self._join(resource, named) for name, resource in group.resources.items()}
            groups[group.name] = Group(group.name, group.possible_owners, resources, group.deleted)
        implied = {
            resource.name: resource
            for key, server in metabase.servers.items()
            if key not in named
            for resource in (self._implied(server),)
        }
        for group in groups.values():
            if cluster_changed or group.name == IMPLIED_GROUP:
                check_dependencies(group, implied if group.name == IMPLIED_GROUP else {}, self._mistakes)
        if implied:
            written = groups.get(IMPLIED_GROUP, Group(IMPLIED_GROUP, (), {}))
            self._note_clashes(written, implied)
            resources = {**written.resources, **implied}
            groups[IMPLIED_GROUP] = Group(IMPLIED_GROUP, written.possible_owners, resources, written.deleted)
        return Store(
            metabase.revision,
            cluster.revision,
            metabase.servers,
            groups,
            cluster.allowed_controllers,
            cluster.allowed_files,
            *(() if cluster.storage_groups_max is None else (cluster.storage_groups_max,)),
        )

    def _join(self, resource: Resource, named: set[str]) -> Resource:
        key = virtual_server_of(resource)
        if key is None or self._metabase is None:
            return resource
        named.add(key)
        server = self._metabase.servers.get(key)
        if server is None:
            if not is_virtual_server(key) or key not in self._metabase.keys:
                self._note_missing(resource, key)
            return resource
        left_open = (resource.group, resource.name) not in self._cluster.decided
        if left_open and resource.auto_start != server.auto_start:
            return replace(resource, auto_start=server.auto_start)
        return resource

    def _note_missing(self, resource: Resource, key: str) -> None:
        assert self._metabase is not None
        mistakes = self._mistakes
        mistakes.enter(("groups", resource.group, "resources", resource.name), f"{resource.group}/{resource.name}")
        known = [other for other in self._metabase.keys if is_virtual_server(other)]
        message = f"there is no virtual server {shown(key)} in {METABASE_FILE}"
        mistakes.add(message, "parameters", "virtual_server", hint=mistakes.nearest(key, known))

    def _implied(self, server: VirtualServer) -> Resource:
        """Make the resource of a virtual server that no resource names; it is made once and kept while it stays so."""
        protocol, name = server.key[1:].split("/")
        resource_name = f"{protocol}-{name}"
        kept = self._before.resources.get(resource_name) if self._before else None
        if kept is not None and kept.implied and kept.auto_start == server.auto_start:
            return kept
        return Resource(
            group=IMPLIED_GROUP,
            name=resource_name,
            type=protocol,
            parameters={"virtual_server": server.key},
            auto_start=server.auto_start,
            implied=True,
        )

    def _note_clashes(self, written: Group, implied: dict[str, Resource]) -> None:
        for name in written.resources.keys() & implied.keys():
            self._mistakes.enter(("groups", IMPLIED_GROUP, "resources", name), f"{IMPLIED_GROUP}/{name}")
            key = virtual_server_of(implied[name])
            message = f"this name is taken by the resource that virtual server {key} becomes by itself"
            hint = f'give it "parameters": {{"virtual_server": "{key}"}} or another name'
            self._mistakes.add(message, hint=hint)
