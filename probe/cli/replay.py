"""`looksalive replay`: step the recorded decisions again, and say whether today's core decides the same."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE
from probe.cli.output import complain, plural, print_json, safe
from probe.version import __version__

if TYPE_CHECKING:
    from probe.history.replay import Difference, Outcome

LINES_MAX = 20  # of each side of a difference
CHARS_MAX = 500  # of a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and which part of it."""
    parser.add_argument("file", metavar="FILE", help="history.sqlite3 of a state folder, or a copy (with its -wal)")
    parser.add_argument("--from", dest="first", type=_seq, metavar="SEQ", help="count only from that decision on")
    parser.add_argument("--to", dest="last", type=_seq, metavar="SEQ", help="end with that decision")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _seq(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 15):
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a decision")
    return int(text)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Replay and tell."""
    from probe.history.recording import Recording, Unusable
    from probe.history.replay import replay

    del parser
    try:
        with Recording(arguments.file) as recording:
            versions = recording.versions()
            outcome = replay(recording, arguments.first, arguments.last)
    except FileNotFoundError:
        return _unusable(arguments, "there is no such file; it is history.sqlite3 in the service's state folder")
    except Unusable as error:
        return _unusable(arguments, str(error))
    if arguments.json:
        print_json(_as_object(outcome, versions))
    else:
        _print(arguments.file, outcome, versions)
    if outcome.difference is not None:
        return EXIT_FAILED
    return EXIT_UNUSABLE if outcome.gaps or outcome.passed_over else EXIT_OK


def _unusable(arguments: argparse.Namespace, why: str) -> int:
    if arguments.json:
        print_json({"error": {"code": "unusable", "message": f"{arguments.file}: {why}"}})
    complain("replay", f"{arguments.file}: {why}")
    return EXIT_UNUSABLE


def _print(file: str, outcome: Outcome, versions: dict[int, str]) -> None:
    others = sorted({version for version in versions.values() if version != __version__})
    if others:
        print(f"recorded by looksalive {safe(', '.join(others))}, replayed by {__version__}")
    for gap in outcome.gaps:
        print(f"looksalive replay: {safe(file)}: behind decision {gap.seq} {safe(gap.gap)}", file=sys.stderr)
    if outcome.passed_over:
        count = plural(outcome.passed_over, "decision")
        print(f"looksalive replay: {safe(file)}: {count} behind a gap could not be replayed", file=sys.stderr)
    span = "" if outcome.first is None else f" ({outcome.first} to {outcome.last})"
    same = ", the same" if outcome.difference is None else " the same, then a difference"
    print(f"{plural(outcome.replayed, 'decision')} replayed{span}{same}")
    if outcome.difference is not None:
        _print_difference(outcome.difference)


def _print_difference(difference: Difference) -> None:
    at = _moment(difference.time)
    print(f"decision {difference.seq} of {at}: its {difference.what} differ")
    print(f"  event     {safe(difference.event)[:CHARS_MAX]}")
    for name, lines in (("before", difference.before), ("recorded", difference.recorded), ("now", difference.now)):
        for line in lines[:LINES_MAX] or ("nothing",):
            print(f"  {name:9} {safe(line)[:CHARS_MAX]}")
        if len(lines) > LINES_MAX:
            print(f"  {name:9} and {len(lines) - LINES_MAX} more")


def _moment(time: float) -> str:
    try:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return "an impossible time"


def _as_object(outcome: Outcome, versions: dict[int, str]) -> dict[str, Any]:
    import msgspec

    difference = outcome.difference
    return {
        "same": difference is None,
        "replayed": outcome.replayed,
        "from": outcome.first,
        "to": outcome.last,
        "passed_over": outcome.passed_over,
        "gaps": [{"seq": gap.seq, "run": gap.run, "time": gap.time, "why": gap.gap} for gap in outcome.gaps],
        "versions": {str(run): version for run, version in versions.items()},
        "version": __version__,
        "difference": None if difference is None else msgspec.to_builtins(difference),
    }
