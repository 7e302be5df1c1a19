"""The race works, in miniature; its figures are for people."""

from __future__ import annotations

import contextlib
import io
import subprocess
import time
from pathlib import Path

import pytest

from tests.bench.commands import BENCHMARKS, parser
from tests.bench.ground import GroundError, Window, cpu_s
from tests.bench.peers.course import program_of
from tests.bench.peers.rounds import CONTENDERS, PeersPlan, measure, table
from tests.e2e.command import PROJECT
from tests.e2e.programs import need

GROUND = PROJECT.parent / "shared" / "bench"
SMALL = PeersPlan(targets=20, rate=20.0, seconds=2.0, rounds=1)
PROGRAMS = (
    ("haproxy", "haproxy"),
    ("monit", "monit"),
    ("prometheus", "prometheus"),
    ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter"),
)


def race(windows: dict[str, float]) -> str:
    """Draw the table of one round from µs a probe."""
    others = {one.name: 100.0 for one in CONTENDERS}
    return table(PeersPlan(rounds=1), [{name: Window(1000, 1.0, us / 1000) for name, us in (others | windows).items()}])


def test_ratios_are_within_a_round() -> None:
    """Ours at 50 µs beside a floor of 25 and an HAProxy of 60 costs 2 floors, and HAProxy 1.2 of ours."""
    shown = race({"looksalive banner": 50.0, "C floor banner": 25.0, "HAProxy tcp-check expect": 60.0})
    assert "| looksalive banner | 1000 | 50.0 (50.0-50.0) | 2.00 (2.00-2.00) | 1.00 (1.00-1.00) |" in shown
    assert "| HAProxy tcp-check expect | 1000 | 60.0 (60.0-60.0) | 2.40 (2.40-2.40) | 1.20 (1.20-1.20) |" in shown


def test_a_bar_is_said_to_hold_or_not() -> None:
    """At 50 µs ours is below HAProxy's 60; at 70 it is not."""
    assert "expect: 0.83 (0.83-0.83), at most 1: holds" in race(
        {"looksalive banner": 50.0, "HAProxy tcp-check expect": 60.0}
    )
    assert "expect: 1.17 (1.17-1.17), at most 1: DOES NOT HOLD" in race(
        {"looksalive banner": 70.0, "HAProxy tcp-check expect": 60.0}
    )


def test_who_is_left_out_takes_no_part() -> None:
    """`--only get --without prometheus` leaves the floor, ours and HAProxy."""
    left = [one.name for one in PeersPlan(only="get", without=("prometheus",)).contenders()]
    assert left == ["C floor GET", "looksalive GET", "HAProxy httpchk"]


def test_an_absent_program_is_named_with_its_package() -> None:
    """What is not installed ends the run with the package to install."""
    with pytest.raises(GroundError, match="apt-get install some-package"):
        program_of("no-such-program", "some-package")


def test_cpu_of_ended_children_counts(tmp_path: Path) -> None:
    """A child's CPU is in its parent's while it runs and after it was reaped."""
    program = tmp_path / "parent.sh"
    program.write_text("#!/bin/sh\n(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done)\necho done; read x\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        own = time.clock_gettime((~parent.pid << 3) | 2)
        assert cpu_s(parent.pid) >= own + 0.02
        parent.communicate(b"\n")


def test_every_benchmark_has_help_with_an_example() -> None:
    """Each subcommand's help names itself in an example."""
    for each in BENCHMARKS:
        assert each.name in parser().format_help()
        assert f"python -m tests.bench {each.name}" in help_of(each.name)


def help_of(name: str) -> str:
    """Return the help of a subcommand."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as ended:
        parser().parse_args([name, "--help"])
    assert ended.value.code == 0
    return out.getvalue()


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_race_measures_everybody() -> None:
    """At 20 probes/s for two seconds everybody is found at work, and costs something."""
    for program, package in PROGRAMS:
        need(program, package)
    (only,) = measure(SMALL, GROUND, lambda _: None)
    assert set(only) == {one.name for one in CONTENDERS}
    assert all(window.us_per_probe > 1 for window in only.values()), only
    rates = {name: round(window.rate) for name, window in only.items()}
    assert all(rates.values()), rates
