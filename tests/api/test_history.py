"""`/api/v1/resources/{group}/{resource}/history`: the minutes behind a strip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.environment.clock import LoopClock
from probe.history.minutes import MINUTES_MAX
from probe.history.past import Past
from probe.history.storage import Storage
from probe.lifecycle.report import EventReport
from probe.metrics import Metrics
from probe.values import Reason, ResourceId, Stage, State
from tests.api.conftest import Opener
from tests.api.service import StaticService, report

SMTP = ResourceId("evs1", "smtp")
PATH = "/api/v1/resources/evs1/smtp/history"
TIMELINE = "/api/v1/resources/evs1/smtp/timeline"


async def test_a_strip_of_minutes(opened: Opener) -> None:
    """So many whole minutes as asked for, oldest first; the last is the running one and has what was counted."""
    metrics = Metrics()
    metrics.declare(SMTP)
    service = StaticService(report("smtp"))
    service.past = Past(LoopClock(), metrics, "/nonexistent", lambda _: None)
    metrics.answered(SMTP, 0.25)
    metrics.failure(SMTP, Stage.CONNECT, Reason.CONNECT_REFUSED)
    status, _, body = await (await opened(service)).get(PATH + "?minutes=3")
    told = json.loads(body)
    buckets = told.pop("buckets")
    assert (status, told) == (200, {"id": "evs1/smtp", "bucket_s": 60})
    assert [bucket["time"] - buckets[0]["time"] for bucket in buckets] == [0, 60, 120]
    assert buckets[0] == {**buckets[0], "ok": 0, "failed": 0, "unknown": 0, "mean_s": None, "max_s": None}
    assert sum(bucket["ok"] for bucket in buckets) == sum(bucket["failed"] for bucket in buckets) == 1


async def test_without_a_history_there_is_no_bucket(opened: Opener) -> None:
    """A service that keeps none answers an empty list; a resource that is not there is 404."""
    api = await opened(StaticService(report("smtp")))
    status, _, body = await api.get(PATH)
    assert (status, json.loads(body)) == (200, {"id": "evs1/smtp", "bucket_s": 60, "buckets": []})
    assert (await api.get("/api/v1/resources/evs1/nobody/history"))[0] == 404


@pytest.mark.parametrize("minutes", ["0", "-1", "x", str(MINUTES_MAX + 1)])
async def test_what_makes_no_sense_is_refused(opened: Opener, minutes: str) -> None:
    """More minutes than are kept, or none, are 400."""
    assert (await (await opened(StaticService(report("smtp")))).get(f"{PATH}?minutes={minutes}"))[0] == 400


async def test_a_report_needs_a_history(opened: Opener) -> None:
    """409 says how to keep one; a time that makes no sense is 400; 503 while nothing is written yet."""
    service = StaticService(report("smtp"))
    api = await opened(service)
    status, _, body = await api.get("/api/v1/report")
    assert (status, json.loads(body)["error"]["code"]) == (409, "no_history")
    service.past = Past(LoopClock(), Metrics(), "/nonexistent", lambda _: None)
    assert (await api.get("/api/v1/report?since=tomorrow"))[0] == 400
    assert (await api.get("/api/v1/report?since=1d"))[0] == 503


async def test_a_report(opened: Opener, tmp_path: Path) -> None:
    """Every resource with its times, from the journal's edges."""
    clock = LoopClock()
    path = tmp_path / "h"
    storage = Storage(str(path), "1", clock.wall() - 7200, first=True)
    at = clock.wall() - 3600
    storage.write([EventReport(1, at, "evs1/smtp", "state", "", "failed", "eof", "", None, "probe", None)])
    storage.close()
    service = StaticService(report("smtp"))
    service.past = Past(clock, Metrics(), str(path), lambda _: None)
    status, _, body = await (await opened(service)).get("/api/v1/report?since=2h")
    told = json.loads(body)
    (one,) = told["resources"]
    assert (status, one["id"], one["uptime"], one["incidents"], one["now"]) == (200, "evs1/smtp", 0.0, 1, "down")
    assert 3600 <= one["down_s"] < 3660
    assert told["until"] - told["since"] == pytest.approx(7200)
    path.write_text("no journal" * 1000)
    assert (await (await opened(service)).get("/api/v1/report"))[0] == 503


async def test_a_timeline(opened: Opener, tmp_path: Path) -> None:
    """The states since a time, from an earlier run and this one, and unknown where nobody looked."""
    clock = LoopClock()
    wall, path = clock.wall(), tmp_path / "h"
    with_edges(path, wall - 3000, edge(1, wall - 2900, "online"), edge(2, wall - 2000, "failed", "eof"))
    service = StaticService(report("smtp", since=wall - 100, state=State.ONLINE))
    service.past = Past(clock, Metrics(), str(path), lambda _: None)
    service.past.begun = wall - 900
    service.history.append(edge(1, wall - 800, "online-pending", "not_yet"))
    service.history.append(edge(2, wall - 100, "online"))
    status, _, body = await (await opened(service)).get(TIMELINE + "?since=1h")
    told = json.loads(body)
    assert (status, told["id"], told["more"]) == (200, "evs1/smtp", False)
    states = [(one["state"], round(one["until"] - one["since"])) for one in told["intervals"]]
    assert states == [
        ("unknown", 700),
        ("online", 900),
        ("unknown", 1200),
        ("online-pending", 700),
        ("online", 100),
    ]


async def test_a_timeline_without_a_history_is_of_memory(opened: Opener) -> None:
    """A service that keeps none tells what it remembers of this run; one without an edge, how it stands."""
    service = StaticService(report("smtp", since=LoopClock().wall() - 300))
    api = await opened(service)
    told = json.loads((await api.get(TIMELINE + "?since=10m"))[2])
    assert [one["state"] for one in told["intervals"]] == ["unknown", "online"]
    assert (await api.get("/api/v1/resources/evs1/nobody/timeline"))[0] == 404
    assert (await api.get(TIMELINE + "?since=never"))[0] == 400


def edge(seq: int, time: float, to: str, reason: str = "matched", id: str = "evs1/smtp") -> EventReport:
    """Make an edge as it is recorded."""
    return EventReport(seq, time, id, "state", "", to, reason, "", None, "probe", None)


def with_edges(path: Path, begun: float, *edges: EventReport) -> None:
    """Write a run of ours."""
    storage = Storage(str(path), "1", begun, first=True)
    storage.write(edges)
    storage.close()
