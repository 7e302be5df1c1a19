"""The benchmark of a step itself: it measures what it says, in worlds small enough for every run."""

from __future__ import annotations

from probe.values import State
from tests.bench.step import Subject, measure, table


def test_rounds_leave_the_world_as_it_was() -> None:
    """Every round begins and ends with everything online, so that each measures the same."""
    subject = Subject(20)
    for events in (subject.probed, subject.exited, subject.asked):
        for event in events("g1"):
            subject.happen(event)
        states = {record.state for record in subject.world.records.values() if record.id.group == "g1"}
        assert states <= {State.ONLINE, State.ONLINE_PENDING}


def test_table_names_both_worlds_and_their_ratio() -> None:
    """A step in a world twenty times as large costs about the same; the bound is wide, for busy machines."""
    rows = measure(50, 1_000)
    assert all(row.ratio < 5 for row in rows)
    assert table(rows).splitlines()[0].endswith("| ratio |")
