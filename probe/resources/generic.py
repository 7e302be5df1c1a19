"""The types that people need today beside the reference's (S13): what listens, runs, answers or exits with 0."""

from __future__ import annotations

from bindings.model import Resource, VirtualServer
from probe.lifecycle.spec import Traits
from probe.resources.contract import ResourceType, always
from probe.resources.health import server_of
from probe.resources.parameters import (
    ARGV_PARAMETERS,
    TARGET_PARAMETERS,
    VIRTUAL_SERVER,
    parameters_of,
    read_argv,
    read_target,
)


def _target(resource: Resource) -> VirtualServer | None:
    read = parameters_of(resource, read_target)
    return None if read is None else server_of(resource, read.target, read.service, "active")


TYPES = {
    row.traits.type: row
    for row in (
        ResourceType(Traits("lmtp"), (VIRTUAL_SERVER,), always, virtual_server="lmtp"),
        ResourceType(Traits("tcp"), (VIRTUAL_SERVER,), always, virtual_server="tcp"),
        ResourceType(Traits("service")),
        ResourceType(Traits("grpc"), TARGET_PARAMETERS, always, reads=read_target, asks=_target),
        ResourceType(Traits("exec"), ARGV_PARAMETERS, always, observer="argv", reads=read_argv),
    )
}
