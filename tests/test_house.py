"""The rules of the house, held against every file, and each rule against a planted fault."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from probe.cli.arguments import COMMANDS
from probe.lifecycle.transitions import diagram
from tests import house
from tests.house import ALLOWED, PROGRAM_RULES, ROOT, TEST_RULES, Rule, Source, faults_of, sources

ORDINARY = "probe/monitor/planted.py"


def faults(rule: Rule, text: str, path: str = ORDINARY) -> list[str]:
    """List what a rule finds in a snippet."""
    return [what for _, what in rule(Source(path, text))]


def test_program_obeys_the_house() -> None:
    """Every file of probe and bindings obeys every rule."""
    found = [fault for source in sources("probe", "bindings") for fault in faults_of(source, PROGRAM_RULES)]
    assert not found, "\n" + "\n".join(found)


def test_tests_obey_the_house() -> None:
    """Every test has its sentence, nothing is patched, and no skip or ignore is without a reason."""
    found = [fault for source in sources("tests") for fault in faults_of(source, TEST_RULES)]
    assert not found, "\n" + "\n".join(found)


def test_allowances_are_used() -> None:
    """An allowance that no file needs any more is deleted."""
    for place, (names, reason) in ALLOWED.items():
        assert reason
        there = [source for source in sources("probe", "bindings") if source.path.startswith(place)]
        assert any(list(house.find_banned(source, names)) for source in there), f"nothing at {place} uses {names}"


@pytest.mark.parametrize(
    ("snippet", "what"),
    [
        ("import time\ntime.time()", "time.time"),
        ("import time as t\nnow = t.monotonic", "time.monotonic"),
        ("from time import monotonic as m", "time.monotonic"),
        ("from datetime import datetime\ndatetime.now()", "datetime.datetime.now"),
        ("import asyncio\nasyncio.sleep(1)", "asyncio.sleep"),
        ("from asyncio import sleep", "asyncio.sleep"),
        ("import random", "random"),
        ("from random import uniform", "random"),
        ("open('x')", "open"),
        ("import os\nos.open('x', 0)", "os.open"),
        ("path.read_text()", "read_text"),
        ("import asyncio\nasyncio.create_task(x)", "asyncio.create_task"),
        ("import asyncio\nasyncio.ensure_future(x)", "asyncio.ensure_future"),
        ("self._loop.create_task(x)", "create_task"),
        ("import asyncio\nasyncio.wait_for(x, 1)", "asyncio.wait_for"),
        ("from unittest import mock", "unittest.mock"),
        ("import unittest.mock", "unittest.mock"),
        ("import socket\nsocket.socket()", "socket.socket"),
        ("loop.create_connection(x)", "create_connection"),
        ("import subprocess", "subprocess"),
        ("from subprocess import run", "subprocess"),
        ("import os\nos.kill(1, 9)", "os.kill"),
        ("eval('1')", "eval"),
        ("exec('1')", "exec"),
        ("import pickle", "pickle"),
    ],
)
def test_bans(snippet: str, what: str) -> None:
    """A banned name is found under whatever name it was imported."""
    assert f"uses {what}" in faults(house.bans, snippet)


@pytest.mark.parametrize(
    "snippet",
    [
        "import asyncio\nasyncio.timeout(1)",
        "import time\ntime.strftime('%Y')",
        "import socket\nsocket.AF_INET",
        "clock.sleep(1)\nclock.time()\nself.open()\nrandomness.uniform(0, 1)",
        "import signal\nsignal.SIGKILL",
        "def reopen(): ...",
        "import msgspec.json",
    ],
)
def test_bans_nothing_else(snippet: str) -> None:
    """What only looks like a banned name is left alone."""
    assert not faults(house.bans, snippet)


def test_bans_by_place() -> None:
    """The environment may do what it is for, and no more; the runtime may make tasks, and nobody else."""
    assert not faults(house.bans, "import time\ntime.monotonic()", "probe/environment/clock.py")
    assert faults(house.bans, "import pickle", "probe/environment/clock.py")
    assert faults(house.bans, "group.create_task(x)", "probe/environment/clock.py")
    assert not faults(house.bans, "group.create_task(x)", "probe/runtime/loop.py")
    assert faults(house.bans, "open('x')", "probe/runtime/loop.py")
    assert faults(house.bans, "open('x')", "bindings/store.py")


def test_bans_in_tests() -> None:
    """Tests patch nothing; their own environment variables they may set."""
    assert faults(house.bans_in_tests, "from unittest.mock import patch")
    assert faults(house.bans_in_tests, "def test(monkeypatch): monkeypatch.setattr(x, 'y', 1)")
    assert not faults(house.bans_in_tests, "def test(monkeypatch): monkeypatch.setenv('X', 'y')")


def test_opened_files() -> None:
    """A path's open is found by its mode; another object's open is not."""
    assert faults(house.opened_files, "path.open('rb')")
    assert not faults(house.opened_files, "path.open('rb')", "probe/environment/files.py")
    assert not faults(house.opened_files, "controller.open(id)\nwebbrowser.open('http://x')")


def test_shells() -> None:
    """A program started by a shell is found, also when it is only perhaps one."""
    assert faults(house.shells, "run(x, shell=True)")
    assert faults(house.shells, "run(x, shell=flag)")
    assert not faults(house.shells, "run(x, shell=False)")


def test_lengths() -> None:
    """A file and a function have a largest length, the runtime's files a smaller one."""
    assert faults(house.lengths, "x = 1\n" * 351)
    assert not faults(house.lengths, "x = 1\n" * 350)
    assert faults(house.lengths, "x = 1\n" * 251, "probe/runtime/loop.py")
    assert faults(house.lengths, "def f():\n" + "    x = 1\n" * 60)
    assert not faults(house.lengths, "async def f():\n" + "    x = 1\n" * 59)


def test_class_names() -> None:
    """Names that say nothing are found as words, not as parts of words."""
    for name in ("ProbeManager", "_DialHelper", "TimeUtils", "BaseCheck", "CheckImpl", "ManagerOfThings"):
        assert faults(house.class_names, f"class {name}: ...")
    for name in ("Database", "Metabase", "Implied", "Monitor"):
        assert not faults(house.class_names, f"class {name}: ...")


def test_public_docstrings() -> None:
    """What is public says what it is for; what is private, and a method, need not."""
    assert faults(house.public_docstrings, "x = 1\ny = 2") == ["the module has no docstring"]
    assert faults(house.public_docstrings, '"""M."""\ndef f(): x = 1') == ["f has no docstring"]
    assert faults(house.public_docstrings, '"""M."""\nclass C:\n    def m(self): x = 1') == ["C has no docstring"]
    assert not faults(
        house.public_docstrings, '"""M."""\ndef _f(): x = 1\nclass C:\n    """C."""\n    def m(self): x = 1'
    )


IMPORTS = """
from typing import assert_never
from probe.lifecycle import actions
from probe.lifecycle.events import Tick
"""


@pytest.mark.parametrize(
    ("cases", "right"),
    [
        ("case Tick(): x = 1\n    case _: assert_never(e)", True),
        ("case Tick(): x = 1", False),
        ("case Tick(): x = 1\n    case _: pass", False),
        ("case actions.Kill(): x = 1", False),
        ("case actions.Kill() | Tick(): x = 1\n    case rest: assert_never(rest)", True),
        ("case int(): x = 1", True),
    ],
)
def test_closed_matches(cases: str, right: bool) -> None:
    """A match on events or actions that a new one could slip through is found; other matches are left alone."""
    assert bool(faults(house.closed_matches, f"{IMPORTS}match e:\n    {cases}")) is not right


def test_unfinished() -> None:
    """A note to self in a comment is found; the word in a string is not."""
    assert faults(house.unfinished, "x = 1  # " + "TODO later")
    assert not faults(house.unfinished, "x = 'TODO'")


@pytest.mark.parametrize(
    ("comment", "right"),
    [
        ("noqa", False),
        ("noqa: S311", False),
        ("noqa: S311, E501", False),
        ("noqa: S311 - jitter, not a secret", True),
        ("type: ignore[arg-type]", False),
        ("type: ignore[arg-type] # ships no types", True),
        ("an ordinary remark", True),
    ],
)
def test_reasons_of_ignores(comment: str, right: bool) -> None:
    """An ignore that does not say why is found."""
    assert bool(faults(house.reasons_of_ignores, f"x = 1  # {comment}")) is not right


def test_sentences_of_tests() -> None:
    """A test without its sentence is found, in a class too; a helper needs none."""
    assert faults(house.sentences_of_tests, "def test_x(): x = 1")
    assert faults(house.sentences_of_tests, "class TestX:\n    async def test_x(self): x = 1")
    assert not faults(house.sentences_of_tests, 'def test_x():\n    """X."""\ndef other(): x = 1')


@pytest.mark.parametrize(
    ("snippet", "right"),
    [
        ("pytest.skip()", False),
        ("pytest.skip('no systemd')", True),
        ("@pytest.mark.skip\ndef f(): ...", False),
        ("@pytest.mark.skipif(x)\ndef f(): ...", False),
        ("@pytest.mark.skipif(x, reason='y')\ndef f(): ...", True),
        ("@pytest.mark.xfail\ndef f(): ...", False),
    ],
)
def test_reasons_of_skips(snippet: str, right: bool) -> None:
    """A skip that does not say why is found."""
    assert bool(faults(house.reasons_of_skips, f"import pytest\n{snippet}")) is not right


# --- the README ---


def drawn(readme: str) -> list[str]:
    """Take the Mermaid diagrams out of a README."""
    return re.findall(r"```mermaid\n(.*?)\n```", readme, re.DOTALL)


def listed(readme: str) -> set[str]:
    """Take the commands out of a README's table: the first cells that begin with our name."""
    return set(re.findall(r"^\|\s*`looksalive (\w+)", readme, re.MULTILINE))


def is_current(readme: str) -> bool:
    """Whether the README draws the transitions as the table has them."""
    return diagram() in drawn(readme)


def test_readme_draws_the_transitions() -> None:
    """The README's state diagram is the one that the transition table draws."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert is_current(readme), f"README.md's state diagram is stale; it should be:\n```mermaid\n{diagram()}\n```"


def test_readme_lists_the_commands() -> None:
    """The README's table names every command and no other."""
    assert listed((ROOT / "README.md").read_text(encoding="utf-8")) == {command.name for command in COMMANDS}


@pytest.mark.parametrize("spoil", [lambda text: text, lambda text: text.replace("fail", "break", 1), lambda _: ""])
def test_stale_diagram(spoil: Callable[[str], str]) -> None:
    """One changed word in the diagram makes it stale."""
    spoilt = spoil(diagram())
    assert is_current(f"# X\n```mermaid\n{spoilt}\n```\n") is (spoilt == diagram())


def test_listed_commands() -> None:
    """Commands are read from the table's first cells only."""
    assert listed("| `looksalive run --store DIR` | serves |\n| x | `looksalive no` |\n`looksalive nor`") == {"run"}
