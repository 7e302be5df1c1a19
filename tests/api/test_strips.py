"""`/api/v1/strips`: the minutes of many resources in one answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from probe.api.strips import STRIPS_PER_PAGE_MAX
from probe.environment.clock import LoopClock
from probe.history.past import Past
from probe.metrics import Metrics
from probe.values import Reason, ResourceId, Stage
from tests.api.conftest import Opener
from tests.api.service import StaticService, report
from tests.house import ROOT


def counted(*names: str) -> StaticService:
    """Make a service whose resources each had one good answer; the first one had a failure, too."""
    metrics = Metrics()
    service = StaticService(*(report(name) for name in names), report("web", group="evs2"))
    service.past = Past(LoopClock(), metrics, "/nonexistent", lambda _: None)
    for id in service.by_id:
        metrics.declare(id)
        metrics.answered(id, 0.25)
    metrics.failure(ResourceId("evs1", names[0]), Stage.CONNECT, Reason.CONNECT_REFUSED)
    return service


async def asked(opened: Opener, service: StaticService, query: str) -> Any:
    """Ask and read."""
    status, _, body = await (await opened(service)).get(f"/api/v1/strips{query}")
    assert status == 200, body
    return json.loads(body)


async def test_strips_say_what_the_history_of_each_says(opened: Opener) -> None:
    """Each strip has the columns of that resource's own history, minute by minute."""
    service = counted("smtp", "pop3")
    told = await asked(opened, service, "?minutes=3")
    assert [one["id"] for one in told["strips"]] == ["evs1/smtp", "evs1/pop3", "evs2/web"]
    assert (told["bucket_s"], told["next"]) == (60, None)
    api = await opened(service)
    for strip in told["strips"]:
        history = json.loads((await api.get(f"/api/v1/resources/{strip['id']}/history?minutes=3"))[2])
        assert told["since"] == history["buckets"][0]["time"]
        for column in ("ok", "failed", "unknown", "max_s"):
            assert strip[column] == [bucket[column] for bucket in history["buckets"]]
    assert sum(told["strips"][0]["failed"]) == 1


async def test_those_that_are_named_in_the_order_in_which_they_are(opened: Opener) -> None:
    """`ids` gives them as named, each once; who is not there is left out."""
    told = await asked(opened, counted("smtp", "pop3"), "?ids=evs2/web,evs1/nobody,evs1/smtp,evs2/web")
    assert [one["id"] for one in told["strips"]] == ["evs2/web", "evs1/smtp"]


async def test_an_address_holds_what_the_page_asks_at_once(opened: Opener) -> None:
    """As many strips as the page asks in one question, of the longest names that a store may have, are answered."""
    script = (ROOT / "probe/api/page/strip.js").read_text(encoding="utf-8")
    (at_once,) = re.findall(r"const AT_ONCE = (\d+);", script)
    ids = [f"{'g' * 63}/{number:063}" for number in range(int(at_once))]
    assert (await asked(opened, counted("smtp"), f"?minutes=240&ids={','.join(ids)}"))["strips"] == []


async def test_pages_of_strips(opened: Opener) -> None:
    """`next` leads on, until everything was told once; a group alone can be asked for."""
    names = [f"r{number}" for number in range(1200)]
    service = counted(*names)
    seen: list[str] = []
    after = ""
    while True:
        told = await asked(opened, service, f"?minutes=1&group=evs1&limit=500{after}")
        seen += [one["id"] for one in told["strips"]]
        if told["next"] is None:
            break
        after = f"&after={told['next']}"
    assert seen == [f"evs1/{name}" for name in names]


async def test_without_a_history_the_columns_are_empty(opened: Opener) -> None:
    """A service that keeps none still tells who is there."""
    told = await asked(opened, StaticService(report("smtp")), "")
    assert told == {
        "bucket_s": 60,
        "since": 0,
        "strips": [{"id": "evs1/smtp", "ok": [], "failed": [], "unknown": [], "max_s": []}],
        "next": None,
    }


@pytest.mark.parametrize(
    "query", ["ids=smtp", "ids=", "minutes=0", "minutes=241", f"limit={STRIPS_PER_PAGE_MAX + 1}", "after=x/y/z"]
)
async def test_what_makes_no_sense_is_refused(opened: Opener, query: str) -> None:
    """An id that is none, more than a page, or no minute at all is 400."""
    assert (await (await opened(StaticService(report("smtp")))).get(f"/api/v1/strips?{query}"))[0] == 400
