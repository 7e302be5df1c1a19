"""The page of controllers says what the code takes."""

from __future__ import annotations

import json

import pytest

from probe.controllers import CONTROLLER_KINDS, PARAMETERS
from probe.controllers.exec import exec_parameters
from probe.controllers.ocf import ocf_parameters
from probe.controllers.parameters import process_parameters
from tests.controllers.documentation import PAGE, page


def test_the_page_is_current() -> None:
    """`deploy/CONTROLLERS.md` is what the tables of parameters say."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.controllers.documentation"


def test_every_kind_has_its_table() -> None:
    """No kind is missing, and none is described that is not there."""
    assert set(PARAMETERS) == set(CONTROLLER_KINDS)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_what_is_described_is_taken(kind: str) -> None:
    """A described parameter is never an unknown key, a needed one is missed, and what is not described is unknown."""
    problems = CONTROLLER_KINDS[kind].problems
    described = {each.name for each in PARAMETERS[kind]}
    told = problems(dict.fromkeys([*described, "undescribed"], object()))
    unknown = {problem.key for problem in told if "unknown" in problem.message or "no parameters" in problem.message}
    assert unknown == {"undescribed"}
    needed = {each.name for each in PARAMETERS[kind] if each.required}
    assert needed <= {problem.key for problem in problems({})}


def test_defaults_are_the_code_s() -> None:
    """A kind whose described defaults are written out is read as one whose defaults are left out."""
    for kind, read, needed in (
        ("process", process_parameters, {"command": ["x"]}),
        ("exec", exec_parameters, {"start": ["x"], "stop": ["x"]}),
        ("ocf", ocf_parameters, {"agent": "ocf:heartbeat:Dummy"}),
    ):
        defaults = {each.name: json.loads(each.default) for each in PARAMETERS[kind] if each.default}
        assert defaults
        assert read({**needed, **defaults}) == read(needed)
