"""Every way an answer can be an error, and the one shape in which it is told."""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from probe.api.shapes import ErrorBody, ErrorDetail
from probe.lifecycle.report import Refusal

log = logging.getLogger(__name__)

SERVER = "looksalive"  # without a version: that is nobody's business (`build_info` tells those who may scrape)

HARDENING = {  # on every answer; a page that runs brings a policy of its own
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Problem(Exception):
    """An answer that is an error: `code` is a stable word, `message` says whose fault it is and what would mend it."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, *, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.close = close  # the connection ends behind it


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, *, close: bool = False
) -> web.Response:
    """Make the answer that tells an error; with `close` the connection ends behind it."""
    response = web.Response(
        status=status,
        body=msgspec.json.encode(ErrorBody(error=ErrorDetail(code=code, message=message))),
        content_type="application/json",
        headers={**HARDENING, "Server": SERVER, "Cache-Control": "no-store", **(headers or {})},
    )
    if close:
        response.force_close()
    return response


def response_of(exception: web.HTTPException) -> web.Response:
    """Tell one of aiohttp's own errors (404, 405, 413, 417) in our shape, keeping the headers that explain it."""
    status = HTTPStatus(exception.status)
    message = _OWN_WORDS.get(status, status.description or status.phrase)
    kept = {name: exception.headers[name] for name in ("Allow", "Location") if name in exception.headers}
    return error_response(status, status.phrase.lower().replace(" ", "_").replace("-", "_"), message, kept)


_OWN_WORDS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /openapi.json lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method",
    HTTPStatus.EXPECTATION_FAILED: "only the expectation 100-continue is understood",
}


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong inside into an answer of the one shape; a fault of ours is logged, not told."""
    try:
        return await handler(request)
    except Problem as problem:
        return error_response(problem.status, problem.code, problem.message, problem.headers, close=problem.close)
    except Refusal as refusal:
        return error_response(refusal.status, refusal.code, refusal.message)
    except web.HTTPException as exception:
        return response_of(exception)
    except ConnectionError:
        raise  # the reader has gone; there is nobody to tell
    except Exception:  # the last line of defence: the service goes on and the reader learns no internals
        log.exception("an answer failed", extra={"method": request.method, "route": route_name(request)})
        if request.writer.output_size > 0:
            raise  # half an answer is out: only cutting the connection is honest now
        return error_response(500, "internal", "a fault of looksalive itself; its log has the details")


def route_name(request: web.Request) -> str:
    """Name the route by its pattern, never by the path: that is the client's text."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "-"
