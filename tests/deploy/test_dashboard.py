"""The Grafana dashboard: every query is one that Prometheus takes, about what /metrics really has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from probe.values import State
from tests.e2e.programs import need
from tests.house import ROOT
from tests.metrics.test_exposition import a_report, busy, text_of

FILE = ROOT / "deploy" / "grafana" / "looksalive.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m"}
OF_THE_SCRAPE = {"job", "instance"}
OF_OTHERS = {"ALERTS"}  # Prometheus's own

SELECTOR = re.compile(r"\b([a-zA-Z_]\w*)\{([^}]*)\}|\b(looksalive_\w+)\b")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def queries() -> dict[str, str]:
    """List every query: the panels' by title and letter, the variables' by name, the annotations'."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }
    found |= {f"annotation {each['name']}": each["expr"] for each in DASHBOARD["annotations"]["list"]}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            assert match is not None
            found[f"variable {variable['name']}"] = f"group by ({match[2]}) ({match[1]})"
    return found


def plain(query: str) -> str:
    """Put values in the place of Grafana's variables."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return re.sub(r"\$\w+", "x", query)


def exposed() -> dict[str, set[str]]:
    """Return what a page with something in every series has: each sample's name and its labels."""
    reports = [a_report()]
    page = text_of(busy(), *reports)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    found.setdefault("looksalive_root_cause", {"group", "resource", "cause"})  # of a resource that is down
    return found


def mistakes(query: str) -> Iterator[str]:
    """Find names that the page does not have, and labels that they do not have there."""
    page = exposed()
    for name, matchers, bare in SELECTOR.findall(query):
        if name in OF_OTHERS:
            continue
        labels = page.get(name or bare)
        if labels is None:
            yield f"there is no {name or bare}"
            continue
        yield from (
            f"{name} has no label {each}" for each in MATCHER.findall(matchers) if each not in labels | OF_THE_SCRAPE
        )


@pytest.mark.parametrize("where", queries())
def test_a_query_is_about_what_there_is(where: str) -> None:
    """Names, labels and states of each query are those of the metrics page."""
    query = queries()[where]
    assert list(mistakes(query)) == []
    assert {state for state in re.findall(r'state="([^"]*)"', query) if state != "firing"} <= set(State)


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ('sum(looksalive_resource_status{group="x"})', "there is no looksalive_resource_status"),
        ("rate(looksalive_probe_lag_seconds[5m])", "there is no looksalive_probe_lag_seconds"),
        ('looksalive_resource_alive{node="x"}', "looksalive_resource_alive has no label node"),
    ],
)
def test_a_mistake_is_found(query: str, mistake: str) -> None:
    """A name that is not on the page is found, a histogram without its suffix too, and a label that it lacks."""
    assert list(mistakes(query)) == [mistake]


def check_rules(expressions: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Have promtool parse expressions, as recording rules."""
    rules = [{"record": f"a:query:{number}", "expr": each} for number, each in enumerate(expressions)]
    file = folder / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [need("promtool", "prometheus"), "check", "rules", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_prometheus_takes_every_query(tmp_path: Path) -> None:
    """promtool parses all of them; a bracket too few it does not."""
    expressions = [plain(query) for query in queries().values()]
    assert len(expressions) > 20
    done = check_rules(expressions, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert check_rules([*expressions, "sum(up"], tmp_path).returncode != 0


def test_panels_lie_beside_each_other() -> None:
    """Ids are unique, and no two panels cover the same place."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_it_shows_what_it_is_for() -> None:
    """There is a timeline of states, a heartbeat, the latency of stages, and the root causes."""
    shown = {(panel["type"], panel["title"]) for panel in DASHBOARD["panels"]}
    assert {
        ("state-timeline", "State of each resource"),
        ("status-history", "Heartbeat"),
        ("table", "Root causes now"),
        ("timeseries", "Stage latency, 99th percentile"),
    } <= shown


def test_every_state_has_a_colour() -> None:
    """The timeline's number of each state is the one that its colour is for."""
    (panel,) = (each for each in DASHBOARD["panels"] if each["type"] == "state-timeline")
    numbers = {
        state: int(number)
        for number, state in re.findall(r'(\d) \* sum[^{]*\{[^}]*state="([^"]+)"', panel["targets"][0]["expr"])
    }
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert {each["text"]: int(number) for number, each in mapping["options"].items()} == numbers | {"offline": 0}
    assert set(numbers) | {"offline"} == set(State)
