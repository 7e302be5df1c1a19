"""Makes it so: starts, stops and ends services, one module a kind of controller."""

from __future__ import annotations

from collections.abc import Callable

from probe.controllers.address import AddressController, AddressObserver
from probe.controllers.argv import ArgvObserver
from probe.controllers.container import ContainerController
from probe.controllers.contract import Acting, Controller, ControllerError, Observer, OnExit, ServiceSpec, Spawn
from probe.controllers.disk import DiskObserver
from probe.controllers.exec import ExecController
from probe.controllers.hooks import Hooks
from probe.controllers.instances import Instances, OnProgress, unheard
from probe.controllers.kinds import CONTROLLER_KINDS, PARAMETERS
from probe.controllers.kubelet import Ask, KubeletController, cannot_tell
from probe.controllers.metabase import Metabase, MetabaseController
from probe.controllers.name import NameController, NameObserver
from probe.controllers.none import NoController
from probe.controllers.ocf import OcfController
from probe.controllers.process import ProcessController
from probe.controllers.sharing import Sharing
from probe.controllers.supervisord import SupervisordController
from probe.controllers.systemd import SystemdController
from probe.environment import Environment

__all__ = [
    "CONTROLLER_KINDS",
    "PARAMETERS",
    "Controller",
    "ControllerError",
    "Observer",
    "OnExit",
    "ServiceSpec",
    "controllers_by_kind",
    "observers_by_name",
]


def controllers_by_kind(
    environment: Environment,
    state_dir: str,
    on_exit: OnExit,
    spawn: Spawn,
    on_progress: OnProgress = unheard,
    *,
    metabase: Metabase | None = None,
    ask: Ask = cannot_tell,
) -> dict[str, Controller]:
    """Make one controller of each kind; `on_exit` is called on the loop when a service ended by itself.

    What is begun by `spawn` runs in the background; whoever gave it cancels that when we end. `on_progress` hears how
    much of an instance is there, `metabase` takes commands, `ask` checks a resource once.
    """
    clock = environment.clock
    services: dict[str, Callable[[OnExit], Acting]] = {
        "process": lambda ended: ProcessController(environment, state_dir, ended),
        "systemd": lambda ended: SystemdController(clock, ended, spawn),
        "container": lambda ended: ContainerController(clock, environment.files, ended, spawn),
        "exec": lambda ended: ExecController(environment, state_dir, ended, spawn),
        "ocf": lambda ended: OcfController(environment, state_dir, ended, spawn),
        "supervisord": lambda ended: SupervisordController(environment, ended, spawn),
    }
    shared: dict[str, Sharing] = {}
    for kind, make in services.items():
        hooks = Hooks(environment, state_dir)
        shared[kind] = Sharing(make, on_exit, hooks, Instances(hooks, clock, on_progress))
    return {
        "none": NoController(),
        **shared,
        "metabase": MetabaseController(clock, metabase, shared, Hooks(environment, state_dir)),
        "kubelet": KubeletController(clock, ask),
        "address": AddressController(environment),
        "name": NameController(environment),
    }


def observers_by_name(environment: Environment) -> dict[str, Observer]:
    """Make one observer of each kind: who looks at the resources of a type, by the name in the types' table."""
    return {
        "address": AddressObserver(environment),
        "name": NameObserver(environment),
        "disk": DiskObserver(environment),
        "argv": ArgvObserver(environment),
    }
