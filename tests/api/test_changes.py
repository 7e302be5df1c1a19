"""Creating, changing and deleting over the network: what is planned, what is refused, and with which code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from probe.lifecycle.report import Refusal
from probe.resources.changes import Refused
from tests.api.conftest import TOKENS, Opener, Outside, token_lines
from tests.api.service import StaticService, present_of

GROUP, SMTP = "/api/v1/groups/evs1", "/api/v1/resources/evs1/smtp"
SEARCH = {"search": {"parameters": {"health": "http://127.0.0.1:9200/"}}}
STORE = {"evs1": {"resources": {"sa": {"type": "system-attendant"}, "smtp": {"type": "service"}}}}


async def ask(api: Outside, method: str, path: str, body: object, **headers: str) -> tuple[int, Mapping[str, str], Any]:
    """Ask as an admin does."""
    sent = {"Authorization": f"Bearer {TOKENS['admin']}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    code, answered, raw = await api.ask(method, path, sent, json.dumps(body).encode())
    return code, answered, json.loads(raw)


async def opened_with(opened: Opener, groups: object, **more: object) -> Outside:
    """Open an API on a store."""
    service = StaticService()
    service.present = present_of(groups, {"/smtp/1": {"bindings": ["127.0.0.1:25"], "rise": 2}}, **more)
    return await opened(service, tokens=token_lines())


async def test_a_group_is_created_whole(opened: Opener) -> None:
    """S17, S18: one request makes the group; 201 names its resources, who asked is passed on."""
    api = await opened_with(opened, {})
    code, _, body = await ask(api, "POST", GROUP, {"members": SEARCH, "owners": ["node1"], "without": ["pop3"]})
    assert (code, body["changed"], body["metabase_revision"], body["cluster_revision"]) == (201, True, 8, 4)
    assert "evs1/search" in body["resources"]
    assert "evs1/pop3" not in body["resources"]
    assert api.service.asked[0][2] == "admin-1"
    assert api.service.edits[0].groups == {"evs1": {"possible_owners": ["node1"]}}


async def test_a_resource_is_created_changed_and_deleted(opened: Opener) -> None:
    """Each verb plans its edit; what is so already is 200 and changes nothing."""
    api = await opened_with(opened, STORE)
    code, _, body = await ask(
        api, "POST", "/api/v1/resources/evs1/new", {"type": "tcp", "server": {"bindings": [":1"]}}
    )
    assert (code, body["resources"]) == (201, ["evs1/new"])
    assert api.service.edits[-1].keys == {"/tcp/evs1-new": {"bindings": [":1"]}}
    code, _, body = await ask(api, "PATCH", SMTP, {"restart_threshold": 5})
    assert (code, body["notes"]) == (200, ["takes effect at once"])
    code, _, body = await ask(api, "PATCH", SMTP, {})
    assert (code, body["changed"]) == (200, False)
    code, _, body = await ask(api, "DELETE", SMTP, {})
    assert (code, body["resources"]) == (200, ["evs1/smtp"])
    code, _, body = await ask(api, "DELETE", GROUP, {})
    assert (code, set(body["resources"])) == (200, {"evs1/smtp", "evs1/sa"})


async def test_a_system_attendant_comes_with_its_group(opened: Opener) -> None:
    """S17: alone it is refused, with the route that makes the group."""
    api = await opened_with(opened, {})
    code, _, body = await ask(api, "POST", "/api/v1/resources/evs1/sa", {"type": "system-attendant"})
    assert (code, body["error"]["code"]) == (409, "makes_a_group")
    assert "POST /api/v1/groups/evs1" in body["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        (
            SMTP,
            {"type": "service", "controller": {"kind": "systemd", "unit": "x.service"}},
            "looksalive create service",
        ),
        (SMTP, {"type": "service", "controller": {"kind": "process", "command": ["/bin/sh"]}}, "looksalive create"),
        (SMTP, {"type": "exec", "parameters": {"argv": ["/bin/sh"]}}, "looksalive create exec evs1/smtp"),
        (SMTP, {"type": "smtp", "server": {"bindings": ["unix:/x"]}}, "looksalive create smtp evs1/smtp"),
        (
            GROUP,
            {"members": {**SEARCH, "physical-disk": {"parameters": {"mount_point": "/srv"}}}},
            "looksalive create system-attendant evs1",
        ),
    ],
)
async def test_programs_and_paths_are_for_the_store_itself(
    opened: Opener, path: str, body: dict[str, object], command: str
) -> None:
    """DESIGN 4: what names a program or a new path is refused with the command line that does it on the store."""
    service = StaticService()
    service.present = present_of({}, {})
    api = await opened(service, tokens=token_lines())

    async def change(plan: Any, by: str) -> Any:
        try:
            return plan(service.present)
        except Refused as refused:
            raise Refusal(403, refused.code, refused.message) from None

    service.change = change  # type: ignore[method-assign] # as the runtime turns a refused plan into an answer
    code, _, answer = await ask(api, "POST", path, body)
    assert (code, answer["error"]["code"]) == (403, "only_on_the_store")
    assert f"run it on the store: {command}" in answer["error"]["message"]


async def test_the_metabase_is_changed_at_a_revision(opened: Opener) -> None:
    """The tag of a read lets a patch through; the answer has the next one. RFC 6585: without one it is 428."""
    api = await opened_with(opened, {})
    path = "/api/v1/metabase/smtp/1"
    code, headers, _ = await ask(api, "PATCH", path, {"rise": None, "fall": 3}, If_Match='"7"')
    assert (code, headers["ETag"]) == (200, '"8"')
    assert api.service.edits[-1].keys == {"/smtp/1": {"bindings": ["127.0.0.1:25"], "fall": 3}}
    code, _, body = await ask(api, "PATCH", path, {"rise": 3})
    assert (code, body["error"]["code"]) == (428, "precondition_required")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [('"7"', 200), ('"6", "7"', 200), ("*", 200), ('"6"', 412), ('W/"7"', 412), ("7", 412), ("", 412), ('"x"', 412)],
)
async def test_if_match(opened: Opener, header: str, wanted: int) -> None:
    """RFC 9110 section 13.1.1: one of the tags, strongly compared, or `*`; else it is 412 with the present tag."""
    api = await opened_with(opened, {})
    code, headers, body = await ask(api, "PATCH", "/api/v1/metabase/smtp/1", {"rise": 3}, If_Match=header)
    assert code == wanted
    if code == 412:
        assert (headers["ETag"], body["error"]["code"]) == ('"7"', "revision_conflict")
        assert not api.service.edits


@pytest.mark.parametrize("body", [[], {"typ": "smtp"}, {"type": 5}, {"type": "smtp", "parameters": []}, "x"])
async def test_a_body_that_does_not_fit(opened: Opener, body: object) -> None:
    """A misspelt or wrong field is 400 and nothing is planned."""
    api = await opened_with(opened, {})
    code, _, answer = await ask(api, "POST", SMTP, body)
    assert (code, answer["error"]["code"]) == (400, "bad_body")
    assert not api.service.edits


async def test_a_refusal_is_told_as_it_is(opened: Opener) -> None:
    """What the runtime refuses keeps its code and its words."""
    api = await opened_with(opened, STORE)
    api.service.refusal = Refusal(409, "not_offline", "evs1/smtp is online; take it offline first")
    code, _, body = await ask(api, "DELETE", SMTP, {"cascade": True})
    assert (code, body["error"]["code"]) == (409, "not_offline")
