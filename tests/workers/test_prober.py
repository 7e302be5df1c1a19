"""What runs in a worker: what it tells at once, what with the others, and what not while nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from probe.environment import Environment
from probe.lifecycle.events import Probed, Trigger
from probe.monitor.target import Result
from probe.values import Reason, ResourceId, Stage
from probe.workers import prober as module
from probe.workers import wire
from probe.workers.prober import Prober
from tests.monitor.rig import virtual_server
from tests.sim.environment import make_environment
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.servers import Fault
from tests.workers.rig import PipeEnd, pipe
from tests.workers.test_readings import planned, result


class Main:
    """The main process's end: what it has heard, and when."""

    def __init__(self, environment: Environment, machine: Machine) -> None:
        self.machine = machine
        self.loop = current_loop()
        self.ours: PipeEnd
        self.ours, theirs = pipe()
        self.heard: list[tuple[float, wire.News]] = []
        self.hung_up = False
        self._frames = wire.Frames()
        self.ours.open(self._hear, self._hear_end, lambda: None)
        self.prober = Prober(environment, theirs, self.loop.create_task, max_in_flight=100)

    def _hear(self, data: bytes) -> None:
        self.heard += [(self.loop.time(), wire.read_news(body)) for body in self._frames.split(data)]

    def _hear_end(self) -> None:
        self.hung_up = True

    def say(self, *commands: wire.Command) -> None:
        """Say commands."""
        for command in commands:
            self.ours.send(wire.frame(command))

    def begin(self, serial: int, port: int, *, alive: bool | None = True, period_s: float = 10.0) -> wire.Begin:
        """Have a port watched as `default/sSERIAL`."""
        plan = wire.PlanText(virtual_server(f"127.0.0.1:{port}"), None, 0, period_s, 1.0, 1, 2)
        begin = wire.Begin(serial, "default", f"s{serial}", 1, alive, False, 0, plan)
        self.say(begin)
        return begin

    async def until(self, at: float) -> None:
        """Let virtual time pass until then."""
        await asyncio.sleep(at - self.loop.time())

    def told(self, serial: int) -> list[wire.Told]:
        """List what was told of a watch."""
        reports = [news for _, news in self.heard if isinstance(news, wire.Report)]
        return [one for report in reports for one in report.told if one.serial == serial]

    def of(self, kind: type[wire.News]) -> list[float]:
        """List when messages of a kind came."""
        return [at for at, news in self.heard if isinstance(news, kind)]


def simulate(body: Callable[[Main], Awaitable[None]]) -> None:
    """Run a body in virtual time."""

    async def run() -> None:
        main = Main(*make_environment(seed=1))
        try:
            await body(main)
        finally:
            await main.prober.close()

    run_virtual(run(), 3600)


def test_an_idle_worker_beats() -> None:
    """Once a second it says that it lives, and nothing else."""

    async def body(main: Main) -> None:
        await main.until(10.5)
        assert 10 <= len(main.of(wire.Beat)) <= 12
        assert len(main.heard) == len(main.of(wire.Beat))

    simulate(body)


def test_steady_rounds_travel_together() -> None:
    """A hundred watches with a round a second make a few messages a second; each round is counted."""

    async def body(main: Main) -> None:
        server = main.machine.serve("smtp", ("127.0.0.1", 25))
        for serial in range(100):
            main.begin(serial, 25, period_s=1.0)
        await main.until(20.5)
        reports = [at for at in main.of(wire.Report) if at > 2]
        assert len(reports) <= 18.5 / module.LOOK_S + 1
        counted = sum(told.counts.attempts for serial in range(100) for told in main.told(serial))
        assert server.total - 30 <= counted <= server.total
        heights = [one for _, news in main.heard if isinstance(news, wire.Beat) for one in news.heights]
        assert sum(sum(one.counts) for one in heights if one.name == "lag") == counted

    simulate(body)


def test_what_did_not_change_is_not_told() -> None:
    """Between two rounds of ten seconds nothing is told but that it lives."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25, period_s=10.0)
        await main.until(61)
        assert 6 <= len(main.told(1)) <= 8

    simulate(body)


def test_an_edge_comes_at_once_behind_its_reading() -> None:
    """Suspicion, reading and edge in the moment of the answer, the reading with its dialogue."""

    async def body(main: Main) -> None:
        server = main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25)
        await main.until(5)
        server.fault = Fault.EOF_BEFORE
        main.say(wire.Ask(1, Trigger.PROBE, None, False, False))
        await main.until(5.1)
        (suspected,) = main.of(wire.Suspicion)
        assert suspected < 5.05
        await main.until(7)
        at, edge = next((at, news) for at, news in main.heard if isinstance(news, wire.Edge))
        assert edge == wire.Edge(1, False, edge.verdict, Trigger.PROBE, edge.seen_at)
        assert edge.verdict.reason is Reason.EOF
        position = main.heard.index((at, edge))
        before_at, report = main.heard[position - 1]
        assert before_at == at
        assert isinstance(report, wire.Report)
        (told,) = report.told
        assert (told.alive, told.answers[0].verdict.reason) == (False, Reason.EOF)
        assert told.answers[0].moments
        assert told.counts.failures == ((Stage.BANNER, Reason.EOF, 1),)

    simulate(body)


def test_while_nobody_listens_nothing_is_made() -> None:
    """A main process that is stopped: what waits for it is bounded; afterwards the level and the last edge are told."""

    async def body(main: Main) -> None:
        server = main.machine.serve("smtp", ("127.0.0.1", 25))
        for serial in range(200):
            main.begin(serial, 25, period_s=0.2)
        await main.until(2)
        main.ours.clogged = True
        await main.until(12)
        waiting = main.prober._channel.waiting
        assert module.WAITING_BYTES_MAX < waiting <= module.WAITING_BYTES_MAX + 200_000
        for fault in (Fault.REFUSE, Fault.NONE, Fault.REFUSE):
            server.fault = fault
            await main.until(main.loop.time() + 5)
        assert main.prober._channel.waiting == waiting
        assert len(main.prober._untold) <= 400
        main.heard.clear()
        main.ours.unclog()
        await main.until(main.loop.time() + 2)
        edges = [news for _, news in main.heard if isinstance(news, wire.Edge)]
        assert len(edges) == 200
        assert not any(edge.alive for edge in edges)
        assert all(main.told(serial)[-1].alive is False for serial in range(200))

    simulate(body)


def choke(main: Main) -> wire.Begin:
    """Have a port watched as `default/s1`, beside so much that there is soon no room for what is told."""
    begin = main.begin(1, 26)
    for serial in range(2, 200):
        main.begin(serial, 25, period_s=0.2)
    return begin


def test_an_edge_that_waited_is_not_told_behind_a_newer_one() -> None:
    """There is room again, and an edge, before the next look: what was kept is of the past."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        server = main.machine.serve("smtp", ("127.0.0.1", 26))
        choke(main)
        await main.until(2)
        main.ours.clogged = True
        await main.until(12)
        server.fault = Fault.REFUSE
        main.say(wire.Ask(1, Trigger.PROBE, None, True, False))
        await main.until(20.02)
        assert [event for event in main.prober._untold.values() if isinstance(event, Probed) and not event.alive]
        main.heard.clear()
        server.fault = Fault.NONE
        main.ours.unclog()
        main.say(wire.Ask(1, Trigger.KERNEL, None, False, True))
        await main.until(22)
        edges = [news.alive for _, news in main.heard if isinstance(news, wire.Edge) and news.serial == 1]
        assert edges == [True]

    simulate(body)


def test_an_edge_that_waited_ends_with_its_watch() -> None:
    """The same resource given again begins with the level that is believed: an edge from before is not told of it."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        server = main.machine.serve("smtp", ("127.0.0.1", 26))
        begin = choke(main)
        await main.until(2)
        main.ours.clogged = True
        await main.until(12)
        server.fault = Fault.REFUSE
        main.say(wire.Ask(1, Trigger.PROBE, None, True, False))
        await main.until(20)
        server.fault = Fault.NONE
        main.say(wire.End(1), msgspec.structs.replace(begin, serial=1000))
        await main.until(25)
        main.heard.clear()
        main.ours.unclog()
        await main.until(27)
        assert not [news for _, news in main.heard if isinstance(news, wire.Edge) and news.serial == 1000]

    simulate(body)


def test_the_last_counts_follow_an_end() -> None:
    """An End is answered with what was counted last, without rounds; then there is silence about it."""

    async def body(main: Main) -> None:
        server = main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25)
        await main.until(10.2)
        main.say(wire.End(1), wire.End(1), wire.Ask(1, Trigger.PROBE, None, True, False))
        await main.until(40)
        told = main.told(1)
        assert [one.rounds for one in told if not one.rounds] == [0]
        assert told[-1].rounds == 0
        assert sum(one.counts.attempts for one in told) == server.total
        assert (
            repr(main.prober)
            == "<Prober <Monitors of 0 resources, 0 not yet read, <Engine 0 of 100 in flight, 0 waiting>>>"
        )

    simulate(body)


def test_a_serial_of_the_same_resource_takes_over() -> None:
    """A second Begin of a resource ends the first."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25)
        await main.until(1)
        main.say(wire.Begin(2, "default", "s1", 2, True, False, 0, main.begin(3, 25).plan))
        await main.until(12)
        assert [one.rounds for one in main.told(1)][-1] == 0
        assert main.told(2)[-1].rounds >= 1

    simulate(body)


def test_the_level_and_its_word_are_taken_over() -> None:
    """GoOn sets the level, and what is told from then on carries its number."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25, alive=False)
        await main.until(1)
        assert main.told(1)[-1].alive is True
        main.say(wire.GoOn(1, False, False, 7))
        await main.until(2)
        assert (main.told(1)[-1].alive, main.told(1)[-1].word) == (False, 7)

    simulate(body)


def test_files_are_read_anew_for_a_higher_edition() -> None:
    """A plan of a later edition is made of the files as they are now."""

    async def body(main: Main) -> None:
        main.machine.serve("smtp", ("127.0.0.1", 25))
        begin = main.begin(1, 25)
        await main.until(1)
        server = virtual_server(secure=("127.0.0.1:25",))
        first, same, later = (
            wire.Replan(1, wire.PlanText(server, None, edition, 10.0, 1.0, 1, 2)) for edition in (0, 0, 1)
        )
        contexts = []
        for replan in (first, same, later):
            main.say(replan)
            await main.until(main.loop.time() + 0.1)
            plan = main.prober._monitors.plan(main.prober._by_serial[begin.serial].id)
            assert plan is not None
            terms = plan.targets[0].tls
            assert terms is not None
            contexts.append(terms.context)
        assert contexts[0] is contexts[1]
        assert contexts[1] is not contexts[2]

    simulate(body)


@pytest.mark.parametrize("said", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01x", wire.frame(wire.Beat())])
def test_who_does_not_understand_ends(said: bytes) -> None:
    """Garbage from the main process: it hangs up, says why, and its end is to be waited for."""

    async def body(main: Main) -> None:
        main.ours.send(said)
        await main.until(1)
        assert main.prober.ended.is_set()
        assert main.prober.garbage
        assert main.hung_up

    simulate(body)


def put_aside(dialogues: module.Dialogues, name: str, size: int) -> tuple[ResourceId, Result, Result]:
    """Keep a failure with so many bytes of dialogue; return its id, itself, and what the cache keeps of it."""
    id, (plan, _) = ResourceId("default", name), planned("127.0.0.1:25")
    failure = result(plan, 0, Reason.EOF, b"x" * size)
    return id, failure, dialogues.keep(id, failure)


def test_dialogues_are_handed_on_once() -> None:
    """The reading keeps none, the one who tells gets it with its result, once, and only that result's."""
    _, dialogues = run_virtual(made_dialogues(), 10)
    id, failure, kept = put_aside(dialogues, "s", 10)
    assert kept.moments == ()
    assert dialogues.take(id, kept) == failure
    assert dialogues.take(id, kept) == kept
    put_aside(dialogues, "s", 10)
    later = kept._replace(ended=9.0)
    assert dialogues.take(id, later) == later


def test_dialogues_that_wait_are_bounded() -> None:
    """Beyond the bound they are left out, until what waits was taken or forgotten."""
    _, dialogues = run_virtual(made_dialogues(), 10)
    id, _, kept = put_aside(dialogues, "large", module.DIALOGUES_BYTES_MAX)
    other, _, bare = put_aside(dialogues, "small", 1)
    assert dialogues.take(other, bare) == bare
    dialogues.forget(id)
    assert dialogues.take(id, kept) == kept
    other, small, bare = put_aside(dialogues, "small", 1)
    assert dialogues.take(other, bare) == small


async def made_dialogues() -> tuple[Machine, module.Dialogues]:
    """Make them on a machine."""
    environment, machine = make_environment(seed=1)
    return machine, module.Dialogues(environment.clock)


def test_what_ends_leaves_no_dialogue() -> None:
    """A watch that ends in the moment of its failure leaves nothing behind."""

    async def body(main: Main) -> None:
        server = main.machine.serve("smtp", ("127.0.0.1", 25))
        main.begin(1, 25, alive=False)
        await main.until(5)
        server.fault = Fault.EOF_BEFORE
        main.say(wire.Ask(1, Trigger.PROBE, None, False, False))
        await main.until(5.03)
        main.say(wire.End(1))
        await main.until(6)
        assert main.prober._dialogues._fresh == {}

    simulate(body)


def test_the_end_of_the_channel_is_its_end() -> None:
    """However the main process ends, the worker's end follows."""

    async def body(main: Main) -> None:
        main.ours.close()
        await main.until(0.1)
        assert main.prober.ended.is_set()
        assert main.prober.garbage == ""

    simulate(body)
