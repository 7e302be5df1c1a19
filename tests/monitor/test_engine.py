"""The engine in virtual time: the cap, cancelling, deadlines, stalls, bugs of our own, and what is left behind."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from bindings.model import Tls
from probe.checks.conversation import Conversation
from probe.environment import Environment
from probe.monitor.dial import QUIT_BUDGET_S, STALL_CREDIT_MAX, Dial
from probe.monitor.engine import Engine
from probe.monitor.stall import PAUSE_S
from probe.monitor.target import Result, Target
from probe.values import Outcome, Reason, Stage, Verdict
from tests.monitor.rig import PLACE, ask, targets_of, virtual_server, with_network
from tests.sim.environment import make_environment
from tests.sim.loop import VirtualLoop, current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.network import SimNetwork
from tests.sim.servers import Fault, Server
from tests.sim.sockets import SimSocket

SLICE_S = 0.05


class Bench:
    """An engine on a simulated machine with one SMTP server."""

    def __init__(self, max_in_flight: int) -> None:
        self.environment: Environment
        self.machine: Machine
        self.environment, self.machine = make_environment(seed=1)
        self.engine = Engine(self.environment, max_in_flight=max_in_flight)
        self.server: Server = self.machine.serve("smtp", PLACE)
        self.loop: VirtualLoop = current_loop()

    @property
    def sockets(self) -> int:
        assert isinstance(self.environment.network, SimNetwork)
        return len(self.environment.network.sockets)

    @property
    def sockets_peak(self) -> int:
        assert isinstance(self.environment.network, SimNetwork)
        return self.environment.network.peak

    def target(self, binding: str = "127.0.0.1:25", **properties: Any) -> Target:
        """Describe the server, impolite unless told otherwise."""
        server = virtual_server(binding, **{"polite": False, "probe_timeout_s": 1.0, **properties})
        return targets_of(self.environment, server)[0]

    async def ask(self, **properties: Any) -> Result:
        return await ask(self.engine, self.target(**properties))


def simulate(body: Callable[[Bench], Awaitable[None]], *, max_in_flight: int = 10) -> None:
    """Run a body in virtual time; afterwards no socket may be left."""

    async def main() -> None:
        bench = Bench(max_in_flight)
        try:
            await body(bench)
        finally:
            bench.engine.close()
        assert bench.sockets == 0

    run_virtual(main())


REASONS = {
    Fault.NONE: (Reason.MATCHED, Stage.BANNER),
    Fault.REFUSE: (Reason.CONNECT_REFUSED, Stage.CONNECT),
    Fault.BLACKHOLE: (Reason.CONNECT_TIMEOUT, Stage.CONNECT),
    Fault.SILENT: (Reason.BANNER_TIMEOUT, Stage.BANNER),
    Fault.RESET_BEFORE: (Reason.RESET, Stage.BANNER),
    Fault.RESET_AFTER: (Reason.MATCHED, Stage.BANNER),
    Fault.EOF_BEFORE: (Reason.EOF, Stage.BANNER),
    Fault.EOF_WITHIN: (Reason.EOF, Stage.BANNER),
    Fault.DRIP: (Reason.BANNER_TIMEOUT, Stage.BANNER),
    Fault.ENDLESS: (Reason.LINE_TOO_LONG, Stage.BANNER),
    Fault.WRONG: (Reason.BANNER_MISMATCH, Stage.BANNER),
    Fault.DECLINE: (Reason.REFUSED_BY_SERVER, Stage.BANNER),
    Fault.DELAY: (Reason.MATCHED, Stage.BANNER),
}


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("fault", Fault)
def test_each_fault_has_its_reason(fault: Fault, polite: bool) -> None:
    """S31, S32: whatever the server does there is a verdict within the time-out, with the stage that failed."""

    async def body(bench: Bench) -> None:
        bench.server.fault = fault
        bench.server.delay_s = 0.3
        result = await bench.ask(polite=polite, probe_timeout_s=5.0)
        assert (result.verdict.reason, result.verdict.stage) == REASONS[fault]
        assert result.ended - result.started <= 5.02
        assert sum(seconds for _, seconds in result.stages) == pytest.approx(result.ended - result.started)
        assert result.stages[0][0] is Stage.CONNECT
        await asyncio.sleep(QUIT_BUDGET_S + SLICE_S)
        assert bench.sockets == 0

    simulate(body)


def test_one_byte_a_second_does_not_prolong_the_deadline() -> None:
    """S32: the time-out bounds the whole dialogue, whatever comes in between."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.DRIP
        result = await bench.ask(probe_timeout_s=3.5)
        assert result.verdict.reason is Reason.BANNER_TIMEOUT
        assert result.ended - result.started == pytest.approx(3.5, abs=0.02)
        assert "220" in result.verdict.evidence

    simulate(body)


def test_the_verdict_does_not_wait_for_the_goodbye() -> None:
    """S32: the result is told at the banner; QUIT follows, and the stage `quit` is told when the peer has closed."""

    async def body(bench: Bench) -> None:
        goodbyes: list[float] = []
        answered: asyncio.Future[Result] = bench.loop.create_future()
        bench.engine.dial(bench.target(polite=True), answered.set_result, goodbyes.append)
        await answered
        assert bench.sockets == 1
        assert not goodbyes
        await asyncio.sleep(0.05)
        assert 0 < goodbyes[0] < 0.05
        assert bytes(bench.server.visits[0].received) == b"QUIT\r\n"
        assert bench.machine.host.flows == {}  # the peer closed first: no port of ours is in TIME_WAIT

    simulate(body)


def test_a_goodbye_without_an_answer_has_a_budget() -> None:
    """A peer that never answers QUIT costs the budget, not the time-out, and cannot change the verdict."""

    async def body(bench: Bench) -> None:
        goodbyes: list[float] = []
        answered: asyncio.Future[Result] = bench.loop.create_future()
        target = bench.target(polite=True, probe_timeout_s=5.0)
        bench.engine.dial(target, answered.set_result, goodbyes.append)
        assert (await answered).verdict.reason is Reason.MATCHED
        bench.server.freeze()
        await asyncio.sleep(QUIT_BUDGET_S + 0.05)
        assert goodbyes == [pytest.approx(QUIT_BUDGET_S, abs=0.02)]
        assert bench.sockets == 0
        assert bench.machine.host.flows == {}

    simulate(body)


def test_an_impolite_probe_leaves_no_port_in_time_wait() -> None:
    """With two ports left a hundred probes still find them: a connection that the peer has not closed is reset."""

    async def body(bench: Bench) -> None:
        bench.machine.host.ports_max = 2
        for _ in range(100):
            assert (await bench.ask()).verdict.reason is Reason.MATCHED

    simulate(body)


def test_no_more_than_the_cap_are_in_flight() -> None:
    """What comes beyond the cap waits its turn, in order, is late and never failed; its deadline starts at its dial."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.DELAY
        bench.server.delay_s = 0.9
        results: list[Result] = []
        dials = [bench.engine.dial(bench.target(), results.append) for _ in range(10)]
        assert (bench.engine.in_flight, bench.engine.waiting) == (3, 7)
        await asyncio.sleep(5)
        assert bench.sockets_peak == 3
        assert [result.verdict.reason for result in results] == [Reason.MATCHED] * 10
        starts = [dial.result.started for dial in dials if dial.result is not None]
        assert starts == sorted(starts)
        assert starts[-1] - starts[0] > 2.5
        assert (bench.engine.in_flight, bench.engine.waiting) == (0, 0)

    simulate(body, max_in_flight=3)


def test_a_thousand_that_fail_at_once_do_not_grow_the_stack() -> None:
    """Slots given back by dials that fail while they start are filled in a loop, not by recursion."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.SILENT
        results: list[Result] = []
        bench.engine.dial(bench.target(), results.append)
        for _ in range(5000):
            bench.engine.dial(bench.target(), results.append)
        bench.machine.host.descriptors_max = 0
        await asyncio.sleep(2)
        reasons = [result.verdict.reason for result in results]
        assert reasons[0] is Reason.BANNER_TIMEOUT
        assert set(reasons[1:]) == {Reason.PROBER_DESCRIPTORS}
        assert len(reasons) == 5001

    simulate(body, max_in_flight=1)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_socket_we_cannot_open_is_ours(code: int) -> None:
    """Missing descriptors are `prober_descriptors`, unknown, and the slot is given back."""

    class Exhausted(SimNetwork):
        def socket(self, family: int) -> NoReturn:
            del family
            raise OSError(code, "exhausted")

    async def body(bench: Bench) -> None:
        exhausted = Exhausted(bench.machine.wire, bench.loop, bench.machine.host)
        engine = Engine(with_network(bench.environment, exhausted), max_in_flight=1)
        result = await ask(engine, bench.target())
        assert (result.verdict.outcome, result.verdict.reason) == (Outcome.UNKNOWN, Reason.PROBER_DESCRIPTORS)
        assert engine.in_flight == 0
        engine.close()

    simulate(body)


def test_a_cancelled_dial_leaves_nothing() -> None:
    """S68: waiting or in the dialogue, a cancelled dial closes at once and tells nothing."""

    async def body(bench: Bench) -> None:
        told: list[object] = []
        bench.server.fault = Fault.SILENT
        dials = [bench.engine.dial(bench.target(), told.append, told.append) for _ in range(3)]
        await asyncio.sleep(0.1)
        for dial in reversed(dials):
            dial.cancel()
            dial.cancel()
        assert bench.sockets == 0
        await asyncio.sleep(3)
        assert told == []
        bench.server.fault = Fault.NONE
        assert (await bench.ask()).verdict.reason is Reason.MATCHED

    simulate(body, max_in_flight=2)


def test_closing_the_engine_leaves_nothing() -> None:
    """Dials in flight and waiting ones end without a word; no socket, no timer is left."""

    async def body(bench: Bench) -> None:
        told: list[Result] = []
        bench.server.fault = Fault.SILENT
        for _ in range(5):
            bench.engine.dial(bench.target(), told.append)
        await asyncio.sleep(0.1)
        bench.engine.close()
        assert bench.sockets == 0
        await asyncio.sleep(3)
        assert told == []

    simulate(body, max_in_flight=2)


class Broken:
    """A check with a bug."""

    speaks_first = False
    glances = True

    def begin(self) -> Conversation:
        raise ZeroDivisionError("planted")

    def glance(self, data: bytes) -> Verdict | None:
        raise KeyError(data)


def test_a_bug_of_ours_is_unknown_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An exception inside a probe is `probe_internal` with evidence; it is logged once, and the engine goes on."""

    async def body(bench: Bench) -> None:
        broken = replace(bench.target(), check=Broken())
        for _ in range(3):
            result = await ask(bench.engine, broken)
            assert (result.verdict.outcome, result.verdict.reason) == (Outcome.UNKNOWN, Reason.PROBE_INTERNAL)
            assert "KeyError" in result.verdict.evidence
        bench.server.fault = Fault.SILENT
        assert "planted" in (await ask(bench.engine, broken)).verdict.evidence  # on expiry
        bench.server.fault = Fault.NONE
        assert (await bench.ask()).verdict.reason is Reason.MATCHED
        assert bench.engine.in_flight == 0

    simulate(body)
    assert len(caplog.records) == 2


class Unreadable(SimSocket):
    """A socket that we cannot read, by a mistake of ours."""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> NoReturn:
        raise TypeError("planted")


def test_a_bug_of_ours_while_reading_costs_nobody_else_an_answer() -> None:
    """Several answers are read together: one that cannot be is `probe_internal`, the others are judged."""

    class Network(SimNetwork):
        made = 0

        def socket(self, family: int) -> SimSocket:
            opened = super().socket(family)
            Network.made += 1
            if Network.made == 2:
                opened.__class__ = Unreadable
            return opened

    async def body(bench: Bench) -> None:
        network = Network(bench.machine.wire, bench.loop, bench.machine.host)
        engine = Engine(with_network(bench.environment, network), max_in_flight=3)
        results = await asyncio.gather(*(ask(engine, bench.target()) for _ in range(3)))
        reasons = [result.verdict.reason for result in results]
        assert reasons == [Reason.MATCHED, Reason.PROBE_INTERNAL, Reason.MATCHED]
        engine.close()
        assert not network.sockets

    simulate(body)


def test_a_listener_of_results_that_raises_keeps_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in whoever hears the result closes the connection all the same."""

    async def body(bench: Bench) -> None:
        bench.engine.dial(bench.target(polite=True), lambda _: 1 / 0)  # type: ignore[arg-type] # it raises
        bench.engine.dial(bench.target(), lambda _: 1 / 0)  # type: ignore[arg-type] # it raises
        await asyncio.sleep(1)
        assert bench.sockets == 0
        assert bench.engine.in_flight == 0

    simulate(body)
    assert caplog.records


# --- stalls: a fault of the prober never becomes a failure of the service ---


@pytest.mark.parametrize("times", [0.5, 1.0, 2.0, 5.0, 10.0])
@pytest.mark.parametrize("polite", [True, False])
def test_a_stall_during_a_healthy_dialogue_fails_nobody(times: float, polite: bool) -> None:
    """Up to ten time-outs of stall right after the dial: the banner lies in the kernel, and is read first."""

    async def body(bench: Bench) -> None:
        results: list[Result] = []
        bench.engine.dial(bench.target(polite=polite, probe_timeout_s=0.5), results.append)
        bench.loop.stall(0.5 * times)
        await asyncio.sleep(1)
        assert [result.verdict.reason for result in results] == [Reason.MATCHED]

    simulate(body)


def test_what_lies_in_the_kernel_is_read_before_the_deadline_is_judged() -> None:
    """The deadline's timer may come before the poller's callback in the pass after a stall: it looks for itself."""

    async def body(bench: Bench) -> None:
        results: list[Result] = []
        dial = bench.engine.dial(bench.target(probe_timeout_s=0.5), results.append)
        bench.loop.stall(60.0)
        bench.engine.wheel.cancel(dial)
        dial.due(bench.loop.time())
        assert [result.verdict.reason for result in results] == [Reason.MATCHED]

    simulate(body)


def test_an_event_of_a_closed_socket_is_not_its_successor_s() -> None:
    """Two are ready in one batch; one's answer closes the other and dials anew, under the same descriptor."""

    async def body(bench: Bench) -> None:
        bench.machine.serve("smtp", ("127.0.0.1", 26)).fault = Fault.BLACKHOLE
        nowhere = targets_of(bench.environment, virtual_server("127.0.0.1:26", protocol="tcp", probe_timeout_s=1.0))[0]
        results: list[Result] = []
        dials: list[Dial] = []

        def replace_the_other(other: int) -> Callable[[Result], None]:
            def answered(result: Result) -> None:
                results.append(result)
                dials[other].cancel()
                bench.engine.dial(nowhere, results.append)

            return answered

        dials += [bench.engine.dial(bench.target(), replace_the_other(other)) for other in (1, 0)]
        bench.loop.stall(0.3)
        await asyncio.sleep(2)
        assert [result.verdict.reason for result in results] == [Reason.MATCHED, Reason.CONNECT_TIMEOUT]

    simulate(body)


class Parting(SimSocket):
    """A socket whose peer says goodbye and goes, just before we send."""

    last_words = b"421 4.3.2 shutting down\r\n"

    def send(self, data: Any, flags: int = 0, /) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, "planted")

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        greeting = bytearray(200)
        if size := super().recv_into(greeting):
            buffer[:size] = greeting[:size]
            return size
        words, self.last_words = self.last_words, b""
        buffer[: len(words)] = words
        return len(words)


def test_last_words_count_more_than_the_broken_pipe() -> None:
    """What the peer said before it went away is read although our send already failed: 421, not `reset`."""

    class Network(SimNetwork):
        def socket(self, family: int) -> SimSocket:
            opened = super().socket(family)
            opened.__class__ = Parting
            return opened

    async def body(bench: Bench) -> None:
        network = Network(bench.machine.wire, bench.loop, bench.machine.host)
        engine = Engine(with_network(bench.environment, network), max_in_flight=1)
        bench.server.greeting = b"220 sim.example ESMTP\r\n"
        asked = asyncio.ensure_future(ask(engine, bench.target(starttls="required", tls=Tls(verify=False))))
        await asyncio.sleep(0.1)
        bench.server.close()
        result = await asked
        assert result.verdict.reason is Reason.REFUSED_BY_SERVER
        engine.close()

    simulate(body)


def test_a_stall_is_credited() -> None:
    """A server that would have answered in time is alive, although a stall took up the whole time-out."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.DELAY
        bench.server.delay_s = 1.4
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=1.0), results.append)
        await asyncio.sleep(0.2)
        bench.loop.stall(0.9)  # ends past the deadline, before the greeting
        await asyncio.sleep(1)
        assert [result.verdict.reason for result in results] == [Reason.MATCHED]

    simulate(body)


def test_a_silent_server_is_failed_after_its_credit() -> None:
    """A true failure is found at most the stall and two ticks after the time-out."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.SILENT
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=1.0), results.append)
        await asyncio.sleep(0.2)
        bench.loop.stall(2.0)
        await asyncio.sleep(3)
        (result,) = results
        assert result.verdict.reason is Reason.BANNER_TIMEOUT
        assert 2.9 <= result.ended - result.started <= 3.08

    simulate(body)


def test_a_stall_beyond_the_credit_is_unknown() -> None:
    """More than `STALL_CREDIT_MAX` time-outs lost: `prober_stalled`, ours, with how much in the evidence."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.SILENT
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=0.5), results.append)
        await asyncio.sleep(0.1)
        bench.loop.stall(0.5 * (STALL_CREDIT_MAX + 2))
        await asyncio.sleep(0.5)
        (result,) = results
        assert (result.verdict.outcome, result.verdict.reason) == (Outcome.UNKNOWN, Reason.PROBER_STALLED)
        assert "lost 3." in result.verdict.evidence or "lost 2.9" in result.verdict.evidence

    simulate(body)


def test_a_peer_that_gave_up_on_us_is_not_blamed() -> None:
    """After a stall as long as the time-out a closed connection is what we provoked: `prober_stalled`."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.SILENT
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=1.0), results.append)
        await asyncio.sleep(0.1)
        bench.machine.timeline.call_later(0.5, bench.server.close)
        bench.loop.stall(1.5)
        await asyncio.sleep(0.5)
        assert [result.verdict.reason for result in results] == [Reason.PROBER_STALLED]
        assert "eof" in results[0].verdict.evidence or "reset" in results[0].verdict.evidence

    simulate(body)


def test_a_refusal_is_believed_after_a_short_stall() -> None:
    """A stall does not turn a refused connection into a doubt, be it longer than the time-out."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.REFUSE
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=0.5), results.append)
        bench.loop.stall(PAUSE_S - 0.1)
        await asyncio.sleep(0.5)
        assert [result.verdict.reason for result in results] == [Reason.CONNECT_REFUSED]

    simulate(body)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.EOF_BEFORE, Fault.RESET_BEFORE, Fault.WRONG])
@pytest.mark.parametrize(("timeout_s", "paused_s"), [(0.5, 2.2), (5.0, 5.2), (1.0, 30.0)])
def test_what_failed_across_a_pause_is_old_news(fault: Fault, timeout_s: float, paused_s: float) -> None:
    """A pause above 2 s and above the time-out: whatever failed of a dial in flight says nothing, a new one does."""

    async def body(bench: Bench) -> None:
        bench.server.fault = fault
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=timeout_s), results.append)
        bench.loop.stall(paused_s)
        await asyncio.sleep(0.5)
        assert [result.verdict.reason for result in results] == [Reason.PROBER_STALLED]
        assert "then " in results[0].verdict.evidence
        assert (await bench.ask(probe_timeout_s=timeout_s)).verdict.outcome is Outcome.FAILED

    simulate(body)


def test_a_pause_below_the_time_out_discards_nothing() -> None:
    """Three seconds lost out of a time-out of five: the server's own words count."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.WRONG
        results: list[Result] = []
        bench.engine.dial(bench.target(probe_timeout_s=5.0), results.append)
        bench.loop.stall(3.0)
        await asyncio.sleep(0.5)
        assert [result.verdict.reason for result in results] == [Reason.BANNER_MISMATCH]

    simulate(body)


# --- the other ways in ---


def test_http_is_asked_and_answered() -> None:
    """S35: the request goes out behind the connect; the verdict falls at the head's end."""

    async def body(bench: Bench) -> None:
        web = bench.machine.serve("http", ("127.0.0.1", 80))
        target = targets_of(bench.environment, virtual_server("127.0.0.1:80:www.example.org", protocol="http"))[0]
        result = await ask(bench.engine, target)
        assert result.verdict.reason is Reason.MATCHED
        assert [stage for stage, _ in result.stages] == [Stage.CONNECT, Stage.REQUEST, Stage.RESPONSE]
        assert b"Host: www.example.org\r\n" in web.visits[0].received
        web.fault = Fault.SILENT
        silent = await ask(bench.engine, target)
        assert (silent.verdict.outcome, silent.verdict.stage) == (Outcome.FAILED, Stage.REQUEST)

    simulate(body)


def test_http_waits_for_a_distant_connect() -> None:
    """Where the peer is not on this machine the request waits until the connection stands."""

    async def body(bench: Bench) -> None:
        bench.machine.wire.hosts.add("192.0.2.7")
        bench.machine.serve("http", ("192.0.2.7", 80))
        target = targets_of(bench.environment, virtual_server("192.0.2.7:80", protocol="http"))[0]
        assert not target.near
        assert (await ask(bench.engine, target)).verdict.reason is Reason.MATCHED

    simulate(body)


def test_tcp_needs_no_more_than_the_connection() -> None:
    """A tcp binding without `expect` is alive once the connection stands, refused when it does not."""

    async def body(bench: Bench) -> None:
        bench.server.fault = Fault.SILENT
        target = targets_of(bench.environment, virtual_server("127.0.0.1:25", protocol="tcp"))[0]
        result = await ask(bench.engine, target)
        assert result.verdict.reason is Reason.MATCHED
        assert [stage for stage, _ in result.stages] == [Stage.CONNECT]
        bench.server.fault = Fault.REFUSE
        assert (await ask(bench.engine, target)).verdict.reason is Reason.CONNECT_REFUSED
        bench.server.fault = Fault.BLACKHOLE
        assert (await ask(bench.engine, target)).verdict.reason is Reason.CONNECT_TIMEOUT

    simulate(body)


@pytest.mark.parametrize(("version", "header"), [("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\x00\r\nQUIT\n ")])
def test_the_proxy_header_comes_first(version: str, header: bytes) -> None:
    """The PROXY header is the first thing sent, before the peer has said a word."""

    async def body(bench: Bench) -> None:
        result = await bench.ask(proxy_protocol=version, polite=True)
        assert result.verdict.reason is Reason.MATCHED
        await asyncio.sleep(0.1)
        assert bytes(bench.server.visits[0].received).startswith(header)

    simulate(body)


def test_a_unix_socket_is_asked_like_any_other() -> None:
    """A unix socket is alive, refused when its file is gone or stale; `connect` takes no time."""

    async def body(bench: Bench) -> None:
        server = bench.machine.serve("smtp", "/run/smtp.sock")
        result = await bench.ask(binding="unix:/run/smtp.sock")
        assert (result.verdict.reason, result.target.text) == (Reason.MATCHED, "unix:/run/smtp.sock")
        server.fault = Fault.REFUSE
        assert (await bench.ask(binding="unix:/run/smtp.sock")).verdict.reason is Reason.CONNECT_REFUSED

    simulate(body)


def test_a_full_queue_of_a_unix_socket_is_waited_for() -> None:
    """A unix listener whose queue is full answers at once with EAGAIN: that is a slow server, not a refusal."""

    async def body(bench: Bench) -> None:
        listener = bench.machine.wire.listen("/run/full.sock", lambda: None)
        listener.backlog_max = -1  # Linux lets a queue of 0 hold one
        assert listener.is_full
        binding = "unix:/run/full.sock"
        result = await bench.ask(binding=binding, probe_timeout_s=0.5)
        assert result.verdict.reason is Reason.CONNECT_TIMEOUT
        assert result.ended - result.started == pytest.approx(0.5, abs=0.02)

        def make_room() -> None:
            listener.backlog_max = 5

        bench.machine.timeline.call_later(0.2, make_room)
        assert (await bench.ask(binding=binding, probe_timeout_s=0.5)).verdict.reason is Reason.BANNER_TIMEOUT

    simulate(body)


def test_a_binding_with_an_obstacle_says_so() -> None:
    """What cannot be asked is unknown, with the reason, and no socket is opened for it."""

    async def body(bench: Bench) -> None:
        result = await bench.ask(helo_name="not a name")
        assert (result.verdict.outcome, result.verdict.reason) == (Outcome.UNKNOWN, Reason.PROBE_INTERNAL)
        assert "helo_name" in result.verdict.evidence
        assert bench.server.total == 0

    simulate(body)
