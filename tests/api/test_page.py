"""The page's files, its policy, and the table for a terminal."""

from __future__ import annotations

import re

import pytest

from probe.values import Reason, ResourceId
from tests.api.conftest import Opener
from tests.api.service import StaticService, failed, report

PARTS = {"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"}


async def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere(opened: Opener) -> None:
    """The policy allows our own files only, and the page keeps to it: no inline script or style, no foreign address."""
    api = await opened()
    code, headers, body = await api.get("/", Accept="text/html")
    page = body.decode()
    assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert not re.search(r"<style|\bstyle=|\son\w+=|<script(?![^>]*\bsrc=)|https?://|javascript:", page)
    for reference in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (await api.get(reference))[0] == 200, reference


@pytest.mark.parametrize(("name", "media"), PARTS.items())
async def test_the_parts(opened: Opener, name: str, media: str) -> None:
    """Each part comes with its own media type and is not empty."""
    code, headers, body = await (await opened()).get(f"/page/{name}")
    assert (code, headers["Content-Type"]) == (200, f"{media}; charset=utf-8")
    assert body


@pytest.mark.parametrize("name", ["index.html", "table.py", "__init__.py", "nope", "PAGE.JS"])
async def test_no_other_file_is_served(opened: Opener, name: str) -> None:
    """What is no part of the page is 404, whatever else is in the folder."""
    assert (await (await opened()).get(f"/page/{name}"))[0] == 404


async def test_the_script_never_writes_markup(opened: Opener) -> None:
    """Text reaches the document as text only: none of the ways that parse markup or run a string is used."""
    _, _, body = await (await opened()).get("/page/page.js")
    script = body.decode()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|createContextual"
        r"|setAttribute\(\s*[\"'](?:on|style|src|srcdoc|href)",
        script,
    )
    assert "textContent" in script


@pytest.mark.parametrize(
    ("accept", "plain"),
    [
        ("text/plain", True),
        ("text/plain;q=0.9, application/json", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("text/html, text/plain", False),
        ("*/*", False),
    ],
)
async def test_a_terminal_gets_a_table(opened: Opener, accept: str, plain: bool) -> None:
    """Text is for who asks for text and not for markup; a browser gets the page."""
    _, headers, _ = await (await opened()).get("/", Accept=accept)
    assert headers["Content-Type"].startswith("text/plain" if plain else "text/html")
    assert "Accept" in headers["Vary"]


async def test_the_table(opened: Opener) -> None:
    """One line a resource, aligned, with what a person looks for; control characters cannot reach the terminal."""
    down = failed("smtp", Reason.DEPENDENCY_DOWN, root_cause=ResourceId("evs1", "store"), restarts=3)
    odd = report("imap", evidence="\x1b[2J\x07\u202e* OK\n evil", stale=True, age_s=None)
    api = await opened(StaticService(down, odd))
    _, _, body = await api.get("/", Accept="text/plain")
    assert body.decode() == (
        "looksalive on node1, revision 1\n"
        "\n"
        "RESOURCE   STATE   ALIVE  REASON           AGE    ROOT CAUSE  RESTARTS  EVIDENCE\n"
        "evs1/smtp  failed  no     dependency_down  0.2 s  evs1/store  3\n"
        "evs1/imap  online  yes    matched (stale)  -      -           0         ?[2J??* OK? evil\n"
    )


async def test_a_long_table_is_whole(opened: Opener) -> None:
    """More resources than a slice holds are all in the table."""
    api = await opened(StaticService(*(report(f"r{number}") for number in range(1234))))
    _, _, body = await api.get("/", Accept="text/plain")
    assert len(body.decode().splitlines()) == 3 + 1234
