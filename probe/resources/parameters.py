"""What each type wants to be told, read from the store's raw parameters with every mistake named (DESIGN §3).

A function here notes mistakes in a `Reading`; `parameters_of` is for whoever acts on checked ones.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bindings.addresses import AddressMistake, check_name
from bindings.model import Resource
from probe.resources.health import GRPC, HTTP, Health, read_health
from probe.resources.reading import Parameter, Reading

STORAGE_GROUPS_MAX = 64  # in one resource; how many a node mounts is the node's own, much lower, limit (S45)
NAME_CHARS_MAX = 255
FREE_BYTES_MAX = 2**63 - 1
_INTERFACE = re.compile(r"[^\s/:\x00-\x1f\x7f]{1,15}")  # IFNAMSIZ of Linux holds 16 with the NUL
_GROUP_KEYS = ("name", "mount", "unmount", "ready")

Argv = tuple[str, ...]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StorageGroup:
    """One database of a store: how it is mounted, dismounted, and found to be ready (S21, S22)."""

    name: str
    mount: Argv
    unmount: Argv
    ready: Argv | None = None  # exits 0 once it is mounted and its logs are replayed; None: `mount` waits for that


@dataclass(frozen=True, slots=True)
class StoreParameters:
    """An information-store: the virtual server's name, where its health is asked for, what it mounts."""

    name: str  # "" where nobody is asked about it
    health: Health | None = None  # None: it is as alive as its controller says
    storage_groups: tuple[StorageGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class InstanceParameters:
    """How a running service is told to begin and to end this group's instance (S57)."""

    instance_start: Argv | None = None
    instance_stop: Argv | None = None


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """Whose handle is asked for, and where (S40)."""

    health: Health
    index: str


@dataclass(frozen=True, slots=True)
class AddressParameters:
    """An address with its prefix length, and the interface that has it."""

    address: str  # "192.0.2.7/24"
    interface: str | None = None


@dataclass(frozen=True, slots=True)
class NameParameters:
    """A host name, and the file that is to hold it where somebody wants it written."""

    name: str
    hosts_file: str | None = None


@dataclass(frozen=True, slots=True)
class DiskParameters:
    """Where a disk is mounted and how much of it must be free."""

    mount_point: str
    free_bytes_min: int = 0


@dataclass(frozen=True, slots=True)
class TargetParameters:
    """A gRPC server, and the service that it is asked about ("" is the server as a whole)."""

    target: Health
    service: str = ""


INSTANCE_PARAMETERS = (
    Parameter("instance_start", "argv", "called once the service runs: begin this group's instance (S57)"),
    Parameter("instance_stop", "argv", "end this group's instance; the service stops when none is left"),
)
STORE_PARAMETERS = (
    Parameter("name", "text", "the virtual server's name, as the store lists it while active; needed with `health`"),
    Parameter("health", "`grpc://H:P` or `http://…`", "where the store says which are active; else its controller"),
    Parameter(
        "storage_groups",
        'list of `{"name", "mount", "unmount", "ready"}`',
        "what is mounted once the service runs: a name and three argvs, `ready` may be left out (S21, S22)",
        "[]",
    ),
)
SEARCH_PARAMETERS = (
    Parameter("health", "`http://…`", "answers with the index's handle; `{index}` in it stands for the name", "", True),
    Parameter("index", "text", "the index; `?index=NAME` where the address has no `{index}`", required=True),
)
ADDRESS_PARAMETERS = (
    Parameter("address", "CIDR", "the address with its prefix length: `192.0.2.7/24`", required=True),
    Parameter("interface", "interface", "the interface that has it, or is given it"),
)
NAME_PARAMETERS = (
    Parameter("name", "host name", "the name that must lead to the group's address", required=True),
    Parameter("hosts_file", "absolute path", "the file that the name is written to, where there is no other way"),
)
DISK_PARAMETERS = (
    Parameter("mount_point", "absolute path", "where it must be mounted and writable", required=True),
    Parameter("free_bytes_min", "bytes", "how much must be free", "0"),
)
TARGET_PARAMETERS = (
    Parameter("target", "`H:P` or `grpcs://H:P`", "a server of the gRPC health protocol", required=True),
    Parameter("service", "text", "the service asked about; the server as a whole without", '""'),
)
ARGV_PARAMETERS = (Parameter("argv", "argv", "the program whose exit status is the verdict: 0 is alive", "", True),)
VIRTUAL_SERVER = Parameter("virtual_server", "key of `metabase.json`", 'what to ask: `"/smtp/1"`', required=True)


def parameters_of(resource: Resource, read: Callable[[Reading], _T]) -> _T:
    """Read a resource's parameters: `parameters_of(resource, read_disk)`. Raises ParametersError with all mistakes."""
    reading = Reading(resource.parameters)
    parameters = read(reading)
    reading.finish()
    return parameters


def read_store(reading: Reading) -> StoreParameters:
    """Read an information-store's."""
    given = reading.parameters
    health = _health(reading, "health", GRPC + HTTP) if given.get("health") is not None else None
    named = given.get("health") is not None or given.get("name") is not None
    name = _name(reading, "name", '"evs1"') if named else ""
    return StoreParameters(name, health, _storage_groups(reading))


def read_instance(reading: Reading) -> InstanceParameters:
    """Read a system-attendant's or a routing's: both argvs, or neither."""
    start = reading.argv_if_any("instance_start", '["/usr/local/sbin/instance", "start"]')
    stop = reading.argv_if_any("instance_stop", '["/usr/local/sbin/instance", "stop"]')
    if (start is None) != (stop is None):
        lacking, other = ("instance_stop", "instance_start") if stop is None else ("instance_start", "instance_stop")
        reading.wrong(lacking, f"is missing beside {other}", "an instance is begun and ended: give both, or neither")
    return InstanceParameters(start, stop)


def read_search(reading: Reading) -> SearchParameters | None:
    """Read a search's; None when it is wrong."""
    health, index = _health(reading, "health", HTTP), _name(reading, "index", '"evs1"')
    return None if health is None else SearchParameters(health, index)


def read_address(reading: Reading) -> AddressParameters:
    """Read an ip-address's."""
    address = reading.text("address", '"192.0.2.7/24"')
    if address and not _is_cidr(address):
        reading.wrong("address", f'"{address}" is no address with a prefix length', 'write it as "192.0.2.7/24"')
    interface = _text_if_any(reading, "interface", '"eth0"')
    if interface and not _INTERFACE.fullmatch(interface):
        reading.wrong("interface", f'"{interface}" cannot be the name of an interface', 'for example "eth0"')
    return AddressParameters(address, interface)


def read_name(reading: Reading) -> NameParameters:
    """Read a network-name's."""
    name = reading.text("name", '"mail.example.org"')
    if name:
        try:
            check_name(name, "name")
        except AddressMistake as mistake:
            reading.wrong("name", str(mistake))
    return NameParameters(name, _path_if_any(reading, "hosts_file", '"/etc/hosts"'))


def read_disk(reading: Reading) -> DiskParameters:
    """Read a physical-disk's."""
    mount_point = ""
    if reading.parameters.get("mount_point") is None:
        reading.wrong("mount_point", "is missing", 'for example "/srv/mail"')
    else:
        mount_point = _path_if_any(reading, "mount_point", '"/srv/mail"') or ""
    free = reading.parameters.get("free_bytes_min", 0)
    if isinstance(free, bool) or not isinstance(free, int) or not 0 <= free <= FREE_BYTES_MAX:
        reading.wrong("free_bytes_min", "must be a whole number of bytes, 0 or more", "1 GiB is 1073741824")
        free = 0
    return DiskParameters(mount_point, free)


def read_target(reading: Reading) -> TargetParameters | None:
    """Read a grpc's; None when it is wrong. A target without a scheme is `grpc://`."""
    health = _health(reading, "target", GRPC, "grpc://")
    service = reading.parameters.get("service", "")
    if not isinstance(service, str) or len(service) > NAME_CHARS_MAX:
        reading.wrong("service", f"must be a text of at most {NAME_CHARS_MAX} characters")
        service = ""
    return None if health is None else TargetParameters(health, service)


def read_argv(reading: Reading) -> Argv:
    """Read an exec's."""
    return reading.argv("argv", '["/usr/local/lib/checks/queue", "--short"]')


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return "/" in text and "%" not in text


def _health(reading: Reading, key: str, schemes: tuple[str, ...], scheme: str = "") -> Health | None:
    example = '"127.0.0.1:9090"' if scheme else f'"{schemes[0]}://127.0.0.1:9090"'
    text = reading.text(key, example)
    if text:
        try:
            return read_health(text if "://" in text else scheme + text, schemes)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            reading.wrong(key, message, hint)
    return None


def _storage_groups(reading: Reading) -> tuple[StorageGroup, ...]:
    value = reading.parameters.get("storage_groups", [])
    if not isinstance(value, list | tuple) or len(value) > STORAGE_GROUPS_MAX:
        reading.wrong("storage_groups", f"must be a list of at most {STORAGE_GROUPS_MAX} storage groups")
        return ()
    groups = tuple(_storage_group(reading, at, each) for at, each in enumerate(value))
    names = [group.name for group in groups]
    for at, name in enumerate(names):
        if name and name in names[:at]:
            reading.wrong("storage_groups", f'"{name}" is the name of an earlier one', "", (at, "name"))
    return groups


def _storage_group(reading: Reading, at: int, value: object) -> StorageGroup:
    if not isinstance(value, Mapping):
        example = '{"name": "sg1", "mount": ["mount-sg", "1"], "unmount": ["unmount-sg", "1"]}'
        reading.wrong("storage_groups", "must be an object", f"write it as {example}", (at,))
        return StorageGroup("", (), ())
    inside = Reading(value)
    inside.unknown_keys(_GROUP_KEYS)
    group = StorageGroup(
        name=_name(inside, "name", '"sg1"'),
        mount=inside.argv("mount", '["/usr/local/sbin/mount-sg", "1"]'),
        unmount=inside.argv("unmount", '["/usr/local/sbin/unmount-sg", "1"]'),
        ready=inside.argv_if_any("ready", '["/usr/local/sbin/sg-is-ready", "1"]'),
    )
    for problem in inside.problems:
        reading.wrong("storage_groups", problem.message, problem.hint, (at, problem.key))
    return group


def _name(reading: Reading, key: str, example: str) -> str:
    text = reading.text(key, example)
    if len(text) > NAME_CHARS_MAX or not text.isprintable():
        reading.wrong(key, f"must have at most {NAME_CHARS_MAX} characters, all printable")
        return ""
    return text


def _text_if_any(reading: Reading, key: str, example: str) -> str | None:
    return None if reading.parameters.get(key) is None else reading.text(key, example)


def _path_if_any(reading: Reading, key: str, example: str) -> str | None:
    path = _text_if_any(reading, key, example)
    if path and not path.startswith("/"):
        reading.wrong(key, f'"{path}" is relative', f"write an absolute path such as {example}")
    return path
