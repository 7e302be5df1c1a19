"""A group's dependencies as a picture for the page: where each box and line goes; their states are the status's."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from probe.api.context import API
from probe.api.errors import Problem
from probe.api.page.layout import BOX_HEIGHT, BOX_WIDTH, BOXES_MAX, TooLarge, arrange, describe
from probe.api.replies import json_reply, next_pass
from probe.lifecycle.report import ResourceReport
from probe.values import evidence_of

RESOURCES_PER_SLICE = 500


class GraphBox(msgspec.Struct, frozen=True):
    """A resource in the picture; x and y are of the upper left corner, `layer` counts from what needs nothing."""

    id: str
    layer: int
    x: int
    y: int


class GraphLine(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A dependency: from what is needed to what needs it; `path` as in the attribute d of an SVG path."""

    from_: str
    to: str
    path: str


class Graph(msgspec.Struct, frozen=True):
    """A group's dependencies, laid out in layers; `refused` says why there is no picture, then there are no boxes."""

    group: str
    width: int
    height: int
    box_width: int
    box_height: int
    boxes: tuple[GraphBox, ...]
    lines: tuple[GraphLine, ...]
    text: str  # the same in sentences
    refused: str


async def graph(request: web.Request) -> web.StreamResponse:
    """Answer with the picture of a group; a provider of another group is a box of it too."""
    name = request.match_info["group"]
    service = request.app[API].service
    if not any(True for _ in service.groups(name)):
        raise Problem(404, "no_such_group", f"there is no group {evidence_of(name)}")
    members: list[ResourceReport] = []
    for at, report in enumerate(service.resources()):
        if report.id.group == name:
            members.append(report)
            if len(members) > BOXES_MAX:
                break
        if at % RESOURCES_PER_SLICE == 0:
            await next_pass()
    return json_reply(await asyncio.to_thread(_graph, name, members))


def _graph(group: str, members: list[ResourceReport]) -> Graph:
    edges = tuple((str(provider), str(member.id)) for member in members for provider in member.depends_on)
    names = tuple(dict.fromkeys((*(str(member.id) for member in members), *(provider for provider, _ in edges))))
    try:
        layout = arrange(names, edges)
    except TooLarge as error:
        return Graph(group, 0, 0, BOX_WIDTH, BOX_HEIGHT, (), (), "", f"too much for a picture: {error}")
    return Graph(
        group=group,
        width=layout.width,
        height=layout.height,
        box_width=BOX_WIDTH,
        box_height=BOX_HEIGHT,
        boxes=tuple(GraphBox(box.name, box.layer, box.x, box.y) for box in layout.boxes),
        lines=tuple(GraphLine(line.provider, line.dependent, line.path) for line in layout.lines),
        text=describe(names, edges),
        refused="",
    )
