"""A controller of services in virtual time, as `Sharing` has one below it: operations take time, fail, are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe.controllers.contract import ControllerError, Instance, OnExit, ServiceSpec
from probe.controllers.hooks import Hooks
from probe.controllers.instances import Instances, OnProgress, unheard
from probe.controllers.sharing import Sharing
from probe.environment import Clock
from probe.values import Incarnation, Reason, ResourceId, Verdict
from tests.controllers.surroundings import STATE_DIR, Surroundings

A, B, C = (ResourceId(group, "store") for group in ("evs1", "evs2", "evs3"))
PROCESS = Verdict(Reason.PROCESS_GONE, "killed by SIGKILL")


class Below:
    """Runs services by the id they are known by."""

    acts = True
    ours_to_stop = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on_exit: OnExit = lambda _id, _incarnation, _verdict: None
        self.running: dict[ResourceId, Incarnation] = {}
        self.left: set[ResourceId] = set()  # what an earlier run left running
        self.done: list[str] = []
        self.busy: Counter[ResourceId] = Counter()
        self.takes_s: Callable[[], float] = lambda: 0.1
        self.fails: Callable[[str], bool] = lambda _verb: False

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start, or go on with what runs."""
        with self._operation("start", service.id):
            runs = service.id in self.running
            self.running[service.id] = incarnation  # what is called off, or fails, may leave something running
            self.left.discard(service.id)
            if not runs:
                await self._take("start")
                if service.id not in self.running:
                    raise ControllerError(Verdict(Reason.PROCESS_GONE, "killed meanwhile"))

    async def stop(self, service: ServiceSpec) -> None:
        """Stop."""
        await self._stop("stop", service)

    async def terminate(self, service: ServiceSpec) -> None:
        """End."""
        await self._stop("terminate", service)

    def kill(self, id: ResourceId) -> None:
        """End at once."""
        self.done.append(f"kill {id}")
        self.running.pop(id, None)

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Take over what was left."""
        if service.id in self.left:
            self.running[service.id] = incarnation
        return service.id in self.running

    def pid(self, id: ResourceId) -> int | None:
        """Make a pid up."""
        return 42 if id in self.running else None

    def release(self) -> None:
        """Forget."""
        self.running.clear()

    def die(self, id: ResourceId) -> None:
        """Let a service end by itself."""
        self.on_exit(id, self.running.pop(id), PROCESS)

    async def _stop(self, verb: str, service: ServiceSpec) -> None:
        with self._operation(verb, service.id):
            if service.id in self.running:
                await self._take(verb)
                self.running.pop(service.id, None)

    async def _take(self, verb: str) -> None:
        await self._clock.sleep(self.takes_s())
        if self.fails(verb):
            raise ControllerError(Verdict(Reason.SERVICE_STOPPED, f"{verb} failed"))

    @contextmanager
    def _operation(self, verb: str, id: ResourceId) -> Iterator[None]:
        self.done.append(f"{verb} {id}")
        self.busy[id] += 1
        assert self.busy[id] == 1, "two operations on one service at once"
        try:
            yield
        finally:
            self.busy[id] -= 1


class Commune:
    """A sharing controller over such a one, and what it told."""

    def __init__(self, on_progress: OnProgress = unheard) -> None:
        self.around = Surroundings()
        self.clock = self.around.clock
        self.told = self.around.told
        self.below = Below(self.clock)
        self.hooks = Hooks(self.around.environment, STATE_DIR)
        self.instances = Instances(self.hooks, self.clock, on_progress)
        self.sharing = Sharing(self._make, self.around.tell, self.hooks, self.instances)

    def _make(self, on_exit: OnExit) -> Below:
        self.below.on_exit = on_exit
        return self.below

    async def start(self, *ids: ResourceId, incarnation: int = 1) -> None:
        """Start resources that share a service, one after another."""
        for id in ids:
            await self.sharing.start(user(id), Incarnation(incarnation))


def user(
    id: ResourceId, service: str = "it", *, whole: bool = False, instance: Instance | None = None, **parameters: object
) -> ServiceSpec:
    """Name a resource that uses a service."""
    return ServiceSpec(id, parameters, service, whole, instance)
