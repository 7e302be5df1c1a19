"""The verbs and the operations: what is asked, what is answered, what a body may be."""

from __future__ import annotations

import asyncio
import json

import pytest

from probe.api.app import ApiSettings
from probe.api.limits import BODY_BYTES_MAX, Limits
from probe.api.service import Refusal
from tests.api.conftest import TOKENS, Opener, token_lines
from tests.api.service import WALL, MemoryFiles, StaticService, report

RESOURCE = "/api/v1/resources/evs1/smtp"
GROUP = "/api/v1/groups/evs1"


@pytest.mark.parametrize(
    ("path", "asked"),
    [(f"{RESOURCE}/{verb}", (verb, "evs1/smtp")) for verb in ("online", "offline", "restart", "terminate")]
    + [(f"{GROUP}/{verb}", (verb, "evs1")) for verb in ("online", "offline")],
)
async def test_a_verb_is_accepted_with_its_operation(opened: Opener, path: str, asked: tuple[str, str]) -> None:
    """S50: a verb answers at once with 202 and its operation, which can be followed; who asked is passed on."""
    api = await opened(tokens=token_lines())
    headers = {"Authorization": f"Bearer {TOKENS['operator']}", "Content-Type": "application/json"}
    code, answered, body = await api.ask("POST", path, headers, b"{}")
    assert code == 202
    verb, target = asked
    told = {"operation": 1, "verb": verb, "target": target, "state": "pending", "reason": ""}
    assert json.loads(body) == {**told, "asked_at": 1_700_000_000.0, "ended_at": None}
    assert api.service.asked == [(verb, target, "operator-1")]
    code, _, followed = await api.get(answered["Location"])
    assert (code, followed) == (200, body)


@pytest.mark.parametrize("status", [404, 409, 503])
async def test_a_refusal_is_told_as_it_is(opened: Opener, status: int) -> None:
    """What the service refuses comes with its own status, code and sentence."""
    service = StaticService(report("smtp"))
    service.refusal = Refusal(status, "some_reason", "why, and what would mend it")
    code, body = await (await opened(service, tokens=token_lines())).order(f"{RESOURCE}/online")
    assert code == status
    assert json.loads(body) == {"error": {"code": "some_reason", "message": "why, and what would mend it"}}


@pytest.mark.parametrize("body", [b"", b"{}", b" {\n} "])
async def test_a_verb_needs_no_parameters(opened: Opener, body: bytes) -> None:
    """No body and an empty object are the same."""
    assert (await (await opened(tokens=token_lines())).order(f"{RESOURCE}/online", body=body))[0] == 202


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b'"x"', b'{"to": "node2"}', b"{", b"\xff", b"{}{}", b"[" * 60_000, b'{"' + b"x" * 9999 + b'":1}'],
)
async def test_a_body_that_means_nothing_is_refused(opened: Opener, body: bytes) -> None:
    """A body that is no empty object is 400 and has no effect: a misspelt parameter is never ignored."""
    api = await opened(tokens=token_lines())
    code, answer = await api.order(f"{RESOURCE}/online", body=body)
    assert (code, json.loads(answer)["error"]["code"]) == (400, "bad_body")
    assert len(answer) < 500
    assert not api.service.asked


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_bounded(opened: Opener, chunked: bool) -> None:
    """More than 64 KiB is 413, announced or not, and has no effect."""
    api = await opened(tokens=token_lines())
    head = f"POST {RESOURCE}/online HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {TOKENS['admin']}\r\n"
    size = BODY_BYTES_MAX + 1
    head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {size}\r\n\r\n"
    blanks = b" " * size
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, blanks) if chunked else blanks
    answer = await api.raw(head.encode() + body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"content_too_large"' in answer
    assert not api.service.asked


async def test_a_compressed_body_is_not_unpacked(opened: Opener) -> None:
    """A content coding is not applied: no small body becomes a large one."""
    api = await opened(tokens=token_lines())
    headers = {"Authorization": f"Bearer {TOKENS['admin']}", "Content-Type": "application/json"}
    code, _, _ = await api.ask("POST", f"{RESOURCE}/online", {**headers, "Content-Encoding": "gzip"}, b"\x1f\x8b\x08")
    assert code == 400
    assert not api.service.asked


async def test_a_slow_body_is_cut(opened: Opener) -> None:
    """A body that does not come in its time is 408 and has no effect."""
    files = MemoryFiles(tokens=token_lines())
    settings = ApiSettings(token_file="tokens", files=files, limits=Limits(body_s=0.1, linger_s=0.1))
    api = await opened(settings=settings)
    head = f"POST {RESOURCE}/online HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {TOKENS['admin']}\r\nContent-Length: 2\r\n\r\n"
    answer = await api.raw(head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert not api.service.asked


@pytest.mark.parametrize("operation", ["1", "x", "-1", "9" * 30, "%D9%A1"])
async def test_no_such_operation(opened: Opener, operation: str) -> None:
    """An operation that there is not is 404."""
    code, _, body = await (await opened()).get(f"/api/v1/operations/{operation}")
    assert (code, json.loads(body)["error"]["code"]) == (404, "no_such_operation")


async def test_verbs_at_once_are_all_heard(opened: Opener) -> None:
    """Many verbs at the same time each get an operation of their own."""
    api = await opened(tokens=token_lines())
    answers = await asyncio.gather(*(api.order(f"{RESOURCE}/restart") for _ in range(30)))
    assert sorted(json.loads(body)["operation"] for _, body in answers) == list(range(1, 31))


@pytest.mark.parametrize("on", [True, False])
async def test_planned_stops_are_said_and_answered(opened: Opener, on: bool) -> None:
    """A drain is carried out at once and answered with what is so now; who asked is passed on."""
    api = await opened(tokens=token_lines())
    api.service.draining = not on
    body = json.dumps({"on": on}).encode()
    code, answer = await api.order("/api/v1/drain", TOKENS["operator"], body)
    assert (code, json.loads(answer)) == (200, {"on": on})
    assert api.service.draining is on
    assert api.service.asked == [("drain", str(on), "operator-1")]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"on": 1}', b'{"on": "true"}', b'{"on": true, "for": 5}', b"true", b"{"]
)
async def test_a_drain_says_on_or_off(opened: Opener, body: bytes) -> None:
    """A drain without exactly one `on` that is true or false is 400 and has no effect."""
    api = await opened(tokens=token_lines())
    code, answer = await api.order("/api/v1/drain", body=body)
    assert (code, json.loads(answer)["error"]["code"]) == (400, "bad_body")
    assert not api.service.asked


async def test_a_drain_may_be_refused(opened: Opener) -> None:
    """A service that is ending refuses in its own words."""
    service = StaticService()
    service.refusal = Refusal(503, "draining", "looksalive is ending")
    code, answer = await (await opened(service, tokens=token_lines())).order("/api/v1/drain", body=b'{"on": true}')
    assert (code, json.loads(answer)["error"]["code"]) == (503, "draining")


async def test_maintenance_is_begun_and_ended(opened: Opener) -> None:
    """A group's maintenance is answered with the group as it is now; the owner is whoever asked, or whom they name."""
    api = await opened(StaticService(report("smtp")), tokens=token_lines())
    path = "/api/v1/groups/evs1/maintenance"
    code, answer = await api.order(path, TOKENS["operator"], b'{"on": true, "expires_s": 60}')
    assert code == 200
    assert json.loads(answer)["maintenance"] == {"owner": "operator-1", "since": WALL, "until": WALL + 60}
    code, answer = await api.order(path, TOKENS["operator"], b'{"on": false, "owner": "anna"}')
    assert (code, json.loads(answer)["maintenance"]) == (200, None)
    assert api.service.asked == [("maintain", "evs1", "operator-1"), ("maintain", "evs1", "anna")]


@pytest.mark.parametrize("body", [b"{}", b'{"on": true, "expires_s": 0}', b'{"on": true, "expires_s": 1e12}'])
async def test_maintenance_that_makes_no_sense(opened: Opener, body: bytes) -> None:
    """A maintenance without `on`, or with an end that is none, is 400 and has no effect."""
    api = await opened(StaticService(report("smtp")), tokens=token_lines())
    code, answer = await api.order("/api/v1/groups/evs1/maintenance", body=body)
    assert (code, json.loads(answer)["error"]["code"]) == (400, "bad_body")
    assert not api.service.asked


async def test_the_metabase_is_read_as_written(opened: Opener) -> None:
    """A key comes as it was written, with the revision as its tag; one that there is not is 404."""
    api = await opened()
    code, headers, body = await api.get("/api/v1/metabase/smtp/1")
    assert (code, headers["ETag"]) == (200, '"7"')
    assert json.loads(body) == {"revision": 7, "key": "/smtp/1", "properties": {"bindings": ["127.0.0.1:25"]}}
    code, _, body = await api.get("/api/v1/metabase/smtp/2")
    assert (code, json.loads(body)["error"]["code"]) == (404, "no_such_key")
