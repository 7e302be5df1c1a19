"""The reference pages say what the code does."""

from __future__ import annotations

import pytest

from probe.api.routes import ROUTES
from probe.cli.commands import COMMANDS
from probe.cli.settings import FLAGS
from probe.metrics import METRICS
from probe.values import Reason
from tests.deploy.reasons import ABOUT
from tests.deploy.reference import FOLDER, PAGES


@pytest.mark.parametrize("file", PAGES)
def test_a_page_is_current(file: str) -> None:
    """The page is what the code says now."""
    assert (FOLDER / file).read_text(encoding="utf-8") == PAGES[file](), "run python -m tests.deploy.reference"


def test_every_reason_is_explained() -> None:
    """Each reason has its sentence, and none is explained that is not there."""
    assert set(ABOUT) == set(Reason)
    assert all(what.endswith(".") for what, _ in ABOUT.values())


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("CLI.md", [f"## looksalive {command.name}\n" for command in COMMANDS]),
        ("CLI.md", [f"`{flag.name}" for flag in FLAGS]),
        ("METRICS.md", [f"`{metric.full_name}`" for metric in METRICS]),
        ("API.md", [f"`{route.method} {route.path}`" for route in ROUTES]),
        ("STORE.md", ["`bindings`", "`probe_timeout_s`", "`depends_on`", "`restart_threshold`"]),
    ],
)
def test_nothing_is_missing(file: str, words: list[str]) -> None:
    """Every command, flag, metric, route and well-known property is on its page."""
    page = (FOLDER / file).read_text(encoding="utf-8")
    assert [word for word in words if word not in page] == []
