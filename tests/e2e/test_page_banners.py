"""Hostile banners on their way through real sockets and our checks into a real Chromium: they stay text everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.chromium import browsing
from tests.e2e.programs import need
from tests.e2e.service import Service
from tests.e2e.stores import write_metabase

SERVERS = 200
SPEAKING = 20  # of these a resource's own page and its dialogues are opened
PATIENT_MS = 60_000
ALL_SEEN_S = 60.0
HOSTILE = (
    b"<script>window.hit = 1</script>",
    b"<img src=x onerror='window.hit = 1'>",
    b"<svg onload=window.hit=1>",
    b'"><iframe srcdoc="<script>top.hit = 1</script>">',
    b"javascript:window.hit=1",
    b"</li></ul><style>body { display: none }</style>",
    b"{{constructor.constructor('window.hit = 1')()}}",
    b"\xe2\x80\xaegnp.exe \x1b[2J\x07 \x00",
    b"<a href='javascript:window.hit=1' id=link>x</a>",
    b"${window.hit = 1}`+window.hit+`",
    b"\xff\xfe\xc0\xaf<\x00s\x00c\x00r\x00i\x00p\x00t>",
    b"<math><mtext><table><mglyph><style><img src=x onerror=window.hit=1>",
    b"' onmouseover='window.hit=1' style='position:fixed;inset:0",
    b"]]><!--<script>window.hit=1</script>-->",
    b'{"__proto__": {"hit": 1}} constructor prototype',
    b"&lt;script&gt;window.hit=1&lt;/script&gt;",
    b"+ADw-script+AD4-window.hit=1+ADw-/script+AD4-",
    b"<link rel=stylesheet href=//192.0.2.1/x.css><base href=//192.0.2.1/>",
    b"<meta http-equiv=refresh content='0;url=javascript:window.hit=1'>",
    b"<form action=//192.0.2.1/><input name=link><button id=view>x",
)


def banner(number: int) -> bytes:
    """Make what the server of this number says: every second one a refusal, so that it is kept as a dialogue too."""
    code = b"554" if number % 2 else b"220"
    return b"%s %d %s\r\n" % (code, number, HOSTILE[number // 2 % len(HOSTILE)])


@asynccontextmanager
async def servers() -> AsyncIterator[list[int]]:
    """Serve each banner on a port of its own; yields the ports."""

    async def serve(stack: AsyncExitStack, number: int) -> int:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(banner(number))
            with suppress(ConnectionError):
                await reader.read(512)  # QUIT, or the end
            writer.close()

        server = await stack.enter_async_context(await asyncio.start_server(greet, "127.0.0.1", 0))
        port: int = server.sockets[0].getsockname()[1]
        return port

    async with AsyncExitStack() as stack:
        yield [await serve(stack, number) for number in range(SERVERS)]


@pytest.fixture
async def service(folder: Path) -> AsyncIterator[Service]:
    """A run that watches all of them."""
    async with servers() as ports:
        keys = {f"/smtp/{number}": {"bindings": [f"127.0.0.1:{port}"]} for number, port in enumerate(ports)}
        write_metabase(folder / "store", {"/smtp": {"poll_interval_s": 5, "fast_interval_s": 1}, **keys})
        run = Service(folder / "store")
        await asyncio.to_thread(run.start)
        try:
            yield run
        finally:
            await asyncio.to_thread(run.stop)


async def test_hostile_banners_from_real_servers_stay_text(service: Service) -> None:
    """Two hundred real servers say what wants to be script: in rows, events, dialogues and charts it is text."""
    need("chromium", "chromium")
    await asyncio.to_thread(
        service.wait,
        lambda told: len(told) == SERVERS and all(one["evidence"] for one in told.values()),
        "every banner seen",
        ALL_SEEN_S,
    )
    told = await asyncio.to_thread(service.resources)
    assert sum(one["alive"] for one in told.values()) == SERVERS // 2
    assert "<script>window.hit = 1</script>" in told["default/smtp-0"]["evidence"]
    async with browsing() as page:
        await page.appear("light", 1440, 900)
        await page.go(service.url)
        await page.until(f"document.querySelectorAll('.resource').length === {SERVERS}", PATIENT_MS)
        shown = set(await page.look("[...document.querySelectorAll('code.evidence')].map((each) => each.textContent)"))
        assert {one["evidence"] for one in told.values() if one["alive"]} <= shown
        for number in range(1, 2 * SPEAKING, 2):
            await page.go(f"{service.url}#/resource/default/smtp-{number}")
            await page.until(f"document.title.includes('smtp-{number} ') && document.querySelector('.dialogue li')")
        said = await page.until("document.querySelector('.dialogue').innerText.includes('554') && view.innerText")
        assert "554 39 <form action=//192.0.2.1/>" in said
        await page.go(f"{service.url}#/events")
        await page.until("document.querySelectorAll('.events li').length >= 200", PATIENT_MS)
        assert await page.look("window.hit === undefined && ({}).hit === undefined")
        assert await page.look("!document.querySelector('iframe, img, base, meta[http-equiv], form, main style, math')")
        assert await page.look("getComputedStyle(document.body).display !== 'none' && location.hash === '#/events'")
        assert await page.reports() == []
