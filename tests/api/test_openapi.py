"""The OpenAPI document against the router, the validator, and the answers that really come."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from probe.api.app import make_app
from probe.api.routes import ROUTES
from probe.metrics import Metrics
from probe.values import ResourceId
from tests.api.conftest import Opener, token_lines
from tests.api.service import StaticService, failed, report
from tests.api.test_transcript import told


async def _document(opened: Opener) -> Any:
    code, headers, body = await (await opened()).get("/openapi.json")
    assert (code, headers["Content-Type"]) == (200, "application/json")
    return json.loads(body)


async def test_the_document_is_valid(opened: Opener) -> None:
    """The document is OpenAPI 3.1 as the validator understands it."""
    document = await _document(opened)
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


async def test_the_document_and_the_router_agree(opened: Opener) -> None:
    """Every route of the router is described (a HEAD by its GET), and nothing else is."""
    document = await _document(opened)
    told = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    app = make_app(StaticService(), Metrics())
    routed = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    assert told == {(method, path) for method, path in routed if method != "HEAD"}


async def test_every_operation_has_a_name_of_its_own_and_its_parameters(opened: Opener) -> None:
    """Operation ids are unique; each path parameter is declared; writes say that they need a token."""
    document = await _document(opened)
    names = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            names.append(operation["operationId"])
            declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))
            assert ("security" in operation) == (method != "get" and path != "/api/v1/plan")
            assert "421" in operation["responses"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "path",
    [
        "/isalive/evs1/smtp",
        "/isalive/evs1/store",
        "/isalive/evs1/nobody",
        "/livez",
        "/readyz",
        "/livez/evs1/store",
        "/readyz/evs1/store",
        "/api/v1/status",
        "/api/v1/status?limit=x",
        "/api/v1/groups/evs1",
        "/api/v1/groups/evs1/graph",
        "/api/v1/types",
        "/api/v1/resources/evs1/smtp",
        "/api/v1/resources/evs1/smtp/stages",
        "/api/v1/resources/evs1/smtp/transcript",
        "/api/v1/resources/evs1/nobody/transcript",
        "/api/v1/events",
        "/api/v1/operations/1",
        "/api/v1/operations/2",
        "/api/v1/metabase/smtp/1",
    ],
)
async def test_answers_are_what_the_document_says(opened: Opener, path: str) -> None:
    """Each answer's status is declared, and its body fits the declared schema, also when it is an error."""
    service = StaticService(report("smtp"), failed("store"))
    api = await opened(service, tokens=token_lines())
    service.edge(failed("smtp"))
    service.told[ResourceId("evs1", "smtp")] = (told(),)
    await api.order("/api/v1/resources/evs1/smtp/online")
    document = json.loads((await api.get("/openapi.json"))[2])
    route = next(route for route in ROUTES if route.method == "GET" and _leads_to(route.path, path))
    code, _, body = await api.get(path)
    declared = document["paths"][route.path]["get"]["responses"][str(code)]
    schema = {**declared["content"]["application/json"]["schema"], "components": document["components"]}
    jsonschema.validate(json.loads(body), schema)


def _leads_to(pattern: str, path: str) -> bool:
    expression = re.sub(r"{\w+}", "[^/]+", pattern.replace("{path}", ".+"))
    return re.fullmatch(expression, path.partition("?")[0]) is not None
