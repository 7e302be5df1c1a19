"""A real headless Chromium, driven by its DevTools protocol over one websocket: no library, no download.

Waiting is done inside the page, by a promise; what the page complains of (console, exceptions, its policy) is gathered.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.waiting import wait_until

PROGRAM = shutil.which("chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 20.0
CALL_S = 60.0
WAIT_MS = 20_000
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}

_COLLECT = """
window.reports = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.reports.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


class PageError(AssertionError):
    """What was evaluated in the page threw, or what was waited for did not come true."""


class Page:
    """One tab of its own profile; `faults` is what it complained of so far."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.faults: list[str] = []
        self._socket = socket
        self._session: str | None = None
        self._calls = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def listen(self) -> None:
        """Take answers and complaints until the socket ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif (fault := _fault(told["method"], told["params"])) is not None:
                self.faults.append(fault)

    async def open(self) -> None:
        """Make the tab and have it tell everything."""
        target = await self.call("Target.createTarget", url="about:blank")
        session = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=_COLLECT)

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol. Raises PageError."""
        self._calls += 1
        number = self._calls
        self._answers[number] = asyncio.get_running_loop().create_future()
        session = {} if self._session is None else {"sessionId": self._session}
        async with asyncio.timeout(CALL_S):
            await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
            answer = await self._answers[number]
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def go(self, url: str) -> None:
        """Open an address."""
        await self.call("Page.navigate", url=url)

    async def look(self, expression: str) -> Any:
        """Evaluate an expression, wait for its promise, and return its value. Raises PageError."""
        told = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            raise PageError(f"{expression}: {told['exceptionDetails'].get('exception', told['exceptionDetails'])}")
        return told["result"].get("value")

    async def until(self, expression: str, within_ms: int = WAIT_MS) -> Any:
        """Return the first truthy value of the expression; it is looked at every few milliseconds. Raises PageError."""
        return await self.look(
            f"""new Promise((resolve, reject) => {{
              const began = performance.now();
              const look = () => {{
                let found;
                try {{ found = ({expression}); }} catch (error) {{ found = undefined; }}
                if (found) resolve(found);
                else if (performance.now() - began > {within_ms}) reject(new Error("not within {within_ms} ms: "
                  + document.body.innerText.slice(0, 2000)));
                else setTimeout(look, 5);
              }};
              look();
            }})"""
        )

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        modifiers = 8 if shift else 0
        text = {"Enter": "\r", " ": " "}.get(key, "")
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        down = {"type": "keyDown" if text else "rawKeyDown", "modifiers": modifiers, **common}
        await self.call("Input.dispatchKeyEvent", **(down | ({"text": text} if text else {})))
        await self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **common)

    async def type(self, text: str) -> None:
        """Type text into what has the focus."""
        await self.call("Input.insertText", text=text)

    async def appear(self, scheme: str, width: int, height: int) -> None:
        """Have a screen of this size that prefers `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.call("Emulation.setDeviceMetricsOverride", **size)

    async def shoot(self, path: Path) -> bytes:
        """Write a picture of the screen and return it."""
        told = await self.call("Page.captureScreenshot", format="png")
        picture = base64.b64decode(told["data"])
        await asyncio.to_thread(path.write_bytes, picture)
        return picture

    async def reports(self) -> list[str]:
        """Return everything the page complained of: the console's errors, exceptions, what its policy forbade."""
        return [*self.faults, *await self.look("window.reports")]


@asynccontextmanager
async def browsing(profile: Path | None = None) -> AsyncIterator[Page]:
    """Start a Chromium with one tab, and end it."""
    folder = profile or Path(tempfile.mkdtemp(prefix="lachr-"))
    assert PROGRAM is not None
    process = _start(PROGRAM, folder)
    try:
        url = await asyncio.to_thread(wait_until, lambda: _socket_url(folder), "Chromium's port", STARTS_WITHIN_S)
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            try:
                await page.open()
                yield page
            finally:
                listening.cancel()
                await asyncio.wait([listening])
    finally:
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _start(program: str, profile: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _socket_url(folder: Path) -> str | None:
    """Read the port that Chromium chose, and the path of its websocket: two lines of one file."""
    try:
        port, path = (folder / "DevToolsActivePort").read_text().splitlines()[:2]
    except (FileNotFoundError, ValueError):
        return None
    return f"ws://127.0.0.1:{port}{path}"


def _fault(method: str, told: dict[str, Any]) -> str | None:
    if method == "Runtime.exceptionThrown":
        return json.dumps(told["exceptionDetails"])
    if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
        return json.dumps(told["args"])
    if method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
        return f"{told['entry']['text']} {told['entry'].get('url', '')}"
    return None
