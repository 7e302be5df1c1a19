"""S62: where monitor and core disagree for good, the sweep says which edge was lost."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from probe.lifecycle.events import Probed
from probe.lifecycle.world import Phase, Record
from probe.monitor.cache import Reading
from probe.runtime.sweep import lost_edge
from probe.values import Incarnation, Reason, State, Verdict
from tests.scenarios.language import spec

KINDS = ("process", "none")


class _Told:
    """The part of a probe's result that the sweep looks at."""

    def __init__(self, reason: Reason) -> None:
        self.verdict = Verdict(reason)


def reading(alive: bool | None, reason: Reason) -> Reading:
    """Make a reading of that level and that last raw result."""
    return Reading(alive, _Told(reason), 1, 30.0)  # type: ignore[arg-type] # a whole dialogue would say no more


def record(state: State, controller: str = "process", **changes: object) -> Record:
    """Make a watched record in that state."""
    made = Record(spec("smtp", "smtp", controller), since=0.0, state=state, incarnation=Incarnation(3), watched=True)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("state", "alive", "reason", "missed"),
    [
        (State.ONLINE, False, Reason.EOF, False),
        (State.FAILED, True, Reason.MATCHED, True),
        (State.ONLINE, True, Reason.MATCHED, None),
        (State.FAILED, False, Reason.EOF, None),
        (State.ONLINE, False, Reason.MATCHED, None),  # on its way up again: `failed because matched` would be a lie
        (State.ONLINE, False, Reason.DNS_TIMEOUT, None),
        (State.FAILED, True, Reason.EOF, None),
        (State.ONLINE, None, Reason.EOF, None),
        (State.ONLINE_PENDING, True, Reason.MATCHED, None),  # its controller is still at work
        (State.OFFLINE, True, Reason.MATCHED, None),
    ],
)
def test_edge_is_told_only_where_it_is_missing(
    state: State, alive: bool | None, reason: Reason, missed: bool | None
) -> None:
    """An edge is told when level, raw result and state leave no doubt that the core has missed it."""
    edge = lost_edge(record(state), reading(alive, reason))
    assert (None if edge is None else edge.alive) is missed
    if edge is not None:
        assert edge == Probed(edge.id, Incarnation(3), edge.alive, Verdict(reason))


def test_confirming_online_is_told_its_good_check() -> None:
    """An online that waits for its first good check gets it; its failures count only where nobody acts."""
    good, bad = reading(True, Reason.MATCHED), reading(False, Reason.EOF)
    started, observed = (replace(record(State.ONLINE_PENDING, kind), phase=Phase.CONFIRMING) for kind in KINDS)
    assert lost_edge(started, good) is not None
    assert lost_edge(started, bad) is None
    assert lost_edge(observed, bad) is not None


def test_unwatched_or_unread_is_nobodys_edge() -> None:
    """Without a watch or a reading there is nothing to compare."""
    assert lost_edge(record(State.ONLINE), None) is None
    assert lost_edge(record(State.ONLINE, watched=False), reading(False, Reason.EOF)) is None
