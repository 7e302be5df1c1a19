"""The page at `/`: static files that ask the API like anybody else, and the same picture as a table for a terminal."""

from __future__ import annotations

from importlib import resources

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
        "words.js",
    ),
    "image/svg+xml": ("icon.svg",),
}
_PARTS = {name: media for media, names in MEDIA.items() for name in names}

# Nothing inline, nothing from elsewhere, no framing: what a hostile banner could smuggle in has no way to run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

_FILES = {
    name: (media, resources.files(__name__).joinpath(name).read_bytes())
    for name, media in {"index.html": "text/html", **_PARTS}.items()
}


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
    if name not in _PARTS:
        raise Problem(404, "not_found", "the page has no such part")
    return _told(name)


def _told(name: str) -> web.Response:
    media, content = _FILES[name]
    return web.Response(
        body=content,
        content_type=media,
        charset="utf-8",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"},
    )


def _prefers_text(request: web.Request) -> bool:
    """Whether Accept names text/plain and not text/html: a browser names both or neither."""
    accepted = request.headers.get("Accept", "").lower()
    return "text/plain" in accepted and "text/html" not in accepted
