"""`POST /api/v1/plan`: open as reading is, and yet nothing that a foreign page could set off."""

from __future__ import annotations

import json

import pytest

from probe.api.service import Refusal
from tests.api.conftest import Opener, token_lines
from tests.api.service import StaticService, report

PATH = "/api/v1/plan"
JSON = {"Content-Type": "application/json"}


async def test_a_plan_needs_no_token(opened: Opener) -> None:
    """Nothing is done, so it is answered as a read is, whether control is on or off."""
    for api in (await opened(), await opened(tokens=token_lines())):
        code, _, body = await api.ask("POST", PATH, JSON, b'{"event": "kill", "target": "evs1/smtp"}')
        told = json.loads(body)
        assert (code, told["event"], told["target"], told["refused"]) == (200, "kill", "evs1/smtp", "")
        assert told["steps"] == [
            {"wave": 0, "at_s": 0.0, "kind": "suppose", "id": "evs1/smtp", "text": "suppose kill evs1/smtp"}
        ]
        assert not api.service.asked


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_plan_is_asked_for_in_json(opened: Opener, media: str) -> None:
    """What a form of another site can send is refused with 415."""
    code, _, body = await (await opened()).ask("POST", PATH, {"Content-Type": media}, b'{"event": "drain"}')
    assert (code, json.loads(body)["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"event": 1}', b'{"event": "kill", "taget": "x"}', b"{"])
async def test_a_body_that_means_nothing_is_refused(opened: Opener, body: bytes) -> None:
    """A body that does not fit is 400; a misspelt name is never ignored."""
    code, _, answer = await (await opened()).ask("POST", PATH, JSON, body)
    assert (code, json.loads(answer)["error"]["code"]) == (400, "bad_body")


async def test_what_cannot_happen_is_told(opened: Opener) -> None:
    """An event that cannot happen is 409 with its sentence."""
    service = StaticService(report("smtp"))
    service.refusal = Refusal(409, "cannot_happen", "there is no evs1/x")
    code, _, body = await (await opened(service)).ask("POST", PATH, JSON, b'{"event": "kill", "target": "evs1/x"}')
    assert (code, json.loads(body)["error"]["message"]) == (409, "there is no evs1/x")
