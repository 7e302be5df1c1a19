"""The reference's resource types but `search` (S13): one row a type, so that the odd rules are readable in one place.

The protocols check by conversation (S29), the store asks where it says that it can be asked (S23). The others are as
alive as their controller says (S20, S28, S39): with one that acts, while their service runs; with `none`, from the
moment they are wanted.
"""

from __future__ import annotations

from bindings.model import Resource, VirtualServer
from probe.lifecycle.spec import Traits
from probe.resources.contract import ResourceType, always
from probe.resources.health import server_of
from probe.resources.parameters import (
    ADDRESS_PARAMETERS,
    DISK_PARAMETERS,
    INSTANCE_PARAMETERS,
    NAME_PARAMETERS,
    STORE_PARAMETERS,
    VIRTUAL_SERVER,
    parameters_of,
    read_address,
    read_disk,
    read_instance,
    read_name,
    read_store,
)


def protocol(traits: Traits) -> ResourceType:
    """Make the row of a protocol: all share one check routine (S29)."""
    return ResourceType(traits, (VIRTUAL_SERVER,), always, virtual_server=traits.type)


def _asked(resource: Resource) -> bool:
    return resource.parameters.get("health") is not None


def _store(resource: Resource) -> VirtualServer | None:
    read = parameters_of(resource, read_store)
    return None if read.health is None else server_of(resource, read.health, read.name, "active")


def _storage_groups(resource: Resource) -> int:
    groups = resource.parameters.get("storage_groups")
    return len(groups) if isinstance(groups, list | tuple) else 0


def _mounts(resource: Resource) -> bool:
    return _storage_groups(resource) > 0


def _has_instance(resource: Resource) -> bool:
    return resource.parameters.get("instance_start") is not None


TYPES = {
    row.traits.type: row
    for row in (
        ResourceType(Traits("ip-address"), ADDRESS_PARAMETERS, always, observer="address", reads=read_address),
        ResourceType(Traits("network-name"), NAME_PARAMETERS, always, observer="name", reads=read_name),
        ResourceType(Traits("physical-disk"), DISK_PARAMETERS, always, observer="disk", reads=read_disk),
        ResourceType(
            Traits("system-attendant", kill_when_offline_hangs=True, dismounts_on_terminate=True),
            INSTANCE_PARAMETERS,
            reads=read_instance,
            has_instance=_has_instance,
        ),
        ResourceType(
            Traits(
                "information-store",
                online_waits_forever=True,
                kill_when_offline_hangs=True,
                dismounts_on_terminate=True,
            ),
            STORE_PARAMETERS,
            checked=_asked,
            reads=read_store,
            asks=_store,
            has_instance=_mounts,
            storage_groups=_storage_groups,
        ),
        ResourceType(Traits("mta", kill_when_offline_hangs=True, dismounts_on_terminate=True, one_per_cluster=True)),
        ResourceType(Traits("routing"), INSTANCE_PARAMETERS, reads=read_instance, has_instance=_has_instance),
        protocol(Traits("smtp", stops_the_whole_service=True)),
        protocol(Traits("pop3")),
        protocol(Traits("imap")),
        protocol(Traits("http")),
    )
}
