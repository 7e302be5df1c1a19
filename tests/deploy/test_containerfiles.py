"""The Containerfiles and the compose file: by the checkers of their own formats."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.programs import of_tests
from tests.house import ROOT

DEPLOY = ROOT / "deploy"
CONTAINERFILES = sorted(DEPLOY.rglob("Containerfile*"))
COMPOSE = DEPLOY / "compose.yaml"
Spoil = Callable[[dict[str, Any]], object]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a checker of the tests' environment."""
    return subprocess.run([of_tests(command[0]), *command[1:]], capture_output=True, text=True, check=False)


def by_its_schema(file: Path) -> subprocess.CompletedProcess[str]:
    """Check a compose file by the compose specification's own JSON schema, which the checker brings with it."""
    return run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(file))


@pytest.mark.parametrize("file", CONTAINERFILES, ids=lambda file: file.parent.name)
def test_hadolint_has_nothing_to_say(file: Path) -> None:
    """Each Containerfile is clean, and what is ignored in it is ignored line by line."""
    done = run("hadolint", "--no-color", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_hadolint_finds_a_mistake(tmp_path: Path) -> None:
    """A base without a version, and a shell's `cd` that would be forgotten, are found."""
    assert len(CONTAINERFILES) == 2
    bad = tmp_path / "Containerfile"
    bad.write_text("FROM debian\nRUN cd /srv && rm *\n")
    done = run("hadolint", "--no-color", str(bad))
    assert done.returncode != 0
    assert {"DL3003", "DL3006"} <= {word for line in done.stdout.splitlines() for word in line.split()}


def test_the_compose_file_is_one() -> None:
    """The published schema takes it."""
    done = by_its_schema(COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "spoil",
    [
        lambda services: services["looksalive"].update(readonly=True),
        lambda services: services["looksalive"].update(cap_drop="ALL"),
        lambda services: services["postfix"].update(ports={"25": 2525}),
    ],
)
def test_a_mistake_in_a_compose_file_is_found(spoil: Spoil, tmp_path: Path) -> None:
    """A property that there is not, and values of the wrong kind, are found."""
    document = yaml.safe_load(COMPOSE.read_text())
    spoil(document["services"])
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(document))
    done = by_its_schema(file)
    assert done.returncode == 1, done.stdout + done.stderr
