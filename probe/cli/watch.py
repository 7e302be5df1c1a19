"""`looksalive watch`: the tree of `status`, live on a terminal; elsewhere the tree once and then a line an event."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_OK
from probe.cli.errors import ServiceError
from probe.cli.output import Style, clip, duration_text, resource_objects, safe
from probe.cli.session import Session, add_client_flags, add_colour_flag, parse_target, run_session
from probe.cli.status import ask_status, draw

if TYPE_CHECKING:
    from probe.environment.terminal import Screen

REFRESH_S = 5  # ages and evidence move without an edge; what has one is shown at once
REFRESH_MANY_S = 25
MANY = 2000  # resources, of which a whole picture is no small thing
RETRY_S = 1.0
FLOOR_S = 0.1  # between two pictures, however fast things change
EVENTS_SHOWN = 5
HEADER_ROWS = 2
STEPS = {"j": 1, "\x1b[B": 1, "k": -1, "\x1b[A": -1, " ": 20, "\x1b[6~": 20, "b": -20, "\x1b[5~": -20}
_KEYS = re.compile(r"\x1b\[[0-9;]*[~A-Za-z]|.", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target and the flags of every client."""
    parser.add_argument(
        "target", nargs="?", type=parse_target, metavar="GROUP[/NAME]", help="only this group or resource"
    )
    add_colour_flag(parser)
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Watch until q or Ctrl-C."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    on_screen = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json and not dumb
    return run_session(arguments, parser, _watch if on_screen else _tell)


async def _tell(arguments: argparse.Namespace, session: Session) -> int:
    """Print the tree once (with --json: the document), and then every event as a line."""
    from probe.cli import events, status

    await status.show(arguments, session)
    arguments.follow, arguments.after, arguments.since, arguments.last = True, None, None, 0
    return await events.tell(arguments, session)


async def _watch(arguments: argparse.Namespace, session: Session) -> int:
    from probe.environment.terminal import Screen

    view = _View(arguments.target or "", session)
    await view.ask()  # what cannot be asked at all is told before the screen is taken
    with Screen(view.key, view.redraw) as screen:
        view.screen = screen
        view.redraw()
        await view.follow()
    return EXIT_OK


class _View:
    """What is on the screen, and how it comes there."""

    def __init__(self, target: str, session: Session) -> None:
        self.screen: Screen | None = None
        self._target = target
        self._session = session
        self._style = Style(sys.stdout)
        self._status: Any = None
        self._events: list[dict[str, Any]] = []
        self._seq = 0
        self._trouble = ""
        self._asked_at = 0.0
        self._top = 0
        self._following: asyncio.Task[Any] | None = None
        self._ended = False

    def key(self, keys: str) -> None:
        """Take what was typed."""
        pressed = _KEYS.findall(keys)
        if "q" in pressed or "\x04" in pressed:
            self._ended = True
            if self._following is not None:
                self._following.cancel()
            return
        self._top = max(0, self._top + sum(STEPS.get(key, 0) for key in pressed))
        self.redraw()

    async def follow(self) -> None:
        """Ask for the next picture and draw it, until the key to end comes."""
        self._following = asyncio.current_task()
        try:
            while not self._ended:
                before = self._session.clock.now()
                try:
                    await self.ask(wait=True)
                except ServiceError as error:
                    self._trouble = str(error)
                    await self._session.clock.sleep(RETRY_S)
                self.redraw()
                await self._session.clock.sleep(max(0.0, FLOOR_S - (self._session.clock.now() - before)))
        except asyncio.CancelledError:
            if not self._ended:
                raise

    async def ask(self, *, wait: bool = False) -> None:
        """Ask for the picture, with `wait` for one that is newer or some seconds older. Raises ServiceError."""
        revision = self._status.get("revision") if isinstance(self._status, dict) else None
        query: dict[str, str] = {}
        if wait and isinstance(revision, int) and not self._trouble:
            many = len(resource_objects(self._status)) > MANY
            query = {"wait": str(revision), "timeout_s": str(REFRESH_MANY_S if many else REFRESH_S)}
        status = await ask_status(self._session, self._target.partition("/")[0], query)
        if status.get("revision") != revision or self._trouble:
            await self._ask_events()
        self._status, self._trouble = status, ""
        self._asked_at = self._session.clock.now()

    async def _ask_events(self) -> None:
        from probe.cli.happenings import concerns, read_events

        new = await read_events(self._session.client, self._seq)
        if not new and self._seq and not await read_events(self._session.client, self._seq - 1):
            self._seq = 0  # the service was started anew, and counts anew
            new = await read_events(self._session.client)
        if new:
            self._seq = new[-1]["seq"]
        wanted = [event for event in new if concerns(event, self._target)]
        self._events = [*self._events, *wanted][-EVENTS_SHOWN:]

    def redraw(self) -> None:
        """Draw what is known."""
        if self.screen is None:
            return
        columns, rows = self.screen.size
        lines = self._lines(rows)
        self.screen.draw([clip(line, columns) for line in lines[:rows]])

    def _lines(self, rows: int) -> list[str]:
        from probe.cli.happenings import event_line

        style = self._style
        resources = [one for one in resource_objects(self._status) if self._target in ("", one["id"], _group(one))]
        tree = list(draw(self._status, resources, style))
        events = [event_line(event, style) for event in self._events]
        room = max(1, rows - HEADER_ROWS - (len(events) + 1 if events else 0))
        self._top = min(self._top, max(0, len(tree) - room))
        shown = tree[self._top : self._top + room]
        more = "" if len(shown) == len(tree) else f"  lines {self._top + 1} to {self._top + len(shown)} of {len(tree)}"
        head = f"looksalive on {safe(self._status.get('node'))}{more}"
        if self._trouble:
            ago = duration_text(self._session.clock.now() - self._asked_at)
            head = style.paint("red", f"this is {ago} old: {safe(self._trouble)}")
        keys = "j k scroll, q ends" if more else "q ends"
        return [f"{head}  {style.paint('dim', keys)}", "", *shown, *([""] if events else []), *events]


def _group(resource: dict[str, Any]) -> str:
    return str(resource["id"]).partition("/")[0]
