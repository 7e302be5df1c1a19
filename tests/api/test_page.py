"""The page's files, its policy, and the table for a terminal."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources

import pytest

from probe.api.page import MEDIA, VENDORED
from probe.resources.types import TYPES
from probe.values import Reason, ResourceId
from tests.api.conftest import Opener
from tests.api.service import StaticService, failed, report

PARTS = {name: media for media, names in MEDIA.items() for name in names}
SCRIPTS = MEDIA["text/javascript"]


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


@pytest.mark.parametrize("name", VENDORED)
async def test_what_is_of_others_is_as_published(opened: Opener, name: str) -> None:
    """It has the hash that is written down, its licence lies beside it, and a browser may keep it for good."""
    code, headers, body = await (await opened()).get(f"/page/{name}")
    assert (code, headers["Content-Type"]) == (200, f"{VENDORED[name].media}; charset=utf-8")
    assert hashlib.sha256(body).hexdigest() == VENDORED[name].sha256
    assert "immutable" in headers["Cache-Control"]
    folder = VENDORED[name].path.partition("/")[0]
    licence = resources.files("probe.api.page").joinpath(folder, "LICENSE")
    assert "MIT License" in licence.read_text()


@pytest.mark.parametrize("name", ["index.html", "table.py", "__init__.py", "nope", "PAGE.JS"])
async def test_no_other_file_is_served(opened: Opener, name: str) -> None:
    """What is no part of the page is 404, whatever else is in the folder."""
    assert (await (await opened()).get(f"/page/{name}"))[0] == 404


@pytest.mark.parametrize("name", SCRIPTS)
async def test_no_script_writes_markup(opened: Opener, name: str) -> None:
    """Text reaches the document as text only: none of the ways that parse markup or run a string is used."""
    _, _, body = await (await opened()).get(f"/page/{name}")
    found = re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|\beval\b|new Function|DOMParser"
        r"|createContextual|srcdoc|trustedTypes|setAttribute\(\s*[\"'](?:on|style|src|href)|\.style\b"
        r"|localStorage|sessionStorage|document\.cookie|https?://(?!www\.w3\.org/2000/svg)",
        body.decode(),
    )
    assert found is None, found


async def test_every_part_is_asked_for(opened: Opener) -> None:
    """From the page one comes to every script and style that is served, and to nothing that is not."""
    api = await opened()
    _, _, body = await api.get("/", Accept="text/html")
    found = set(re.findall(r'"/page/([^"]+)"', body.decode()))
    waiting = [name for name in found if name.endswith(".js")]
    while waiting:
        _, _, script = await api.get(f"/page/{waiting.pop()}")
        links = re.findall(r'(?:from |import\()"(?:\./|/page/)([^"]+)"', script.decode())
        links += re.findall(r'href: "/page/([^"]+\.css)"', script.decode())
        fresh = set(links) - found
        waiting += [name for name in fresh if name.endswith(".js")]
        found |= fresh
    assert found == {*PARTS, *VENDORED}


async def test_a_groups_graph(opened: Opener) -> None:
    """A group's boxes are its resources and the providers that it has elsewhere; the lines and words name both ends."""
    store, mta = ResourceId("evs1", "store"), ResourceId("evs2", "mta")
    service = StaticService(report("store"), report("smtp", depends_on=(store, mta)), report("x", "evs2"))
    code, _, body = await (await opened(service)).get("/api/v1/groups/evs1/graph")
    graph = json.loads(body)
    assert code == 200
    assert [(box["id"], box["layer"]) for box in graph["boxes"]] == [
        ("evs1/store", 0),
        ("evs2/mta", 0),
        ("evs1/smtp", 1),
    ]
    assert {(line["from"], line["to"]) for line in graph["lines"]} == {(str(one), "evs1/smtp") for one in (store, mta)}
    assert "evs1/smtp needs evs1/store and evs2/mta" in graph["text"]


async def test_a_graph_that_nobody_could_read_is_refused(opened: Opener) -> None:
    """A crowd is no picture: it says so and has no boxes; a group that is not there is 404."""
    api = await opened(StaticService(*(report(f"r{number}") for number in range(500))))
    _, _, body = await api.get("/api/v1/groups/evs1/graph")
    graph = json.loads(body)
    assert (graph["boxes"], graph["lines"]) == ([], [])
    assert "too much for a picture" in graph["refused"]
    assert (await api.get("/api/v1/groups/nobody/graph"))[0] == 404


async def test_the_types_are_the_table(opened: Opener) -> None:
    """S10: every type with every parameter it can be told, and the controllers, those that run programs marked."""
    _, _, body = await (await opened()).get("/api/v1/types")
    told = json.loads(body)
    assert {one["name"]: [each["name"] for each in one["parameters"]] for one in told["types"]} == {
        name: [each.name for each in row.parameters] for name, row in TYPES.items()
    }
    assert {one["name"] for one in told["controllers"] if one["local"]} == {"process", "exec", "ocf"}


async def test_the_stages_of_the_last_probe(opened: Opener) -> None:
    """The stages come in their order; a resource without any has none; one that is not there is 404."""
    service = StaticService(report("smtp"), report("sa"))
    service.staged[ResourceId("evs1", "smtp")] = (("connect", 0.0001234567), ("banner", 0.5))
    api = await opened(service)
    _, _, body = await api.get("/api/v1/resources/evs1/smtp/stages")
    assert json.loads(body) == {
        "id": "evs1/smtp",
        "stages": [{"stage": "connect", "seconds": 0.000123}, {"stage": "banner", "seconds": 0.5}],
    }
    assert json.loads((await api.get("/api/v1/resources/evs1/sa/stages"))[2])["stages"] == []
    assert (await api.get("/api/v1/resources/evs1/nobody/stages"))[0] == 404


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
