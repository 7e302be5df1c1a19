"""The page at `/`: static files that ask the API like anybody else, and the same picture as a table for a terminal."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

from aiohttp import web

from probe.api.context import API
from probe.api.errors import Problem
from probe.api.page.table import table
from probe.api.replies import stream_reply

MEDIA = {
    "text/css": ("page.css", "views.css"),
    "text/javascript": (
        "action.js",
        "ask.js",
        "chart.js",
        "create.js",
        "details.js",
        "dom.js",
        "events.js",
        "graph.js",
        "group.js",
        "overview.js",
        "page.js",
        "plan.js",
        "resource.js",
        "row.js",
        "steps.js",
        "strip.js",
        "timeline.js",
        "words.js",
    ),
    "image/svg+xml": ("icon.svg",),
}
_PARTS = {name: media for media, names in MEDIA.items() for name in names}


class Vendored(NamedTuple):
    """A file of somebody else, byte for byte as published; its licence lies beside it."""

    path: str
    media: str
    sha256: str


# uPlot 1.6.32 (MIT) draws the charts. The name has the version, so that a browser may keep it for good.
VENDORED = {
    "uplot-1.6.32.js": Vendored(
        "uplot/uPlot.esm.js", "text/javascript", "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba"
    ),
    "uplot-1.6.32.css": Vendored(
        "uplot/uPlot.min.css", "text/css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"
    ),
}
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"

# Nothing inline, nothing from elsewhere, no framing: what a hostile banner could smuggle in has no way to run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

_FOLDER = resources.files(__name__)
_FILES = {
    name: (media, _FOLDER.joinpath(name).read_bytes(), "no-cache")
    for name, media in {"index.html": "text/html", **_PARTS}.items()
} | {name: (one.media, _FOLDER.joinpath(one.path).read_bytes(), KEPT_FOR_GOOD) for name, one in VENDORED.items()}


async def index(request: web.Request) -> web.StreamResponse:
    """Answer with the page, or with a table where plain text is preferred (`curl -H 'Accept: text/plain'`)."""
    if _prefers_text(request):
        service = request.app[API].service
        return await stream_reply(request, table(service), "text/plain; charset=utf-8", {"Vary": "Accept"})
    response = _told("index.html")
    response.headers["Vary"] = "Accept"
    return response


async def part(request: web.Request) -> web.StreamResponse:
    """Answer with a part of the page; only those there are."""
    name = request.match_info["file"]
    if name not in _PARTS and name not in VENDORED:
        raise Problem(404, "not_found", "the page has no such part")
    return _told(name)


def _told(name: str) -> web.Response:
    media, content, kept = _FILES[name]
    return web.Response(
        body=content,
        content_type=media,
        charset="utf-8",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": kept},
    )


def _prefers_text(request: web.Request) -> bool:
    """Whether Accept names text/plain and not text/html: a browser names both or neither."""
    accepted = request.headers.get("Accept", "").lower()
    return "text/plain" in accepted and "text/html" not in accepted
