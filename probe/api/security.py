"""The one gate: every request passes it, and what no rule lets through is refused.

1. The door: too many connections, in all or of one address, are refused what a kubelet does not need (503, 429).
2. Host: an IP literal, a loopback name or an allowed name, in the header and in an absolute target; else 421.
3. A route that the table does not know, or a method that a route does not declare, has no way to a handler.
4. Reading is open. No CORS header is ever sent, so a foreign page cannot see an answer.
5. Writing needs, in this order: no foreign Origin (403), a token file (403), a known token (401), a role that is enough
   (403), a body that says it is JSON (415). A browser cannot send that cross-site without asking first, and is refused.
6. What is refused under 2 and 5 where a role is needed is told to the audit, at a bounded rate; what changes the store
   is told too, since no decision of the core tells it.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from probe.api.allowance import Allowance
from probe.api.context import Api
from probe.api.errors import HARDENING, SERVER, Problem, route_name
from probe.api.forwarded import client_of
from probe.api.hosts import Hosts, same_origin, target_authority
from probe.api.route import Route
from probe.api.server import Connection
from probe.api.tokens import Role, Token
from probe.history.attempt import Attempt
from probe.lifecycle.report import Refusal
from probe.values import evidence_of

log = logging.getLogger(__name__)

WRITER = web.RequestKey("writer", Token)
AUDITED = frozenset({401, 403, 421})
RETRY_AFTER = {"Retry-After": "5"}


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer; the page brings a policy of its own that lets it run."""
    for name, value in HARDENING.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER


class Gate:
    """The rules above, for one application."""

    def __init__(self, api: Api, routes: dict[tuple[str, str], Route]) -> None:
        self._api = api
        self._hosts = Hosts(api.settings.allowed_hosts)
        self._routes = routes  # by (method, pattern of the path)
        limits = api.settings.limits
        self._refusals = Allowance(limits.refusals_burst, limits.refusals_per_s, _now)

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request through, or raise the Problem that says why not."""
        route = self._routes.get((request.method, route_name(request)))
        token = self._token(request)
        client = self._enter(request, token, essential=route is not None and route.essential)
        if route is None or route.role is None:
            return await self._pass(request, handler, route, token)
        try:
            response = await self._pass(request, handler, route, token)
        except (Problem, Refusal) as refused:
            if refused.status in AUDITED:
                self._tell(request, client, token, f"{refused.status} {refused.code}", granted=False)
            raise
        if route.role is Role.ADMIN and response.status < 300:
            self._tell(request, client, token, str(response.status), granted=True)
        return response

    async def _pass(
        self, request: web.Request, handler: Handler, route: Route | None, token: Token | None
    ) -> web.StreamResponse:
        self._check_host(request)
        if request.match_info.http_exception is not None:
            return await handler(request)  # 404 or 405: there is nothing behind it
        if route is None:
            raise Problem(403, "forbidden", "no rule lets this request through")
        if route.role is not None:
            request[WRITER] = self._writer(request, token, route.role)
        return await handler(request)

    def _enter(self, request: web.Request, token: Token | None, *, essential: bool) -> str:
        """Pass the door; name who asks."""
        connection = request.protocol
        assert isinstance(connection, Connection), "only our own server serves this application"
        if connection.seat is None:
            raise ConnectionResetError("it was not let in")
        door = self._api.door
        client = client_of(connection.address, request.headers, door.proxies)
        known = token is not None or connection.vouched
        refusal = door.begin(connection.seat, client, known=known, essential=essential)
        close = not connection.seat.proxied
        if refusal == "too_many_of_address":
            most = self._api.settings.limits.per_address
            raise Problem(
                429,
                refusal,
                f"{most} connections from one address are open; a token lifts that",
                RETRY_AFTER,
                close=close,
            )
        if refusal:
            raise Problem(503, refusal, "there are too many connections; a token lifts that", RETRY_AFTER, close=close)
        return client

    def _check_host(self, request: web.Request) -> None:
        named = request.headers.getall("Host", [])
        target = target_authority(request.raw_path)
        if len(named) != 1 or not self._hosts.allow(named[0]) or (target is not None and not self._hosts.allow(target)):
            message = "the Host header must be an IP address, a loopback name or a name given with --allowed-host"
            raise Problem(421, "misdirected_request", message)

    def _token(self, request: web.Request) -> Token | None:
        """Find whose token the request shows, on a read too: it lifts limits."""
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if self._api.tokens is None or scheme.lower() != "bearer":
            return None
        return self._api.tokens.owner_of(presented.strip())

    def _writer(self, request: web.Request, writer: Token | None, needed: Role) -> Token:
        origin = request.headers.get("Origin")
        if origin is not None and not same_origin(origin, request.headers["Host"]):
            raise Problem(403, "foreign_origin", "a page of another origin may not ask for this")
        if self._api.tokens is None:
            raise Problem(403, "control_off", "control verbs are off; start with --token-file")
        if writer is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="looksalive"'}
            raise Problem(401, "unauthorized", "this needs the header Authorization: Bearer TOKEN", challenge)
        if writer.role < needed:
            message = f"this needs the role {needed.name.lower()}; the token has {writer.role.name.lower()}"
            raise Problem(403, "role_too_low", message)
        if request.content_type != "application/json":
            raise Problem(415, "unsupported_media_type", "the content type must be application/json")
        return writer

    def _tell(self, request: web.Request, client: str, token: Token | None, answer: str, *, granted: bool) -> None:
        """Tell the audit and, of a refusal, the log. The path is the client's text: escaped and bounded."""
        left_out = 0
        if not granted:
            allowed = self._refusals.take()
            if allowed is None:
                return
            left_out = allowed
        who = f"{token.name if token is not None else 'nobody'} at {client or 'an unknown address'}"
        target = "/".join(map(evidence_of, request.match_info.values()))
        verb = f"{request.method} {route_name(request)}"
        if not granted:
            fields = {"who": who, "verb": verb, "target": target, "answer": answer, "not_told": left_out}
            log.warning("a control request was refused", extra={"fields": fields})
            answer += f" ({left_out} others were not written down)" if left_out else ""
        if self._api.settings.audit is not None:
            self._api.settings.audit(Attempt(who, verb, target, granted, answer))


def _now() -> float:
    return asyncio.get_running_loop().time()
