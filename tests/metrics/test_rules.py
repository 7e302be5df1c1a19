"""The alert rules of `deploy/prometheus/`: what promtool says of them, and that they speak of metrics that exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.metrics import METRICS
from tests.e2e.programs import need
from tests.house import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = FOLDER / "looksalive.rules.yml"
RULES_TEST = FOLDER / "looksalive.rules.test.yml"
OF_THE_SCRAPE = {"job", "instance"}  # the labels that Prometheus adds
LABELS = {metric.full_name: set(metric.labels) for metric in METRICS}

SELECTOR = re.compile(r"\b(looksalive_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SHOWN = re.compile(r"\$labels\.(\w+)")


def mistakes(text: str) -> Iterator[str]:
    """Find metrics that are not in the table, and labels that no metric named in the text has."""
    known = set(OF_THE_SCRAPE)
    for name, matchers in SELECTOR.findall(text):
        labels = LABELS.get(name)
        if labels is None:
            yield f"there is no metric {name}"
            continue
        known |= labels
        yield from (
            f"{name} has no label {label}" for label in MATCHER.findall(matchers) if label not in labels | OF_THE_SCRAPE
        )
    for grouped in GROUPING.findall(text):
        yield from (f"no metric here has {label}" for label in re.findall(r"\w+", grouped) if label not in known)
    yield from (f"no metric here has {label}" for label in SHOWN.findall(text) if label not in known)


def one_by_one(text: str) -> list[str]:
    """Cut the file into its alerts."""
    return text.split("- alert: ")[1:]


def test_the_rules_speak_of_what_exists() -> None:
    """Every metric and label in the rules, and in the series of their test, is in the table of metrics."""
    alerts = one_by_one(RULES.read_text())
    assert len(alerts) == 14
    assert [mistake for alert in alerts for mistake in mistakes(alert)] == []
    assert list(mistakes(RULES_TEST.read_text())) == []


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("looksalive_resource_status == 1", "there is no metric looksalive_resource_status"),
        ('looksalive_resource_state{status="x"}', "looksalive_resource_state has no label status"),
        ("sum by (node) (looksalive_resource_alive)", "no metric here has node"),
        ("looksalive_draining {{ $labels.resource }}", "no metric here has resource"),
    ],
)
def test_a_mistake_is_found(text: str, mistake: str) -> None:
    """A metric or a label that does not exist is found wherever it stands."""
    assert list(mistakes(text)) == [mistake]


def promtool_test(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run promtool's unit tests of the rules in a folder."""
    command = [need("promtool", "prometheus"), "test", "rules", str(folder / RULES_TEST.name)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_promtool_runs_their_unit_tests() -> None:
    """`promtool test rules`: when each alert fires, for whom, with which words; and when it does not."""
    done = promtool_test(FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


def without_the_long_one() -> str:
    """Leave out the unit test of the alert that waits for eight hours: it takes longer than all others together."""
    head, *tests = RULES_TEST.read_text().split("\n  - name: ")
    kept = [each for each in tests if "LooksaliveMaintenanceForgotten" not in each]
    assert len(kept) == len(tests) - 1
    return "\n  - name: ".join([head, *kept])


@pytest.mark.parametrize(
    ("line", "planted"),
    [
        ("      unless on (job, instance, group, resource) looksalive_root_cause\n", ""),
        ("for: 1m", "for: 0s"),
        ("looksalive_resource_state{state", "0 * looksalive_resource_state{state"),
        ("              unless on (job, instance) looksalive_draining == 1\n", ""),
        (
            "              unless on (job, instance, group) looksalive_group_maintenance == 1\n          )",
            "          )",
        ),
        (
            "            unless on (job, instance, group) looksalive_group_maintenance == 1\n        labels",
            "        labels",
        ),
        (" and on (job, instance) last_over_time(looksalive_build_info[1h])", ""),
        (" and looksalive_storage_groups_max > 0", ""),
        (" or looksalive_directory_pending == 1", ""),
        (" or increase(looksalive_history_dropped_total[10m]) > 0", ""),
        ("            unless on (job, instance) increase(looksalive_webhook_sent_total[10m]) > 0\n", ""),
        ("for: 8h", "for: 1h"),
        ("> 4\n", "> 1\n"),
        ("14 * 86400", "400 * 86400"),
        ("> 0.1\n", "> 0.01\n"),
    ],
)
def test_the_unit_tests_find_a_changed_rule(line: str, planted: str, tmp_path: Path) -> None:
    """Each condition of the rules is held by a unit test: without it promtool complains."""
    text = RULES.read_text()
    assert line in text
    (tmp_path / RULES.name).write_text(text.replace(line, planted, 1))
    (tmp_path / RULES_TEST.name).write_text(without_the_long_one() if "8h" not in line else RULES_TEST.read_text())
    assert promtool_test(tmp_path).returncode != 0
