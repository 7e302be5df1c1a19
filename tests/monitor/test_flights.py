"""Light rounds in virtual time: who is asked in the light form, and that nobody can tell it from a dial's."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NoReturn, cast

import pytest

from bindings.model import Tls
from probe.checks.conversation import Conversation
from probe.lifecycle.events import Trigger
from probe.monitor.cache import Reading
from probe.monitor.dial import Dial
from probe.monitor.flight import Flight, is_light
from probe.monitor.flights import KNOWN_BYTES_MAX
from probe.monitor.mask import Mask
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Result
from probe.monitor.watch import Watch
from probe.monitor.wheel import ENTRIES_PER_PASS_MAX, NOWHERE, TICK_S
from probe.values import Outcome, Reason, ResourceId, Stage, Verdict
from tests.monitor.rig import FIRST, PLACE, targets_of, virtual_server
from tests.monitor.sky import A_PASS_S, AT, BINDING, SELDOM, TIMEOUT_S, WEB, Sky, fly
from tests.monitor.test_engine import REASONS
from tests.sim.servers import Fault
from tests.sim.sockets import SimSocket, fail
from tests.sim.wire import Endpoint, Place

SLOWLY_S = 0.2


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


async def both(sky: Sky, plan: ProbePlan, steady: Watch) -> tuple[Reading, Reading]:
    """Ask by a light round, and the same target by a dial at the same time; return the two readings."""
    rounds = steady.rounds
    light: list[bool] = []
    steady.check_now()
    sky.engine.wheel.add(Interruption(lambda: light.append(steady.departure is not None)), sky.loop.time())
    fresh = sky.watch(replace(plan, id=ResourceId("default", "fresh")))
    readings = await sky.answer(steady, rounds + 1), await sky.answer(fresh, 1)
    assert light == [True]
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
        plan = sky.plan(protocol, **SELDOM)
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


def test_a_silent_server_has_its_whole_time_out_and_no_more() -> None:
    """S32: the deadline of a light round is the time-out after its departure, whatever came with it or before."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", PLACE)
        plans = [sky.plan(name=f"r{number}", probe_timeout_s=2 - number % 2, **SELDOM) for number in range(4)]
        watches = [await sky.calm(plan) for plan in plans]
        sky.machine.server("smtp", PLACE).fault = Fault.SILENT
        await sky.again(*watches)
        assert len(sky.flights.aloft) == 4
        for watch in watches:
            result = (await sky.answer(watch, 2)).result
            assert result.verdict.reason is Reason.BANNER_TIMEOUT
            assert result.ended - result.started == pytest.approx(watch.timeout_s, abs=2 * TICK_S)
            assert result.ended - result.started >= watch.timeout_s
        await sky.later(0)
        assert sky.at_rest

    fly(body)


def test_what_lies_in_the_kernel_is_read_before_a_light_round_is_judged() -> None:
    """The loop stalls far beyond the time-out right after the departure: who had answered is well."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watch = await sky.calm(sky.plan())
        server.fault, server.delay_s = Fault.DELAY, 0.02
        await sky.again(watch)
        assert sky.flights.aloft
        departure = watch.departure
        assert departure is not None
        sky.loop.stall(60.0)
        sky.engine.wheel.cancel(departure)
        departure.due(sky.loop.time())
        (dial,) = cast("list[Dial]", list(sky.engine.dials.values()))
        sky.engine.wheel.cancel(dial)
        dial.due(sky.loop.time())
        assert (watch.rounds, watch.verdict.reason) == (2, Reason.MATCHED)

    fly(body)


def test_a_stall_is_credited_to_a_light_round() -> None:
    """A server that would have answered in time is well, although a stall took up the whole time-out."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watch = await sky.calm(sky.plan())
        server.fault, server.delay_s = Fault.DELAY, 1.4
        await sky.again(watch, wait_s=0.2)
        sky.loop.stall(0.9)
        assert (await sky.answer(watch, 2)).verdict.reason is Reason.MATCHED
        server.fault = Fault.SILENT
        await sky.again(watch, wait_s=0.2)
        sky.loop.stall(2.0)
        result = (await sky.answer(watch, 3)).result
        assert result.verdict.reason is Reason.BANNER_TIMEOUT
        assert 2.9 <= result.ended - result.started <= 3.08

    fly(body)


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.REFUSE, Fault.EOF_BEFORE, Fault.RESET_BEFORE, Fault.WRONG])
def test_what_failed_of_a_light_round_across_a_pause_is_old_news(fault: Fault) -> None:
    """A pause far above the time-out: whatever failed of a light round under way says nothing of the service."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        plan = sky.plan(**SELDOM)
        watch = await sky.calm(plan)
        server.fault = fault
        watch.check_now()
        sky.engine.wheel.add(Interruption(lambda: sky.loop.call_soon(sky.loop.stall, 10.0)), sky.loop.time())
        reading = await sky.answer(watch, 2)
        assert (reading.outcome, reading.verdict.reason) == (Outcome.UNKNOWN, Reason.PROBER_STALLED)
        assert sky.levels == []

    fly(body)


# --- errors of ours and of the kernel, at each step ---


class NoRoute(SimSocket):
    """A socket that a router answers for."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> NoReturn:
        raise fail(errno.EHOSTUNREACH)


class Unreadable(SimSocket):
    """A socket that we cannot read, by a mistake of ours."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> NoReturn:
        raise TypeError("planted")


class Cut(SimSocket):
    """A socket whose peer goes while we send."""

    def send(self, data: Any, flags: int = 0, /) -> NoReturn:
        raise fail(errno.ECONNRESET)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        return 0


class Tight(SimSocket):
    """A socket that takes a few bytes at a time."""

    def send(self, data: Any, flags: int = 0, /) -> int:
        return super().send(bytes(data)[:7], flags)


class Full(SimSocket):
    """A socket that takes nothing at first."""

    tries = 0

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.tries += 1
        if self.tries < 3:
            raise fail(errno.EAGAIN)
        return super().send(data, flags)


def without_descriptors(sky: Sky) -> None:
    sky.machine.host.descriptors_max = 0


def without_route(sky: Sky) -> None:
    sky.machine.host.connect_errors["127.0.0.1"] = errno.ENETUNREACH


def without_ports(sky: Sky) -> None:
    sky.machine.host.ports_max = 0


def without_poller(sky: Sky) -> None:
    sky.network.full = True


def with_sockets(kind: type[SimSocket]) -> Callable[[Sky], None]:
    """Have the sockets be of a kind."""

    def exchange(sky: Sky) -> None:
        sky.network.kind = kind

    return exchange


@pytest.mark.parametrize(
    ("protocol", "worsen", "reason"),
    [
        ("smtp", without_descriptors, Reason.PROBER_DESCRIPTORS),
        ("http", without_descriptors, Reason.PROBER_DESCRIPTORS),
        ("smtp", without_route, Reason.CONNECT_UNREACHABLE),
        ("http", without_route, Reason.CONNECT_UNREACHABLE),
        ("smtp", without_ports, Reason.PROBER_PORTS),
        ("smtp", without_poller, Reason.PROBE_INTERNAL),
        ("http", without_poller, Reason.PROBE_INTERNAL),
        ("smtp", with_sockets(NoRoute), Reason.CONNECT_UNREACHABLE),
        ("smtp", with_sockets(Unreadable), Reason.PROBE_INTERNAL),
        ("http", with_sockets(Unreadable), Reason.PROBE_INTERNAL),
        ("http", with_sockets(Cut), Reason.RESET),
        ("http", with_sockets(Tight), Reason.MATCHED),
        ("http", with_sockets(Full), Reason.MATCHED),
    ],
)
def test_an_error_at_any_step_is_told_as_a_dial_tells_it(
    protocol: str, worsen: Callable[[Sky], None], reason: Reason
) -> None:
    """What keeps a light round from going well has a dial's reason, stage and dialogue, and holds nothing back."""

    async def body(sky: Sky) -> None:
        sky.machine.serve(protocol, AT[protocol])
        plan = sky.plan(protocol, **SELDOM)
        steady = await sky.calm(plan)
        worsen(sky)
        light, dialled = await both(sky, plan, steady)
        assert like(light) == like(dialled)
        assert light.verdict.reason is reason
        assert sky.landed == []
        await sky.later(0)
        assert sky.at_rest

    fly(body)


def test_an_address_that_is_gone_is_missing() -> None:
    """S34: a light round whose source cannot be bound is `address_missing`, and leaves no socket behind."""

    async def body(sky: Sky) -> None:
        sky.machine.add_address("192.0.2.9")
        sky.machine.serve("smtp", ("192.0.2.9", 25))
        plan = sky.plan(binding="192.0.2.9:25", **SELDOM)
        steady = await sky.calm(plan)
        await sky.again(steady)
        assert sky.landed == [steady.id]
        sky.machine.remove_address("192.0.2.9")
        light, dialled = await both(sky, plan, steady)
        assert like(light) == like(dialled)
        assert light.verdict.reason is Reason.ADDRESS_MISSING
        assert sky.at_rest

    fly(body)


class Faulty:
    """A check with a bug that begins to show when it is told to."""

    speaks_first = False
    glances = True
    broken = False

    def __init__(self, sound: Any) -> None:
        self.sound = sound

    def begin(self) -> Conversation:
        return cast("Conversation", self.sound.begin())

    def glance(self, data: bytes) -> Verdict | None:
        if self.broken:
            raise KeyError(data)
        return cast("Verdict | None", self.sound.glance(data))


def test_a_bug_of_ours_in_a_light_round_costs_nobody_else_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """The one with the bug is `probe_internal`, logged once; those who left with it land, and go on."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", PLACE)
        plan = sky.plan(name="broken", **SELDOM)
        check = Faulty(plan.targets[0].check)
        plan = replace(plan, targets=(replace(plan.targets[0], check=check),))
        watches = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(2)]
        watches.insert(1, await sky.calm(plan))
        check.broken = True
        await sky.again(*watches)
        reasons = [watch.verdict.reason for watch in watches]
        assert reasons == [Reason.MATCHED, Reason.PROBE_INTERNAL, Reason.MATCHED]
        assert "KeyError" in watches[1].verdict.evidence
        assert len(sky.landed) == 2
        assert sky.at_rest
        check.broken = False
        watches[1].check_now()
        await sky.answer(watches[1], 3)
        check.broken = True
        await sky.again(*watches)
        assert watches[1].verdict.reason is Reason.PROBE_INTERNAL

    fly(body)
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [KeyError]


# --- what a light round says ---


GREETING = b"220 sim.example ESMTP ready\r\n"
OTHER = b"220 sim.example ESMTP reads\r\n"  # as long as the first
LONGER = b"220 sim.example ESMTP ready, and in good spirits\r\n"
LONGEST = b"220 sim.example " + b"x" * KNOWN_BYTES_MAX + b"\r\n"


@pytest.mark.parametrize("other", [OTHER, LONGER, LONGEST])
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_banner_that_changes_is_shown_as_it_is_now(other: bytes, pieces: int) -> None:
    """The evidence is the last answer's, also when an older one comes back, or after a round that no glance settled."""

    async def body(sky: Sky) -> None:
        speaker = Speaker(sky, PLACE, GREETING)
        watch = await sky.calm(sky.plan())
        for banner, cut in [(GREETING, 0), (other, 0), (GREETING, 0), (other, pieces - 1), (GREETING, 0), (other, 0)]:
            at = len(banner) // 2
            speaker.pieces = (banner[:at], banner[at:]) if cut else (banner,)
            light = len(sky.landed)
            await sky.again(watch, wait_s=0.1)
            reading = watch.reading
            assert reading is not None
            assert reading.verdict is watch.verdict
            assert watch.verdict.reason is Reason.MATCHED
            assert watch.verdict.evidence == sky_evidence(watch, banner)
            assert len(sky.landed) == light + (not cut)
        assert watch.rounds == 7

    fly(body)


def sky_evidence(watch: Watch, banner: bytes) -> str:
    """What the check itself says of a banner."""
    conversation = watch.aim.check.begin()
    conversation.opened()
    conversation.received(banner)
    assert conversation.verdict is not None
    return conversation.verdict.evidence


def test_an_answer_in_two_pieces_is_good() -> None:
    """S35: a head that comes in two pieces is handed over to a dial; the next one, whole again, is light again."""

    async def body(sky: Sky) -> None:
        head, rest = b"HTTP/1.1 200 OK\r\nContent-", b"Length: 0\r\nConnection: close\r\n\r\n"
        speaker = Speaker(sky, WEB, head + rest)
        watch = await sky.calm(sky.plan("http"))
        speaker.pieces = (head, rest)
        await sky.again(watch, wait_s=0.1)
        assert (watch.rounds, watch.verdict.reason, sky.landed) == (2, Reason.MATCHED, [])
        reading = watch.reading
        assert reading is not None
        assert [stage for stage, _ in reading.stages] == [Stage.CONNECT, Stage.REQUEST, Stage.RESPONSE]
        assert 0 < reading.stages[0][1] < 0.001
        assert reading.result.ended - reading.result.started == pytest.approx(speaker.PAUSE_S, abs=0.001)
        speaker.pieces = (head + rest,)
        await sky.again(watch, wait_s=0.1)
        assert sky.landed == [watch.id]
        assert (sky.suspected, sky.posted) == ([], [])

    fly(body)


def test_an_answer_that_is_never_the_same_stays_light() -> None:
    """A response has another date each time; a page that grows beyond what is compared is light all the same."""

    async def body(sky: Sky) -> None:
        speaker = Speaker(sky, WEB, b"HTTP/1.1 204 No Content\r\n\r\n")
        watch = await sky.calm(sky.plan("http"))
        for second in range(4):
            head = f"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:0{second} GMT\r\n\r\n".encode()
            speaker.pieces = (head + b"x" * (second * KNOWN_BYTES_MAX // 3),)
            await sky.again(watch)
        assert (watch.rounds, sky.landed) == (5, [watch.id] * 4)

    fly(body)


@pytest.mark.parametrize("protocol", BINDING)
def test_the_reading_of_a_light_round_is_a_dial_s(protocol: str) -> None:
    """S7: field by field; put together once, and the same for all readers until the next round; so is the level."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve(protocol, AT[protocol])
        server.fault, server.delay_s = Fault.DELAY, 0.05
        plan = sky.plan(protocol)
        steady = sky.watch(plan)
        await sky.later(0.1)
        light, dialled = await both(sky, plan, steady)
        assert sky.landed == [plan.id]
        assert like(light) == like(dialled)
        assert (light.rounds, dialled.rounds) == (2, 1)
        assert (light.result.moments, light.result.parts) == ((), ())
        for one in (light, dialled):
            assert one.result.ended - one.result.started == pytest.approx(0.05, abs=0.001)
            assert one.stages[0][1] < 0.001
            assert sum(seconds for _, seconds in one.stages) == pytest.approx(one.result.ended - one.result.started)
        assert sky.monitors.reading(plan.id) is light
        level = sky.monitors.level(plan.id)
        assert level is not None
        assert (level.alive, level.verdict, level.at) == (light.alive, light.verdict, light.at)
        for later_s in (0.0, light.fresh_s - 0.1, light.fresh_s + 0.1):
            assert level.stale(light.at + later_s) is light.stale(light.at + later_s)
        await sky.again(steady, wait_s=0.1)
        assert level.at > light.at
        newer = sky.monitors.reading(plan.id)
        assert newer is not None
        assert (newer.rounds, newer.at, light.rounds) == (3, level.at, 2)

    fly(body)


def test_a_changed_plan_does_not_change_what_was_read() -> None:
    """The reading of a light round names whom it asked, also when the plan asks somebody else by now."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", PLACE)
        sky.machine.serve("smtp", ("127.0.0.1", 26)).fault = Fault.SILENT
        watch = await sky.calm(sky.plan())
        await sky.again(watch)
        assert sky.landed == [watch.id]
        at = watch.at
        sky.monitors.replan(sky.plan(binding="127.0.0.1:26", poll_interval_s=20.0))
        reading = watch.reading
        assert reading is not None
        assert (reading.address, reading.at, reading.fresh_s) == ("127.0.0.1:25", at, 61.0)
        assert reading.verdict.evidence == watch.verdict.evidence
        await sky.again(watch)
        assert not sky.flights.aloft, "a new plan begins with a dial"
        assert len(sky.engine.dials) == 1

    fly(body)


# --- slots, and the ends of rounds that nobody wants any more ---


def test_five_at_once_share_one_slot() -> None:
    """With room for one, five that are due together are all asked, one after the other; nothing is left."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watches = [await sky.calm(sky.plan(name=f"r{number}", **SELDOM)) for number in range(5)]
        server.fault, server.delay_s = Fault.DELAY, 0.05
        for rounds in (2, 3):
            sky.network.peak = 0
            await sky.again(*watches)
            assert (sky.engine.in_flight, sky.engine.waiting, len(sky.flights.aloft)) == (1, 4, 1)
            await sky.later(0.5)
            assert [watch.rounds for watch in watches] == [rounds] * 5
            assert sky.network.peak == 1
            assert sky.at_rest
        assert {watch.verdict.reason for watch in watches} == {Reason.MATCHED}
        assert (sky.suspected, sky.posted) == ([], [])

    fly(body, max_in_flight=1)


def end(sky: Sky, watch: Watch) -> None:
    sky.monitors.unwatch(watch.id)


def plan_anew(sky: Sky, watch: Watch) -> None:
    del watch
    sky.monitors.replan(sky.plan(probe_timeout_s=2.0))


def ask_anew(sky: Sky, watch: Watch) -> None:
    sky.monitors.verify(watch.id, suspected=False, anew=True)


def close(sky: Sky, watch: Watch) -> None:
    del watch
    sky.engine.close()


@pytest.mark.parametrize("aloft", [True, False])
@pytest.mark.parametrize("call_off", [end, plan_anew, ask_anew, close])
def test_a_light_round_that_is_called_off_leaves_nothing(call_off: Callable[[Sky, Watch], None], aloft: bool) -> None:
    """S68: whether it has left yet or not, its socket is closed and its slot given back at once; it tells nothing."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watch, other = await sky.calm(sky.plan()), await sky.calm(sky.plan(name="other"))
        server.fault, server.delay_s = Fault.DELAY, SLOWLY_S
        held: list[tuple[int, int]] = []

        def act() -> None:
            assert watch.departure is not None
            call_off(sky, watch)
            assert watch.departure is None
            held.append((sky.engine.in_flight, len(sky.network.sockets)))

        watch.check_now()
        other.check_now()
        if not aloft:
            sky.engine.wheel.add(Interruption(act), sky.loop.time())
        await sky.later(A_PASS_S)
        if aloft:
            assert len(sky.flights.aloft) == 2
            act()
        assert held == [(0, 0) if call_off is close else (1, int(aloft))]
        await sky.later(2 * SLOWLY_S)
        begun_again = call_off in {plan_anew, ask_anew}
        assert watch.rounds == 1 + begun_again
        assert other.rounds == (1 if call_off is close else 2)
        assert sky.landed == ([] if call_off is close else [other.id])
        assert (sky.suspected, sky.posted) == ([], [])
        assert sky.at_rest
        if begun_again:
            await sky.again(watch, wait_s=2 * SLOWLY_S)
            assert sky.landed == [other.id, watch.id]

    fly(body)


@pytest.mark.parametrize("aloft", [True, False])
@pytest.mark.parametrize("trigger", [Trigger.KERNEL, Trigger.PROBE])
def test_who_is_to_be_verified_is_asked_once_more_behind_a_light_round(trigger: Trigger, aloft: bool) -> None:
    """S67: the answer under way may be older than the event: it does not put off the check that the event asks for."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watch = await sky.calm(sky.plan(**SELDOM))
        server.fault, server.delay_s = Fault.DELAY, SLOWLY_S
        watch.check_now()

        def verify() -> None:
            assert watch.departure is not None
            sky.monitors.verify(watch.id, trigger)
            assert sky.engine.in_flight == 1

        if not aloft:
            sky.engine.wheel.add(Interruption(verify), sky.loop.time())
        await sky.later(A_PASS_S)
        if aloft:
            verify()
        await sky.later(3 * SLOWLY_S)
        assert (watch.rounds, server.total) == (3, 3)
        assert sky.landed == []
        await sky.again(watch, wait_s=2 * SLOWLY_S)
        assert sky.landed == [watch.id], "nothing is left to be verified"

    fly(body)


def test_a_light_round_brings_back_what_was_given_up_meanwhile() -> None:
    """S63: the core takes it for failed while it is asked; the good answer is the first of `rise`, not nothing."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        plan = sky.plan(**SELDOM)
        watch = await sky.calm(plan)
        server.fault, server.delay_s = Fault.DELAY, SLOWLY_S
        await sky.again(watch)
        assert sky.flights.aloft
        sky.monitors.watch(plan, FIRST, False)
        await sky.later(SLOWLY_S)
        assert sky.levels == [True]

    fly(body)


# --- answers that are there at once ---


def test_who_answers_at_once_is_read_without_the_poller() -> None:
    """Time passes while we work: who has answered by then is read at once, who has not is left to the poller."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        watches = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(3)]
        assert sky.network.registered == 3
        for rounds in (2, 3):
            await sky.again(*watches)
            assert [watch.rounds for watch in watches] == [rounds] * 3
            assert all(watch.prompt for watch in watches)
            assert sky.network.registered == 3, "nobody but the first dials"
        reading = watches[0].reading
        assert reading is not None
        assert reading.verdict.reason is Reason.MATCHED
        assert 0 < reading.result.ended - reading.result.started < TICK_S
        server.fault, server.delay_s = Fault.DELAY, SLOWLY_S
        await sky.again(*watches, wait_s=2 * SLOWLY_S)
        assert (sky.network.registered, [watch.prompt for watch in watches]) == (6, [False] * 3)
        server.fault = Fault.NONE
        await sky.again(*watches)
        assert (sky.network.registered, [watch.prompt for watch in watches]) == (9, [True] * 3)
        await sky.again(*watches)
        assert sky.network.registered == 9
        assert [watch.rounds for watch in watches] == [6] * 3
        assert len(sky.landed) == 15

    fly(body, step_s=150e-6)


@pytest.mark.parametrize("fault", Fault)
def test_what_is_read_at_once_is_judged_the_same(fault: Fault) -> None:
    """S31, S32: each fault has a dial's reason and dialogue also where the poller was never asked."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        plan = sky.plan(**SELDOM)
        steady = await sky.calm(plan)
        server.fault, server.delay_s = fault, SLOWLY_S
        light, dialled = await both(sky, plan, steady)
        assert like(light) == like(dialled)
        assert (light.verdict.reason, light.verdict.stage) == REASONS[fault]

    fly(body, step_s=150e-6)


class Lone(Flight):
    """A light round without a watch; whatever it is told, the others are to be asked anew at once."""

    __slots__ = ("_flights", "others", "told")

    def __init__(self, sky: Sky, plan: ProbePlan) -> None:
        super().__init__(plan, alive=True)
        assert self.aim_at(plan, plan.single)
        self.shape = (Stage.CONNECT, Stage.BANNER)
        self._flights = sky.flights
        self.others: list[Flight] = []
        self.told: list[Reason] = []

    def due(self, now: float) -> None:
        assert self._flights.add(self)

    def answered(self, result: Result) -> None:
        self.told.append(result.verdict.reason)
        for other in self.others:
            self._flights.give_way(other)

    def parted(self, seconds: float) -> None:
        assert seconds == 0.0


@pytest.mark.parametrize("step_s", [0.0, 5e-5], ids=["by the poller", "at once"])
@pytest.mark.parametrize("count", [3, 20])
def test_what_was_read_is_not_lost_when_another_s_answer_makes_it_a_dial_s(count: int, step_s: float) -> None:
    """Several bad answers in one batch: the first has the others asked by dials, which have what came for them."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", PLACE).fault = Fault.WRONG
        lone = [Lone(sky, sky.plan(name=f"r{number}")) for number in range(count)]
        for each in lone:
            each.others = list(lone)
            sky.engine.wheel.add(each, sky.loop.time())
        await sky.later(2 * TIMEOUT_S)
        assert [each.told for each in lone] == [[Reason.BANNER_MISMATCH]] * count

    fly(body, step_s=step_s)


class Unable(Faulty):
    """A check that cannot begin any more."""

    def begin(self) -> NoReturn:
        raise ZeroDivisionError("planted")


def test_a_bug_while_a_dial_takes_over_costs_nobody_else_a_round(caplog: pytest.LogCaptureFixture) -> None:
    """A check that cannot begin any more, where the opening did not go out: `probe_internal`, and the others land."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("http", WEB)
        watches = [await sky.calm(sky.plan("http", name=f"r{number}")) for number in range(3)]
        sky.network.kind = Full
        first = watches[0]
        first.aim = replace(first.aim, check=Unable(first.aim.check))
        await sky.again(*watches)
        reading = first.reading
        assert reading is not None
        assert reading.verdict.reason is Reason.PROBE_INTERNAL
        assert [watch.verdict.reason for watch in watches[1:]] == [Reason.MATCHED] * 2

    fly(body)
    assert "planted" in caplog.text


def test_deadlines_that_come_together_are_judged_a_slice_at_a_time() -> None:
    """Hundreds fall silent at once: no pass of the wheel judges more of them than it would fire entries."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", PLACE)
        count = 2 * ENTRIES_PER_PASS_MAX
        watches = [await sky.calm(sky.plan(name=f"r{number}", poll_interval_s=3600.0)) for number in range(count)]
        server.fault = Fault.SILENT
        await sky.again(*watches)
        passes, end = [0], sky.engine.wheel._end

        def judged() -> int:
            return sum(watch.verdict.reason is Reason.BANNER_TIMEOUT for watch in watches)

        def ending() -> None:
            passes.append(judged())
            end()

        sky.engine.wheel._end = ending
        await sky.later(TIMEOUT_S + A_PASS_S)
        assert judged() == count
        assert max(after - before for before, after in pairwise(passes)) <= ENTRIES_PER_PASS_MAX

    fly(body, max_in_flight=10_000)
