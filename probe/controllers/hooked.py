"""What exec and ocf have in common: services that only programs of one task start, stop and look at."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod

from probe.controllers.contract import ControllerError, OnExit, ServiceSpec, Spawn
from probe.controllers.hooks import KILL_WITHIN_S, Hooks
from probe.controllers.polling import Polls
from probe.environment import Environment
from probe.values import Incarnation, ResourceId

_log = logging.getLogger(__name__)


class HookedController(ABC):
    """The services begun, the looks at them, and what needs no program."""

    acts = True
    ours_to_stop = False

    def __init__(self, environment: Environment, state_dir: str, on_exit: OnExit, spawn: Spawn) -> None:
        self._clock = environment.clock
        self._hooks = Hooks(environment, state_dir)
        self._polls = Polls(environment.clock, environment.randomness, spawn, on_exit)
        self._spawn = spawn
        self._started: dict[ResourceId, ServiceSpec] = {}  # or perhaps half started, or not quite stopped

    def kill(self, id: ResourceId) -> None:
        """Have the service ended by its program (S56), without anybody waiting."""
        self._polls.end(id)
        service = self._started.get(id)
        if service is not None:
            self._spawn(self._kill(service))

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: to ask takes a program, and the start that follows asks."""
        return False

    def pid(self, id: ResourceId) -> int | None:  # noqa: ARG002 - the contract's
        """Know none."""
        return None

    def release(self) -> None:
        """Look no more; every service stays as it is."""
        self._polls.close()
        self._hooks.close()
        self._started.clear()

    def _begin(self, service: ServiceSpec) -> None:
        """Begin an operation: what happens to the service from now on is asked for."""
        self._polls.end(service.id)
        self._started[service.id] = service

    def _ended(self, id: ResourceId) -> None:
        """Note that nothing of the service runs."""
        self._started.pop(id, None)
        self._hooks.rest(id)

    async def _kill(self, service: ServiceSpec) -> None:
        try:
            async with asyncio.timeout(KILL_WITHIN_S):
                await self._end_at_once(service)
        except (ControllerError, TimeoutError) as error:
            _log.warning("%s could not be killed: %s", service.id, str(error) or f"not within {KILL_WITHIN_S:g} s")

    @abstractmethod
    async def _end_at_once(self, service: ServiceSpec) -> None:
        """End the service by the hardest program that there is. Raises ControllerError."""
