"""Light rounds in virtual time: who is asked in the light form, and that nobody can tell it from a dial's."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from bindings.model import Tls
from probe.environment import Ready
from probe.monitor.cache import Reading
from probe.monitor.flight import Flight, is_light
from probe.monitor.mask import Mask
from probe.monitor.plan import ProbePlan
from probe.monitor.watch import Watch
from probe.monitor.wheel import NOWHERE, TICK_S
from probe.values import Outcome, Reason, ResourceId, Verdict
from tests.monitor.rig import FIRST, PLACE, Rig, live, plan_of, targets_of, virtual_server, with_network
from tests.monitor.test_engine import REASONS
from tests.sim.environment import SimClock, make_environment
from tests.sim.loop import current_loop, run_virtual
from tests.sim.network import SimNetwork
from tests.sim.poller import SimPoller
from tests.sim.servers import Fault
from tests.sim.sockets import SimSocket, fail
from tests.sim.wire import Endpoint, Place

WEB = ("127.0.0.1", 80)
BINDING = {"smtp": "127.0.0.1:25", "http": "127.0.0.1:80:www.example.org"}
AT = {"smtp": PLACE, "http": WEB}
TIMEOUT_S = 1.0
A_PASS_S = 1.5 * TICK_S  # what was put at the head of the wheel has left by then, and was answered by who is well
SLOWLY_S = 0.2


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
        return not (self.engine.in_flight or self.network.sockets or self.flights.aloft or self.engine.dials)


class Hasty(SimClock):
    """Time that passes whenever it is asked for."""

    def __init__(self, loop: Any, step_s: float) -> None:
        super().__init__(loop)
        self.step_s = step_s

    def now(self) -> float:
        self.stall(self.step_s)
        return super().now()


class Interruption:
    """An entry of the wheel that does something in the middle of its pass."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.tick = NOWHERE
        self.act = act

    def due(self, now: float) -> None:
        del now
        self.act()


class Speaker:
    """A server that says its pieces one after the other, hears nothing, and leaves the end to its client."""

    PAUSE_S = 0.01

    def __init__(self, sky: Sky, place: Place, *pieces: bytes) -> None:
        self.pieces = pieces
        self.timeline = sky.machine.timeline
        self.listener = sky.machine.wire.listen(place, self.accept)

    def accept(self) -> None:
        endpoint = self.listener.accept()
        assert endpoint is not None
        for number, piece in enumerate(self.pieces):
            self.timeline.call_later(number * self.PAUSE_S, self.say, endpoint, piece)

    def say(self, endpoint: Endpoint, piece: bytes) -> None:
        if not (endpoint.closed or endpoint.reset):
            endpoint.send(piece)


def fly(body: Callable[[Sky], Awaitable[None]], *, max_in_flight: int = 100, step_s: float = 0.0) -> None:
    """Run a body in virtual time; afterwards no socket and no task may be left."""

    async def main() -> None:
        sky = Sky(max_in_flight, step_s)
        await live(sky, body)
        assert sky.at_rest

    run_virtual(main())


async def both(sky: Sky, plan: ProbePlan, steady: Watch) -> tuple[Reading, Reading]:
    """Ask by a light round, and the same target by a dial at the same time; return the two readings."""
    rounds, light = steady.rounds, len(sky.landed)
    steady.check_now()
    fresh = sky.watch(replace(plan, id=ResourceId("default", "fresh")))
    readings = await sky.answer(steady, rounds + 1), await sky.answer(fresh, 1)
    assert sky.landed[light:] in ([], [plan.id])
    assert sky.said(plan.id) == sky.said(fresh.id)
    return readings


def like(reading: Reading) -> tuple[object, ...]:
    """What two readings of one state of affairs have in common: everything but their times."""
    stages = tuple(stage for stage, _ in reading.stages)
    return (reading.alive, reading.fresh_s, reading.result._replace(started=0.0, ended=0.0, stages=()), stages)


# --- who is asked in the light form ---


@pytest.mark.parametrize("protocol", BINDING)
def test_the_steady_rounds_are_light(protocol: str) -> None:
    """Once a first dial has gone well a steady answer is awaited without a dial; nothing is left of it afterwards."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve(protocol, AT[protocol])
        server.fault, server.delay_s = Fault.DELAY, SLOWLY_S
        watch = sky.watch(sky.plan(protocol))
        await sky.later(A_PASS_S)
        assert (len(sky.engine.dials), len(sky.flights.aloft)) == (1, 0)
        await sky.later(2 * SLOWLY_S)
        for rounds in (2, 3):
            await sky.again(watch)
            assert (len(sky.engine.dials), list(sky.flights.aloft.values())) == (0, [watch])
            assert watch.under_way
            assert sky.engine.in_flight == len(sky.network.sockets) == 1
            assert repr(sky.flights) == "<Flights 1 aloft>"
            await sky.later(SLOWLY_S)
            assert watch.rounds == rounds
            assert sky.at_rest
        assert sky.landed == [watch.id] * 2
        await sky.later(30)
        assert watch.rounds in (5, 6), "they go on by themselves"
        assert len(sky.landed) == watch.rounds - 1

    fly(body)


def test_until_it_is_calm_again_it_is_dialled() -> None:
    """After a failure, and while the good answers that undo it are counted, every round is a dial."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watch = await sky.calm(sky.plan(rise=2, fall=1, fast_interval_s=1.0))
        server.fault = Fault.EOF_BEFORE
        await sky.again(watch)
        assert sky.levels == [False]
        server.fault = Fault.NONE
        while len(sky.levels) < 2:
            await sky.later(TICK_S)
        assert sky.landed == []
        await sky.again(watch)
        assert sky.landed == [watch.id]

    fly(body)


LIGHT: list[dict[str, Any]] = [
    {"binding": "127.0.0.1:25"},
    {"binding": "192.0.2.7:25"},
    {"binding": "[::1]:25"},
    {"binding": "127.0.0.1:110", "protocol": "pop3"},
    {"binding": "127.0.0.1:25", "protocol": "tcp", "expect": ("220",)},
    {"binding": "127.0.0.1:25", "proxy_protocol": "v1"},
    {"binding": "127.0.0.1:80", "protocol": "http"},
]
NOT_LIGHT: list[dict[str, Any]] = [
    {"binding": "127.0.0.1:25", "polite": True},
    {"binding": "127.0.0.1:25", "starttls": "required", "tls": Tls(verify=False)},
    {"secure": ("127.0.0.1:465",), "tls": Tls(verify=False)},
    {"binding": "unix:/run/smtp.sock"},
    {"binding": "mail.example.org:25"},
    {"binding": "127.0.0.1:25", "helo_name": "not a name"},
    {"binding": "127.0.0.1:25", "protocol": "tcp"},
    {"binding": "127.0.0.1:80", "protocol": "http", "body_match": "ok"},
    {"binding": "192.0.2.7:80", "protocol": "http"},
]


@pytest.mark.parametrize("light", [True, False])
def test_only_what_one_piece_can_settle_is_light(light: bool) -> None:
    """A goodbye, TLS, a unix socket, a body, a name, a distant peer that is spoken to first: those are dialled."""

    async def body(sky: Sky) -> None:
        for described in LIGHT if light else NOT_LIGHT:
            properties: dict[str, Any] = {"polite": False, **described}
            bindings = (properties.pop("binding"),) if "binding" in properties else ()
            (target,) = targets_of(sky.environment, virtual_server(*bindings, **properties))
            assert is_light(target) is light, described
            assert not is_light(replace(target, mask=Mask(("x-secret",), ("hidden",))))
            assert not is_light(replace(target, obstacle=Verdict(Reason.PROBE_INTERNAL)))

    fly(body)


@pytest.mark.parametrize("described", [{"polite": True}, {"binding": "localhost:25"}, {"binding": "unix:/run/s"}])
def test_what_is_not_light_is_dialled_for_ever(described: dict[str, Any]) -> None:
    """The rounds of all others stay dials, however calm they are."""

    async def body(sky: Sky) -> None:
        sky.machine.host.names["localhost"] = [(2, "127.0.0.1")]
        for place in (PLACE, "/run/s"):
            sky.machine.serve("smtp", place)
        watch = sky.watch(sky.plan(**described))
        await sky.later(35)
        assert watch.rounds >= 4
        assert (sky.landed, watch.shape) == ([], ())

    fly(body)


# --- whatever else it meets is as a dial would have it ---


@pytest.mark.parametrize("protocol", BINDING)
@pytest.mark.parametrize("fault", Fault)
def test_each_fault_is_told_as_a_dial_tells_it(fault: Fault, protocol: str) -> None:
    """S31, S32: reason, stage, evidence, the time it took and the dialogue kept are those of a dial."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve(protocol, AT[protocol])
        plan = sky.plan(protocol, fast_interval_s=60.0, poll_interval_s=60.0)
        steady = await sky.calm(plan)
        server.fault, server.delay_s = fault, SLOWLY_S
        light, dialled = await both(sky, plan, steady)
        assert like(light) == like(dialled)
        if protocol == "smtp":
            assert (light.verdict.reason, light.verdict.stage) == REASONS[fault]
        assert bool(sky.said(plan.id)) == (light.outcome is not Outcome.ALIVE)
        took = [reading.result.ended - reading.result.started for reading in (light, dialled)]
        assert took[0] == pytest.approx(took[1], abs=2 * TICK_S)
        assert took[0] <= TIMEOUT_S + 2 * TICK_S
        assert sum(seconds for _, seconds in light.stages) == pytest.approx(took[0])

    fly(body)
