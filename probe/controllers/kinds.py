"""The kinds of controllers, what each takes and what it can do: asking more is an error at validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from bindings.model import Resource
from probe.controllers.address import AddressController, interface_problems
from probe.controllers.container import CONTAINER_PARAMETERS, ContainerController, container_problems
from probe.controllers.contract import ParametersError
from probe.controllers.exec import EXEC_PARAMETERS, ExecController, exec_problems
from probe.controllers.identity import identity_of
from probe.controllers.kubelet import KubeletController, kubelet_problems
from probe.controllers.looking import no_parameters
from probe.controllers.metabase import METABASE_PARAMETERS, MetabaseController, metabase_parameters
from probe.controllers.name import NameController, hosts_file_problems
from probe.controllers.none import NoController
from probe.controllers.ocf import OCF_PARAMETERS, OcfController, ocf_problems
from probe.controllers.parameters import PROCESS_PARAMETERS, none_problems, process_problems
from probe.controllers.process import ProcessController
from probe.controllers.reading import Parameter, did_you_mean
from probe.controllers.supervisord import SUPERVISORD_PARAMETERS, SupervisordController, supervisord_problems
from probe.controllers.systemd import SYSTEMD_PARAMETERS, SystemdController, systemd_problems
from probe.controllers.upgrade import UPGRADE, Problems, can_upgrade, upgradable
from probe.resources.checking import ControllerKind
from probe.resources.reading import Problem
from probe.resources.types import TYPES

Raw = Mapping[str, object]


def _service(kind: str, ours_to_stop: bool, problems: Problems) -> ControllerKind:
    """Make the row of a kind that starts and stops services itself: shared, with instances, upgraded by an argv."""
    return ControllerKind(
        kind,
        acts=True,
        ours_to_stop=ours_to_stop,
        problems=upgradable(problems),
        can_upgrade=can_upgrade,
        identity=partial(identity_of, kind),
    )


_SERVICES = {
    row.kind: row
    for row in (
        _service("process", ProcessController.ours_to_stop, process_problems),
        _service("systemd", SystemdController.ours_to_stop, systemd_problems),
        _service("container", ContainerController.ours_to_stop, container_problems),
        _service("exec", ExecController.ours_to_stop, exec_problems),
        _service("ocf", OcfController.ours_to_stop, ocf_problems),
        _service("supervisord", SupervisordController.ours_to_stop, supervisord_problems),
    )
}


def metabase_problems(parameters: Raw) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the metabase controller, and with those of its service's."""
    problems: tuple[Problem, ...] = ()
    try:
        metabase_parameters(parameters)
    except ParametersError as error:
        problems = error.problems
    service = parameters.get("service")
    if not isinstance(service, Mapping) or not isinstance(service.get("kind"), str):
        return problems
    kind = service["kind"]
    if kind not in _SERVICES:
        message = f'"{kind}" cannot start and stop a service here; the kinds that can are {", ".join(_SERVICES)}'
        return (*problems, Problem("service", message, did_you_mean(kind, _SERVICES), ("kind",)))
    own = {name: value for name, value in service.items() if name != "kind"}
    found = _SERVICES[kind].problems(own)
    return (*problems, *(Problem("service", each.message, each.hint, (each.key, *each.inside)) for each in found))


def _nested(parameters: Raw) -> Raw:
    service = parameters.get("service")
    return service if isinstance(service, Mapping) else {}


def _metabase_ends_with_us(parameters: Raw) -> bool:
    row = _SERVICES.get(str(_nested(parameters).get("kind")))
    return row is not None and row.ours_to_stop


def _metabase_can_upgrade(parameters: Raw) -> bool:
    return can_upgrade(parameters) or can_upgrade(_nested(parameters))


def _metabase_misfits(resource: Resource) -> Iterator[Problem]:
    if not resource.controller.parameters.get("virtual_server") and not resource.parameters.get("virtual_server"):
        hint = 'add "virtual_server": "/smtp/1" to the controller'
        yield Problem("controller", "names no virtual server whose command it could write", hint, ("virtual_server",))


def _no_instance(resource: Resource) -> Iterator[Problem]:
    """Find an instance to be called in and out where nobody acts."""
    for key in ("instance_start", "instance_stop"):
        if resource.parameters.get(key) is not None:
            message = f"nothing calls it: the controller {resource.controller.kind} does not act"
            yield Problem("parameters", message, "choose a controller that acts, or leave it out", (key,))


def _kubelet_misfits(resource: Resource) -> Iterator[Problem]:
    yield from _no_instance(resource)
    kind = TYPES.get(resource.type)
    if kind is not None and not kind.checked(resource):
        message = f"nobody could see a restart: a {resource.type} is not asked for its health"
        hint = "give it a health that can be asked, or another controller"
        yield Problem("controller", message, hint, ("kind",))


CONTROLLER_KINDS: Mapping[str, ControllerKind] = {
    "none": ControllerKind("none", NoController.acts, NoController.ours_to_stop, none_problems, misfits=_no_instance),
    **_SERVICES,
    "metabase": ControllerKind(
        "metabase",
        MetabaseController.acts,
        MetabaseController.ours_to_stop,
        upgradable(metabase_problems),
        can_upgrade=_metabase_can_upgrade,
        identity=partial(identity_of, "metabase"),
        misfits=_metabase_misfits,
        ends_with_us=_metabase_ends_with_us,
        has_instances=True,
    ),
    "kubelet": ControllerKind(
        "kubelet",
        KubeletController.acts,
        KubeletController.ours_to_stop,
        kubelet_problems,
        misfits=_kubelet_misfits,
    ),
    "address": ControllerKind(
        "address",
        AddressController.acts,
        AddressController.ours_to_stop,
        partial(no_parameters, "address"),
        types=("ip-address",),
        resource_problems=interface_problems,
    ),
    "name": ControllerKind(
        "name",
        NameController.acts,
        NameController.ours_to_stop,
        partial(no_parameters, "name"),
        types=("network-name",),
        resource_problems=hosts_file_problems,
    ),
}

PARAMETERS: Mapping[str, tuple[Parameter, ...]] = {
    "none": (),
    "process": (*PROCESS_PARAMETERS, UPGRADE),
    "systemd": (*SYSTEMD_PARAMETERS, UPGRADE),
    "container": (*CONTAINER_PARAMETERS, UPGRADE),
    "exec": (*EXEC_PARAMETERS, UPGRADE),
    "ocf": (*OCF_PARAMETERS, UPGRADE),
    "supervisord": (*SUPERVISORD_PARAMETERS, UPGRADE),
    "metabase": (*METABASE_PARAMETERS, UPGRADE),
    "kubelet": (),
    "address": (),
    "name": (),
}
