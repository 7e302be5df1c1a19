"""A small real HTTP server that imitates the routes of the running service; it lives in a thread of its own.

The commands under test run their own event loop, so the server cannot share the test's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

START_TIMEOUT_S = 10.0
ENDING = web.AppKey("ending", asyncio.Event)
TOKEN = "correct-horse"


def resource(id: str, **fields: Any) -> dict[str, Any]:
    """Make a resource object as the API tells it: online and alive unless told otherwise."""
    return {
        "id": id,
        "alive": True,
        "verdict": "alive",
        "stale": False,
        "state": "online",
        "reason": "matched",
        "evidence": "220 mx ESMTP",
        "age_s": 3.2,
        "root_cause": None,
        "type": "smtp",
        "controller": "none",
        "desired": "online",
        "since": 1_700_000_000.0,
        "restarts": 0,
        "restarts_left": 2,
        "operation": None,
        "depends_on": [],
        "waiting_for": [],
        "pid": None,
        **fields,
    }


def status_of(revision: int, *resources: dict[str, Any]) -> dict[str, Any]:
    """Make the whole status document."""
    names = dict.fromkeys(resource["id"].partition("/")[0] for resource in resources)
    groups = [{"name": name, "owner": "node-1", "state": "online", "resources": 1} for name in names]
    return {"revision": revision, "node": "node-1", "groups": groups, "resources": list(resources), "next": None}


def event_of(seq: int, id: str = "evs1/smtp", **fields: Any) -> dict[str, Any]:
    """Make an event as the API tells it."""
    return {
        "seq": seq,
        "time": 1_700_000_000.0 + seq,
        "id": id,
        "kind": "state",
        "from": "online",
        "to": "failed",
        "reason": "eof",
        "evidence": "",
        "root_cause": None,
        "trigger": "probe",
        "operation": None,
        **fields,
    }


class FakeService:
    """Plays a list of status documents: each long poll moves on to the next one, the last one holds."""

    def __init__(self, *statuses: dict[str, Any]) -> None:
        self.statuses = list(statuses)
        self.url = ""
        self.asked: list[str] = []  # method and path with query, in order
        self.authorizations: list[str] = []
        self.bodies: list[Any] = []
        self.operations: list[dict[str, Any]] = []  # what each look at an operation answers, the last one holds
        self.events: list[dict[str, Any]] = []  # what the pages have; the stream tells those that were not seen
        self.recorded: list[dict[str, Any]] = []  # of earlier runs
        self.streams: list[list[bytes]] = []  # what each connection to the stream says before it ends; then it holds
        self.refusals: list[tuple[int, str]] = []  # of the stream, before it is served: status and Retry-After
        self.report: Any = None
        self.raw: Callable[[web.Request], web.Response] | None = None  # answers instead of everything else

    @property
    def status(self) -> dict[str, Any]:
        """The document that is in force."""
        return self.statuses[0]

    def application(self) -> web.Application:
        """Build the routes."""
        application = web.Application(middlewares=[self._record])
        ending = asyncio.Event()

        async def end(_: web.Application) -> None:
            ending.set()

        application.on_shutdown.append(end)
        application[ENDING] = ending
        application.router.add_get("/api/v1/status", self._status)
        application.router.add_get("/api/v1/resources/{group}/{name}", self._resource)
        application.router.add_get("/api/v1/operations/{id}", self._operation)
        application.router.add_get("/api/v1/events", self._events)
        application.router.add_get("/api/v1/stream", self._stream)
        application.router.add_get("/api/v1/report", self._report)
        application.router.add_post("/api/v1/drain", self._drain)
        application.router.add_post("/api/v1/{kind:resources|groups}/{target:.+}/{verb}", self._verb)
        return application

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> Any:
        self.asked.append(f"{request.method} {request.path_qs}")
        self.authorizations.append(request.headers.get("Authorization", ""))
        return self.raw(request) if self.raw is not None else await handler(request)

    async def _status(self, request: web.Request) -> web.Response:
        if "wait" in request.query:
            if len(self.statuses) == 1:
                await request.app[ENDING].wait()  # nothing more will happen: the client has to give up
            else:
                self.statuses.pop(0)
        group = request.query.get("group")
        resources = [r for r in self.status["resources"] if group in (None, r["id"].partition("/")[0])]
        return web.json_response({**self.status, "resources": resources})

    async def _resource(self, request: web.Request) -> web.Response:
        id = f"{request.match_info['group']}/{request.match_info['name']}"
        for known in self.status["resources"]:
            if known["id"] == id:
                return web.json_response(known)
        return refusal(404, "not_found", f"there is no resource {id}")

    async def _operation(self, request: web.Request) -> web.Response:
        operation = self.operations[0]
        if len(self.operations) > 1:
            self.operations.pop(0)
        return web.json_response(operation)

    async def _events(self, request: web.Request) -> web.Response:
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "100"))
        if "before" in request.query:
            return self._events_before(request, limit)
        page = [event for event in self.events if event["seq"] > after][:limit]
        return web.json_response({"events": page, "next": page[-1]["seq"] if page else after})

    def _events_before(self, request: web.Request, limit: int) -> web.Response:
        """Go backwards; the place of this imitation is how many events are before it."""
        target, group = request.query.get("id", ""), request.query.get("id", "").partition("/")[0]
        ids = (target, group) if "/" in target else (target,)
        chosen = [
            event
            for event in self.recorded + self.events
            if event["time"] >= float(request.query.get("since", "0"))
            and (not target or event["id"] in ids or ("/" not in target and event["id"].startswith(f"{target}/")))
        ]
        end = int(request.query["before"] or len(chosen))
        begin = max(0, end - limit)
        following = self.events[-1]["seq"] if self.events else 0
        previous = str(begin) if begin else None
        return web.json_response({"events": chosen[begin:end], "next": following, "previous": previous})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self.refusals:
            status, retry_after = self.refusals.pop(0)
            refused = refusal(status, "too_many_readers", "1 readers of the stream are being served already")
            refused.headers["Retry-After"] = retry_after
            return refused
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.asked[-1] += f" {request.headers.get('Last-Event-ID', '')}".rstrip()
        await response.prepare(request)
        if self.streams:
            for piece in self.streams.pop(0):
                await response.write(piece)
        else:
            await request.app[ENDING].wait()
        return response

    async def _report(self, request: web.Request) -> web.Response:
        if self.report is None:
            return refusal(409, "no_history", "this service keeps no history; start it without --history off")
        return web.json_response(self.report)

    async def _drain(self, request: web.Request) -> web.Response:
        self.bodies.append((request.content_type, await request.json()))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "unauthorized", "control needs a token")
        return web.json_response(await request.json())

    async def _verb(self, request: web.Request) -> web.Response:
        self.bodies.append((request.content_type, await request.json()))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "unauthorized", "control needs a token")
        return web.json_response(operation_of(request.match_info["verb"], request.match_info["target"]), status=202)


def operation_of(verb: str, target: str, state: str = "pending", reason: str = "") -> dict[str, Any]:
    """Make an operation as the API tells it."""
    return {
        "operation": 12,
        "verb": verb,
        "target": target,
        "state": state,
        "reason": reason,
        "asked_at": 1_700_000_000.0,
        "ended_at": None,
    }


def refusal(status: int, code: str, message: str) -> web.Response:
    """Answer with an error in the API's one shape."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


@contextmanager
def serving(service: FakeService, port: int = 0) -> Iterator[FakeService]:
    """Serve on loopback until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = web.AppRunner(service.application(), shutdown_timeout=0.1)
    try:
        service.url = asyncio.run_coroutine_threadsafe(_start(runner, port), loop).result(START_TIMEOUT_S)
        yield service
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(runner: web.AppRunner, port: int) -> str:
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, bound = runner.addresses[0][:2]
    return f"http://{host}:{bound}"
