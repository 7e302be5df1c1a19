"""What one step of the core costs in a small world and in a large one: it must not grow with the number of resources.

The events measured change states and are undone by others, so that every round begins in the same world. A second table
says what it costs to take a whole store over at once, which may grow with the store, but no faster.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from probe.lifecycle.events import Asked, Configured, Event, Exited, Owned, Probed, Started, Stopped, Tick, Verb
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.resources.types import TYPES
from probe.values import OpId, Reason, ResourceId, Verdict

SMALL, LARGE = 1_000, 100_000
ROUNDS = 2_000
GROUP_SIZE = 5  # a service, and four protocols that stand on it
ALIVE, DEAD, GONE = Verdict(Reason.MATCHED), Verdict(Reason.EOF), Verdict(Reason.PROCESS_GONE)


def specs(count: int) -> Iterator[Spec]:
    """Describe groups of the reference's shape until there are `count` resources."""
    for index in range(count):
        group = f"g{index // GROUP_SIZE}"
        base = index % GROUP_SIZE == 0
        yield Spec(
            id=ResourceId(group, f"r{index % GROUP_SIZE}"),
            traits=TYPES["service" if base else "smtp"].traits,
            controller="process" if base else "none",
            acts=base,
            ours_to_stop=base,
            depends_on=() if base else (ResourceId(group, "r0"),),
            restart=True,
            restart_threshold=1_000_000,
            restart_period_s=900.0,
            restart_delay_s=0.0,
            retry_period_s=None,
            pending_timeout_s=180.0,
            auto_start=True,
            checked=not base,
        )


class Subject:
    """A world in which everything is online."""

    def __init__(self, count: int) -> None:
        self.world = World()
        self.now = 0.0
        described = tuple(specs(count))
        gc.collect()
        begun = time.perf_counter()
        self.happen(Configured(described))
        self.configured_s = time.perf_counter() - begun
        begun = time.perf_counter()
        for group in list(self.world.groups):
            self.happen(Owned(group, here=True))
        self.owned_s = time.perf_counter() - begun
        for record in list(self.world.records.values()):
            if record.spec.acts and record.op is not None:
                self.happen(Started(record.id, record.op))
            else:
                self.happen(Probed(record.id, record.incarnation, True, ALIVE))

    def happen(self, event: Event) -> None:
        """Step and apply."""
        self.world.apply(step(self.world, event, self.now))

    def op(self, id: ResourceId) -> OpId:
        """Name the operation in flight."""
        op = self.world.records[id].op
        assert op is not None, f"{id} has no operation"
        return op

    def probed(self, group: str) -> Iterator[Event]:
        """A check fails and is good again."""
        id = ResourceId(group, "r1")
        incarnation = self.world.records[id].incarnation
        yield Probed(id, incarnation, False, DEAD)
        self.now += 1.0
        yield Tick()
        yield Probed(id, incarnation, True, ALIVE)

    def exited(self, group: str) -> Iterator[Event]:
        """A service ends and is started again."""
        id = ResourceId(group, "r0")
        yield Exited(id, self.world.records[id].incarnation, GONE)
        yield Started(id, self.op(id))

    def asked(self, group: str) -> Iterator[Event]:
        """An operator takes a service offline and online again."""
        id = ResourceId(group, "r0")
        yield Asked(Verb.OFFLINE, id)
        yield Stopped(id, self.op(id))
        yield Asked(Verb.ONLINE, id)
        yield Started(id, self.op(id))

    def cost_us(self, name: str) -> float:
        """Measure the median of what one event of that kind costs, with its application."""
        groups = list(self.world.groups)
        spent: list[float] = []
        for round_ in range(ROUNDS):
            for event in getattr(self, name)(groups[round_ * 7919 % len(groups)]):
                begun = time.perf_counter()
                self.happen(event)
                spent.append(time.perf_counter() - begun)
        return median(spent) * 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """One measure in both worlds, and the factor between them."""

    name: str
    unit: str
    small: float
    large: float

    @property
    def ratio(self) -> float:
        """How many times more it costs in the large world."""
        return self.large / self.small


def measure(small: int = SMALL, large: int = LARGE) -> list[Row]:
    """Measure both worlds, one after the other."""
    subjects = [Subject(small), Subject(large)]
    gc.freeze()  # the collector's walks over a hundred thousand records are no part of a step
    rows = [
        Row(f"{name}, an event", "us", *(subject.cost_us(name) for subject in subjects))
        for name in ("probed", "exited", "asked")
    ]
    sizes = (small, large)
    per = [subject.configured_s / size * 1e6 for subject, size in zip(subjects, sizes, strict=True)]
    rows.append(Row("configured at once, a resource", "us", *per))
    per = [subject.owned_s / size * 1e6 for subject, size in zip(subjects, sizes, strict=True)]
    rows.append(Row("owned group by group, a resource", "us", *per))
    return rows


def table(rows: Sequence[Row]) -> str:
    """Write the rows as a Markdown table."""
    lines = [f"| step | {SMALL:,} resources | {LARGE:,} resources | ratio |", "|---|---:|---:|---:|"]
    lines += [
        f"| {row.name} | {row.small:.1f} {row.unit} | {row.large:.1f} {row.unit} | {row.ratio:.2f} |" for row in rows
    ]
    return "\n".join(lines)
