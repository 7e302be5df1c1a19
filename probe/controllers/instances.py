"""A resource's own part in a service that runs: the instance that is called in and out, the storage groups (S21, S57).

How it behaves:
1. In: `instance_start`, then each storage group's `mount` in their order, then each one's `ready` every second until it
   says 0; 1 is "not yet", anything else a failure. How many are there is told as it changes (S22).
2. Out: `unmount` in the reverse order, then `instance_stop`. What fails does not keep the rest from being taken out.
3. What is known not to be in is not taken out; of what an earlier run of ours left nothing is known. So these programs
   are also called when there is nothing to do, as every hook is.
4. There is no time-out here (S53): the core cancels, and a cancelled program is killed with its process group.
5. Each program sees LOOKSALIVE_RESOURCE (`group/name`), LOOKSALIVE_HOOK (`mount`, `instance_stop` ...) and, where there
   is one, LOOKSALIVE_STORAGE_GROUP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from probe.controllers.contract import ControllerError, Instance, ServiceSpec
from probe.controllers.hooks import Hooks, complaint_of
from probe.environment import Clock, Finished
from probe.resources.parameters import Argv, InstanceParameters, StorageGroup
from probe.values import Reason, ResourceId, Verdict, evidence_of

READY_LOOK_S = 1.0  # between two rounds of `ready`
NOT_YET = 1
_ITSELF = ""  # the instance among the parts of which the others are storage groups

OnProgress = Callable[[ResourceId, int, int, str], None]  # whose, how many, of how many, what is being waited for


def unheard(id: ResourceId, done: int, total: int, waiting_for: str) -> None:
    """Take a word on progress that nobody wants."""
    del id, done, total, waiting_for


def instance_of(parameters: InstanceParameters, storage_groups: Sequence[StorageGroup] = ()) -> Instance | None:
    """Make an instance of a type's parameters; None where there is nothing to call."""
    instance = Instance(parameters.instance_start, parameters.instance_stop, tuple(storage_groups))
    return None if instance == Instance() else instance


class Instances:
    """What of each resource is in its running service."""

    def __init__(self, hooks: Hooks, clock: Clock, on_progress: OnProgress = unheard) -> None:
        self._hooks = hooks
        self._clock = clock
        self._on_progress = on_progress
        self._within: dict[ResourceId, list[str]] = {}  # parts that are in, or may be; without an entry: all may be

    async def start(self, service: ServiceSpec) -> None:
        """Call the instance in and wait until all of it is there. Raises ControllerError."""
        instance = service.instance
        if instance is None:
            return
        within = self._within.setdefault(service.id, [])
        if instance.start is not None:
            _enter(within, _ITSELF)
            await self._do(service, "instance_start", instance.start)
        groups = instance.storage_groups
        waiting = {group.name: group.ready for group in groups}
        for group in groups:
            _enter(within, group.name)
            await self._do(service, "mount", group.mount, group.name)
            if group.ready is None:
                del waiting[group.name]
            self._tell(service, len(groups), list(waiting))
        await self._become_ready(service, len(groups), waiting)

    async def stop(self, service: ServiceSpec) -> None:
        """Take the instance out. Raises ControllerError for the first thing that failed."""
        failures: list[ControllerError] = []
        for hook, argv, part in _ways_out(service.instance):
            within = self._within.get(service.id)
            if within is not None and part not in within:
                continue
            try:
                await self._do(service, hook, argv, part)
            except ControllerError as error:
                failures.append(error)
            else:
                if within is not None:
                    within.remove(part)
        if failures:
            raise failures[0]
        self.gone(service.id)

    def gone(self, id: ResourceId) -> None:
        """Note that nothing of it is in: it was taken out, or its service has ended."""
        self._within[id] = []
        self._hooks.rest(id)

    def close(self) -> None:
        """Forget everything, and leave it as it is."""
        self._within.clear()
        self._hooks.close()

    async def _become_ready(self, service: ServiceSpec, total: int, waiting: dict[str, Argv | None]) -> None:
        while True:
            for name, ready in list(waiting.items()):
                finished = await self._ask(service, ready, name)
                if finished is None or finished.status == 0:
                    del waiting[name]
                    self._tell(service, total, list(waiting))
                elif finished.status != NOT_YET:
                    raise _failed("ready", name, finished)
            if not waiting:
                return
            await self._clock.sleep(READY_LOOK_S)

    async def _ask(self, service: ServiceSpec, ready: Argv | None, name: str) -> Finished | None:
        return None if ready is None else await self._hooks.ask(ready, _variables(service, "ready", name))

    async def _do(self, service: ServiceSpec, hook: str, argv: Argv, part: str = _ITSELF) -> None:
        finished = await self._hooks.run(service.id, argv, _variables(service, hook, part))
        if finished.status != 0:
            raise _failed(hook, part, finished)

    def _tell(self, service: ServiceSpec, total: int, waiting: list[str]) -> None:
        text = f"waiting for {', '.join(waiting)}" if waiting else "all mounted"
        self._on_progress(service.id, total - len(waiting), total, evidence_of(text))


def _enter(within: list[str], part: str) -> None:
    if part not in within:
        within.append(part)


def _ways_out(instance: Instance | None) -> Iterator[tuple[str, Argv, str]]:
    if instance is None:
        return
    for group in reversed(instance.storage_groups):
        yield "unmount", group.unmount, group.name
    if instance.stop is not None:
        yield "instance_stop", instance.stop, _ITSELF


def _failed(hook: str, part: str, finished: Finished) -> ControllerError:
    """Say which program failed: the service runs, so the reason must not say that nothing does."""
    text = f"{hook}{f' of {part}' if part else ''} ended with {finished.text}{complaint_of(finished)}"
    return ControllerError(Verdict(Reason.NOT_SERVING, evidence_of(text)))


def _variables(service: ServiceSpec, hook: str, part: str) -> dict[str, str]:
    variables = {"LOOKSALIVE_RESOURCE": str(service.id), "LOOKSALIVE_HOOK": hook}
    return variables | {"LOOKSALIVE_STORAGE_GROUP": part} if part else variables
