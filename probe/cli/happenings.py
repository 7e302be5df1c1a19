"""The events of a running service: by pages, as they happen, and each as a line for people."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from probe.cli.client import Client
from probe.cli.errors import Garbled, Refused
from probe.cli.output import Style, safe

EVENTS_PER_PAGE = 1000
PAGES_MAX = 100  # a service remembers a tenth of that
EVENTS_MAX = EVENTS_PER_PAGE * PAGES_MAX
FRAME_BYTES_MAX = 64 * 1024

COLOURS = {"online": "green", "failed": "red", "offline": "dim", "done": "green"}


async def read_events(client: Client, after: int = 0) -> list[dict[str, Any]]:
    """Read every event of this run that is remembered behind `after`, oldest first. Raises ServiceError."""
    events: list[dict[str, Any]] = []
    for _ in range(PAGES_MAX):
        query = {"after": str(after), "limit": str(EVENTS_PER_PAGE)}
        document = await client.ask("/api/v1/events", query)
        page = document.get("events") if isinstance(document, dict) else None
        if not isinstance(page, list) or not all(map(is_event, page)):
            raise Garbled("the answer is no list of events; is that looksalive?")
        events.extend(page)
        if len(page) < EVENTS_PER_PAGE:
            break
        after = page[-1]["seq"]
    return events


async def read_back(
    client: Client, target: str = "", since: float | None = None, last: int | None = None
) -> tuple[list[dict[str, Any]], int, str]:
    """Read the last events, over all runs that were recorded: the last `last`, those since, or all; oldest first.

    Returns them, the seq behind which what happens from now on begins, and, where older ones that were asked for are
    left out, why. What the service remembers is told also when its history cannot be read. Raises ServiceError.
    """
    wanted = EVENTS_MAX if last is None else min(last, EVENTS_MAX)
    query = {"before": "", "limit": str(max(1, min(wanted, EVENTS_PER_PAGE)))}
    query |= {"id": target} if target else {}
    query |= {} if since is None else {"since": f"{since:.6f}"}
    events: list[dict[str, Any]] = []
    following: int | None = None
    while True:
        try:
            document = await client.ask("/api/v1/events", query)
        except Refused as error:
            if error.status != 503 or following is None:
                raise
            return events, following, f"only the last {len(events)}; what was before is not told: {error}"
        page = document.get("events") if isinstance(document, dict) else None
        previous = document.get("previous") if isinstance(document, dict) else None
        if not isinstance(page, list) or not all(map(is_event, page)) or not isinstance(document.get("next"), int):
            raise Garbled("the answer is no list of events; is that looksalive?")
        following = document["next"] if following is None else following
        events[:0] = page
        if not isinstance(previous, str) or not page or len(events) >= wanted:
            break
        query["before"] = previous
    events = events[max(0, len(events) - wanted) :]
    left_out = isinstance(previous, str) and last is None
    why = f"only the last {len(events)}; choose with --since, --last or GROUP/NAME" if left_out else ""
    return events, following, why


def is_event(event: Any) -> bool:
    """Whether it is an event, with the seq and the time that everything rests on."""
    return isinstance(event, dict) and isinstance(event.get("seq"), int) and isinstance(event.get("time"), int | float)


async def follow(client: Client, after: str | None) -> AsyncIterator[dict[str, Any] | None]:
    """Give the events of one connection as they happen, None where some were lost. Raises ServiceError.

    `after` is the place behind which to begin (`place_of`, or a bare seq); None: from now on. Ends when the service
    ends the stream.
    """
    headers = {"Accept": "text/event-stream", **({} if after is None else {"Last-Event-ID": after})}
    async with client.stream("/api/v1/stream", headers) as pieces:
        waiting = b""
        async for piece in pieces:
            *frames, waiting = (waiting + piece).replace(b"\r\n", b"\n").split(b"\n\n")
            if len(waiting) > FRAME_BYTES_MAX:
                raise Garbled(f"an event of more than {FRAME_BYTES_MAX} bytes; is that looksalive?")
            for frame in frames:
                kind, text = _frame(frame)
                if kind == "overrun":
                    yield None
                elif text:
                    yield _event(text)


def place_of(event: dict[str, Any]) -> str:
    """Name an event for `follow`, so that it is not taken for one of the same seq of another run."""
    return f"{event['seq']}@{event['time']!r}"


def event_line(event: dict[str, Any], style: Style) -> str:
    """Write an event for people: when, who, from what to what, why, by whom."""
    when = datetime.fromtimestamp(event["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    to = str(event.get("to"))
    arrow = "→" if style.unicode else "->"
    parts = [style.paint("dim", when), safe(event.get("id"))]
    if event.get("kind") == "operation":
        parts.append(f"{safe(event.get('evidence'))} {style.paint(COLOURS.get(to, 'yellow'), safe(to))}")
    elif event.get("kind") == "maintenance":
        by = f" by {safe(event['evidence'])}" if event.get("evidence") else ""
        parts.append(f"maintenance {safe(to)}{by}")
    else:
        parts.append(f"{safe(event.get('from'))} {arrow} {style.paint(COLOURS.get(to, 'yellow'), safe(to))}")
    if event.get("reason") not in (None, "", "matched", "not_yet"):
        parts.append(safe(event["reason"]))
    if event.get("evidence") and event.get("kind") == "state":
        parts.append(f'"{safe(event["evidence"])}"')
    if event.get("root_cause"):
        parts.append(f"because of {safe(event['root_cause'])}")
    parts.append(style.paint("dim", f"({safe(event.get('trigger'))})"))
    return "  ".join(parts)


def concerns(event: dict[str, Any], target: str) -> bool:
    """Whether an event is about the target, a resource or a group; an empty target is everything."""
    id = str(event.get("id"))
    return not target or id == target or id.partition("/")[0] == target or target.partition("/")[0] == id


def _frame(frame: bytes) -> tuple[str, str]:
    """Read one frame: its kind and its data; a comment has neither (WHATWG HTML, section 9.2.6)."""
    kind, data = "message", []
    for line in frame.decode(errors="replace").split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
    return kind, "\n".join(data)


def _event(text: str) -> dict[str, Any]:
    try:
        event: Any = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if not is_event(event):
        raise Garbled("the stream has something else than events; is that looksalive?")
    found: dict[str, Any] = event
    return found
