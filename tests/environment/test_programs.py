"""Programs of one task: their ends, their output, their death with their group."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.environment import Finished
from probe.environment.processes import RealProcesses
from probe.environment.programs import OUTPUT_KEPT_BYTES, RealPrograms, read_output
from tests.e2e.waiting import wait_until
from tests.environment.until import until

GONE_WITHIN_S = 10.0


def sh(script: str) -> list[str]:
    """Name a program by its script."""
    return ["/bin/sh", "-c", script]


@pytest.fixture
async def programs() -> RealPrograms:
    """Real programs on the running loop."""
    return RealPrograms(RealProcesses())


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Check that as many descriptors are open after the test as before."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_sleeping(process: Path) -> bool:
    """Tell whether a process is the `sleep` of the scripts below."""
    try:
        return b"61.7" in (process / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo out; echo err >&2; exit 3", Finished(3, "exit status 3", b"out\nerr\n")),
        ("exit 0", Finished(0, "exit status 0", b"")),
        ("kill -KILL $$", Finished(-9, "killed by SIGKILL", b"")),
    ],
)
async def test_an_end_is_told_whole(programs: RealPrograms, script: str, expected: Finished, descriptors: None) -> None:
    """The status, its words and both streams arrive; a signal is a negative status."""
    assert await programs.run(sh(script)) == expected


@pytest.mark.parametrize("to_file", [False, True])
async def test_only_the_newest_output_is_kept(programs: RealPrograms, to_file: bool, tmp_path: Path) -> None:
    """However much is written, we keep the end of it, and the writer is never held up."""
    output = str(tmp_path / "x.log") if to_file else None
    finished = await programs.run(sh("head -c 3000000 /dev/zero; echo the end"), output=output)
    assert finished.output.endswith(b"\0the end\n")
    assert len(finished.output) == OUTPUT_KEPT_BYTES


async def test_variables_are_added_to_ours(programs: RealPrograms) -> None:
    """A program sees what it is given and what we have."""
    finished = await programs.run(sh('echo "$ADDED $PATH"'), environment={"ADDED": "$(id)"})
    assert finished.output.decode().strip() == f"$(id) {os.environ['PATH']}"


async def test_a_file_is_appended_to_and_read_from_its_end(programs: RealPrograms, tmp_path: Path) -> None:
    """What an earlier run wrote stays in the file and is no part of this run's output."""
    path = tmp_path / "folder" / "x.log"
    assert (await programs.run(sh("echo one"), output=str(path))).output == b"one\n"
    assert (await programs.run(sh("echo two"), output=str(path))).output == b"two\n"
    assert path.read_bytes() == b"one\ntwo\n"
    assert (await programs.run(sh(f"echo x; : >{path}; echo y"), output=str(path))).output == b"y\n"
    assert (await programs.run(sh(f"echo x; rm {path}"), output=str(path))).output == b""


@pytest.mark.parametrize("to_file", [False, True])
async def test_a_daemon_that_is_left_does_not_hold_us_up(
    programs: RealPrograms, to_file: bool, tmp_path: Path, descriptors: None
) -> None:
    """The end of the program counts, not that of its output: what it leaves running keeps that open, and runs on."""
    output = str(tmp_path / "x.log") if to_file else None
    async with asyncio.timeout(5):
        finished = await programs.run(sh("sleep 60 & echo $!"), output=output)
    pid = int(finished.output)
    assert is_alive(pid)
    os.kill(pid, 9)


async def test_a_daemon_goes_on_writing_to_its_file(programs: RealPrograms, tmp_path: Path) -> None:
    """With a file nothing breaks when the program has ended: a pipe would end the daemon at its next word."""
    path = tmp_path / "x.log"
    await programs.run(sh("(sleep 0.05; echo a; echo b) &"), output=str(path))
    await until(lambda: path.read_bytes() == b"a\nb\n", "the daemon's words")


async def test_a_cancel_kills_the_whole_group(programs: RealPrograms, tmp_path: Path, descriptors: None) -> None:
    """Nothing of a cancelled program is left, whatever it ignores."""
    path = tmp_path / "x.log"
    script = "trap '' TERM; sleep 60 & echo $$ $!; wait; sleep 60"
    task = asyncio.get_running_loop().create_task(programs.run(sh(script), output=str(path)))
    await until(lambda: path.exists() and len(path.read_text().split()) == 2, "both to be started")
    pids = [int(word) for word in path.read_text().split()]
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await until(lambda: not any(map(is_alive, pids)), f"{pids} to be gone")
    await until(lambda: not Path(f"/proc/{pids[0]}").exists(), "the first to be reaped")


async def test_what_cannot_be_run_is_an_oserror(programs: RealPrograms, tmp_path: Path, descriptors: None) -> None:
    """A program that is not there, or no program, and an output that cannot be opened, leave nothing behind."""
    with pytest.raises(FileNotFoundError):
        await programs.run(["/nowhere/x"])
    (tmp_path / "x").write_text("x")
    with pytest.raises(PermissionError):
        await programs.run([str(tmp_path / "x")])
    with pytest.raises(OSError, match="File exists"):
        await programs.run(sh("true"), output=str(tmp_path / "x" / "y"))


def test_a_description_is_read(descriptors: None) -> None:
    """A program's stdout comes back whole; its stderr does not."""
    got = read_output(sh("echo $X; echo no >&2; echo b"), environment={"X": "a"}, timeout_s=5, bytes_max=100)
    assert got == b"a\nb\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 2", "ended with 2"),
        ("yes", "more than 100000 bytes"),
        ("sleep 61.7", "did not end within 0.2 s"),
        ("echo x; exec >&-; sleep 61.7", "did not end within 0.2 s"),
        ("sleep 61.7 & echo x", "did not end within 0.2 s"),
    ],
)
def test_a_description_that_does_not_come_is_an_oserror(script: str, words: str, descriptors: None) -> None:
    """A failure, too much of it, and a hang are told in words, and nothing is left running."""
    begun = time.monotonic()
    with pytest.raises(OSError, match=words):
        read_output(sh(script), environment={}, timeout_s=0.2, bytes_max=100_000)
    assert time.monotonic() - begun < 3
    # The kill has been sent to all of them, and the first was waited for; the kernel ends the others in its own time.
    wait_until(lambda: not sleepers(), "the group to be gone", GONE_WITHIN_S)


def sleepers() -> list[Path]:
    """List what the scripts left running."""
    return [each for each in Path("/proc").glob("[0-9]*") if is_alive(int(each.name)) and is_sleeping(each)]
