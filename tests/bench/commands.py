"""Every benchmark as a subcommand with options of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import asked, crowd, history, kernel, large, probes, scrape, step, sweep, truth
from tests.bench.ground import GroundError
from tests.bench.network import enter_own_network
from tests.bench.peers import rounds as peers
from tests.e2e.waiting import TooLateError

BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "bench"
EXIT_NO_GROUND = 2

Add = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], Iterator[str]]


@dataclass(frozen=True)
class Benchmark:
    """One subcommand: what it says of itself, its options, and how it is run; what it yields is printed."""

    name: str
    about: str
    example: str
    add: Add
    run: Run
    own_network: bool = False  # where that is possible


def main(words: Sequence[str]) -> int:
    """Run the named benchmark and print its table. Returns 0, or 2 when there is nothing to measure on."""
    chosen = parser().parse_args(words)
    if chosen.own_network:
        enter_own_network(words)
    try:
        for text in chosen.run(chosen):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    except (GroundError, TooLateError) as error:
        sys.stderr.write(f"tests.bench: {error}\n")
        return EXIT_NO_GROUND
    return 0


def parser() -> argparse.ArgumentParser:
    """Make the parser with a subcommand a benchmark."""
    made = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure looksalive. Exit status: 0, or 2 when something to measure on is missing.",
    )
    several = made.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    for each in BENCHMARKS:
        one = several.add_parser(
            each.name,
            help=each.about,
            description=each.about,
            epilog=f"example: python -m tests.bench {each.name} {each.example}".rstrip(),
        )
        each.add(one)
        one.set_defaults(run=each.run, own_network=each.own_network)
    return made


def note(text: str) -> None:
    """Tell how far it has come, beside the table."""
    sys.stderr.write(text + "\n")


def sources(one: argparse.ArgumentParser) -> None:
    """Add where the cheap server and the floor are."""
    one.add_argument("--bench-src", type=Path, default=BESIDE_THE_PROJECT, help="folder with bsrv.c and cprobe.c")


def numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them. Raises ValueError."""
    return tuple(int(word) for word in text.split(","))


def _no_options(one: argparse.ArgumentParser) -> None:
    pass


def _add_probes(one: argparse.ArgumentParser) -> None:
    sources(one)
    one.add_argument("--bindings", type=int, default=probes.Plan.bindings)
    one.add_argument("--period", type=float, default=probes.Plan.period_s, metavar="S")
    one.add_argument("--seconds", type=float, default=probes.Plan.seconds, help="length of each window", metavar="S")
    one.add_argument("--rounds", type=int, default=probes.Plan.rounds)
    one.add_argument("--rude", action="store_true", help="close without QUIT, as the floor does")


def _probes(chosen: argparse.Namespace) -> Iterator[str]:
    plan = probes.Plan(chosen.bindings, chosen.period, chosen.seconds, chosen.rounds, polite=not chosen.rude)
    yield probes.table(plan, probes.measure(plan, chosen.bench_src))


def _add_kernel(one: argparse.ArgumentParser) -> None:
    one.add_argument("--kills", type=int, default=kernel.KernelPlan.kills, help="listeners of our own to kill")
    one.add_argument("--kernel-rounds", type=int, default=kernel.KernelPlan.rounds, help="kills of each real server")


def _kernel(chosen: argparse.Namespace) -> Iterator[str]:
    plan = kernel.KernelPlan(kills=chosen.kills, rounds=chosen.kernel_rounds, real=chosen.kernel_rounds > 0)
    yield kernel.HEADING
    yield from map(kernel.line_of, kernel.measure_deaths(plan))


def _step(chosen: argparse.Namespace) -> Iterator[str]:
    yield step.table(step.measure())


def _history(chosen: argparse.Namespace) -> Iterator[str]:
    yield history.table(history.measure())


def _add_truth(one: argparse.ArgumentParser) -> None:
    one.add_argument("--probes", type=int, default=100_000, help="how many are made in all")


def _truth(chosen: argparse.Namespace) -> Iterator[str]:
    yield truth.table(truth.measure(chosen.probes))


def _add_crowd(one: argparse.ArgumentParser) -> None:
    plan = crowd.CrowdPlan
    one.add_argument("--streams", type=int, default=plan.streams, help="readers of the stream")
    one.add_argument("--slow", type=int, default=plan.slow, help="clients with slow headers")
    one.add_argument("--requests", type=int, default=plan.requests, help="asked of /isalive a second", metavar="N")
    one.add_argument("--targets", type=int, default=plan.targets, help="resources that are probed", metavar="N")
    one.add_argument("--period", type=float, default=plan.period_s, help="of each of them", metavar="S")
    one.add_argument("--seconds", type=float, default=plan.seconds, help="length of each window", metavar="S")


def _crowd(chosen: argparse.Namespace) -> Iterator[str]:
    plan = crowd.CrowdPlan(chosen.targets, chosen.period, chosen.streams, chosen.slow, chosen.requests, chosen.seconds)
    yield crowd.table(plan, crowd.measure(plan))


def _add_peers(one: argparse.ArgumentParser) -> None:
    sources(one)
    plan = peers.PeersPlan
    one.add_argument("--targets", type=int, default=plan.targets)
    one.add_argument("--rate", type=float, default=plan.rate, help="probes a second", metavar="N")
    one.add_argument("--seconds", type=float, default=plan.seconds, help="length of each window", metavar="S")
    one.add_argument("--rounds", type=int, default=plan.rounds)
    one.add_argument("--only", choices=sorted(peers.PROTOCOL), help="one way of asking instead of both")
    one.add_argument("--without", action="append", default=[], help="leave out, by the beginning of a name: monit")


def _peers(chosen: argparse.Namespace) -> Iterator[str]:
    without = tuple(chosen.without)
    plan = peers.PeersPlan(chosen.targets, chosen.rate, chosen.seconds, chosen.rounds, chosen.only, without)
    yield peers.table(plan, peers.measure(plan, chosen.bench_src, note))


def _add_sweep(one: argparse.ArgumentParser) -> None:
    sources(one)
    plan = sweep.SweepPlan
    one.add_argument("--sizes", type=numbers, default=plan.sizes, help="resources: 1000,10000", metavar="N,...")
    one.add_argument("--period", type=float, default=plan.period_s, metavar="S")
    one.add_argument("--seconds", type=float, default=plan.seconds, help="length of each window", metavar="S")
    one.add_argument("--groups", type=int, help="(one for each hundred resources; 0: all in `default`)")
    one.add_argument("--polite", action="store_true", help="take leave with QUIT, which the floor does not")
    one.add_argument("--option", action="append", default=[], help="of `run`, any number: --option=--history=off")


def _sweep(chosen: argparse.Namespace) -> Iterator[str]:
    options = tuple(chosen.option)
    plan = sweep.SweepPlan(chosen.sizes, chosen.period, chosen.seconds, chosen.groups, chosen.polite, options)
    yield sweep.table(plan, *sweep.measure(plan, chosen.bench_src, note))


def _add_scrape(one: argparse.ArgumentParser) -> None:
    sources(one)
    plan = scrape.ScrapePlan
    one.add_argument("--sizes", type=numbers, default=plan.sizes, help="resources: 10000,100000", metavar="N,...")
    one.add_argument("--period", type=float, default=plan.period_s, metavar="S")
    one.add_argument("--reads", type=int, default=plan.reads, help="of each page, twice")


def _scrape(chosen: argparse.Namespace) -> Iterator[str]:
    plan = scrape.ScrapePlan(chosen.sizes, chosen.period, chosen.reads)
    yield scrape.table(*scrape.measure(plan, chosen.bench_src, note))


def _add_asked(one: argparse.ArgumentParser) -> None:
    sources(one)
    plan = asked.AskedPlan
    one.add_argument("--rate", type=float, default=plan.rate, help="/isalive a second", metavar="N")
    one.add_argument("--resources", type=int, default=plan.resources)
    one.add_argument("--period", type=float, default=plan.period_s, metavar="S")
    one.add_argument("--seconds", type=float, default=plan.seconds, help="length of each window", metavar="S")
    one.add_argument("--rounds", type=int, default=plan.rounds)


def _asked(chosen: argparse.Namespace) -> Iterator[str]:
    plan = asked.AskedPlan(chosen.rate, chosen.resources, chosen.period, chosen.seconds, chosen.rounds)
    yield asked.table(plan, asked.measure(plan, chosen.bench_src))


def _add_large(one: argparse.ArgumentParser) -> None:
    sources(one)
    plan = large.LargePlan
    one.add_argument("--bindings", type=int, default=plan.bindings)
    one.add_argument("--period", type=float, default=plan.period_s, metavar="S")
    one.add_argument("--groups", type=int, default=plan.groups, help="and once more with everything in one")
    one.add_argument("--reloads", type=int, default=plan.reloads)


def _large(chosen: argparse.Namespace) -> Iterator[str]:
    plan = large.LargePlan(chosen.bindings, chosen.period, chosen.groups, chosen.reloads)
    yield large.table(plan, large.measure(plan, chosen.bench_src, note))


BENCHMARKS = (
    Benchmark("peers", "CPU per probe of everybody who checks, at one pace", "--rounds 3", _add_peers, _peers, True),
    Benchmark("sweep", "cost, lag and memory as the work grows", "--sizes 1000,10000", _add_sweep, _sweep, True),
    Benchmark("scrape", "what reading everything costs and stalls", "--sizes 10000", _add_scrape, _scrape, True),
    Benchmark("asked", "the probes' lag beside many /isalive", "--rate 2000", _add_asked, _asked, True),
    Benchmark("large", "start and reload of a large store", "--bindings 10000", _add_large, _large, True),
    Benchmark("probes", "CPU per probe beside the floor, and the loop's lag", "--rude", _add_probes, _probes),
    Benchmark("kernel", "from a listener's death to the published failure", "--kills 100", _add_kernel, _kernel),
    Benchmark("step", "a decision in a small world and in a large one", "", _no_options, _step),
    Benchmark("truth", "false failures while the prober is in trouble", "--probes 20000", _add_truth, _truth),
    Benchmark("history", "what the journal costs", "", _no_options, _history),
    Benchmark("crowd", "streams and slow clients beside the probes", "--streams 1000", _add_crowd, _crowd),
)
