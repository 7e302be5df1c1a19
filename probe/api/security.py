"""The one gate: every request passes it, and what no rule lets through is refused.

1. Host: an IP literal, a loopback name or an allowed name, in the header and in an absolute target; else 421.
2. A route that the table does not know, or a method that a route does not declare, has no way to a handler.
3. Reading is open. No CORS header is ever sent, so a foreign page cannot see an answer.
4. Writing needs, in this order: no foreign Origin (403), a token file (403), a known token (401), a role that is enough
   (403), a body that says it is JSON (415). A browser cannot send that cross-site without asking first, and is refused.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from probe.api.context import Api
from probe.api.errors import SERVER, Problem, route_name
from probe.api.hosts import Hosts, same_origin, target_authority
from probe.api.tokens import Role, Token

log = logging.getLogger(__name__)

WRITER = web.RequestKey("writer", Token)

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer; the page brings a policy of its own that lets it run."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER


class Gate:
    """The rules above, for one application."""

    def __init__(self, api: Api, roles: dict[tuple[str, str], Role | None]) -> None:
        self._api = api
        self._hosts = Hosts(api.settings.allowed_hosts)
        self._roles = roles  # by (method, pattern of the path): None where reading is open

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request through, or raise the Problem that says why not."""
        self._check_host(request)
        route = request.match_info.route
        if request.match_info.http_exception is not None:
            return await handler(request)  # 404 or 405: there is nothing behind it
        pattern = route.resource.canonical if route.resource is not None else ""
        try:
            role = self._roles[request.method, pattern]
        except KeyError:
            raise Problem(403, "forbidden", "no rule lets this request through") from None
        if role is not None:
            request[WRITER] = self._writer(request, role)
        return await handler(request)

    def _check_host(self, request: web.Request) -> None:
        named = request.headers.getall("Host", [])
        target = target_authority(request.raw_path)
        if len(named) != 1 or not self._hosts.allow(named[0]) or (target is not None and not self._hosts.allow(target)):
            message = "the Host header must be an IP address, a loopback name or a name given with --allowed-host"
            raise Problem(421, "misdirected_request", message)

    def _writer(self, request: web.Request, needed: Role) -> Token:
        origin = request.headers.get("Origin")
        if origin is not None and not same_origin(origin, request.headers["Host"]):
            raise Problem(403, "foreign_origin", "a page of another origin may not ask for this")
        if self._api.tokens is None:
            raise Problem(403, "control_off", "control verbs are off; start with --token-file")
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        writer = self._api.tokens.owner_of(presented.strip()) if scheme.lower() == "bearer" else None
        if writer is None:
            log.warning("a control verb came without a known token", extra={"route": route_name(request)})
            challenge = {"WWW-Authenticate": 'Bearer realm="looksalive"'}
            raise Problem(401, "unauthorized", "this needs the header Authorization: Bearer TOKEN", challenge)
        if writer.role < needed:
            message = f"this needs the role {needed.name.lower()}; the token has {writer.role.name.lower()}"
            raise Problem(403, "role_too_low", message)
        if request.content_type != "application/json":
            raise Problem(415, "unsupported_media_type", "the content type must be application/json")
        return writer
