"""What the service manager is told, over its real socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.environment.clock import LoopClock
from probe.environment.notify import Supervision


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A manager's socket, and its name."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        yield manager, path


async def heard(manager: socket.socket) -> list[str]:
    """Wait for one message; return its lines."""
    return (await asyncio.to_thread(manager.recv, 4096)).decode().split("\n")


async def test_ready_reloading_stopping(listening: tuple[socket.socket, str]) -> None:
    """Each is one message; a reload carries the monotonic time; the variables are taken from our children."""
    manager, path = listening
    environment = {"NOTIFY_SOCKET": path, "HOME": "/"}
    ours = Supervision(LoopClock(), environment)
    assert environment == {"HOME": "/"}
    ours.ready("serving at http://127.0.0.1:9810/\nREADY=0")
    assert await heard(manager) == ["READY=1", "STATUS=serving at http://127.0.0.1:9810/ READY=0"]
    ours.reloading()
    said, time = await heard(manager)
    assert (said, int(time.removeprefix("MONOTONIC_USEC=")) > 0) == ("RELOADING=1", True)
    ours.stopping()
    assert await heard(manager) == ["STOPPING=1"]
    ours.close()
    ours.close()


@pytest.mark.parametrize(("pid", "wanted"), [(str(os.getpid()), True), ("1", False), ("", True)])
async def test_the_watchdog_is_fed_from_the_loop(listening: tuple[socket.socket, str], pid: str, wanted: bool) -> None:
    """A loop that runs says so twice in the time the manager gives it, if it is us whom the manager means."""
    manager, path = listening
    manager.settimeout(10 if wanted else 0.5)
    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": pid}
    ours = Supervision(LoopClock(), environment)
    ours.ready("up")
    assert (await heard(manager))[0] == "READY=1"
    if wanted:
        assert [await heard(manager) for _ in range(3)] == [["WATCHDOG=1"]] * 3
    else:
        with pytest.raises(TimeoutError):
            await heard(manager)
    ours.close()


async def test_an_abstract_name(tmp_path: Path) -> None:
    """A name that begins with @ is of the abstract namespace."""
    name = f"looksalive-{os.getpid()}-{id(tmp_path)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(10)
        ours = Supervision(LoopClock(), {"NOTIFY_SOCKET": "@" + name})
        ours.stopping()
        assert await heard(manager) == ["STOPPING=1"]
        ours.close()


@pytest.mark.parametrize("path", ["", "/no/such/socket", "relative"])
async def test_nobody_listens(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a manager nothing happens; one that is gone is logged once, and we go on."""
    caplog.set_level(logging.WARNING)
    ours = Supervision(LoopClock(), {"NOTIFY_SOCKET": path} if path else {})
    assert ours.listens is path.startswith("/")
    ours.ready("up")
    ours.reloading()
    ours.close()
    assert len(caplog.records) == (1 if path else 0)
