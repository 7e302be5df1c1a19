"""What is done about a decision: each action of the core carried out by a controller, a worker or the monitors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from probe.controllers.contract import Controller, ControllerError, ServiceSpec
from probe.controllers.workers import Workers
from probe.lifecycle import actions
from probe.lifecycle.events import Event, Found, Started, Stopped, Upgraded
from probe.lifecycle.world import NEVER_STARTED, World
from probe.metrics import Metrics
from probe.monitor.contract import Watching
from probe.monitor.plan import ProbePlan
from probe.values import ResourceId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """A resource as configured when it was opened: who controls it, with what (S48)."""

    controller: Controller
    spec: ServiceSpec


class Performer:
    """Carries actions out. `open_service` and `plan_of` read the store in force."""

    def __init__(
        self,
        workers: Workers,
        monitors: Watching,
        metrics: Metrics,
        post: Callable[[Event], None],
        open_service: Callable[[ResourceId], Service],
        plan_of: Callable[[ResourceId], ProbePlan],
    ) -> None:
        self.services: dict[ResourceId, Service] = {}
        self._workers = workers
        self._monitors = monitors
        self._metrics = metrics
        self._post = post
        self._open_service = open_service
        self._plan_of = plan_of

    def perform(self, action: actions.Action, world: World) -> None:
        """Carry out one action of a decision that `world` has taken over already."""
        match action:
            case actions.Start(id, op, incarnation):
                service = self.services[id]
                self._workers.begin(Started(id, op), lambda: service.controller.start(service.spec, incarnation))
            case actions.Stop(id, op):
                service = self.services[id]
                self._workers.begin(Stopped(id, op), lambda: service.controller.stop(service.spec))
            case actions.Terminate(id, op):
                service = self.services[id]
                self._workers.begin(Stopped(id, op), lambda: service.controller.terminate(service.spec))
            case actions.Upgrade(id, op):
                service = self.services[id]
                self._workers.begin(Upgraded(id, op), lambda: service.controller.upgrade(service.spec))
            case actions.FailOver(group, because):
                _log.warning("%s has used its restarts up, and there is no other node to take %s", because, group)
            case actions.Kill(id):
                self.services[id].controller.kill(id)
            case actions.Cancel(id, op):
                self._workers.cancel(id, op)
            case actions.Watch(id, incarnation, alive, confirming):
                self._monitors.watch(self._plan_of(id), incarnation, alive, confirming)
            case actions.Unwatch(id):
                self._monitors.unwatch(id)
            case actions.Verify(id, anew):
                self._monitors.verify(id, anew=anew)
            case actions.Open(id):
                self._open(id)
            case actions.Close(id):
                self.services.pop(id, None)
                if id not in world.records:
                    self._metrics.forget(id)
                    self._monitors.evidence.forget(id)
            case _:
                assert_never(action)

    def _open(self, id: ResourceId) -> None:
        service = self.services[id] = self._open_service(id)
        self._metrics.declare(id)
        try:
            if service.controller.adopt(service.spec, NEVER_STARTED):
                self._post(Found(id))
        except ControllerError as error:  # its start will meet the same, and answer for it
            _log.warning("cannot say whether %s still runs: %s", id, error)
