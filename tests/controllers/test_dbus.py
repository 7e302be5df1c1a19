"""The real connection to a bus, against a real dbus-daemon of the test's own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from probe.controllers.dbus import DAEMON, DAEMON_PATH, BusError, Call, Signal, connect
from probe.controllers.link import LinkError
from tests.e2e.programs import need
from tests.e2e.waiting import wait_until

LOOPS = (asyncio.new_event_loop, uvloop.new_event_loop)
NAME = "org.example.Looksalive"

CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""


class Daemon:
    """A dbus-daemon."""

    def __init__(self, folder: Path) -> None:
        socket, configuration = folder / "bus", folder / "bus.conf"
        configuration.write_text(CONFIGURATION.format(socket=socket))
        self.address = f"unix:path={socket}"
        self.process = subprocess.Popen(
            [need("dbus-daemon", "dbus"), "--nofork", f"--config-file={configuration}"], stdin=subprocess.DEVNULL
        )
        wait_until(socket.exists, "the bus to be there", 10)

    def kill(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A bus of this test's own."""
    made = Daemon(tmp_path)
    yield made
    made.kill()


def ask(member: str, *words: str) -> Call:
    """Call the daemon itself."""
    return Call(DAEMON, DAEMON_PATH, DAEMON, member, "s" * len(words), words)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The standard loop, and the one that we really use."""
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


def test_calls_errors_and_signals(daemon: Daemon, runner: asyncio.Runner) -> None:
    """An answer is plain values, an error has its name, and a signal that was asked for arrives."""

    async def main() -> None:
        news: asyncio.Queue[Signal] = asyncio.Queue()
        bus = await connect(daemon.address, news.put_nowait)
        (names,) = await bus.call(ask("ListNames"))
        assert DAEMON in names
        with pytest.raises(BusError, match="no such name") as caught:
            await bus.call(ask("GetNameOwner", NAME))
        assert caught.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"
        await bus.call(ask("AddMatch", f"type='signal',member='NameOwnerChanged',arg0='{NAME}'"))
        bus.post(Call(DAEMON, DAEMON_PATH, DAEMON, "RequestName", "su", (NAME, 0)))
        async with asyncio.timeout(5):
            while (signal := await news.get()).member != "NameOwnerChanged":
                pass
        assert (signal.sender, signal.path, signal.interface) == (DAEMON, DAEMON_PATH, DAEMON)
        assert signal.body[:2] == [NAME, ""]
        bus.close()
        async with asyncio.timeout(5):
            await bus.lost()

    runner.run(main())


def test_a_bus_that_dies_is_lost(daemon: Daemon, runner: asyncio.Runner) -> None:
    """The end of the daemon ends `lost`; calls after it fail at once and posts do nothing."""

    async def main() -> None:
        bus = await connect(daemon.address, lambda _signal: None)
        lost = asyncio.get_running_loop().create_task(bus.lost())
        await asyncio.to_thread(daemon.kill)
        async with asyncio.timeout(5):
            await lost
        with pytest.raises(LinkError, match="was lost"):
            await bus.call(ask("ListNames"))
        bus.post(ask("ListNames"))
        bus.close()

    runner.run(main())


def test_a_bus_that_is_not_there(runner: asyncio.Runner, tmp_path: Path) -> None:
    """No socket is an OSError, which the link puts in words."""
    with pytest.raises(FileNotFoundError):
        runner.run(_connect(f"unix:path={tmp_path}/none"))


def test_what_is_no_bus(runner: asyncio.Runner, tmp_path: Path) -> None:
    """Something else behind the socket is an error of the link."""

    async def main() -> None:
        server = await asyncio.start_unix_server(_hang_up, tmp_path / "s")
        async with server:
            with pytest.raises(LinkError, match="cannot talk to the bus"):
                await connect(f"unix:path={tmp_path}/s", lambda _signal: None)

    runner.run(main())


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def _connect(address: str) -> None:
    await connect(address, lambda _signal: None)
