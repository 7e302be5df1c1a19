"""Runs to be recorded, and journals of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from probe.history.storage import Checkpoint, Decided, Entry, Retention, Storage
from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Event, Verb
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from tests.lifecycle.healthy import HealthyMachine
from tests.lifecycle.worlds import chain, id_of

PLENTY = Retention(2**40, 1e9)
WALL = 1_700_000_000.0
VERSION = "1.2.3"


def entries_of(events: list[tuple[Event, float]], checkpoint_every: int = 1000) -> Iterator[Entry]:
    """Step a world of its own through the events and give what a journal takes down."""
    world = World()
    for count, (event, now) in enumerate(events, 1):
        decision = step(world, event, now)
        world.apply(decision)
        yield Decided(WALL + now, now, event, decision)
        if count % checkpoint_every == 0:
            yield Checkpoint(WALL + now, snapshot(world))


def some_events(length: int = 3, kills: int = 2) -> list[tuple[Event, float]]:
    """A chain of services comes up, loses its first one some times, and is taken offline."""
    machine = HealthyMachine(World())
    machine.load(chain(length))
    for kill in range(kills):
        machine.now = 1000.0 * (kill + 1)
        machine.lose(id_of("r0"), process=True)
        machine.run(machine.now)
    machine.ask(Verb.OFFLINE, "evs1", "anna")
    machine.run(machine.now)
    return [(event, now) for event, now, _ in machine.log]


def record(path: Path, events: list[tuple[Event, float]], checkpoint_every: int = 1000) -> Path:
    """Write a run's journal."""
    with writing(path) as storage:
        storage.write(entries_of(events, checkpoint_every))
    return path


@contextmanager
def writing(path: Path, *, first: bool = True) -> Iterator[Storage]:
    """Open a journal for writing, as a run of the service does."""
    storage = Storage(str(path), VERSION, WALL, first=first)
    try:
        yield storage
    finally:
        storage.close()


def sql(path: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    """Look at, or spoil, a file by SQL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(query, values).fetchall()
