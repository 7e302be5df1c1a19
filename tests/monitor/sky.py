"""Monitors whose rounds are light, over a network that can become a worse one while it runs, in virtual time."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from probe.environment import Ready
from probe.monitor.cache import Reading
from probe.monitor.flight import Flight
from probe.monitor.plan import ProbePlan
from probe.monitor.watch import Watch
from probe.monitor.wheel import TICK_S
from probe.values import ResourceId
from tests.monitor.rig import FIRST, PLACE, Rig, live, plan_of, virtual_server, with_network
from tests.sim.environment import SimClock, make_environment
from tests.sim.loop import current_loop, run_virtual
from tests.sim.network import SimNetwork
from tests.sim.poller import SimPoller
from tests.sim.sockets import SimSocket, fail

WEB = ("127.0.0.1", 80)
BINDING = {"smtp": "127.0.0.1:25", "http": "127.0.0.1:80:www.example.org"}
AT = {"smtp": PLACE, "http": WEB}
TIMEOUT_S = 1.0
SELDOM: dict[str, Any] = {"poll_interval_s": 60.0, "fast_interval_s": 60.0}
A_PASS_S = 1.5 * TICK_S  # what was put at the head of the wheel has left by then, and was answered by who is well


class Network(SimNetwork):
    """A network in which sockets and the poller can be exchanged for worse ones while it runs."""

    kind: type[SimSocket] = SimSocket
    full = False  # the poller takes nobody more
    registered = 0  # sockets that the poller was told of, since ever

    def socket(self, family: int) -> SimSocket:
        opened = super().socket(family)
        opened.__class__ = self.kind
        return opened

    def poller(self, ready: Ready) -> SimPoller:
        network = self

        class Poller(SimPoller):
            def register(self, fd: int, events: int) -> None:
                if network.full:
                    raise fail(errno.ENOMEM)
                network.registered += 1
                super().register(fd, events)

        return Poller(self, ready, self._loop)


class Sky(Rig):
    """Monitors over such a network, and the light rounds that went well."""

    network: Network

    def __init__(self, max_in_flight: int, step_s: float) -> None:
        environment, machine = make_environment(seed=1)
        network = Network(machine.wire, current_loop(), machine.host)
        clock = Hasty(current_loop(), step_s) if step_s else environment.clock
        super().__init__(replace(with_network(environment, network), clock=clock), machine, max_in_flight)
        self.engine = self.monitors.engine
        self.flights = self.engine.flights
        self.landed: list[ResourceId] = []
        self._land = self.flights.landed
        self.flights.landed = self._landed

    def _landed(self, flights: list[Flight], now: float) -> None:
        self.landed += [flight.id for flight in flights]
        self._land(flights, now)

    def plan(self, protocol: str = "smtp", name: str = "one", **properties: Any) -> ProbePlan:
        """Plan the checks of a server of this machine; impolite, so that they are light."""
        chosen = {"protocol": protocol, "polite": False, "probe_timeout_s": TIMEOUT_S, **properties}
        binding = chosen.pop("binding", BINDING[protocol])
        return plan_of(self.environment, virtual_server(binding, **chosen), name)

    def watch(self, plan: ProbePlan, alive: bool | None = True) -> Watch:
        """Begin to watch."""
        self.monitors.watch(plan, FIRST, alive)
        return self.of(plan.id)

    def of(self, id: ResourceId) -> Watch:
        return self.monitors._watches[id]

    async def calm(self, plan: ProbePlan) -> Watch:
        """Begin to watch what is well, and let the first round be over."""
        watch = self.watch(plan)
        await self.later(A_PASS_S)
        assert watch.rounds == 1
        assert watch.shape
        return watch

    async def later(self, seconds: float) -> None:
        await self.until(self.loop.time() + seconds)

    async def again(self, *watches: Watch, wait_s: float = A_PASS_S) -> None:
        """Let the next steady round of each come now, all in one pass of the wheel."""
        for watch in watches:
            watch.check_now()
        await self.later(wait_s)

    async def answer(self, watch: Watch, rounds: int) -> Reading:
        """Wait for the answer that makes so many rounds, and for no later one."""
        while watch.rounds < rounds:
            await self.later(TICK_S)
        assert watch.rounds == rounds
        reading = watch.reading
        assert reading is not None
        return reading

    def said(self, id: ResourceId) -> list[tuple[str, str, int]]:
        """What is kept of the dialogue of a resource's only failure, without its times."""
        found = self.monitors.evidence.transcripts(id)
        assert [transcript.times for transcript in found] in ([], [1])
        return [(piece.direction, piece.text, piece.cut_bytes) for one in found for piece in one.pieces]

    @property
    def at_rest(self) -> bool:
        """Whether nothing is held: no slot, no socket, no flight."""
        held = len(self.network.sockets) - self.engine.spares.count
        return not (self.engine.in_flight or held or self.flights.aloft or self.engine.dials)


class Hasty(SimClock):
    """Time that passes whenever it is asked for."""

    def __init__(self, loop: Any, step_s: float) -> None:
        super().__init__(loop)
        self.step_s = step_s

    def now(self) -> float:
        self.stall(self.step_s)
        return super().now()


def fly(body: Callable[[Sky], Awaitable[None]], *, max_in_flight: int = 100, step_s: float = 0.0) -> None:
    """Run a body in virtual time; afterwards no socket and no task may be left."""

    async def main() -> None:
        sky = Sky(max_in_flight, step_s)
        await live(sky, body)
        assert sky.at_rest

    run_virtual(main())
