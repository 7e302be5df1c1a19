"""`/api/v1/events` backwards: from memory into what was recorded, each event once, whatever began anew meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probe.environment.clock import LoopClock
from probe.history.past import Past
from probe.history.storage import Storage
from probe.lifecycle.report import EventReport
from probe.metrics import Metrics
from tests.api.conftest import Opener, Outside
from tests.api.service import StaticService, report
from tests.api.test_history import edge, with_edges

WALL = 1_700_000_000.0


def service_over(path: Path, *remembered: EventReport, history_max: int = 1000) -> StaticService:
    """Make a service that remembers some events and has the journal at `path`."""
    service = StaticService(report("smtp"), history_max=history_max)
    service.past = Past(LoopClock(), Metrics(), str(path), lambda _: None)
    service.history.extend(remembered)
    return service


def some(run: int, count: int) -> list[EventReport]:
    """Make the edges of a run; their seqs are the same in each run."""
    return [edge(seq, WALL + 1000 * run + seq, "online", f"run{run}") for seq in range(1, count + 1)]


async def page_of(api: Outside, query: str) -> Any:
    """Ask for a page and read it."""
    status, _, body = await api.get(f"/api/v1/events?{query}")
    assert status == 200, body
    return json.loads(body)


async def walk(api: Outside, query: str) -> list[dict[str, Any]]:
    """Go backwards to the beginning; the pages put together, oldest first."""
    page = await page_of(api, f"before=&{query}")
    events: list[dict[str, Any]] = page["events"]
    while page["previous"] is not None:
        page = await page_of(api, f"before={page['previous']}&{query}")
        events = page["events"] + events
    return events


def names(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Say of each event which run it is of, and its seq."""
    return [(one["reason"], one["seq"]) for one in events]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("written", [0, 3, 5])
@pytest.mark.parametrize("kept", [2, 5])
async def test_the_pages_have_every_event_once(
    opened: Opener, tmp_path: Path, limit: int, written: int, kept: int
) -> None:
    """Whatever memory has lost or the file lacks, in pages of any size: all runs, in order, without a hole."""
    path = tmp_path / "h"
    runs = [some(1, 4), some(2, 6), some(3, 5)]
    for run in runs[:2]:
        with_edges(path, run[0].time - 1, *run)
    lost = len(runs[2]) - kept
    with_edges(path, WALL + 3000, *runs[2][: max(written, lost)])
    api = await opened(service_over(path, *runs[2][lost:]))
    expected = [(f"run{number}", one.seq) for number, run in enumerate(runs, 1) for one in run]
    assert names(await walk(api, f"limit={limit}")) == expected


async def test_a_place_means_the_same_after_a_new_start(opened: Opener, tmp_path: Path) -> None:
    """`previous` of a page is asked of a later run of ours, with new events of the same seqs: the reader goes on."""
    path = tmp_path / "h"
    with_edges(path, WALL, *some(1, 4))
    second = some(2, 6)
    with_edges(path, WALL + 2000, *second)
    first_page = await page_of(await opened(service_over(path, *second)), "before=&limit=3")
    assert names(first_page["events"]) == [("run2", 4), ("run2", 5), ("run2", 6)]
    third = some(3, 5)
    with_edges(path, WALL + 3000, *third)
    later = await opened(service_over(path, *third))
    second_page = await page_of(later, f"before={first_page['previous']}&limit=100")
    assert names(second_page["events"]) == names_of(some(1, 4)) + names_of(second[:3])
    assert second_page["previous"] is None


def names_of(edges: list[EventReport]) -> list[tuple[str, int]]:
    """Say of each edge which run it is of, and its seq."""
    return [(one.reason, one.seq) for one in edges]


async def test_an_event_that_was_pruned_still_names_its_time(opened: Opener, tmp_path: Path) -> None:
    """The event of a place is in the file no more: what was before its time is told."""
    path = tmp_path / "h"
    with_edges(path, WALL, *some(1, 4))
    api = await opened(service_over(path))
    told = await page_of(api, f"before=77@{WALL + 1002.5!r}")
    assert names(told["events"]) == [("run1", 1), ("run1", 2)]


async def test_the_clock_set_back_hides_nothing(opened: Opener, tmp_path: Path) -> None:
    """Events are paged in the order in which they happened, not by a wall clock that was set back meanwhile."""
    path = tmp_path / "h"
    run = [edge(1, WALL + 50, "online", "run1"), edge(2, WALL + 10, "failed", "run1"), edge(3, WALL + 60, "online")]
    with_edges(path, WALL, *run)
    api = await opened(service_over(path))
    assert [one["seq"] for one in await walk(api, "limit=1")] == [1, 2, 3]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("id=evs1/smtp", ["evs1/smtp", "evs1", "evs1/smtp", "evs1"]),
        ("id=evs1", ["evs1/smtp", "evs1/pop3", "evs1", "evs1/smtp", "evs1/pop3", "evs1"]),
        ("id=evs", []),
        ("kind=maintenance", ["evs1", "evs1"]),
        ("id=evs10/smtp&kind=state", ["evs10/smtp", "evs10/smtp"]),
        (f"since={WALL + 2000}&id=evs1/smtp", ["evs1/smtp", "evs1"]),
    ],
)
async def test_a_choice_of_them(opened: Opener, tmp_path: Path, query: str, ids: list[str]) -> None:
    """By resource (with its group's own), by group, kind and time: memory and the file choose alike."""
    path = tmp_path / "h"

    def run(number: int) -> list[EventReport]:
        at = WALL + 1000 * number
        group = EventReport(4, at + 4, "evs1", "maintenance", "off", "on", "", "anna", None, "operator", None)
        ids = ("evs1/smtp", "evs1/pop3", "evs10/smtp")
        return [*(edge(seq, at + seq, "online", id=id) for seq, id in enumerate(ids, 1)), group]

    with_edges(path, WALL, *run(1))
    service = service_over(path, *run(2))
    api = await opened(service)
    assert [one["id"] for one in await walk(api, f"{query}&limit=2")] == ids
    if "since" not in query:
        forwards = await page_of(api, query)
        assert [one["id"] for one in forwards["events"]] == ids[len(ids) // 2 :]
        assert (forwards["next"], "previous" in forwards) == (4, False)


async def test_what_cannot_be_read_is_told_behind_what_is_remembered(opened: Opener, tmp_path: Path) -> None:
    """A file that is no history: memory's events come, and 503 says why nothing is before them."""
    path = tmp_path / "h"
    path.write_text("no journal" * 1000)
    api = await opened(service_over(path, *some(1, 3)))
    page = await page_of(api, "before=")
    assert ([one["seq"] for one in page["events"]], page["next"]) == ([1, 2, 3], 3)
    status, _, body = await api.get(f"/api/v1/events?before={page['previous']}")
    assert (status, json.loads(body)["error"]["code"]) == (503, "history_unusable")
    path.unlink()
    assert (await page_of(api, "before="))["previous"] is None


@pytest.mark.parametrize("query", ["before=x", "before=1@", "before=-1@5", "before=1@2&after=3", "id=a/b/c", "kind=x"])
async def test_nonsense_is_refused(opened: Opener, query: str) -> None:
    """A place that is none, two directions at once, an id or a kind that cannot be: 400."""
    assert (await (await opened()).get(f"/api/v1/events?{query}"))[0] == 400


async def test_a_value_that_is_none_is_no_event(opened: Opener, tmp_path: Path) -> None:
    """Whoever wrote the file: what is no event is 503, not an answer."""
    path = tmp_path / "h"
    storage = Storage(str(path), "1", WALL, first=True)
    storage._database.execute("INSERT INTO edges VALUES (1, 1, 'x', 'a', 'b', 'c', 'd', 'e', x'00', 'g', 'h', 1)")
    storage.close()
    assert (await (await opened(service_over(path))).get("/api/v1/events?before="))[0] == 503
