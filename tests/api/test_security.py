"""The gate: no effect without the right credential, whatever route, method, Host, Origin or content type."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web

from probe.api.app import ApiSettings, make_app, serve
from probe.api.routes import ROUTES
from probe.api.tokens import Role
from probe.metrics import Metrics
from tests.api.conftest import TOKENS, Opener, Outside, token_lines
from tests.api.service import StaticService, present_of, report

SEGMENTS = {
    "group": "evs1",
    "resource": "smtp",
    "operation": "1",
    "path": "smtp/1",
    "file": "page.js",
}
CREDENTIALS = {
    "none": None,
    "wrong": "Bearer nobody's",
    "empty": "Bearer ",
    "digest": "Bearer " + token_lines().decode().rsplit(":", 1)[1],  # the file's content must not be a credential
    "basic": "Basic " + base64.b64encode(b"operator-1:o-secret").decode(),
    "bare": TOKENS["operator"],
    "other scheme": f"Token {TOKENS['operator']}",
    "viewer": f"Bearer {TOKENS['viewer']}",
    "operator": f"Bearer {TOKENS['operator']}",
    "admin": f"bearer  {TOKENS['admin']}",
}
GOOD_CREDENTIALS = {"operator", "admin"}
HOSTS = {"127.0.0.1:1": True, "[::1]:9810": True, "localhost": True, "mail.example.org": True, "evil.example": False}
ORIGINS = {None: True, "same": True, "https://evil.example": False, "null": False}
BODIES = {  # every other verb is without parameters
    "/api/v1/drain": b'{"on": true}',
    "/api/v1/groups/evs1/maintenance": b'{"on": true}',
    "/api/v1/groups/evs1/move": b'{"to": "node2"}',
    "/api/v1/groups/evs1": b'{"members": {"search": {"parameters": {"health": "http://127.0.0.1:1/"}}}}',
    "/api/v1/resources/evs1/smtp": b'{"type": "service"}',
}
CHANGES = {"DELETE /api/v1/groups/evs1": b"{}", "DELETE /api/v1/resources/evs1/smtp": b"{}"}  # else as BODIES says
ROLES = {f"{route.method} {route.path.format(**SEGMENTS)}": route.role for route in ROUTES}
MEDIA = {"application/json": True, "application/json; charset=utf-8": True, "text/plain": False, "": False}


def _targets() -> Iterator[tuple[str, str]]:
    """Every method and path of the router itself, not of our table."""
    app = make_app(StaticService(), Metrics())
    for route in app.router.routes():
        assert route.resource is not None
        yield route.method, route.resource.canonical.format(**SEGMENTS)


TARGETS = sorted(_targets())
OPEN = {("POST", "/api/v1/plan")}  # changes nothing
WRITES = [target for target in TARGETS if target[0] not in ("GET", "HEAD") and target not in OPEN]
WITHOUT_HISTORY = {"/api/v1/report": 409}  # the service of these tests keeps none
READS = [target for target in TARGETS if target[0] in ("GET", "HEAD")]


async def _opened(opened: Opener) -> Outside:
    api = await opened(StaticService(report("smtp")), tokens=token_lines())
    settings = ApiSettings(token_file="tokens", files=api.files, allowed_hosts=("Mail.Example.org",))
    return await opened(api.service, settings=settings)


def test_the_router_holds_what_the_table_says() -> None:
    """Each route of the table is in the router, a HEAD beside each GET, and nothing else is."""
    wanted = {(route.method, route.path.format(**SEGMENTS)) for route in ROUTES}
    wanted |= {("HEAD", path) for method, path in wanted if method == "GET"}
    assert set(TARGETS) == wanted
    assert WRITES


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_no_effect_without_the_right_credential(opened: Opener, method: str, path: str) -> None:
    """Over every mix of credential, Host, Origin and content type a verb acts only when all four are right."""
    api = await _opened(opened)
    needed = ROLES[f"{method} {path}"]
    good = {role for role in GOOD_CREDENTIALS if Role[role.upper()] >= (needed or Role.VIEWER)}
    owned = method in ("DELETE", "PATCH")
    groups = {"evs1": {"resources": {"smtp": {"type": "service"}}}} if owned else {}
    api.service.present = present_of(groups, {"/smtp/1": {"bindings": ["127.0.0.1:25"]}})
    mixes = itertools.product(CREDENTIALS, HOSTS, ORIGINS, MEDIA)
    for credential, host, origin, media in mixes:
        headers = {"Host": host, "Content-Type": media}
        if (authorization := CREDENTIALS[credential]) is not None:
            headers["Authorization"] = authorization
        if origin is not None:
            headers["Origin"] = f"http://{host}" if origin == "same" else origin
        api.service.asked.clear()
        headers["If-Match"] = '"7"'
        sent = CHANGES.get(f"{method} {path}", BODIES.get(path, b"{}"))
        code, answered, body = await api.ask(method, path, headers, sent)
        right = HOSTS[host] and ORIGINS[origin] and credential in good and MEDIA[media]
        mix = (credential, host, origin, media, code, body)
        assert (code in (200, 201, 202)) == right, mix
        assert bool(api.service.asked) == right, mix
        assert not [name for name in answered if name.lower().startswith("access-control")], mix
        if not right:
            expected = _refusal(HOSTS[host], ORIGINS[origin], credential, MEDIA[media], good)
            assert (code, json.loads(body)["error"]["code"]) == expected, mix
            assert (code == 401) == ("WWW-Authenticate" in answered), mix


def _refusal(host: bool, origin: bool, credential: str, media: bool, good: set[str]) -> tuple[int, str]:
    if not host:
        return 421, "misdirected_request"
    if not origin:
        return 403, "foreign_origin"
    if credential in {"viewer", *GOOD_CREDENTIALS} - good:
        return 403, "role_too_low"
    if credential not in good:
        return 401, "unauthorized"
    assert not media
    return 415, "unsupported_media_type"


@pytest.mark.parametrize(("method", "path"), READS)
async def test_reading_is_open_to_our_hosts_only(opened: Opener, method: str, path: str) -> None:
    """Reads need no credential and act on nothing; a foreign Host gets 421; no foreign page can see an answer."""
    api = await _opened(opened)
    await api.service.ask_resource("online", report("smtp").id, "before")
    api.service.asked.clear()
    for host, ours in HOSTS.items():
        headers = {"Host": host, "Origin": "https://evil.example"}
        url = api.server.url.rstrip("/") + path
        async with api.session.request(method, url, headers=headers) as answer:
            assert answer.status == (WITHOUT_HISTORY.get(path, 200) if ours else 421), (host, answer.status)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert answer.headers["Server"] == "looksalive"
    assert not api.service.asked


@pytest.mark.parametrize("path", sorted({path for _, path in TARGETS}))
async def test_other_methods_lead_nowhere(opened: Opener, path: str) -> None:
    """A method that a path does not declare is 405 with an Allow header, in the shape of every error."""
    api = await _opened(opened)
    declared = {method for method, known in TARGETS if known == path}
    headers = {"Authorization": f"Bearer {TOKENS['admin']}", "Content-Type": "application/json"}
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} - declared:
        code, answered, body = await api.ask(method, path, headers)
        assert code == 405, method
        assert set(answered["Allow"].split(",")) == declared
        if method != "HEAD":
            assert json.loads(body)["error"]["code"] == "method_not_allowed"
    assert not api.service.asked


async def test_verbs_are_off_without_a_token_file(opened: Opener) -> None:
    """Without a token file every verb is 403 and says what would turn it on."""
    api = await opened()
    headers = {"Authorization": f"Bearer {TOKENS['admin']}", "Content-Type": "application/json"}
    for method, path in WRITES:
        code, _, body = await api.ask(method, path, headers, b"{}")
        assert (code, json.loads(body)["error"]) == (
            403,
            {"code": "control_off", "message": "control verbs are off; start with --token-file"},
        )
    assert not api.service.asked


async def test_a_route_without_a_rule_is_refused() -> None:
    """The gate denies by default: a handler that is in the router but not in the table is never reached."""
    reached = False

    async def handler(_: web.Request) -> web.StreamResponse:
        nonlocal reached
        reached = True
        return web.Response()

    app = make_app(StaticService(), Metrics())
    app.router.add_get("/forgotten", handler)
    server = await serve(app, "127.0.0.1", 0)
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}forgotten") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (403, "forbidden")
    await server.close()
    assert not reached


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.0\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: \r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1@evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ],
)
async def test_a_host_that_is_not_ours_gets_nothing(opened: Opener, head: bytes) -> None:
    """No Host, two of them, a foreign one or a foreign absolute target: an error, never the answer."""
    api = await opened()
    answer = await api.raw(head)
    assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.0 421", b"HTTP/1.1 400", b"HTTP/1.0 400")), answer
    assert b'{"error":' in answer
    assert b'"ok"' not in answer
