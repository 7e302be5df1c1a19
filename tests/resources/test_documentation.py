"""The page of types says what the code takes."""

from __future__ import annotations

import dataclasses

from probe.lifecycle.spec import Traits
from probe.resources import TYPES
from tests.resources.documentation import OBSERVED, PAGE, RULES, page


def test_the_page_is_current() -> None:
    """S13: `deploy/TYPES.md` is what the table of types says."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.resources.documentation"


def test_every_odd_rule_has_its_sentence() -> None:
    """No trait and no observer is left out of the page, and none is described that is not there."""
    traits = {field.name for field in dataclasses.fields(Traits)} - {"type", "recreated_with"}
    assert set(RULES) == traits
    assert set(OBSERVED) == {row.observer for row in TYPES.values() if row.observer is not None}
