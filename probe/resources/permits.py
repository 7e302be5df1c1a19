"""What may be created or changed over the network (DESIGN §4): nothing that names a program or a file by itself.

Allowed are controllers that cluster.json lists under `allowed_controllers` (a kind, `systemd`, or one service of it,
`systemd:dovecot.service`), files under `allowed_files`, and whatever is so already. `process`, `exec` and `ocf` run a
program that their own parameters name: never over the network, listed or not. Everything else is for the command line
on the store itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bindings.edits import Edit
from bindings.model import Store
from probe.resources.changes import Present, Refused
from probe.resources.types import TYPES
from probe.values import ResourceId

RUNS_PROGRAMS = ("process", "exec", "ocf")
SERVICE_OF = {"systemd": "unit", "container": "container", "supervisord": "program"}
_NO_FILES = ("virtual_server",)  # begins with a slash and is a key
_SERVER_FILES = ("ca_file", "client_cert_file", "client_key_file", "file")


def check_permitted(present: Present, edit: Edit, command: str) -> None:
    """Refuse an edit that came over the network and goes beyond what is allowed; `command` would do it on the store."""
    faults = list(_faults(present, edit))
    if faults:
        raise Refused("only_on_the_store", f"{'; '.join(faults)}: not over the network; run it on the store: {command}")


def _faults(present: Present, edit: Edit) -> Iterator[str]:
    for key, properties in edit.resources.items():
        if properties is None:
            continue
        id = ResourceId(*key)
        before = present.own(id) or present.group(id.group).deleted.get(id.name) or {}
        if properties.get("controller") != before.get("controller"):
            yield from _controller_faults(present.store, id, properties.get("controller"))
        were = before.get("parameters")
        yield from _parameter_faults(present.store, id, properties, were if isinstance(were, Mapping) else {})
    for path, properties in edit.keys.items():
        allowed = {*present.store.allowed_files, *_files_of(present.metabase.own(path) or {})}
        for file in _files_of(properties or {}):
            if file not in allowed:
                yield f"{path} refers to the file {file}, which allowed_files does not list"


def _controller_faults(store: Store, id: ResourceId, controller: object) -> Iterator[str]:
    if not isinstance(controller, Mapping) or controller.get("kind") in (None, "none"):
        return
    kind = str(controller.get("kind"))
    yield from (fault for inner in controller.values() for fault in _controller_faults(store, id, inner))
    if kind in RUNS_PROGRAMS or any(isinstance(value, list | tuple) for value in controller.values()):
        yield f"{id} would run a program by the controller {kind}"
        return
    if kind == "metabase":  # it writes a word into the store; what acts is the `service` in it, looked at above
        return
    service = f"{kind}:{controller.get(SERVICE_OF.get(kind, ''))}"
    if kind not in store.allowed_controllers and service not in store.allowed_controllers:
        yield f"{id} would use {service.removesuffix(':None')}, which allowed_controllers does not list"
    known = ("kind", "virtual_server", SERVICE_OF.get(kind))
    others = {name: each for name, each in controller.items() if name not in known and not isinstance(each, Mapping)}
    for file in _paths(others, anywhere=True):
        if file not in store.allowed_files:
            yield f"{id} refers to the file {file}, which allowed_files does not list"


def _parameter_faults(
    store: Store, id: ResourceId, properties: Mapping[str, object], before: Mapping[str, object]
) -> Iterator[str]:
    parameters = properties.get("parameters")
    row = TYPES.get(str(properties.get("type")))
    if not isinstance(parameters, Mapping) or row is None:
        return
    rows = {parameter.name: parameter for parameter in row.parameters}
    for name, value in parameters.items():
        if name in _NO_FILES or value == before.get(name):
            continue
        if name not in rows or "argv" in rows[name].value or isinstance(value, list):
            yield f"{id}: {name} names a program"
            continue
        for file in _paths(value):
            if file not in store.allowed_files:
                yield f"{id}: {name} refers to the file {file}, which allowed_files does not list"


def _paths(value: object, *, anywhere: bool = False) -> Iterator[str]:
    """Find every text that may be a path, however deep it is; `anywhere`: that has a slash at all."""
    if isinstance(value, str):
        text = value.removeprefix("unix://").removeprefix("unix:").removeprefix("file://")
        if text.startswith(("/", "~", ".")) or (anywhere and "/" in text):
            yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner, anywhere=anywhere)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _paths(inner, anywhere=anywhere)


def _files_of(properties: Mapping[str, object]) -> Iterable[str]:
    """Find the files that a virtual server refers to: of TLS, of secrets, and unix sockets."""
    found: list[str] = []

    def look(value: object, name: str = "") -> None:
        if isinstance(value, Mapping):
            for inner_name, inner in value.items():
                look(inner, str(inner_name))
        elif isinstance(value, list | tuple):
            for inner in value:
                look(inner, name)
        elif isinstance(value, str) and (name in _SERVER_FILES or value.startswith("unix:")):
            found.append(value)

    look(properties)
    return found
