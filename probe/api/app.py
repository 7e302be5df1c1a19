"""The application, put together from the table of routes."""

from __future__ import annotations

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from probe.api import openapi
from probe.api.context import API, Api, ApiSettings
from probe.api.door import Door, Proxies
from probe.api.errors import tell_errors
from probe.api.fanout import Seats
from probe.api.limits import BODY_BYTES_MAX
from probe.api.relay import Relay
from probe.api.routes import ROUTES
from probe.api.security import Gate, harden
from probe.api.server import Server, serve
from probe.api.service import Service
from probe.api.tokens import TokenFile
from probe.metrics import Metrics

__all__ = ["ApiSettings", "Server", "make_app", "serve"]


def make_app(service: Service, metrics: Metrics, settings: ApiSettings | None = None) -> web.Application:
    """Make the application. Raises ValueError when there is a token file and nothing to read it with."""
    settings = settings or ApiSettings()
    tokens = None
    if settings.token_file is not None:
        if settings.files is None:
            raise ValueError("a token file needs files to read it with")
        tokens = TokenFile(settings.files, settings.token_file)
    limits = settings.limits
    api = Api(
        service,
        metrics,
        settings,
        tokens,
        streams=Seats(limits.streams, "streams"),
        waits=Seats(limits.waits, "long polls"),
        scrapes=Seats(limits.scrapes, "scrapes"),
        plans=Seats(limits.plans, "plans"),
        readings=Seats(limits.readings, "readers of the history"),
        reports=Seats(limits.reports, "reports on availability"),
        door=Door(limits, Proxies(settings.trusted_proxies)),
        relay=Relay(service, limits),
    )
    gate = Gate(api, {(method, route.path): route for route in ROUTES for method in _methods(route.method)})

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await gate.check(request, handler)

    app = web.Application(middlewares=[tell_errors, guard], client_max_size=BODY_BYTES_MAX)
    app[API] = api
    app[openapi.DOCUMENT] = msgspec.json.encode(openapi.document(ROUTES))
    for route in ROUTES:
        for method in _methods(route.method):
            app.router.add_route(method, route.path.replace("{path}", "{path:.+}"), route.handle)
    app.on_response_prepare.append(harden)
    app.on_shutdown.append(_end_waiting)
    return app


def _methods(method: str) -> tuple[str, ...]:
    """A HEAD is answered wherever a GET is, without the body (RFC 9110 section 9.3.2)."""
    return ("GET", "HEAD") if method == "GET" else (method,)


async def _end_waiting(app: web.Application) -> None:
    app[API].close()
