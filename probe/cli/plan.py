"""`looksalive plan`: what an event would lead to, step by step, with nothing done."""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_STORE
from probe.cli.errors import Refused
from probe.cli.output import Style, complain, print_json, safe
from probe.cli.session import Session, add_client_flags, run_session

if TYPE_CHECKING:
    from probe.lifecycle.foretell import PlanReport

PLAN_TIMEOUT_S = 60.0  # of 100,000 resources


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the event, where to ask, and the flags of every client."""
    parser.add_argument(
        "event",
        metavar="EVENT",
        help="fail (its check), kill (its process), a verb (online, offline, restart, terminate, upgrade), drain, "
        "node-down (where its groups would go); with --store also reload",
    )
    parser.add_argument(
        "target", nargs="?", default="", metavar="TARGET", help="GROUP/NAME, for a verb also GROUP; of reload: DIR"
    )
    parser.add_argument(
        "--store", metavar="DIR", help="ask no service: suppose this store, with everything of it online that may be"
    )
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Have it foreseen and tell it."""
    if arguments.store is not None:
        return _foresee(arguments)
    if arguments.event == "reload":
        parser.error("reload needs --store DIR, the store as it is now; the target is the edited one")
    return run_session(arguments, parser, _ask)


async def _ask(arguments: argparse.Namespace, session: Session) -> int:
    import msgspec

    from probe.lifecycle.foretell import PlanReport

    body = {"event": arguments.event, "target": arguments.target}
    try:
        answer: Any = await session.client.order("/api/v1/plan", body, PLAN_TIMEOUT_S)
    except Refused as error:
        if error.code != "cannot_happen":
            raise
        return _impossible(arguments, str(error))
    try:
        report = msgspec.convert(answer, PlanReport)
    except msgspec.ValidationError:
        complain("plan", "the answer is no plan; is that looksalive?")
        return EXIT_CANNOT_ASK
    return _tell(arguments, report)


def _foresee(arguments: argparse.Namespace) -> int:
    from bindings.errors import StoreError
    from probe.lifecycle.foresee import Unforeseeable
    from probe.runtime.supposing import plan_on_store

    folder = str(Path(arguments.store).expanduser())
    try:
        report = plan_on_store(folder, arguments.event, arguments.target)
    except StoreError as error:
        for problem in error.problems:
            print(safe(problem), file=sys.stderr)
        return EXIT_STORE
    except Unforeseeable as error:
        return _impossible(arguments, str(error))
    return _tell(arguments, report)


def _impossible(arguments: argparse.Namespace, why: str) -> int:
    if arguments.json:
        print_json({"error": {"code": "cannot_happen", "message": why}})
    complain("plan", why)
    return EXIT_FAILED


def _tell(arguments: argparse.Namespace, report: PlanReport) -> int:
    if arguments.json:
        import msgspec

        print_json(msgspec.to_builtins(report))
    else:
        _print(report, Style(sys.stdout))
    return EXIT_FAILED if report.refused else EXIT_OK


def _print(report: PlanReport, style: Style) -> None:
    """Print the waves as a numbered list, each line of one happening beside the others, then how it ends."""
    for wave, steps in groupby(report.steps, lambda step: step.wave):
        for place, step in enumerate(steps):
            number = f"{wave + 1:3}." if place == 0 else " " * 4
            at = f"+{step.at_s:g} s" if place == 0 and step.at_s else ""
            text = safe(step.text)
            colour = "red" if step.kind == "state" and " fails" in text else "dim" if step.kind == "suppose" else ""
            print(f"{number} {at:8} {style.paint(colour, text)}")
    if report.refused:
        print(f"refused: {safe(report.refused)}")
        return
    changed = [fate for fate in report.fates if fate.before != fate.after]
    alerts = [f"{alert.id} ({alert.reason})" + _because(alert.blamed) for alert in report.alerts]
    print(f"alerts: {safe('; '.join(alerts)) if alerts else 'none'}")
    for fate in changed:
        why = f": {safe(fate.why)}" if fate.why else ""
        print(
            f"in the end {safe(fate.id)} is {safe(fate.after or 'gone')} (was {safe(fate.before or 'not there')}){why}"
        )
    if not changed:
        print("in the end everything is as it was")
    if report.ended:
        print(f"note: {safe(report.ended)}")


def _because(blamed: tuple[str, ...]) -> str:
    return f", and {len(blamed)} down because of it: {', '.join(blamed)}" if blamed else ""
