"""What the store says of a resource, turned into what the core knows of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bindings.model import Resource
from probe.lifecycle.spec import Spec
from probe.resources.checking import ControllerKind
from probe.resources.types import TYPES
from probe.values import ResourceId


def spec_of(resource: Resource, kinds: Mapping[str, ControllerKind]) -> Spec:
    """Build the core's view of a checked resource."""
    kind, type = kinds[resource.controller.kind], TYPES[resource.type]
    return Spec(
        id=ResourceId(resource.group, resource.name),
        traits=type.traits,
        controller=kind.kind,
        acts=kind.acts,
        ours_to_stop=kind.is_ours_to_stop(resource.controller.parameters),
        depends_on=tuple(ResourceId(resource.group, name) for name in resource.depends_on),
        restart=resource.restart_action != "do-not-restart",
        restart_threshold=resource.restart_threshold,
        restart_period_s=resource.restart_period_s,
        restart_delay_s=resource.restart_delay_s,
        retry_period_s=resource.retry_period_s,
        pending_timeout_s=resource.pending_timeout_s,
        auto_start=resource.auto_start,
        checked=type.checked(resource),
        service=kind.identity(resource.controller.parameters) if kind.acts else "",
        has_instance=type.has_instance(resource) or kind.has_instances,
        can_upgrade=kind.acts and kind.can_upgrade(resource.controller.parameters),
        storage_groups=type.storage_groups(resource),
        fail_over=resource.restart_action == "restart-and-fail-over",
        shape=_shape(resource, kind) if kind.acts else "",
    )


def _shape(resource: Resource, kind: ControllerKind) -> str:
    """Write down what the service is started with: its controller's parameters, or the resource's own (`types`)."""
    return msgspec.json.encode(resource.parameters if kind.types else resource.controller.parameters).decode()
