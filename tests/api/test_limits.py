"""The limits that SECURITY.md promises are those of the code."""

from __future__ import annotations

import re
from dataclasses import asdict

from probe.api.limits import BODY_BYTES_MAX, CLIENTS, Limits
from probe.api.routes import ROUTES
from probe.api.tokens import Role
from probe.cli.outside import CLIENTS_MAX, CONNECTIONS_PER_ADDRESS
from probe.lifecycle.events import Verb
from tests.house import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_the_table_is_the_code() -> None:
    """Every limit stands in the table with its default, and nothing else does."""
    section = PAGE.partition("## Limits")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`[^|]*\| +([\d.]+) +\|", section, re.MULTILINE)
    assert {name: float(value) for name, value in rows} == {
        name: float(value) for name, value in asdict(Limits()).items()
    }
    assert f"| body | {BODY_BYTES_MAX} bytes |" in section


def test_the_command_line_says_the_same() -> None:
    """What --help gives as defaults are the limits' own."""
    assert (CLIENTS_MAX, CONNECTIONS_PER_ADDRESS) == (CLIENTS, Limits().per_address) == (Limits().connections, 32)


def test_the_page_names_every_verb() -> None:
    """Every verb that an operator's token allows is named, and every essential route."""
    verbs = {route.path.rpartition("/")[2] for route in ROUTES if route.role is Role.OPERATOR}
    assert verbs >= set(map(str, Verb))
    row = next(line for line in PAGE.splitlines() if "the role `operator`" in line)
    assert verbs == set(re.findall(r"[a-z]+", row.partition("`")[2].partition("`")[0]))
    essential = {"/" + route.path.split("/")[1] for route in ROUTES if route.essential}
    reserve = next(line for line in PAGE.splitlines() if line.startswith("| `reserve`"))
    assert essential == set(re.findall(r"/[a-z]+", reserve))
