"""What runs in a worker: monitors of its own over its shard, which tell the main process what is news.

Rules:
1. An edge, or the suspicion of one, is told at once, behind the reading that it rests on.
2. Steady rounds are told a few times a second, all in one: `_look` compares what every watch reads with what was told.
   How often depends on their number, so that looking costs about a hundredth of a core at most.
3. While the main process takes nothing (`WAITING_BYTES_MAX`) nothing is made for it: readings are levels, the next look
   tells what they are by then; of edges the last of each resource is kept.
4. Something is told once in `BEAT_S` at the least: a worker that is silent for longer is stuck, or stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import assert_never

from bindings.model import Resource
from probe.environment import Clock, Environment, Timer
from probe.environment.channel import Channel
from probe.lifecycle.events import Probed, Suspected
from probe.metrics import Metrics
from probe.metrics.numbers import ResourceNumbers
from probe.monitor.cache import Reading
from probe.monitor.evidence import Evidence
from probe.monitor.monitor import Monitors
from probe.monitor.plan import Plans, ProbePlan
from probe.monitor.resolve import Spawn
from probe.monitor.target import Result
from probe.values import Incarnation, ResourceId
from probe.workers import wire
from probe.workers.counting import take_counts, take_heights
from probe.workers.readings import answers_of

BEAT_S = 1.0
LOOK_S = 0.2  # between two looks, at the least
LOOK_S_EACH = 20e-6  # ... and so much for each watch, up to BEAT_S: a look at one costs a fifth of a microsecond
LOOKED_AT_PER_PASS = 2000
TOLD_PER_REPORT = 200
WAITING_BYTES_MAX = 1024 * 1024
DIALOGUES_BYTES_MAX = 4 * 1024 * 1024  # of failures, not told yet


class Dialogues(Evidence):
    """Hands the dialogues of failures on, with the reading that they led to, instead of keeping them."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._fresh: dict[ResourceId, Result] = {}
        self._bytes = 0

    def keep(self, id: ResourceId, result: Result) -> Result:
        """Put a result aside with its dialogues, as far as there is room; return the rest of it for the cache."""
        size = sum(len(moment.data) for one in result.each for moment in one.moments)
        if self._bytes + size <= DIALOGUES_BYTES_MAX:
            self._bytes += size
            self._fresh[id] = result
        else:
            self.forget(id)
        parts = tuple(part._replace(moments=()) for part in result.parts)
        return result._replace(parts=parts, moments=())

    def take(self, id: ResourceId, result: Result) -> Result:
        """Return the result with its dialogues, where it is the one that was put aside."""
        fresh = self._fresh.get(id)
        self.forget(id)
        if fresh is None or (fresh.ended, fresh.verdict) != (result.ended, result.verdict):
            return result
        return fresh

    def forget(self, id: ResourceId) -> None:
        """Drop what was put aside of a resource."""
        self._fresh.pop(id, None)
        if not self._fresh:  # soon: every look takes them all
            self._bytes = 0


@dataclass(slots=True, eq=False)
class Watched:
    """A resource of the shard, and what was told of it."""

    serial: int
    id: ResourceId
    incarnation: Incarnation
    word: int
    numbers: ResourceNumbers
    reading: Reading | None = None
    certificates: dict[str, tuple[tuple[float, ...], bool]] = field(default_factory=dict)


class Prober:
    """One worker's work, from its making until the channel ends; then `ended` is set, and `close` is to be called."""

    def __init__(self, environment: Environment, channel: Channel, spawn: Spawn, *, max_in_flight: int) -> None:
        self.ended = asyncio.Event()
        self.garbage = ""  # what was wrong with what the main process said
        self._clock = environment.clock
        self._channel = channel
        self._metrics = Metrics()
        self._dialogues = Dialogues(environment.clock)
        self._monitors = Monitors(
            environment, spawn, self._post, self._metrics, max_in_flight=max_in_flight, evidence=self._dialogues
        )
        self._plans = Plans(environment)
        self._edition = 0
        self._frames = wire.Frames()
        self._by_serial: dict[int, Watched] = {}
        self._by_id: dict[ResourceId, Watched] = {}
        self._untold: dict[tuple[ResourceId, type], Probed | Suspected] = {}  # rule 3
        self._looking: Iterator[Watched] = iter(())
        self._beaten_at = -BEAT_S
        self._timer: Timer | None = None
        channel.open(self._received, self.ended.set, lambda: None)
        self._look()

    def __repr__(self) -> str:
        return f"<Prober {self._monitors!r}>"

    async def close(self) -> None:
        """Stop everything."""
        if self._timer is not None:
            self._timer.cancel()
        self._channel.close()
        await self._monitors.close()

    # --- what the main process says ---

    def _received(self, data: bytes) -> None:
        try:
            for body in self._frames.split(data):
                self._obey(wire.read_command(body))
        except wire.Garbage as error:
            self.garbage = str(error)
            self._channel.close()
            self.ended.set()

    def _obey(self, command: wire.Command) -> None:
        match command:
            case wire.Confirm(own):
                self._monitors.confirm_by(own)
            case wire.Begin():
                self._begin(command)
            case wire.Replan(serial, plan):
                if (watched := self._by_serial.get(serial)) is not None:
                    made = self._plan(watched.id, plan)
                    watched.certificates.clear()
                    self._monitors.replan(made)
                    self._metrics.keep_bindings(watched.id, {target.binding for target in made.targets})
            case wire.GoOn(serial, alive, confirming, word):
                watched = self._by_serial.get(serial)
                made_plan = None if watched is None else self._monitors.plan(watched.id)
                if watched is not None and made_plan is not None:
                    watched.word = word
                    self._monitors.watch(made_plan, watched.incarnation, alive, confirming)
            case wire.Ask(serial, trigger, at, suspected, anew):
                if (watched := self._by_serial.get(serial)) is not None:
                    self._monitors.verify(watched.id, trigger, at=at, suspected=suspected, anew=anew)
            case wire.End(serial):
                if (watched := self._by_serial.get(serial)) is not None:
                    self._end(watched)
            case _:
                assert_never(command)

    def _begin(self, begin: wire.Begin) -> None:
        id = ResourceId(begin.group, begin.name)
        if (before := self._by_id.get(id)) is not None:
            self._end(before)
        self._metrics.declare(id)
        watched = Watched(begin.serial, id, Incarnation(begin.incarnation), begin.word, self._metrics.resources[id])
        self._by_serial[begin.serial] = self._by_id[id] = watched
        self._monitors.watch(self._plan(id, begin.plan), watched.incarnation, begin.alive, begin.confirming)

    def _plan(self, id: ResourceId, text: wire.PlanText) -> ProbePlan:
        if text.edition > self._edition:
            self._edition = text.edition
            self._plans.forget_files()
        server = text.server
        resource = Resource(
            group=id.group,
            name=id.name,
            type=server.protocol,
            poll_interval_s=text.period_s,
            fast_interval_s=text.fast_s,
            rise=text.rise,
            fall=text.fall,
        )
        return self._plans.plan_for(resource, server, text.group_address)

    def _end(self, watched: Watched) -> None:
        self._monitors.unwatch(watched.id)
        self._report([self._told(watched)])  # what was counted last
        del self._by_serial[watched.serial], self._by_id[watched.id]
        for kind in (Probed, Suspected):
            self._untold.pop((watched.id, kind), None)
        self._dialogues.forget(watched.id)
        self._metrics.forget(watched.id)

    # --- what it is told ---

    def _post(self, event: Probed | Suspected) -> None:
        watched = self._by_id.get(event.id)
        if watched is None or watched.incarnation != event.incarnation:
            return
        if self._channel.waiting > WAITING_BYTES_MAX:
            self._untold[event.id, type(event)] = event
            return
        self._untold.pop((event.id, type(event)), None)  # the newer one stands, and may not be told before it
        self._report([self._told(watched)])
        match event:
            case Probed(_, _, alive, verdict, trigger, seen_at):
                self._send(wire.Edge(watched.serial, alive, verdict, trigger, seen_at))
            case Suspected():
                self._send(wire.Suspicion(watched.serial))
            case _:
                assert_never(event)

    def _look(self) -> None:
        """Do a part of a look, and say when the next part or look is to be."""
        self._timer = None
        now = self._clock.now()
        if self._channel.waiting <= WAITING_BYTES_MAX:
            untold, self._untold = self._untold, {}
            for event in untold.values():
                self._post(event)
            if not self._look_on():
                self._timer = self._clock.call_at(now, self._look)
                return
            self._beat(now)
        self._looking = iter(tuple(self._by_serial.values()))
        pause_s = min(max(LOOK_S, len(self._by_serial) * LOOK_S_EACH), BEAT_S)
        self._timer = self._clock.call_at(now + pause_s, self._look)

    def _look_on(self) -> bool:
        """Tell what is news of the next watches. Returns whether those were all."""
        told: list[wire.Told] = []
        reading_of = self._monitors.reading
        for looked_at, watched in enumerate(self._looking, 1):
            reading, known = reading_of(watched.id), watched.reading
            is_news = (reading is not known and reading != known) or watched.numbers.failures
            if is_news and self._by_serial.get(watched.serial) is watched:  # else it has ended meanwhile
                told.append(self._told(watched))
            if looked_at >= LOOKED_AT_PER_PASS or len(told) >= TOLD_PER_REPORT:
                break
        else:
            self._report(told)
            return True
        self._report(told)
        return False

    def _told(self, watched: Watched) -> wire.Told:
        """Write down where a watch is, as told from now on."""
        counts = take_counts(watched.numbers, watched.certificates)
        reading, known = self._monitors.reading(watched.id), watched.reading
        if reading is None:
            return wire.Told(watched.serial, watched.word, None, 0, (), counts)
        watched.reading = reading
        answers: tuple[wire.Answer, ...] = ()
        if known is None or reading.result != known.result:
            answers = answers_of(self._dialogues.take(watched.id, reading.result))
        return wire.Told(watched.serial, watched.word, reading.alive, reading.rounds, answers, counts)

    def _beat(self, now: float) -> None:
        heights = take_heights(self._metrics)
        if heights or now - self._beaten_at >= BEAT_S:
            self._beaten_at = now
            self._send(wire.Beat(self._monitors.fault, heights))

    def _report(self, told: list[wire.Told]) -> None:
        """Tell readings, in as many frames as their dialogues need; one alone always fits (`readings.py`)."""
        if not told:
            return
        try:
            self._send(wire.Report(tuple(told)))
        except wire.Oversize:
            if len(told) == 1:
                raise
            middle = len(told) // 2
            self._report(told[:middle])
            self._report(told[middle:])

    def _send(self, news: wire.News) -> None:
        self._channel.send(wire.frame(news))
