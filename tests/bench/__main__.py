"""The benchmarks' command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.bench import crowd, history, step, truth
from tests.bench.ground import GroundError
from tests.bench.kernel import HEADING, KernelPlan, line_of, measure_deaths
from tests.bench.probes import Plan, measure, table

BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "bench"
EXIT_NO_GROUND = 2


def main() -> int:
    """Run the named benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("benchmark", choices=["probes", "kernel", "step", "truth", "history", "crowd"])
    parser.add_argument("--bench-src", type=Path, default=BESIDE_THE_PROJECT, help="folder with bsrv.c and cprobe.c")
    parser.add_argument("--bindings", type=int, default=Plan.bindings)
    parser.add_argument("--period", type=float, default=Plan.period_s, metavar="S")
    parser.add_argument("--seconds", type=float, default=Plan.seconds, help="length of each window", metavar="S")
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--rude", action="store_true", help="close without QUIT, as the floor does")
    parser.add_argument("--kills", type=int, default=KernelPlan.kills, help="kernel: listeners to kill")
    parser.add_argument(
        "--kernel-rounds", type=int, default=KernelPlan.rounds, help="kernel: kills of each real server"
    )
    parser.add_argument("--probes", type=int, default=100_000, help="how many `truth` makes in all")
    parser.add_argument("--streams", type=int, default=crowd.CrowdPlan.streams, help="crowd: readers of the stream")
    parser.add_argument("--slow", type=int, default=crowd.CrowdPlan.slow, help="crowd: clients with slow headers")
    asked = parser.parse_args()
    if asked.benchmark == "step":
        sys.stdout.write(step.table(step.measure()) + "\n")
        return 0
    if asked.benchmark == "history":
        sys.stdout.write(history.table(history.measure()) + "\n")
        return 0
    if asked.benchmark == "crowd":
        crowded = crowd.CrowdPlan(streams=asked.streams, slow=asked.slow, seconds=asked.seconds)
        sys.stdout.write(crowd.table(crowded, crowd.measure(crowded)) + "\n")
        return 0
    if asked.benchmark == "truth":
        sys.stdout.write(truth.table(truth.measure(asked.probes)) + "\n")
        return 0
    if asked.benchmark == "kernel":
        return kernel(KernelPlan(kills=asked.kills, rounds=asked.kernel_rounds, real=asked.kernel_rounds > 0))
    plan = Plan(asked.bindings, asked.period, asked.seconds, asked.rounds, polite=not asked.rude)
    try:
        rounds = measure(plan, asked.bench_src)
    except GroundError as error:
        sys.stderr.write(f"tests.bench: {error}\n")
        return EXIT_NO_GROUND
    sys.stdout.write(table(plan, rounds) + "\n")
    return 0


def kernel(plan: KernelPlan) -> int:
    """Print each figure of the kernel's benchmark as it is measured."""
    sys.stdout.write(HEADING + "\n")
    for deaths in measure_deaths(plan):
        sys.stdout.write(line_of(deaths) + "\n")
        sys.stdout.flush()
    return 0


sys.exit(main())
