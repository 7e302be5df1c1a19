"""`looksalive status`: the state of every resource as a tree by group, or the API's JSON as it is."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK
from probe.cli.causes import cause_sentences
from probe.cli.errors import Garbled
from probe.cli.output import Style, complain, duration_text, plural, print_json, resource_objects, safe
from probe.cli.session import Session, add_client_flags, add_colour_flag, nearest, parse_target, run_session

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_TIMEOUT_S = 30.0  # of a picture, or of a wait for the next one
DEPTH_MAX = 20  # a deeper chain of dependencies is drawn flat

# state -> (shape, its ASCII stand-in, colour); the word is always printed beside it
SHAPES = {
    "online": ("●", "*", "green"),
    "online-pending": ("◔", "+", "yellow"),
    "offline-pending": ("◕", "-", "yellow"),
    "offline": ("○", "o", "dim"),
    "failed": ("✖", "x", "red"),
}
NOT_ALIVE = ("◐", "!", "red")  # online, and yet not alive
UNKNOWN = ("?", "?", "yellow")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target and the flags of every client."""
    parser.add_argument(
        "target", nargs="?", type=parse_target, metavar="GROUP[/NAME]", help="only this group or resource"
    )
    add_colour_flag(parser)
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Ask once and print."""
    return run_session(arguments, parser, show)


async def ask_status(session: Session, group: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask for the picture, of one group or of all. Raises ServiceError."""
    wanted = {**(query or {}), **({"group": group} if group else {})}
    document = await session.client.ask("/api/v1/status", wanted, ANSWER_TIMEOUT_S)
    if not isinstance(document, dict):
        raise Garbled("the answer is no status; is that looksalive?")
    return document


async def show(arguments: argparse.Namespace, session: Session) -> int:
    """Ask once and print it. Raises ServiceError."""
    group, slash, name = (arguments.target or "").partition("/")
    if slash:
        document = await session.client.ask(f"/api/v1/resources/{group}/{name}")
        resources = resource_objects({"resources": [document]})
    else:
        document = await ask_status(session, group)
        resources = resource_objects(document)
    if group and not resources:
        known = resource_objects(await session.client.ask("/api/v1/status"))
        hint = nearest(group, {resource["id"].partition("/")[0] for resource in known})
        complain("status", f"there is no resource in {arguments.target}{hint}")
        return EXIT_CANNOT_ASK
    if arguments.json:
        print_json(document)
    else:
        for line in draw(document, resources, Style(sys.stdout, colour=arguments.color)):
            print(line)
    return EXIT_OK if all(resource.get("alive") is True for resource in resources) else EXIT_FAILED


def draw(document: Any, resources: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """Draw each group as a tree: a resource under the first one that it depends on, the others named beside it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        groups.setdefault(resource["id"].partition("/")[0], []).append(resource)
    told = _groups(document)
    for group, members in groups.items():
        yield safe(group) + style.paint("dim", "".join(_about(told.get(group, {}))))
        yield from _draw_group(members, style)
    for sentence in cause_sentences(resources):
        yield style.paint("red", safe(sentence))
    alive = sum(resource.get("alive") is True for resource in resources)
    yield f"{alive} of {plural(len(resources), 'resource')} alive"


def _groups(document: Any) -> dict[str, dict[str, Any]]:
    groups = document.get("groups", []) if isinstance(document, dict) else []
    return {str(group.get("name")): group for group in groups if isinstance(group, dict)}


def _about(group: dict[str, Any]) -> Iterator[str]:
    """Say whose the group is, and that it is let alone."""
    if group.get("owner"):
        yield f"  on {safe(group['owner'])}"
    maintenance = group.get("maintenance")
    if isinstance(maintenance, dict):
        yield "  in maintenance" + (f" by {safe(maintenance['owner'])}" if maintenance.get("owner") else "")
        if isinstance(until := maintenance.get("until"), int | float):
            yield f" until {datetime.fromtimestamp(until).astimezone():%Y-%m-%d %H:%M}"


def _draw_group(members: list[dict[str, Any]], style: Style) -> Iterator[str]:
    ids = {resource["id"] for resource in members}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for resource in members:
        parent = next((provider for provider in _providers(resource) if provider in ids), None)
        children.setdefault(parent, []).append(resource)
    lines: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    _branch(children, None, "", style, lines, seen)
    # what hangs under a circle of dependencies is still shown
    lines.extend((_corners(style)[1], resource) for resource in members if resource["id"] not in seen)
    widest = max(len(prefix + _name(resource)) for prefix, resource in lines)
    for prefix, resource in lines:
        gap = " " * (widest - len(prefix + _name(resource)))
        yield style.paint("dim", prefix) + _line(resource, gap, style)


def _corners(style: Style) -> tuple[str, str, str, str]:
    return ("├─ ", "└─ ", "│  ", "   ") if style.unicode else ("|- ", "`- ", "|  ", "   ")


def _branch(
    children: dict[str | None, list[dict[str, Any]]],
    parent: str | None,
    prefix: str,
    style: Style,
    lines: list[tuple[str, dict[str, Any]]],
    seen: set[str],
) -> None:
    tee, corner, bar, blank = _corners(style)
    level = children.get(parent, [])
    for index, resource in enumerate(level):
        last = index == len(level) - 1
        if resource["id"] in seen:
            continue
        seen.add(resource["id"])
        lines.append((prefix + (corner if last else tee), resource))
        if len(prefix) < DEPTH_MAX * len(blank):
            _branch(children, resource["id"], prefix + (blank if last else bar), style, lines, seen)


def _providers(resource: dict[str, Any]) -> list[str]:
    """List the ids of what the resource depends on; a bare name is one of its own group."""
    raw = resource.get("depends_on")
    group = resource["id"].partition("/")[0]
    return [str(item) if "/" in str(item) else f"{group}/{item}" for item in raw] if isinstance(raw, list) else []


def _name(resource: dict[str, Any]) -> str:
    return safe(resource["id"])  # whole, to be copied into the next command


def _line(resource: dict[str, Any], gap: str, style: Style) -> str:
    state = str(resource.get("state"))
    online_dead = state == "online" and resource.get("alive") is not True
    shape, plain, colour = NOT_ALIVE if online_dead else SHAPES.get(state, UNKNOWN)
    word = f"{safe(state)}, not alive" if online_dead else safe(state)
    parts = [f"{style.paint(colour, shape if style.unicode else plain)} {_name(resource)}{gap}  {word:<15}"]
    parts.extend(safe(part) for part in _details(resource))
    return "  ".join(parts).rstrip()


def _details(resource: dict[str, Any]) -> Iterator[str]:
    verdict, reason = resource.get("verdict"), resource.get("reason")
    if reason:
        yield str(reason) if verdict in ("alive", "failed") else f"{reason} (unknown)"
    if resource.get("evidence"):
        yield f'"{resource["evidence"]}"'
    if isinstance(resource.get("age_s"), int | float):
        yield f"{duration_text(resource['age_s'])} ago{', stale' if resource.get('stale') else ''}"
    if resource.get("root_cause"):
        yield f"because of {resource['root_cause']}"
    if isinstance(resource.get("waiting_for"), list) and resource["waiting_for"]:
        yield "waits for " + ", ".join(map(str, resource["waiting_for"]))
    others = _providers(resource)[1:]
    if others:
        yield "needs also " + ", ".join(others)
    if isinstance(resource.get("restarts"), int) and resource["restarts"]:
        yield plural(resource["restarts"], "restart")
