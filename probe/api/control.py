"""What may be asked of us: the verbs, and how far an operation is. Every verb answers at once (S50)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from probe.api.context import API, resource_id
from probe.api.errors import Problem
from probe.api.limits import BODY_BYTES_MAX
from probe.api.replies import JSON, json_reply
from probe.api.security import WRITER
from probe.api.shapes import Drain, Maintained, Move, NoBody, Supposed, group_of, operation_of
from probe.lifecycle.report import OperationReport
from probe.values import evidence_of

OPERATION_ID_MAX = 2**63 - 1
EXPIRES_S_MAX = 366 * 86_400.0

_Body = TypeVar("_Body", Drain, Maintained, Move, NoBody, Supposed)
_Verb = Callable[[web.Request], Awaitable[web.StreamResponse]]


def resource_verb(verb: str) -> _Verb:
    """Make the handler of a verb on one resource."""

    async def ask(request: web.Request) -> web.StreamResponse:
        _understand(await read_body(request) or b"{}", NoBody)
        service = request.app[API].service
        return _accepted(await service.ask_resource(verb, resource_id(request), request[WRITER].name))

    return ask


def group_verb(verb: str) -> _Verb:
    """Make the handler of a verb on a whole group."""

    async def ask(request: web.Request) -> web.StreamResponse:
        _understand(await read_body(request) or b"{}", NoBody)
        service = request.app[API].service
        return _accepted(await service.ask_group(verb, request.match_info["group"], request[WRITER].name))

    return ask


async def operation(request: web.Request) -> web.StreamResponse:
    """Answer how far an operation is."""
    text = request.match_info["operation"]
    known = len(text) <= len(str(OPERATION_ID_MAX)) and text.isascii() and text.isdigit()
    report = request.app[API].service.operation(int(text)) if known else None
    if report is None:
        raise Problem(404, "no_such_operation", "there is no such operation, or it is long over")
    return json_reply(operation_of(report))


async def maintenance(request: web.Request) -> web.StreamResponse:
    """Begin or end the maintenance of a group."""
    wanted = _understand(await read_body(request), Maintained)
    if wanted.expires_s is not None and not 0 < wanted.expires_s <= EXPIRES_S_MAX:
        raise Problem(400, "bad_body", f"expires_s must be above 0 and at most {EXPIRES_S_MAX:g}")
    owner = evidence_of(wanted.owner) or request[WRITER].name
    service = request.app[API].service
    report = await service.maintain(request.match_info["group"], wanted.on, owner, wanted.expires_s)
    return json_reply(group_of(report))


async def move(request: web.Request) -> web.StreamResponse:
    """Have another node take a group."""
    wanted = _understand(await read_body(request), Move)
    service = request.app[API].service
    return _accepted(await service.move(request.match_info["group"], wanted.to, request[WRITER].name))


async def drain(request: web.Request) -> web.StreamResponse:
    """Begin or end a time of planned stops; asked twice is asked once."""
    wanted = _understand(await read_body(request), Drain)
    await request.app[API].service.drain(wanted.on, request[WRITER].name)
    return json_reply(wanted)


async def plan(request: web.Request) -> web.StreamResponse:
    """Answer what an event would lead to. Nothing is done, so asking is open as reading is."""
    if request.content_type != JSON:  # what a foreign page cannot send without asking first
        raise Problem(415, "unsupported_media_type", f"the content type must be {JSON}")
    supposed = _understand(await read_body(request), Supposed)
    api = request.app[API]
    with api.plans.taken():
        return json_reply(await api.service.plan(supposed.event, supposed.target))


async def read_body(request: web.Request) -> bytes:
    """Read the body within its bounds. Raises Problem (400, 408, 413)."""
    body_s = request.app[API].settings.limits.body_s
    try:
        async with asyncio.timeout(body_s):
            return await request.read()
    except TimeoutError:
        raise Problem(408, "request_timeout", f"the body did not come within {body_s:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, "content_too_large", f"the body may have {BODY_BYTES_MAX} bytes") from None
    except web.RequestPayloadError:
        raise Problem(400, "bad_request", "the body is not framed as its headers say") from None


def _understand(raw: bytes, type: type[_Body]) -> _Body:
    """Decode a body. Raises Problem (400)."""
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise Problem(400, "bad_body", f"the body does not fit: {evidence_of(str(error))}") from None
    except msgspec.DecodeError:
        raise Problem(400, "bad_body", "the body is not JSON") from None


def _accepted(report: OperationReport) -> web.Response:
    return json_reply(operation_of(report), 202, {"Location": f"/api/v1/operations/{report.id}"})
