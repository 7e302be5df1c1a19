"""Whatever fits the OpenAPI document is sent to a real `run`: each answer is one that the document names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.ports import free_port
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase

EXAMPLES = 12
REQUEST_S = 20.0
TOKEN = "a-token-of-this-test"
ENDLESS = "/api/v1/stream"  # an answer that does not end has no conformance to judge
CONFORMS = [content_type_conformance, response_schema_conformance, status_code_conformance]
KNOWN = {"group": "default", "resource": "smtp-1", "file": "page.js"}  # else nearly every answer would be a 404
FAULT = 500  # of ours; 503 is a word of the contract


@pytest.fixture(scope="module")
def service(shared_folder: Path) -> Iterator[Service]:
    """A service with one resource that nothing is done to: its controller is none."""
    folder = shared_folder / "openapi"
    folder.mkdir()
    (folder / "tokens").write_text(f"t:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n", encoding="ascii")
    write_metabase(folder / "store", {"/smtp/1": virtual_server(free_port())})
    with Service(folder / "store", "--token-file", str(folder / "tokens"), "--max-per-address", "1000") as started:
        yield started


def _judge(operation: Any, service: Service, session: requests.Session, answered: dict[int, int]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def conforms(case: Any, real: bool) -> None:
        if real:
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters if name in KNOWN})
        if case.query:
            case.query.pop("wait", None)  # a long poll takes the time that it was asked to take
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if case.method != "GET":
            headers["Content-Type"] = "application/json"  # also where the body is left out
        answer = case.call(base_url=service.url.rstrip("/"), session=session, headers=headers, timeout=REQUEST_S)
        assert answer.status_code != FAULT, (operation.label, answer.text)
        answered[answer.status_code] = answered.get(answer.status_code, 0) + 1
        case.validate_response(answer, checks=CONFORMS)

    conforms()


def test_every_answer_is_documented(service: Service) -> None:
    """0 undocumented statuses, 0 undocumented bodies, 0 faults of ours, over every operation of the document."""
    schema = schemathesis.openapi.from_dict(service.get("/openapi.json").json)
    answered: dict[int, int] = {}
    operations = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operations.append(found.ok())
    judged = [each for each in operations if each.path != ENDLESS]
    with requests.Session() as session:
        for operation in sorted(judged, key=lambda each: each.method.upper() == "DELETE"):  # what is known goes last
            _judge(operation, service, session, answered)
    assert len(judged) == sum(len(item) for item in schema.raw_schema["paths"].values()) - 1
    assert answered[200] > len(judged)
    assert answered.get(202, 0) > 0, answered
    assert "an answer failed" not in service.log
    assert service.get("/livez").status == 200
