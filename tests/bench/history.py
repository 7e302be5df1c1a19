"""What the journal costs: the loop for each decision, the thread for each row, and both for a checkpoint."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from probe.environment import Timer
from probe.environment.files import RealFiles
from probe.history.journal import BATCH_ENTRIES_MAX, Journal
from probe.history.storage import Checkpoint, Decided, Retention, Storage
from probe.lifecycle.encoding import snapshot, world_of, world_pieces
from probe.lifecycle.events import Event
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision
from probe.metrics import Metrics
from tests.bench.step import Subject

DECISIONS = 5_000
LARGE = 100_000


class Still:
    """A clock that stands still: asking for the time is no part of the figures."""

    def now(self) -> float:
        """Say 0."""
        return 0.0

    wall = now

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Refuse: nothing waits here."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Refuse: nothing waits here."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure."""

    name: str
    value: float
    unit: str


def decided(subject: Subject, count: int) -> Iterator[tuple[Event, Decision]]:
    """Let services end and come back, and give each decision."""
    groups = list(subject.world.groups)
    made = 0
    while True:
        for event in subject.exited(groups[made * 7919 % len(groups)]):
            decision = step(subject.world, event, subject.now)
            subject.world.apply(decision)
            yield event, decision
            made += 1
            if made >= count:
                return


def measure(resources: int = LARGE, decisions: int = DECISIONS) -> list[Figure]:
    """Measure in a world of so many resources, on a disk in the temporary folder."""
    subject = Subject(resources)
    made = list(decided(subject, decisions))
    with tempfile.TemporaryDirectory() as folder:
        return [*_noting(subject, made, folder), *_writing(subject, made, folder), *_forking(subject)]


def _noting(subject: Subject, made: Sequence[tuple[Event, Decision]], folder: str) -> Iterator[Figure]:
    """What the loop pays: the thread is not running, so that nothing else is in the figure."""
    journal = Journal(f"{folder}/n", RealFiles(), Still(), Metrics(), Retention(2**40, 1e9), version="bench")
    spent = []
    for event, decision in made:
        begun = time.perf_counter()
        journal.note(subject.world, event, 0.0, decision)
        spent.append(time.perf_counter() - begun)
    yield Figure("noting a decision, on the loop", median(spent) * 1e6, "us")


def _writing(subject: Subject, made: Sequence[tuple[Event, Decision]], folder: str) -> Iterator[Figure]:
    path = Path(folder) / "h"
    storage = Storage(str(path), "bench", 0.0, first=True)
    entries = [Decided(0.0, 0.0, event, decision) for event, decision in made]
    begun = time.perf_counter()
    for start in range(0, len(entries), BATCH_ENTRIES_MAX):
        storage.write(entries[start : start + BATCH_ENTRIES_MAX])
    yield Figure("writing a decision, in the thread", (time.perf_counter() - begun) / len(entries) * 1e6, "us")
    yield Figure("size of a decision", storage.bytes_used / len(entries), "bytes")
    before = storage.bytes_used
    begun = time.perf_counter()
    taken = snapshot(subject.world)
    yield Figure("snapshot for a checkpoint, on the loop", (time.perf_counter() - begun) * 1e3, "ms")
    begun = time.perf_counter()
    storage.write([Checkpoint(0.0, taken)])
    yield Figure("writing a checkpoint, in the thread", time.perf_counter() - begun, "s")
    yield Figure("size of a checkpoint", (storage.bytes_used - before) / 1e6, "MB")
    storage.close()


def _forking(subject: Subject) -> Iterator[Figure]:
    taken = snapshot(subject.world)
    worst, begun = 0.0, time.perf_counter()
    for piece in world_pieces(taken):
        zlib.compress(piece, 1)
        now = time.perf_counter()
        worst, begun = max(worst, now - begun), now
    yield Figure("longest piece of a checkpoint", worst * 1e3, "ms")
    begun = time.perf_counter()
    world_of(taken)
    yield Figure("forking the world for a plan, in a thread", (time.perf_counter() - begun) * 1e3, "ms")


def table(figures: Sequence[Figure], resources: int = LARGE) -> str:
    """Write the figures as a Markdown table."""
    lines = [f"| journal, {resources:,} resources | |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {each.name} | {each.value:.2f} {each.unit} |" for each in figures)])
