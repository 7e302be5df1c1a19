"""The simulated computer: programs that start, obey, freeze, crash and outlive us, and files that stay."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from probe.environment import Process
from tests.sim.environment import Run, start_run
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.programs import Recipe

PLACE = ("127.0.0.1", 25)
ARGV = ("smtpd", "127.0.0.1:25")


def simulate(body: Callable[[Run, Machine], Coroutine[Any, Any, None]], seed: int = 1) -> str:
    """Run a body on a new machine that knows `smtpd`, and return the digest of what happened."""

    async def main() -> str:
        machine = Machine(seed, current_loop().timeline)
        machine.recipes["smtpd"] = Recipe("smtp")
        await body(start_run(machine), machine)
        return machine.digest

    return run_virtual(main())


def spawn(run: Run) -> Process:
    """Start the server program."""
    return run.processes.spawn(ARGV, environment=None, directory=None, output=None)


def listens(machine: Machine) -> bool:
    """Whether the program's place is served."""
    return machine.server("smtp", PLACE).listening


def test_start_and_stop() -> None:
    """A program listens after its start delay, stops after SIGTERM, and its end is told once."""

    async def body(run: Run, machine: Machine) -> None:
        process = spawn(run)
        told: list[str] = []
        process.on_exit(lambda: told.append(process.exit_text))
        assert not listens(machine)
        await asyncio.sleep(0.1)
        assert (listens(machine), process.running, told) == (True, True, [])
        process.signal_group(signal.SIGTERM)
        assert process.running
        await asyncio.sleep(0.1)
        assert (listens(machine), process.running, told) == (False, False, ["exit status 0"])
        process.on_exit(lambda: told.append("late"))
        assert told == ["exit status 0", "late"]

    simulate(body)


def test_end_is_told_by_the_loop() -> None:
    """A process counts as running until the loop has told its end, as with a pidfd."""

    async def body(run: Run, machine: Machine) -> None:
        process = spawn(run)
        machine.kill(process.pid, signal.SIGKILL)
        assert process.running
        assert not machine.running("smtpd")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert process.exit_text == "killed by SIGKILL"

    simulate(body)


def test_ignoring_term() -> None:
    """A program that ignores SIGTERM ends by SIGKILL only."""

    async def body(run: Run, machine: Machine) -> None:
        machine.recipes["smtpd"].ignores_term = True
        process = spawn(run)
        process.signal_group(signal.SIGTERM)
        await asyncio.sleep(60)
        assert process.running
        process.signal_group(signal.SIGKILL)
        await asyncio.sleep(0.1)
        assert process.exit_text == "killed by SIGKILL"

    simulate(body)


def test_frozen_program() -> None:
    """SIGSTOP keeps the listener and stops the program: SIGTERM waits for SIGCONT, SIGKILL does not."""

    async def body(run: Run, machine: Machine) -> None:
        first, place = spawn(run), machine.server("smtp", PLACE)
        await asyncio.sleep(0.1)
        first.signal_group(signal.SIGSTOP)
        assert (place.listening, place.frozen) == (True, True)
        first.signal_group(signal.SIGTERM)
        await asyncio.sleep(10)
        assert first.running
        first.signal_group(signal.SIGCONT)
        assert not place.frozen
        await asyncio.sleep(0.1)
        assert first.exit_text == "exit status 0"
        second = spawn(run)
        second.signal_group(signal.SIGSTOP)
        await asyncio.sleep(1)
        assert not listens(machine)  # it was stopped before it came up
        second.signal_group(signal.SIGKILL)
        await asyncio.sleep(0.1)
        assert second.exit_text == "killed by SIGKILL"

    simulate(body)


def test_crashes() -> None:
    """A recipe makes a program crash at its start, or some time later."""

    async def body(run: Run, machine: Machine) -> None:
        machine.recipes["smtpd"] = Recipe("smtp", crashes_at_start=True, crash_status=3)
        at_start = spawn(run)
        await asyncio.sleep(1)
        assert (at_start.exit_text, listens(machine)) == ("exit status 3", False)
        machine.recipes["smtpd"] = Recipe("smtp", crashes_after_s=5)
        later = spawn(run)
        await asyncio.sleep(4.9)
        assert (later.running, listens(machine)) == (True, True)
        await asyncio.sleep(0.2)
        assert (later.exit_text, listens(machine)) == ("exit status 1", False)

    simulate(body)


def test_address_in_use() -> None:
    """A second program for a place that is served exits, and leaves the first one alone."""

    async def body(run: Run, machine: Machine) -> None:
        first = spawn(run)
        await asyncio.sleep(0.1)
        second = spawn(run)
        await asyncio.sleep(0.1)
        assert (first.running, second.exit_text, listens(machine)) == (True, "exit status 98", True)

    simulate(body)


def test_worker_serves_on() -> None:
    """Killing the main process alone leaves its worker serving; signalling the group ends that too (FACTS, Truth)."""

    async def body(run: Run, machine: Machine) -> None:
        machine.recipes["smtpd"].has_worker = True
        process = spawn(run)
        await asyncio.sleep(0.1)
        machine.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(0.1)
        assert (process.running, process.group_running, listens(machine)) == (False, True, True)
        process.signal_group(signal.SIGKILL)
        assert (process.group_running, listens(machine)) == (False, False)

    simulate(body)


def test_unknown_program() -> None:
    """A program that is not in the table cannot be started; a process that is not there cannot be killed."""

    async def body(run: Run, machine: Machine) -> None:
        with pytest.raises(FileNotFoundError):
            run.processes.spawn(["nope"], environment=None, directory=None, output=None)
        with pytest.raises(ProcessLookupError):
            machine.kill(4, signal.SIGKILL)

    simulate(body)


def test_our_death_and_adoption() -> None:
    """Programs outlive us: nothing a dead run does has an effect, and the next run adopts by pid and start time."""

    async def body(run: Run, machine: Machine) -> None:
        await asyncio.sleep(3)
        process = spawn(run)
        told: list[str] = []
        process.on_exit(lambda: told.append("dead run"))
        await asyncio.sleep(0.1)
        run.die()
        process.signal_group(signal.SIGKILL)
        for attempt in (lambda: spawn(run), lambda: run.files.write("/x", b""), lambda: run.network.socket(2)):
            with pytest.raises(OSError, match="Input/output error"):
                attempt()
        following = start_run(machine)
        assert following.processes.adopt(process.pid, process.start_time + 1) is None
        assert following.processes.adopt(process.pid + 1, process.start_time) is None
        adopted = following.processes.adopt(process.pid, process.start_time)
        assert adopted is not None
        assert (adopted.running, listens(machine)) == (True, True)
        adopted.on_exit(lambda: told.append(adopted.exit_text))
        adopted.signal_group(signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert told == ["gone"]
        assert following.processes.adopt(process.pid, process.start_time) is None

    simulate(body)


def test_released_process_is_not_told() -> None:
    """A released process runs on, and nobody is told of its end."""

    async def body(run: Run, machine: Machine) -> None:
        process = spawn(run)
        told: list[str] = []
        process.on_exit(lambda: told.append("told"))
        process.release()
        await asyncio.sleep(0.1)
        assert listens(machine)
        machine.kill(process.pid, signal.SIGKILL)
        await asyncio.sleep(0.1)
        assert told == []

    simulate(body)


def test_death_closes_our_sockets() -> None:
    """The kernel closes the sockets of a killed run, and its pollers tell nothing any more."""

    async def body(run: Run, machine: Machine) -> None:
        server = machine.serve("smtp", ("127.0.0.1", 26))
        told: list[tuple[int, int]] = []
        poller = run.network.poller(told.extend)
        socket = run.network.socket(2)
        socket.connect_ex(("127.0.0.1", 26))
        poller.register(socket.fileno(), 1)
        run.die()
        await asyncio.sleep(1)
        assert (told, server.connections, len(run.network.sockets)) == ([], 0, 0)
        with contextlib.suppress(OSError):
            socket.close()

    simulate(body)


def test_reboot() -> None:
    """After a reboot the programs are gone, the files are there, and the boot has another id."""

    async def body(run: Run, machine: Machine) -> None:
        process = spawn(run)
        run.files.make_folder("/state")
        run.files.write("/state/x", b"kept")
        run.files.sync("/state/x")
        run.files.sync("/state")
        run.files.write("/state/y", b"lost")
        before = machine.boot_id
        await asyncio.sleep(0.1)
        run.die()
        machine.reboot()
        following = start_run(machine)
        assert machine.boot_id != before
        assert following.processes.adopt(process.pid, process.start_time) is None
        assert (following.files.names("/state"), following.files.read("/state/x", 10)) == (["x"], b"kept")
        assert not listens(machine)

    simulate(body)


def test_digest() -> None:
    """The same seed and program give the same digest of what happened; another course gives another."""

    def course(seconds: float) -> str:
        async def body(run: Run, machine: Machine) -> None:
            process = spawn(run)
            await asyncio.sleep(run.environment.randomness.uniform(0, seconds))
            machine.kill(process.pid, signal.SIGKILL)

        return simulate(body, seed=7)

    assert course(1) == course(1) != course(2)


def test_wall_clock() -> None:
    """The wall clock runs with the virtual one and can be set without moving it."""

    async def body(run: Run, _machine: Machine) -> None:
        before = run.clock.wall()
        await run.clock.sleep(10)
        assert run.clock.wall() == before + 10
        run.clock.wall_shift_s = -3600
        assert (run.clock.now(), run.clock.wall()) == (10, before + 10 - 3600)

    simulate(body)


def test_failing_disk() -> None:
    """Writing to a file system that became read-only fails and changes nothing."""

    async def body(run: Run, machine: Machine) -> None:
        run.files.write("/x", b"old")
        machine.disk.read_only.add("")
        with pytest.raises(OSError, match="Read-only"):
            run.files.write("/x", b"new")
        assert run.files.read("/x", 10) == b"old"

    simulate(body)
