"""Makes it so: starts, stops and ends services, one module a kind of controller."""

from __future__ import annotations

from collections.abc import Mapping

from probe.controllers.container import CONTAINER_PARAMETERS, ContainerController, container_problems
from probe.controllers.contract import Controller, ControllerError, OnExit, ServiceSpec, Spawn
from probe.controllers.exec import EXEC_PARAMETERS, ExecController, exec_problems
from probe.controllers.none import NoController
from probe.controllers.ocf import OCF_PARAMETERS, OcfController, ocf_problems
from probe.controllers.parameters import PROCESS_PARAMETERS, none_problems, process_problems
from probe.controllers.process import ProcessController
from probe.controllers.reading import Parameter
from probe.controllers.supervisord import SUPERVISORD_PARAMETERS, SupervisordController, supervisord_problems
from probe.controllers.systemd import SYSTEMD_PARAMETERS, SystemdController, systemd_problems
from probe.environment import Environment
from probe.resources.checking import ControllerKind

__all__ = [
    "CONTROLLER_KINDS",
    "PARAMETERS",
    "Controller",
    "ControllerError",
    "OnExit",
    "ServiceSpec",
    "controllers_by_kind",
]

CONTROLLER_KINDS: Mapping[str, ControllerKind] = {
    kind.kind: kind
    for kind in (
        ControllerKind("none", NoController.acts, NoController.ours_to_stop, none_problems),
        ControllerKind("process", ProcessController.acts, ProcessController.ours_to_stop, process_problems),
        ControllerKind("systemd", SystemdController.acts, SystemdController.ours_to_stop, systemd_problems),
        ControllerKind("container", ContainerController.acts, ContainerController.ours_to_stop, container_problems),
        ControllerKind("exec", ExecController.acts, ExecController.ours_to_stop, exec_problems),
        ControllerKind("ocf", OcfController.acts, OcfController.ours_to_stop, ocf_problems),
        ControllerKind(
            "supervisord", SupervisordController.acts, SupervisordController.ours_to_stop, supervisord_problems
        ),
    )
}

PARAMETERS: Mapping[str, tuple[Parameter, ...]] = {
    "none": (),
    "process": PROCESS_PARAMETERS,
    "systemd": SYSTEMD_PARAMETERS,
    "container": CONTAINER_PARAMETERS,
    "exec": EXEC_PARAMETERS,
    "ocf": OCF_PARAMETERS,
    "supervisord": SUPERVISORD_PARAMETERS,
}


def controllers_by_kind(
    environment: Environment, state_dir: str, on_exit: OnExit, spawn: Spawn
) -> dict[str, Controller]:
    """Make one controller of each kind; `on_exit` is called on the loop when a service ended by itself.

    What is begun by `spawn` runs in the background; whoever gave it cancels that when we end.
    """
    return {
        "none": NoController(),
        "process": ProcessController(environment, state_dir, on_exit),
        "systemd": SystemdController(environment.clock, on_exit, spawn),
        "container": ContainerController(environment.clock, environment.files, on_exit, spawn),
        "exec": ExecController(environment, state_dir, on_exit, spawn),
        "ocf": OcfController(environment, state_dir, on_exit, spawn),
        "supervisord": SupervisordController(environment, on_exit, spawn),
    }
