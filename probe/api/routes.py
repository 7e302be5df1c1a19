"""Every route, once: the source of the router, of the gate's rules and of the OpenAPI document."""

from __future__ import annotations

from probe.api import (
    catalogue,
    changes,
    control,
    earlier,
    events,
    graph,
    history,
    isalive,
    metabase,
    openapi,
    page,
    scrape,
    shapes,
    stages,
    status,
    strips,
    transcript,
    wanted,
)
from probe.api.route import Handle, Query, Route
from probe.api.tokens import Role
from probe.history.availability import AvailabilityReport
from probe.history.timeline import Timeline
from probe.lifecycle.events import Verb
from probe.lifecycle.foretell import PlanReport
from probe.values import State

_ONE = "/{group}/{resource}"
_RESOURCE = "/api/v1/resources/{group}/{resource}"
_GROUP = "/api/v1/groups/{group}"

_STATUS_QUERY = (
    Query("limit", "At most so many resources; `next` of the answer leads on.", whole_number=True),
    Query("after", "Only resources behind this one (group/name), in the order of the store."),
    Query("group", "Only this group."),
    Query("state", "Only resources in this state.", values=tuple(map(str, State))),
    Query("wait", "Hold the answer until the revision is above this one.", whole_number=True),
    Query("timeout_s", f"How long to hold it, {status.WAIT_S} by default.", whole_number=True),
)
_EVENTS_QUERY = (
    Query("after", "Only events behind this seq.", whole_number=True),
    Query("limit", f"At most so many, {events.EVENTS_PER_PAGE} by default.", whole_number=True),
    Query("before", "The `previous` of a page: only the last events before that one; empty: the last of all."),
    Query("since", "Only the last events since then: 30d, 12h, a date, or seconds since the epoch."),
    Query("id", "Only of this resource with what concerns its group, or of this group with its resources."),
    Query("kind", "Only of this kind.", values=earlier.KINDS),
)
_HISTORY_QUERY = (
    Query("minutes", f"So many, the running one among them; {history.MINUTES} by default.", whole_number=True),
)


_STRIPS_QUERY = (
    Query("ids", "Only these: GROUP/NAME,GROUP/NAME; who is not there is left out."),
    Query("minutes", f"So many, {history.MINUTES} by default, {strips.MINUTES_MAX} at most.", whole_number=True),
    Query("limit", f"At most so many, {strips.STRIPS_PER_PAGE} by default; `next` leads on.", whole_number=True),
    *_STATUS_QUERY[1:4],
)


def _since(default: str) -> Query:
    return Query("since", f"30d, 12h, 90m, a date, or seconds since the epoch; {default} by default.")


def _alive(path: str, handle: Handle, summary: str) -> Route:
    return Route("GET", path + _ONE, handle, summary, shape=shapes.Liveness, also=(503,), errors=(404,), essential=True)


def _verb(path: str, handle: Handle, summary: str) -> Route:
    return Route(
        "POST",
        path,
        handle,
        summary,
        shape=shapes.Operation,
        code=202,
        errors=(400, 401, 403, 404, 408, 409, 413, 415, 503),
        role=Role.OPERATOR,
        body=shapes.NoBody,
    )


_PROBES = (
    _alive("/isalive", isalive.isalive, "Whether a resource is alive, from the cache"),
    _alive("/looksalive", isalive.isalive, "The same as /isalive"),
    _alive("/livez", isalive.resource_livez, "For a kubelet: fails only for the root cause"),
    _alive("/readyz", isalive.resource_readyz, "For a kubelet: fails for whatever cannot serve now"),
    Route(
        "GET", "/livez", isalive.livez, "Whether looksalive serves", shape=shapes.Healthy, errors=(503,), essential=True
    ),
    Route(
        "GET",
        "/readyz",
        isalive.readyz,
        "Whether the first round is done",
        shape=shapes.Healthy,
        errors=(503,),
        essential=True,
    ),
)

_READS = (
    Route(
        "GET",
        "/api/v1/status",
        status.status,
        "Every group and resource",
        shape=shapes.Status,
        empty=(304,),
        errors=(400, 503),
        query=_STATUS_QUERY,
    ),
    Route("GET", _GROUP, status.group, "One group", shape=shapes.Group, errors=(404,)),
    Route("GET", f"{_GROUP}/graph", graph.graph, "A group's dependencies, laid out", shape=graph.Graph, errors=(404,)),
    Route("GET", _RESOURCE, status.resource, "One resource", shape=shapes.Resource, errors=(404,)),
    Route(
        "GET",
        f"{_RESOURCE}/stages",
        stages.stages,
        "How long each stage of the last probe took",
        shape=stages.Stages,
        errors=(404,),
    ),
    Route("GET", "/api/v1/types", catalogue.types, "What can be made, with its parameters", shape=catalogue.Catalogue),
    Route(
        "GET",
        f"{_RESOURCE}/transcript",
        transcript.transcript,
        "What was said in the last failed or unknown probes of a resource",
        shape=shapes.Transcripts,
        errors=(404,),
    ),
    Route(
        "GET",
        f"{_RESOURCE}/history",
        history.history,
        "What the probes of the last minutes said, for a strip",
        shape=shapes.History,
        errors=(400, 404),
        query=_HISTORY_QUERY,
    ),
    Route(
        "GET",
        "/api/v1/strips",
        strips.strips,
        "What the probes of the last minutes said, of many resources",
        shape=strips.Strips,
        errors=(400,),
        query=_STRIPS_QUERY,
    ),
    Route(
        "GET",
        f"{_RESOURCE}/timeline",
        history.timeline,
        "The states of a resource over time, with reason and cause; where nobody looked it is unknown",
        shape=Timeline,
        errors=(400, 404, 503),
        query=(_since(history.TIMELINE_SINCE),),
    ),
    Route(
        "GET",
        "/api/v1/events",
        earlier.events,
        "What happened, oldest first; backwards over all runs that were recorded",
        shape=shapes.Events,
        errors=(400, 503),
        query=_EVENTS_QUERY,
    ),
    Route(
        "GET",
        "/api/v1/stream",
        events.stream,
        "Events as they happen; Last-Event-ID resumes",
        media=("text/event-stream",),
        errors=(400, 503),
        query=_EVENTS_QUERY[:1],
    ),
    Route(
        "GET",
        "/api/v1/report",
        history.report,
        "How available each resource was, from the recorded edges",
        shape=AvailabilityReport,
        errors=(400, 409, 503),
        query=(_since(history.SINCE),),
    ),
    Route(
        "GET",
        "/api/v1/operations/{operation}",
        control.operation,
        "How far an operation is",
        shape=shapes.Operation,
        errors=(404,),
    ),
    Route(
        "GET",
        "/api/v1/metabase/{path}",
        metabase.metabase,
        "A key of the metabase as written",
        shape=shapes.MetabaseKey,
        errors=(404,),
    ),
    Route(
        "GET",
        "/metrics",
        scrape.scrape,
        "The numbers for Prometheus",
        media=("text/plain",),
        errors=(503,),
        essential=True,
    ),
    Route("GET", "/openapi.json", openapi.openapi, "This document"),
    Route("GET", "/", page.index, "The page, or a table for a terminal", media=("text/html", "text/plain")),
    Route("GET", "/page/{file}", page.part, "A part of the page", media=tuple(page.MEDIA), errors=(404,)),
)

_VERBS = (
    *(_verb(f"{_RESOURCE}/{verb}", control.resource_verb(verb), f"Ask a resource: {verb}") for verb in Verb),
    *(
        _verb(f"{_GROUP}/{verb}", control.group_verb(verb), f"Ask a whole group: {verb}")
        for verb in (Verb.ONLINE, Verb.OFFLINE)
    ),
)

_MAINTENANCE = Route(
    "POST",
    f"{_GROUP}/maintenance",
    control.maintenance,
    "Begin or end the maintenance of a group: no action at all, while watching goes on",
    shape=shapes.Group,
    errors=(400, 401, 403, 404, 408, 409, 413, 415, 503),
    role=Role.OPERATOR,
    body=shapes.Maintained,
)

_MOVE = Route(
    "POST",
    f"{_GROUP}/move",
    control.move,
    "Have another node take a group",
    shape=shapes.Operation,
    code=202,
    errors=(400, 401, 403, 404, 408, 409, 413, 415, 503),
    role=Role.OPERATOR,
    body=shapes.Move,
)

_DRAIN = Route(
    "POST",
    "/api/v1/drain",
    control.drain,
    "Say whether the stops to come are planned: while they are, nothing is started and nobody is to blame",
    shape=shapes.Drain,
    errors=(400, 401, 403, 408, 413, 415, 503),
    role=Role.OPERATOR,
    body=shapes.Drain,
)

_PLAN = Route(
    "POST",
    "/api/v1/plan",
    control.plan,
    "What an event would lead to now, step by step; nothing is done, so it is open as reading is",
    shape=PlanReport,
    errors=(400, 404, 408, 409, 413, 415, 503),
    body=shapes.Supposed,
)


def _change(
    method: str,
    path: str,
    handle: Handle,
    summary: str,
    body: type,
    *,
    made: bool = False,
    more: tuple[int, ...] = (),
) -> Route:
    return Route(
        method,
        path,
        handle,
        summary,
        shape=wanted.Changed,
        code=201 if made else 200,
        also=(200,) if made else (),
        errors=tuple(sorted((400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503, *more))),
        role=Role.ADMIN,
        body=body,
    )


_CHANGES = (
    _change(
        "POST",
        _GROUP,
        changes.create_group,
        "Make a system-attendant with its whole group, all or none",
        wanted.GroupWanted,
        made=True,
    ),
    _change("DELETE", _GROUP, changes.delete_group, "Delete a group that is offline", wanted.Deletion),
    _change("POST", _RESOURCE, changes.create_resource, "Make a resource", wanted.ResourceWanted, made=True),
    _change("PATCH", _RESOURCE, changes.change_resource, "Merge new properties into a resource's", wanted.Patch),
    _change("DELETE", _RESOURCE, changes.delete_resource, "Delete a resource that is offline", wanted.Deletion),
    _change(
        "PATCH",
        "/api/v1/metabase/{path}",
        changes.change_metabase,
        "Merge properties into a key of the metabase, at the revision that If-Match names",
        wanted.Patch,
        more=(428,),
    ),
)

ROUTES: tuple[Route, ...] = _PROBES + _READS + _VERBS + (_MAINTENANCE, _MOVE, _DRAIN, _PLAN) + _CHANGES
