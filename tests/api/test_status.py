"""`/api/v1/status`: whole, by pages, filtered, conditional, awaited, and in slices."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import pytest

from probe.api import status
from probe.api.app import ApiSettings
from probe.values import Reason, ResourceId, State
from tests.api.conftest import Opener, Outside
from tests.api.service import StaticService, failed, report

HOSTILE = '</script><img src=x onerror=alert(1)>"\\\x1b[31m\u202e\ud7ff\x00\n'

CALM: dict[str, Any] = {"maintenance": None, "storage_groups": 0}  # a group that is not let alone and mounts nothing


def _many(count: int, group: str = "evs1") -> StaticService:
    return StaticService(*(report(f"r{number}", group) for number in range(count)))


async def _told(api: Outside, query: str = "") -> Any:
    code, _, body = await api.get(f"/api/v1/status{query}")
    assert code == 200, body
    return json.loads(body)


async def test_the_whole_picture(opened: Opener) -> None:
    """The status has the revision, the node, each group and each resource with all its fields."""
    store = failed("store", Reason.NOT_SERVING, type="information-store", restarts=2, restarts_left=0, pid=4711)
    smtp = failed("smtp", Reason.DEPENDENCY_DOWN, root_cause=store.id, depends_on=(store.id,), waiting_for=(store.id,))
    told = await _told(await opened(StaticService(store, smtp)))
    assert {key: told[key] for key in ("revision", "node", "next")} == {"revision": 1, "node": "node1", "next": None}
    assert told["groups"] == [{"name": "evs1", "owner": "node1", "state": "failed", "resources": 2} | CALM]
    assert told["resources"][1] == {
        "id": "evs1/smtp",
        "alive": False,
        "verdict": "failed",
        "stale": False,
        "state": "failed",
        "reason": "dependency_down",
        "evidence": "",
        "age_s": 0.25,
        "root_cause": "evs1/store",
        "type": "smtp",
        "controller": "process",
        "desired": "online",
        "since": 1_700_000_000.0,
        "restarts": 0,
        "restarts_left": 2,
        "operation": None,
        "depends_on": ["evs1/store"],
        "waiting_for": ["evs1/store"],
        "pid": None,
        "progress": "",
    }
    assert told["resources"][0]["pid"] == 4711


async def test_only_resources_carry_id_and_state(opened: Opener) -> None:
    """A program may find the resources in any answer by these two keys: nothing else has both."""
    api = await opened(StaticService(report("smtp")), tokens=b"")
    api.service.edge(failed("smtp"))
    operation = await api.service.ask_resource("restart", ResourceId("evs1", "smtp"), "me")
    for path in (
        "/api/v1/groups/evs1",
        "/api/v1/events",
        f"/api/v1/operations/{operation.id}",
        "/api/v1/metabase/smtp/1",
    ):
        code, _, body = await api.get(path)
        assert code == 200
        assert not [one for one in _objects(json.loads(body)) if {"id", "state"} <= one.keys()], path


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(one for inner in value.values() for one in _objects(inner))]
    return [one for inner in value for one in _objects(inner)] if isinstance(value, list) else []


async def test_pages_lead_through_everything_once(opened: Opener) -> None:
    """Following `next` gives every resource once, in the order of the store, whatever the page's size."""
    api = await opened(_many(11))
    for limit in (1, 3, 10, 11, 12):
        seen: list[str] = []
        query = f"?limit={limit}"
        while query:
            told = await _told(api, query)
            assert len(told["resources"]) <= limit
            seen += [one["id"] for one in told["resources"]]
            query = f"?limit={limit}&after={told['next']}" if told["next"] else ""
        assert seen == [f"evs1/r{number}" for number in range(11)], limit


async def test_a_page_of_a_filtered_picture(opened: Opener) -> None:
    """Group and state choose; the page counts only what was chosen."""
    service = StaticService(report("a"), failed("b"), failed("c"), failed("d"), failed("e", group="evs2"))
    api = await opened(service)
    told = await _told(api, "?state=failed&group=evs1&limit=2")
    assert [one["id"] for one in told["resources"]] == ["evs1/b", "evs1/c"]
    assert told["next"] == "evs1/c"
    told = await _told(api, "?state=failed&group=evs1&limit=2&after=evs1/c")
    assert ([one["id"] for one in told["resources"]], told["next"]) == (["evs1/d"], None)
    assert [group["name"] for group in told["groups"]] == ["evs1"]
    assert (await _told(api, "?group=nobody")) == {
        "revision": 1,
        "node": "node1",
        "groups": [],
        "resources": [],
        "next": None,
        "storage_groups": {"used": 0, "max": 4},
        "directory": None,
    }


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "limit=-1",
        "limit=1000000",
        "limit=%D9%A1",
        "state=broken",
        "after=evs1",
        "after=evs1/gone",
        "wait=-1",
        "wait=1&timeout_s=0",
        "wait=1&timeout_s=61",
        "wait=99999999999999999999",
    ],
)
async def test_nonsense_is_refused(opened: Opener, query: str) -> None:
    """A query that makes no sense is 400 and says what would."""
    code, _, body = await (await opened()).get(f"/api/v1/status?{query}")
    assert code == 400
    assert json.loads(body)["error"]["code"] == "bad_query"


async def test_the_picture_is_conditional(opened: Opener) -> None:
    """If-None-Match with the current revision's tag is 304, until an edge; a tag of another run never matches."""
    service = StaticService(report("smtp"))
    api = await opened(service, settings=ApiSettings(instance="run-2"))
    _, headers, _ = await api.get("/api/v1/status")
    tag = headers["ETag"]
    assert tag == 'W/"run-2.1"'
    for named in (tag, f'"other", {tag}', '"run-2.1"', "*"):
        code, headers, body = await api.get("/api/v1/status", If_None_Match=named)
        assert (code, body, headers["ETag"]) == (304, b"", tag)
    assert (await api.get("/api/v1/status", If_None_Match='W/"run-1.1"'))[0] == 200
    service.edge(failed("smtp"))
    code, headers, _ = await api.get("/api/v1/status", If_None_Match=tag)
    assert (code, headers["ETag"]) == (200, 'W/"run-2.2"')


async def test_a_long_poll_returns_with_the_edge(opened: Opener) -> None:
    """`?wait=REV` holds the answer until the revision is above it, and the answer has the edge in it."""
    service = StaticService(report("smtp"))
    api = await opened(service)
    polling = asyncio.ensure_future(_told(api, "?wait=1"))
    async with asyncio.timeout(5):
        await service.polled.wait()
        assert not polling.done()
        service.edge(failed("smtp"))
        told = await polling
    assert (told["revision"], told["resources"][0]["state"]) == (2, "failed")


async def test_a_long_poll_is_bounded(opened: Opener) -> None:
    """Without an edge the poll ends after its time: 304 when conditional, the unchanged picture when not."""
    api = await opened(StaticService(report("smtp"), node="n"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    _, headers, _ = await api.get("/api/v1/status")
    code, _, _ = await api.get("/api/v1/status?wait=1&timeout_s=1", If_None_Match=headers["ETag"])
    assert code == 304
    assert 0.9 < loop.time() - began < 4


@pytest.mark.parametrize("revision", [0, 7])
async def test_a_poll_that_is_behind_or_of_an_earlier_run_returns_at_once(opened: Opener, revision: int) -> None:
    """A revision below ours has news; one that we never had is an earlier run's: neither waits."""
    async with asyncio.timeout(3):
        told = await _told(await opened(), f"?wait={revision}&timeout_s=60")
    assert told["revision"] == 1


async def test_hostile_evidence_stays_a_string(opened: Opener) -> None:
    """What a server says comes out of the JSON as the very same text, in no answer as markup."""
    api = await opened(StaticService(report("smtp", evidence=HOSTILE)))
    for path in ("/api/v1/status", "/isalive/evs1/smtp", "/api/v1/resources/evs1/smtp"):
        code, headers, body = await api.get(path)
        assert code == 200
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Content-Type-Options"] == "nosniff"
        told = json.loads(body)
        assert (told["resources"][0] if "resources" in told else told)["evidence"] == HOSTILE


async def test_many_resources_come_in_slices(opened: Opener) -> None:
    """A picture of 20,000 resources is sent in pieces: the loop runs once at least between any two."""
    service = _many(20_000)
    api = await opened(service)
    loop = asyncio.get_running_loop()
    passes, over = 0, False

    def tick() -> None:
        nonlocal passes
        passes += 1
        if not over:
            loop.call_soon(tick)

    loop.call_soon(tick)
    code, headers, body = await api.get("/api/v1/status", Accept_Encoding="gzip")
    over = True
    assert (code, headers["Content-Encoding"]) == (200, "gzip")
    told = json.loads(zlib.decompress(body, wbits=31))
    assert len(told["resources"]) == 20_000
    assert passes >= 20_000 / status.OBJECTS_PER_SLICE


async def test_a_resource_that_goes_while_being_told(opened: Opener) -> None:
    """Resources that come and go between two slices break nothing: the answer is whole JSON."""
    service = _many(3000)
    api = await opened(service)
    url = api.server.url + "api/v1/status"
    async with api.session.get(url) as answer:
        first = await answer.content.read(100)
        for number in range(0, 3000, 2):
            del service.by_id[ResourceId("evs1", f"r{number}")]
        told = json.loads(first + await answer.read())
    assert len(told["resources"]) >= 1500


async def test_a_group_and_its_absence(opened: Opener) -> None:
    """A group is told by name; another name is 404."""
    api = await opened(StaticService(report("a"), report("b", state=State.OFFLINE)))
    code, _, body = await api.get("/api/v1/groups/evs1")
    told = {"name": "evs1", "owner": "node1", "state": "partial", "resources": 2, **CALM}
    assert (code, json.loads(body)) == (200, told)
    code, _, body = await api.get("/api/v1/groups/nobody")
    assert (code, json.loads(body)["error"]["code"]) == (404, "no_such_group")
