"""The OpenAPI 3.1 document, made from the routes and the shapes that are served, so that it cannot be out of date."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from probe.api.replies import JSON
from probe.api.route import Query, Route
from probe.api.shapes import ErrorBody
from probe.version import __version__

DOCUMENT = web.AppKey("openapi", bytes)

_NAME: dict[str, object] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"}
_PATH_PARAMETERS: dict[str, dict[str, object]] = {
    "group": _NAME,
    "resource": _NAME,
    "operation": {"type": "integer", "minimum": 0},
    "path": {"type": "string", "description": "the key without its first slash; it may hold slashes"},
    "file": {"type": "string"},
}


async def openapi(request: web.Request) -> web.StreamResponse:
    """Answer with the document."""
    return web.Response(body=request.app[DOCUMENT], content_type=JSON, headers={"Cache-Control": "no-cache"})


def document(routes: Sequence[Route]) -> dict[str, object]:
    """Describe the routes: one path item a path, one schema a shape."""
    shapes = {shape for route in routes for shape in (route.shape, route.body) if shape is not None}
    ordered = sorted(shapes | {ErrorBody}, key=lambda shape: shape.__name__)
    references, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    reference_of = dict(zip(ordered, references, strict=True))
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, reference_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "looksalive",
            "version": __version__,
            "summary": "Whether mail and web servers are alive, and the verbs that bring them back.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, reference_of: dict[type, dict[str, object]]) -> dict[str, object]:
    schema = reference_of[route.shape] if route.shape is not None else {}
    content = {media: {"schema": schema} if media == JSON else {} for media in route.media}
    failure = {JSON: {"schema": reference_of[ErrorBody]}}
    answers: dict[str, object] = {}
    for code in (route.code, *route.also):
        answers[str(code)] = {"description": HTTPStatus(code).phrase, "content": content}
    for code in route.empty:
        answers[str(code)] = {"description": HTTPStatus(code).phrase}
    crowded = () if route.essential else (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    for code in (*route.errors, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR, *crowded):
        answers.setdefault(str(int(code)), {"description": HTTPStatus(code).phrase, "content": failure})
    told: dict[str, object] = {
        "operationId": _name(route),
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *map(_query_parameter, route.query)],
        "responses": dict(sorted(answers.items())),
    }
    if route.role is not None:
        told["security"] = [{"token": []}]
        told["description"] = f"Needs a token with the role {route.role.name.lower()}."
    if route.body is not None:
        told["requestBody"] = {"required": False, "content": {JSON: {"schema": reference_of[route.body]}}}
    return told


def _name(route: Route) -> str:
    """Name the operation after its method and path: `get_api_v1_status`, unique because they are."""
    return f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path).strip('_') or 'page'}"


def _path_parameters(path: str) -> list[dict[str, object]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameter(query: Query) -> dict[str, object]:
    schema: dict[str, object] = {"type": "integer", "minimum": 0} if query.whole_number else {"type": "string"}
    if query.values:
        schema["enum"] = list(query.values)
    return {"name": query.name, "in": "query", "required": False, "description": query.about, "schema": schema}
