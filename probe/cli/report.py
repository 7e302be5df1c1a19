"""`looksalive report`: how available each resource was, from what a service recorded."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_OK
from probe.cli.output import Style, complain, duration_text, plural, print_json, safe
from probe.cli.session import Session, add_client_flags, add_colour_flag, parse_since, parse_target, run_session

if TYPE_CHECKING:
    from probe.history.availability import AvailabilityReport

DEFAULT_SINCE = "30d"
HISTORY_FILE = "history.sqlite3"
ANSWER_TIMEOUT_S = 120.0  # of a month with many edges
GOOD_UPTIME = 0.999
HEADINGS = ("resource", "uptime", "incidents", "down", "mttr", "longest", "planned", "unknown", "now")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the time, where to look, and the flags of every client."""
    parser.add_argument(
        "target", nargs="?", type=parse_target, metavar="GROUP[/NAME]", help="only this group or resource"
    )
    parser.add_argument(
        "--since", type=parse_since, default=DEFAULT_SINCE, metavar="TIME", help="30d, 12h, a date (30d)"
    )
    parser.add_argument(
        "--state-dir", metavar="DIR", help="ask no service: read the history in the state folder of one that has ended"
    )
    add_colour_flag(parser)
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Have it worked out and tell it."""
    if arguments.state_dir is None:
        return run_session(arguments, parser, _ask)
    if arguments.url:
        parser.error("--url asks a service, --state-dir reads a folder; pass one of them")
    return _read(arguments)


async def _ask(arguments: argparse.Namespace, session: Session) -> int:
    import msgspec

    from probe.history.availability import AvailabilityReport

    answer = await session.client.ask("/api/v1/report", {"since": f"{arguments.since:.3f}"}, ANSWER_TIMEOUT_S)
    try:
        return _tell(arguments, msgspec.convert(answer, AvailabilityReport))
    except msgspec.ValidationError:
        complain("report", "the answer is no report; is that looksalive?")
        return EXIT_CANNOT_ASK


def _read(arguments: argparse.Namespace) -> int:
    from probe.environment.clock import LoopClock
    from probe.history.reckoning import read_availability
    from probe.history.recording import Unusable

    path = str(Path(arguments.state_dir).expanduser() / HISTORY_FILE)
    try:
        report = read_availability(path, arguments.since, LoopClock.wall(), running=False)
    except FileNotFoundError:
        complain("report", f"there is no {path}; pass the --state-dir that looksalive run was given")
        return EXIT_CANNOT_ASK
    except Unusable as problem:
        complain("report", f"{path}: {problem}")
        return EXIT_CANNOT_ASK
    return _tell(arguments, report)


def _tell(arguments: argparse.Namespace, report: AvailabilityReport) -> int:
    from probe.history.availability import Availability

    target = arguments.target or ""
    wanted = [one for one in report.resources if not target or target in (one.id, one.id.partition("/")[0])]
    if target and not wanted:
        complain("report", f"nothing is recorded about {target}; looksalive report lists what is")
        return EXIT_CANNOT_ASK
    if arguments.json:
        names = Availability.__slots__
        rows: list[dict[str, Any]] = [{name: getattr(one, name) for name in names} for one in wanted]
        print_json({"since": report.since, "until": report.until, "resources": rows})
        return EXIT_OK
    style = Style(sys.stdout, colour=arguments.color)
    for line in _table(report, wanted, style):
        print(line)
    return EXIT_OK


def _table(report: AvailabilityReport, wanted: list[Any], style: Style) -> Iterator[str]:
    begun, ended = (datetime.fromtimestamp(at).astimezone() for at in (report.since, report.until))
    yield f"{begun:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M}, {plural(len(wanted), 'resource')}"
    rows = [HEADINGS, *map(_row, wanted)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for at, row in enumerate(rows):
        cells = [
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        if not at:
            line = style.paint("dim", line)
        elif (uptime := wanted[at - 1].uptime) is not None and uptime < GOOD_UPTIME:
            line = style.paint("red" if wanted[at - 1].now == "down" else "yellow", line)
        yield line


def _row(one: Any) -> tuple[str, ...]:
    return (
        safe(one.id),
        "-" if one.uptime is None else _percent(one.uptime),
        str(one.incidents),
        _seconds(one.down_s),
        _seconds(one.mttr_s),
        _seconds(one.longest_s),
        _seconds(one.planned_s),
        _seconds(one.unknown_s),
        safe(one.now),
    )


def _percent(uptime: float) -> str:
    """Never round up to a whole hundred what is less."""
    return "100 %" if uptime == 1 else f"{min(uptime * 100, 99.9999):.4f}".rstrip("0").rstrip(".") + " %"


def _seconds(seconds: float | None) -> str:
    return "-" if not seconds else duration_text(seconds)
