"""The example of an Alertmanager's route: by amtool, alert by alert."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.e2e.programs import need
from tests.house import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
ROUTE = FOLDER / "alertmanager.yml"
ALERTS = re.findall(r"alert: (\w+)(?:.*\n)*?.*severity: (\w+)", (FOLDER / "looksalive.rules.yml").read_text())


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask amtool."""
    command = [need("amtool", "prometheus-alertmanager"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_example_is_a_configuration() -> None:
    """`amtool check-config` takes it."""
    done = amtool("check-config", str(ROUTE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("alert", "severity"), [*ALERTS, ("SomethingElse", "critical")])
def test_who_is_told(alert: str, severity: str) -> None:
    """Every critical alert of ours pages, every warning goes to the team, and others' alerts are none of its matter."""
    done = amtool("config", "routes", "test", f"--config.file={ROUTE}", f"alertname={alert}", f"severity={severity}")
    told = {"critical": "mail-pager", "warning": "mail-team"}[severity] if alert.startswith("Looksalive") else "nobody"
    assert done.stdout.strip() == told, done.stderr


def test_every_alert_is_routed() -> None:
    """The list of alerts above is that of the rules."""
    assert len(ALERTS) == (FOLDER / "looksalive.rules.yml").read_text().count("- alert:")
