"""What the store says of a resource, turned into what its controller is told."""

from __future__ import annotations

from collections.abc import Mapping

from bindings.model import Resource
from bindings.parse import virtual_server_of
from probe.controllers.contract import Instance, ServiceSpec
from probe.controllers.instances import instance_of
from probe.resources.checking import ControllerKind
from probe.resources.parameters import read_instance, read_store
from probe.resources.reading import Reading
from probe.resources.types import TYPES
from probe.values import ResourceId


def service_spec(
    resource: Resource, kinds: Mapping[str, ControllerKind], own: Mapping[str, object] | None = None
) -> ServiceSpec:
    """Build the controller's view of a checked resource; `own` are its own parameters (`observed_parameters`)."""
    kind, parameters = kinds[resource.controller.kind], resource.controller.parameters
    return ServiceSpec(
        id=ResourceId(resource.group, resource.name),
        parameters=parameters,
        service=kind.identity(parameters) if kind.acts else "",
        whole=TYPES[resource.type].traits.stops_the_whole_service,
        instance=_instance(resource),
        virtual_server=virtual_server_of(resource) or "",
        resource={} if own is None else own,
    )


def _instance(resource: Resource) -> Instance | None:
    if not TYPES[resource.type].has_instance(resource):
        return None
    reading = Reading(resource.parameters)  # its mistakes were told when the store was checked
    groups = read_store(reading).storage_groups if "storage_groups" in resource.parameters else ()
    return instance_of(read_instance(reading), groups)
