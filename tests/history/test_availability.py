"""Availability from recorded edges: what time counts as, gaps of ours, incidents and their repair."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.history.availability import Availability, Kind, Ledger, Tally
from probe.history.minutes import ROW, Minute, Roster
from probe.history.reckoning import read_availability
from probe.history.recording import Unusable
from probe.history.since import read_since
from probe.history.storage import Retention, Storage
from probe.lifecycle.report import EventReport
from probe.values import State
from tests.history.kit import sql, writing

WALL = 1_700_000_040.0  # `tests.history.kit.WALL` in the next whole minute
ID = "evs1/smtp"


def told(
    *edges: tuple[float, str, str], since: float = 0.0, until: float = 100.0, caused: bool = False
) -> Availability:
    """Fold one run of one resource: (time, state, trigger)."""
    ledger = Ledger(since, until)
    ledger.begin()
    for time, to, trigger in edges:
        ledger.edge(time, ID, to, trigger, caused=caused)
    (one,) = ledger.report().resources
    return one


def times(one: Availability) -> tuple[float, float, float, float]:
    """Give (up, down, planned, unknown) seconds."""
    return one.up_s, one.down_s, one.planned_s, one.unknown_s


def test_a_failure_and_its_repair() -> None:
    """Down from the failure to online again, the restart's pending states included; one incident, its repair seen."""
    one = told(
        (10, "online-pending", "store"),
        (12, "online", "probe"),
        (40, "failed", "probe"),
        (41, "offline-pending", "timer"),
        (42, "online-pending", "timer"),
        (50, "online", "probe"),
    )
    assert times(one) == (78.0, 10.0, 0.0, 12.0)
    assert (one.uptime, one.incidents, one.mttr_s, one.longest_s, one.now) == (0.886364, 1, 10.0, 10.0, "up")


def test_what_an_operator_wants_is_planned() -> None:
    """An operator's restart and offline count neither as up nor as down, the controller's steps of it included."""
    one = told(
        (0, "online", "probe"),
        (20, "offline-pending", "operator"),
        (22, "offline", "controller"),
        (23, "online-pending", "dependency"),
        (30, "online", "probe"),
        (60, "offline-pending", "operator"),
        (61, "offline", "controller"),
    )
    assert times(one) == (50.0, 0.0, 50.0, 0.0)
    assert (one.uptime, one.incidents, one.now) == (1.0, 0, "planned")


@pytest.mark.parametrize(("caused", "kind"), [(True, "down"), (False, "planned")])
def test_a_dependent_shares_its_providers_lot(caused: bool, kind: str) -> None:
    """Stopped since its provider failed is down; since its provider was taken offline, planned."""
    assert told((0, "online", "probe"), (20, "offline-pending", "dependency"), caused=caused).now == kind


def test_maintenance_excuses_what_is_down_in_it() -> None:
    """Down within a group's maintenance is planned, up is up; another group is not excused."""
    ledger = Ledger(0.0, 100.0)
    ledger.begin()
    for id in (ID, "evs2/smtp"):
        ledger.edge(0, id, "online", "probe", caused=False)
    ledger.maintain(10, "evs1", True)
    for id in (ID, "evs2/smtp"):
        ledger.edge(20, id, "failed", "probe", caused=False)
    ledger.maintain(50, "evs1", False)
    for id in (ID, "evs2/smtp"):
        ledger.edge(60, id, "online", "probe", caused=False)
    mine, other = ledger.report().resources
    assert times(mine) == (60.0, 10.0, 30.0, 0.0)
    assert times(other) == (60.0, 40.0, 0.0, 0.0)


def test_an_incident_across_a_gap_is_one() -> None:
    """Down before and behind a gap of ours is the same incident; the gap is unknown, and no repair was seen in it."""
    ledger = Ledger(0.0, 100.0)
    ledger.begin()
    ledger.edge(10, ID, "failed", "probe", caused=False)
    ledger.pause(20)
    ledger.begin()
    ledger.edge(40, ID, "failed", "probe", caused=False)
    ledger.edge(50, ID, "online", "probe", caused=False)
    ledger.pause(60)
    ledger.begin()
    ledger.edge(70, ID, "online", "probe", caused=False)
    (one,) = ledger.report().resources
    assert times(one) == (40.0, 20.0, 0.0, 40.0)
    assert (one.incidents, one.mttr_s, one.longest_s) == (1, 20.0, 20.0)


def test_a_repair_in_a_gap_was_not_seen() -> None:
    """Down, a gap, up: an incident without a time to repair."""
    ledger = Ledger(0.0, 100.0)
    ledger.begin()
    ledger.edge(10, ID, "failed", "probe", caused=False)
    ledger.pause(20)
    ledger.begin()
    ledger.edge(40, ID, "online", "probe", caused=False)
    (one,) = ledger.report().resources
    assert (one.incidents, one.mttr_s, one.down_s) == (1, None, 10.0)


def test_nothing_known_is_no_number() -> None:
    """A resource that never settled has no uptime, no incident, no repair."""
    one = told((10, "online-pending", "store"))
    assert (one.uptime, one.mttr_s, one.longest_s, one.unknown_s) == (None, None, None, 100.0)


turns = st.lists(st.tuples(st.integers(-50, 150), st.sampled_from(Kind)), max_size=30).map(
    lambda listed: sorted(listed, key=lambda turn: turn[0])
)


def tallied(listed: list[tuple[int, Kind]], since: float, until: float) -> Availability:
    """Tally the turns of one resource."""
    tally = Tally(since, until)
    for time, kind in listed:
        tally.turn(time, kind)
    return tally.close(ID)


@given(turns)
def test_every_second_counts_once(listed: list[tuple[int, Kind]]) -> None:
    """The four times add up to the report's; no incident is longer than being down; a repair belongs to an incident."""
    one = tallied(listed, 0, 100)
    assert sum(times(one)) == 100
    assert one.uptime is None or 0 <= one.uptime <= 1
    assert (one.longest_s is None) == (one.incidents == 0)
    assert (one.longest_s or 0) <= one.down_s
    assert (one.mttr_s or 0) <= (one.longest_s or 0)
    assert one.incidents or not one.down_s


@given(turns, st.integers(1, 99))
def test_a_report_is_the_sum_of_its_parts(listed: list[tuple[int, Kind]], middle: int) -> None:
    """Two reports that meet count together what one over both counts."""
    whole, first, second = (tallied(listed, *span) for span in ((0, 100), (0, middle), (middle, 100)))
    assert times(whole) == tuple(a + b for a, b in zip(times(first), times(second), strict=True))
    assert max(first.incidents, second.incidents) <= whole.incidents <= first.incidents + second.incidents


@given(turns, st.integers(0, 100))
def test_a_turn_to_the_same_changes_nothing(listed: list[tuple[int, Kind]], at: int) -> None:
    """Being told again what is so already splits no incident."""
    known = [kind for time, kind in listed if time <= at]
    again = sorted([*listed, (at, known[-1] if known else Kind.UNKNOWN)], key=lambda turn: turn[0])
    assert tallied(again, 0, 100) == tallied(listed, 0, 100)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 100), st.sampled_from(State), st.sampled_from(["probe", "operator", "dependency", "timer"])
        )
    )
)
def test_any_order_of_edges_adds_up(edges: list[tuple[int, State, str]]) -> None:
    """Times that jump back, as a wall clock may, and edges in no sensible order still count every second once."""
    ledger = Ledger(0.0, 100.0)
    ledger.begin()
    for time, to, trigger in edges:
        ledger.edge(time, ID, to, trigger, caused=False)
    for one in ledger.report().resources:
        assert sum(times(one)) == pytest.approx(100)


# --- from a journal ---


def edge(
    seq: int, after_s: float, to: str, *, id: str = ID, trigger: str = "probe", kind: str = "state"
) -> EventReport:
    """Make an edge that came so long after `WALL`."""
    return EventReport(seq, WALL + after_s, id, kind, "", to, "eof", "", None, trigger, None)


def minutes(first: int, count: int, *ids: str) -> list[Minute]:
    """Make the minutes that begin so many minutes after `WALL`."""
    roster = Roster.of(ids or (ID,))
    rows = bytes(ROW.size * len(roster.ids))
    return [Minute(int(WALL) + 60 * at, roster, rows) for at in range(first, first + count)]


def report_of(path: Path, until_s: float, *, since_s: float = 0.0, running: bool = False) -> list[Availability]:
    """Read the report of a journal."""
    return list(read_availability(str(path), WALL + since_s, WALL + until_s, running=running).resources)


def test_a_restart_of_ours_is_a_gap(tmp_path: Path) -> None:
    """From a run's last minute until the next one found out, time is unknown, not up and not down."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write([edge(1, 0, "online"), *minutes(0, 10)])
    sql(path, "UPDATE runs SET time = ? WHERE run = 1", WALL)
    sql(path, "DELETE FROM checkpoints")
    with writing(path) as storage:
        storage.write([edge(1, 910, "online-pending", trigger="store"), edge(2, 920, "online"), *minutes(15, 5)])
    sql(path, "UPDATE runs SET time = ? WHERE run = 2", WALL + 900)
    sql(path, "DELETE FROM checkpoints")
    assert [times(one) for one in report_of(path, 1200)] == [(600 + 280, 0, 0, 320)]
    assert [one.now for one in report_of(path, 1400)] == ["unknown"], "it has ended"
    assert [one.now for one in report_of(path, 1210, running=True)] == ["up"]


def test_a_hole_in_the_minutes_is_a_gap(tmp_path: Path) -> None:
    """A machine that slept, or a disk that was full, for a while: nothing is claimed of it; behind it, as before."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write([edge(1, 0, "online"), *minutes(0, 10), *minutes(30, 10)])
    sql(path, "UPDATE runs SET time = ?", WALL)
    (one,) = report_of(path, 2400, running=True)
    assert times(one) == (1200, 0, 0, 1200)


def test_a_resource_that_was_removed(tmp_path: Path) -> None:
    """Who is in the minutes no more is watched no more: nothing is counted from then on."""
    path = tmp_path / "h"
    with writing(path) as storage:
        edges = [edge(1, 0, "online"), edge(2, 0, "online", id="evs1/pop3")]
        storage.write([*edges, *minutes(0, 5, ID, "evs1/pop3"), *minutes(5, 5, ID)])
    sql(path, "UPDATE runs SET time = ?", WALL)
    gone, there = report_of(path, 600, running=True)
    assert (gone.id, times(gone)) == ("evs1/pop3", (300, 0, 0, 300))
    assert times(there) == (600, 0, 0, 0)


def test_pruning_forgets_no_state(tmp_path: Path) -> None:
    """A resource that has been online since before the oldest that is kept is not unknown."""
    path = tmp_path / "h"
    with writing(path) as storage:
        sql(path, "UPDATE runs SET time = ?", WALL)
        storage.write([edge(1, 0, "failed"), edge(2, 10, "online"), *minutes(0, 100)])
        storage.prune(Retention(2**40, 3000.0), WALL + 6000)
    assert sql(path, "SELECT seq FROM edges") == [(2,)]
    (one,) = report_of(path, 6000, since_s=4000, running=True)
    assert times(one) == (2000, 0, 0, 0)


def test_a_file_opened_anew_goes_on(tmp_path: Path) -> None:
    """A file that had to be opened again in the same run of ours: known as before, once it is written again."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write([edge(1, 0, "online"), *minutes(0, 5)])
    sql(path, "DELETE FROM checkpoints")
    with writing(path, first=False):
        pass
    sql(path, "UPDATE runs SET time = ? + 600 * (run - 1)", WALL)
    (one,) = report_of(path, 900, running=True)
    assert times(one) == (600, 0, 0, 300)


def test_maintenance_is_read(tmp_path: Path) -> None:
    """The group's maintenance is taken from its edges."""
    path = tmp_path / "h"
    with writing(path) as storage:
        on, off = (edge(seq, at, to, id="evs1", kind="maintenance") for seq, at, to in ((2, 10, "on"), (4, 50, "off")))
        storage.write([edge(1, 0, "online"), on, edge(3, 20, "failed"), off])
    sql(path, "UPDATE runs SET time = ?", WALL)
    (one,) = report_of(path, 100, running=True)
    assert times(one) == (20, 50, 30, 0)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """No file, no journal, values of another kind: an error with its reason, never a number."""
    path = tmp_path / "h"
    with pytest.raises(FileNotFoundError):
        report_of(path, 100)
    with writing(path) as storage:
        storage.write([edge(1, 0, "online")])
    with pytest.raises(ValueError, match="has no length"):
        report_of(path, 0)
    sql(path, "UPDATE edges SET time = 'yesterday'")
    with pytest.raises(Unusable):
        report_of(path, 100)
    path.write_text("no database at all, but quite long enough to be looked at" * 30)
    with pytest.raises(Unusable):
        report_of(path, 100)


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [("30d", 30 * 86_400), ("2w", 14 * 86_400), ("90m", 5400), ("45s", 45), ("1700000000", 40), ("1699999990.5", 49.5)],
)
def test_times_as_people_write_them(text: str, seconds_ago: float) -> None:
    """A span back from now, or seconds since the epoch."""
    assert read_since(text, WALL) == WALL - seconds_ago


def test_dates() -> None:
    """An instant in ISO 8601, and a day that begins at the local midnight."""
    assert read_since("2023-11-14T22:13:00Z", WALL) == 1_699_999_980
    assert abs(read_since("2023-11-14", WALL) - 1_699_920_000) <= 14 * 3600


@pytest.mark.parametrize(
    "text", ["", "30", "x", "-3d", "3y", "2099-01-01", "1e9", "0s", "9" * 400, "2023-13-01", "nan"]
)
def test_times_that_make_no_sense(text: str) -> None:
    """They are refused with what to write."""
    with pytest.raises(ValueError, match=re.escape("write 30d")):
        read_since(text, WALL)


def test_replaced_runs_do_not_matter(tmp_path: Path) -> None:
    """What lies before the run in which the report begins is not read."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write([edge(1, 0, "failed", id="evs1/old"), *minutes(0, 1)])
    with writing(path) as storage:
        storage.write([replace(edge(1, 100, "online"))])
    sql(path, "UPDATE runs SET time = ? + 100 * (run - 1)", WALL)
    assert [one.id for one in report_of(path, 300, since_s=200, running=True)] == [ID]


def test_thirty_days_as_reckoned_by_hand(tmp_path: Path) -> None:
    """Two runs of ours in 30 days, a failure, a planned stop, a failure across our own downtime: it all adds up.

    By hand: day 0 to 10 nobody ran; up from day 10 on; down for 2 h on day 12; taken offline for 6 h on day 15; failed
    at day 19.5, we end at day 20 and come back at day 22, still failed for 1 h; up to the end at day 30.
    """
    day, path = 86_400.0, tmp_path / "h"
    numbers = iter(range(1, 100))

    def told(at_day: float, to: State, trigger: str = "probe", more_s: float = 0.0) -> EventReport:
        time = WALL + at_day * day + more_s
        return EventReport(next(numbers), time, ID, "state", "", to, "", "", None, trigger, None)

    def run(begin_day: float, *edges: EventReport, end_day: float) -> None:
        storage = Storage(str(path), "1", WALL + begin_day * day, first=True)
        minutes = range(int(WALL + begin_day * day), int(WALL + end_day * day), 60)
        roster = Roster.of([ID])
        storage.write([*edges, *(Minute(start, roster, b"\0" * ROW.size) for start in minutes)])
        storage.close()

    run(
        10,
        told(10, State.ONLINE),
        told(12, State.FAILED),
        told(12, State.ONLINE_PENDING, "timer", 60.0),
        told(12, State.ONLINE, "probe", 7200.0),
        told(15, State.OFFLINE_PENDING, "operator"),
        told(15, State.OFFLINE, "controller", 5.0),
        told(15, State.ONLINE_PENDING, "operator", 6 * 3600.0 - 5),
        told(15, State.ONLINE, "probe", 6 * 3600.0),
        told(19.5, State.FAILED),
        end_day=20,
    )
    run(22, told(22, State.FAILED), told(22, State.ONLINE, "probe", 3600.0), end_day=30)
    (one,) = read_availability(str(path), WALL, WALL + 30 * day, running=True).resources
    down_s = 7200 + 0.5 * day + 3600
    planned_s, unknown_s = 6 * 3600.0, 12 * day
    up_s = 30 * day - down_s - planned_s - unknown_s
    assert times(one) == (up_s, down_s, planned_s, unknown_s) == (1_479_600.0, 54_000.0, 21_600.0, 1_036_800.0)
    assert one.uptime == round(1_479_600 / 1_533_600, 6) == 0.964789
    assert (one.incidents, one.longest_s, one.now) == (2, 0.5 * day + 3600, "up")
    assert one.mttr_s == (7200 + 0.5 * day + 3600) / 2 == 27_000.0
