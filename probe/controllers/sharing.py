"""Services and who uses them: resources that name the same service share one, which runs while anybody does (S36, S57).

How it behaves:
1. The controllers below know a service by one resource's id. Here each resource has its place among the users of its
   service; a service of its own is one with a single user.
2. Start: the service, unless another user runs it; then this resource's instance. Stop: the instance; then the service,
   when no user is left or the type's stop ends it for everybody (S59).
3. Terminate: who has an instance takes it out, and the service ends when nobody is left, or when the instance would not
   go (S69); who has none ends the service. Kill is of the service's processes (S56), whoever uses them.
4. A service that ended by itself is told to each user, with its own incarnation; one that was ended for one user is
   `collateral` to the others. From then on they use it no more.
5. Starts and stops of one service come one after another. Instances come and go beside each other: an hour of mounting
   keeps nobody waiting. Whoever waits can be cancelled.
6. What an earlier run left running belongs to all who name it until they say what they want: who was only taken over,
   and is stopped, leaves it to the others, even where its stop would be everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from probe.controllers.contract import Acting, ControllerError, OnExit, ServiceSpec
from probe.controllers.hooks import Hooks
from probe.controllers.instances import Instances
from probe.controllers.upgrade import run_upgrade, without_upgrade
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

ID_CHARS_KEPT = 48  # of a name's 63, where a number is put behind it


@dataclass(frozen=True, slots=True)
class _User:
    """A resource that uses a service."""

    incarnation: Incarnation
    started: bool  # by this run of ours; else taken over


@dataclass(slots=True, eq=False)
class _Shared:
    """A service on this node. It is kept until it is known that nothing of it runs."""

    name: str
    id: ResourceId  # by which the controller below knows it
    named_by: set[ResourceId] = field(default_factory=set)
    users: dict[ResourceId, _User] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    holders: int = 0  # operations that hold the lock or wait for it
    idle: bool = True  # nothing of it runs

    def others(self, id: ResourceId) -> list[ResourceId]:
        """Name who else uses it."""
        return [user for user in self.users if user != id]


class Sharing:
    """A kind of controller for resources, over one for services. `make` is given whom to tell of ends."""

    def __init__(self, make: Callable[[OnExit], Acting], on_exit: OnExit, hooks: Hooks, instances: Instances) -> None:
        self._below = make(self._ended)
        self._on_exit = on_exit
        self._hooks = hooks
        self._instances = instances
        self._services: dict[str, _Shared] = {}
        self._of: dict[ResourceId, _Shared] = {}  # by who names it
        self._below_ids: dict[ResourceId, _Shared] = {}

    @property
    def acts(self) -> bool:
        """Whether it can start and stop anything."""
        return self._below.acts

    @property
    def ours_to_stop(self) -> bool:
        """Whether its services end with us."""
        return self._below.ours_to_stop

    def uses(self, id: ResourceId) -> bool:
        """Whether the resource uses a service that runs, as far as is known."""
        shared = self._of.get(id)
        return shared is not None and id in shared.users

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the service unless another runs it, and call the instance in. Raises ControllerError."""
        async with self._turn(service) as shared:
            if not any(shared.users[other].started for other in shared.others(service.id)):
                shared.users.pop(service.id, None)
                shared.idle = False
                await self._below.start(_below(service, shared), incarnation)
            shared.users[service.id] = _User(incarnation, started=True)
        await self._instances.start(service)

    async def stop(self, service: ServiceSpec) -> None:
        """Take the instance out, and stop the service when nobody is left or all are to go. Raises ControllerError."""
        stuck = await self._leave(service)
        if stuck is not None:
            raise stuck
        async with self._turn(service) as shared:
            if shared.others(service.id) and not (service.whole and _is_started(shared, service.id)):
                shared.users.pop(service.id, None)
                return
            await self._below.stop(_below(service, shared))
            self._end(shared, service.id)

    async def terminate(self, service: ServiceSpec) -> None:
        """Take the instance out, and end the service unless others need it and can keep it. Raises ControllerError."""
        stuck = await self._leave(service)
        async with self._turn(service) as shared:
            mine = _is_started(shared, service.id) and (service.whole or service.instance is None)
            if shared.others(service.id) and stuck is None and not mine:
                shared.users.pop(service.id, None)
                return
            await self._below.terminate(_below(service, shared))
            self._end(shared, service.id)

    async def upgrade(self, service: ServiceSpec) -> None:
        """Run `upgrade` while nobody uses the service, and let nobody start it meanwhile. Raises ControllerError."""
        async with self._turn(service) as shared:
            if others := shared.others(service.id):
                text = f"the service is used by {', '.join(map(str, others))}: take them offline first"
                raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(text)))
            await run_upgrade(self._hooks, service)

    def kill(self, id: ResourceId) -> None:
        """Kill the service's processes (S56); the other users are told."""
        shared = self._of.get(id)
        if shared is not None:
            self._below.kill(shared.id)
            self._tell_others(shared, id)

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Take over the service if an earlier run of ours left it running; say whether it runs."""
        shared = self._shared(service)
        if any(user.started for user in shared.users.values()):
            return False  # it runs for others; a start joins them
        if not shared.users and not self._below.adopt(_below(service, shared), incarnation):
            self._rest(shared)
            return False
        shared.idle = False
        shared.users[service.id] = _User(incarnation, started=False)
        return True

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of the service that the resource uses, if it has one."""
        shared = self._of.get(id)
        return self._below.pid(shared.id) if shared is not None and id in shared.users else None

    def release(self) -> None:
        """Forget every service and leave it running."""
        self._below.release()
        self._hooks.close()
        self._instances.close()
        self._services.clear()
        self._of.clear()
        self._below_ids.clear()

    # --- the table of services ---

    @asynccontextmanager
    async def _turn(self, service: ServiceSpec) -> AsyncIterator[_Shared]:
        """Wait for our turn at the service and hold it."""
        shared = self._shared(service)
        shared.holders += 1
        try:
            async with shared.lock:
                yield shared
        finally:
            shared.holders -= 1
            self._rest(shared)

    def _shared(self, service: ServiceSpec) -> _Shared:
        name = service.service or f"{service.id}"
        shared = self._services.get(name)
        if shared is None:
            shared = self._services[name] = _Shared(name, self._free_id(service.id))
            self._below_ids[shared.id] = shared
        before = self._of.get(service.id)
        if before is not None and before is not shared:  # it has another service now
            before.users.pop(service.id, None)
            before.named_by.discard(service.id)
        self._of[service.id] = shared
        shared.named_by.add(service.id)
        return shared

    def _free_id(self, id: ResourceId) -> ResourceId:
        """Name a service by its first user, unless that one's earlier service, which others use, has the name still."""
        free, number = id, 1
        while free in self._below_ids:
            number += 1
            free = ResourceId(id.group, f"{id.name[:ID_CHARS_KEPT]}.{number}")
        return free

    def _rest(self, shared: _Shared) -> None:
        """Forget a service of which nothing runs and which nobody is about to start."""
        if shared.idle and not shared.users and not shared.holders and self._services.get(shared.name) is shared:
            del self._services[shared.name]
            del self._below_ids[shared.id]
            for id in shared.named_by:
                del self._of[id]

    # --- ends ---

    async def _leave(self, service: ServiceSpec) -> ControllerError | None:
        """Take the instance out; say why it would not go. Out of a service that it does not use it is gone anyway."""
        try:
            await self._instances.stop(service)
        except ControllerError as error:
            return error if self.uses(service.id) else None
        return None

    def _end(self, shared: _Shared, by: ResourceId) -> None:
        """Note that nothing of the service runs any more, and that it was asked for by one of its users."""
        shared.idle = True
        self._tell_others(shared, by)

    def _tell_others(self, shared: _Shared, by: ResourceId) -> None:
        users, shared.users = shared.users, {}
        verdict = Verdict(Reason.COLLATERAL, f"the service it shares was ended for {by}")
        for id, user in users.items():
            self._instances.gone(id)
            if id != by:
                self._on_exit(id, user.incarnation, verdict)

    def _ended(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take the word from below that a service ended by itself: each user hears it under its own incarnation."""
        del incarnation
        shared = self._below_ids.get(id)
        if shared is not None:
            users, shared.users = shared.users, {}
            for user_id, user in users.items():
                self._instances.gone(user_id)
                self._on_exit(user_id, user.incarnation, verdict)


def _below(service: ServiceSpec, shared: _Shared) -> ServiceSpec:
    return replace(service, id=shared.id, parameters=without_upgrade(service.parameters), instance=None)


def _is_started(shared: _Shared, id: ResourceId) -> bool:
    return id in shared.users and shared.users[id].started
