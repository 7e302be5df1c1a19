"""Real processes: their exits, their groups, their identity, their output."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from probe.environment.processes import RealProcess, RealProcesses
from probe.environment.stat import members_of, read_stat
from tests.environment.until import until

KIB = 1024
PR_SET_CHILD_SUBREAPER = 36
FOREVER = "while :; do sleep 60; done"


@pytest.fixture
async def processes() -> AsyncIterator[RealProcesses]:
    """Real processes; whatever a test leaves of its sessions is killed and reaped."""
    started: list[RealProcess] = []

    class Recording(RealProcesses):
        def _keep(self, process: RealProcess) -> RealProcess:
            started.append(process)
            return process

        def spawn(self, *arguments: object, **options: object) -> RealProcess:
            return self._keep(super().spawn(*arguments, **options))  # type: ignore[arg-type] # passed on as they came

        def adopt(self, pid: int, start_time: int) -> RealProcess | None:
            process = super().adopt(pid, start_time)
            return None if process is None else self._keep(process)

    yield Recording()
    for process in started:
        process.signal_group(signal.SIGKILL)
    for process in started:
        await until(lambda process=process: not process.group_running, f"{process} to be gone")  # type: ignore[misc] # mypy infers no type here


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Check that as many descriptors are open after the test as before."""
    before = names_in(Path("/proc/self/fd"))
    yield
    assert len(names_in(Path("/proc/self/fd"))) == len(before)


def names_in(folder: Path) -> list[str]:
    """List a folder."""
    return sorted(path.name for path in folder.iterdir())


def words_in(path: Path) -> list[str]:
    """Read a file's words; a file that is not there yet has none."""
    return path.read_text().split() if path.exists() else []


def state_of(process: RealProcess) -> str:
    """Read the one-letter state of a process, "" when it is gone."""
    stat = read_stat(process.pid)
    return "" if stat is None else stat.state


def shell(processes: RealProcesses, script: str, output: Path | None = None) -> RealProcess:
    """Run a shell script as a process of its own."""
    path = None if output is None else str(output)
    return processes.spawn(["/bin/sh", "-c", script], environment=None, directory=None, output=path)


async def ended(process: RealProcess) -> None:
    """Wait for the exit event."""
    event = asyncio.Event()
    process.on_exit(event.set)
    async with asyncio.timeout(10):
        await event.wait()


async def said(output: Path, words: int = 1) -> list[str]:
    """Wait until so many words have been written to the output."""
    await until(lambda: len(words_in(output)) >= words, f"{words} words in {output}")
    return words_in(output)


async def test_an_exit_is_told_by_an_event_and_leaves_no_zombie(processes: RealProcesses) -> None:
    """An exit with a status is told once, in words, and nothing of the process is left in /proc."""
    process = shell(processes, "exit 3")
    calls: list[str] = []
    process.on_exit(lambda: calls.append("told"))
    assert process.running
    await ended(process)
    assert (process.running, process.exit_text, calls) == (False, "exit status 3", ["told"])
    assert read_stat(process.pid) is None
    process.on_exit(lambda: calls.append("told late"))
    assert calls == ["told", "told late"]


@pytest.mark.parametrize(("number", "text"), [(signal.SIGKILL, "killed by SIGKILL"), (40, "killed by signal 40")])
async def test_a_death_by_signal_is_named(processes: RealProcesses, number: int, text: str) -> None:
    """The exit text names the signal, a real-time one by its number."""
    process = shell(processes, FOREVER)
    process.signal_group(number)
    await ended(process)
    assert process.exit_text == text


async def test_no_descriptor_stays_open(descriptors: None) -> None:
    """After the exit the pidfd is closed."""
    process = shell(RealProcesses(), "exit 0")
    await ended(process)
    assert not process.group_running


@pytest.mark.parametrize("name", ["a) R 1 (b", "sp ace"])
async def test_a_start_time_is_read_behind_any_name(processes: RealProcesses, tmp_path: Path, name: str) -> None:
    """A program's name with spaces and parentheses does not shift the fields of /proc/PID/stat."""
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    process = processes.spawn([str(program), "60"], environment=None, directory=None, output=None)
    await until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == f"{name}\n", "the exec")
    stat = read_stat(process.pid)
    assert stat is not None
    assert (stat.session, stat.start_time) == (process.pid, process.start_time)


async def test_a_signal_reaches_the_whole_group(processes: RealProcesses, tmp_path: Path) -> None:
    """Children of the service are signalled with it; the group is seen to be gone."""
    process = shell(processes, f"({FOREVER}) & echo $!; wait", tmp_path / "out")
    child = int((await said(tmp_path / "out"))[0])
    process.signal_group(signal.SIGTERM)
    await ended(process)
    await until(lambda: not process.group_running, "the group to be gone")
    stat = read_stat(child)
    assert stat is None or not stat.alive  # its reaper is init, which may take its time


async def test_a_group_that_outlives_its_leader_is_still_ours(processes: RealProcesses, tmp_path: Path) -> None:
    """S56: workers left behind by a killed leader, one of them in a group of its own, are found and killed."""
    worker = f"trap '' TERM; echo ready; {FOREVER}"
    apart = "import os, signal; os.setpgid(0, 0); signal.signal(15, signal.SIG_IGN); print('ready', flush=True)"
    script = f'({worker}) & {sys.executable} -c "{apart}; signal.pause()" & wait'
    process = shell(processes, script, tmp_path / "out")
    await said(tmp_path / "out", words=2)
    os.kill(process.pid, signal.SIGKILL)
    await ended(process)
    assert process.group_running
    process.signal_group(signal.SIGTERM)
    assert process.group_running
    process.signal_group(signal.SIGKILL)
    await until(lambda: not process.group_running, "the group to be gone")
    assert not [member for member in members_of(process.pid) if member.alive]


async def test_a_group_that_cannot_be_proved_ours_is_left_alone(processes: RealProcesses, tmp_path: Path) -> None:
    """S56: a session of the same number in which everybody is younger than our knowledge of it is a stranger's."""
    process = shell(processes, f"({FOREVER}) & echo $!", tmp_path / "out")
    child = int((await said(tmp_path / "out"))[0])
    await ended(process)
    process._ours_until = process.start_time - 1  # as if we had lost sight of it before these were born
    process.signal_group(signal.SIGKILL)
    assert not process.group_running
    stat = read_stat(child)
    assert stat is not None
    assert stat.alive
    os.killpg(process.pid, signal.SIGKILL)


async def test_orphans_that_fall_to_us_are_reaped(processes: RealProcesses, tmp_path: Path) -> None:
    """Where we are the reaper (PID 1 of a container) a dead group leaves no zombie, and no other child is touched."""
    become_reaper = ctypes.CDLL(None).prctl
    assert become_reaper(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        other = shell(processes, "exit 5")
        process = shell(processes, f"({FOREVER}) & echo $!; exit 0", tmp_path / "out")
        child = int((await said(tmp_path / "out"))[0])
        await ended(process)
        process.signal_group(signal.SIGKILL)
        await until(lambda: not process.group_running, "the group to be gone")
        assert read_stat(child) is None
        await ended(other)
        assert other.exit_text == "exit status 5"
    finally:
        become_reaper(PR_SET_CHILD_SUBREAPER, 0)


async def test_adoption_wants_the_start_time_to_match(processes: RealProcesses) -> None:
    """S56: a pid whose start time differs is another process: not adopted, not touched."""
    process = shell(processes, FOREVER)
    assert processes.adopt(process.pid, process.start_time - 1) is None
    assert processes.adopt(process.pid, process.start_time + 1) is None
    adopted = processes.adopt(process.pid, process.start_time)
    assert adopted is not None
    assert process.running


async def test_what_leads_no_session_is_not_adopted(processes: RealProcesses, tmp_path: Path) -> None:
    """A process that does not lead its own session cannot be one that we started, whatever its start time."""
    shell(processes, f"({FOREVER}) & echo $!; wait", tmp_path / "out")
    child = int((await said(tmp_path / "out"))[0])
    stat = read_stat(child)
    assert stat is not None
    assert processes.adopt(child, stat.start_time) is None


async def test_a_process_that_is_gone_is_not_adopted(processes: RealProcesses) -> None:
    """Neither an ended process nor a thread's number is taken over."""
    process = shell(processes, "exit 0")
    await ended(process)
    assert processes.adopt(process.pid, process.start_time) is None


async def test_an_adopted_process_tells_its_exit_and_obeys(processes: RealProcesses, tmp_path: Path) -> None:
    """A process that is not our child is watched and signalled like one; how it ended only its parent knows."""
    orphan = "import os, subprocess\nprint(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)"
    starter = processes.spawn(
        [sys.executable, "-c", orphan], environment=None, directory=None, output=str(tmp_path / "out")
    )
    pid = int((await said(tmp_path / "out"))[0])
    await ended(starter)
    stat = read_stat(pid)
    assert stat is not None
    adopted = processes.adopt(pid, stat.start_time)
    assert adopted is not None
    assert adopted.running
    adopted.signal_group(signal.SIGTERM)
    await ended(adopted)
    assert adopted.exit_text == "gone"
    assert not adopted.group_running
    adopted.signal_group(signal.SIGKILL)  # nobody is there to be hit


async def test_a_released_process_runs_on_unheard(tmp_path: Path) -> None:
    """After release no exit is told and the process is untouched."""
    process = shell(RealProcesses(), FOREVER)
    calls: list[str] = []
    process.on_exit(lambda: calls.append("told"))
    process.release()
    stat = read_stat(process.pid)
    assert stat is not None
    assert stat.alive
    os.killpg(process.pid, signal.SIGKILL)
    await until(lambda: os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG), "its end")
    assert calls == []


@pytest.mark.parametrize(
    ("argv", "directory", "error"),
    [
        (["/nowhere/to/be/found"], None, FileNotFoundError),
        (["no-such-program-on-path"], None, FileNotFoundError),
        (["/etc/passwd"], None, PermissionError),
        (["/bin/true"], "/nowhere", FileNotFoundError),
    ],
)
async def test_a_spawn_that_fails_says_why(
    processes: RealProcesses, argv: list[str], directory: str | None, error: type[OSError], descriptors: None
) -> None:
    """What cannot be executed raises the operating system's error at once and leaves nothing behind."""
    with pytest.raises(error):
        processes.spawn(argv, environment=None, directory=directory, output=None)


async def test_a_child_gets_its_surroundings(processes: RealProcesses, tmp_path: Path) -> None:
    """A variable is added, the directory is entered, stdin is empty, no other descriptor is handed on."""
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    script = 'echo "$ADDED:$(pwd):$(cat):$(ls /proc/self/fd | wc -l)"'
    try:
        process = processes.spawn(
            ["/bin/sh", "-c", script],
            environment={"ADDED": "yes"},
            directory=str(tmp_path),
            output=str(tmp_path / "deep" / "out"),
        )
    finally:
        os.close(read_end)
        os.close(write_end)
    await ended(process)
    # `ls` has stdin, the pipe to wc, stderr and the folder that it lists
    assert (tmp_path / "deep" / "out").read_text() == f"yes:{tmp_path}::4\n"


@pytest.mark.parametrize("added", [None, {"ADDED": "yes"}])
async def test_a_child_inherits_our_variables(
    processes: RealProcesses, tmp_path: Path, added: dict[str, str] | None
) -> None:
    """Our own variables reach the child, whether any are added or not."""
    output = tmp_path / "out"
    process = processes.spawn(["/usr/bin/env"], environment=added, directory=None, output=str(output))
    await ended(process)
    names = {line.partition("=")[0] for line in output.read_text().splitlines()}
    assert names >= {*os.environ, *(added or {})}


async def test_want_of_descriptors_is_no_sign_of_a_process_that_is_gone(processes: RealProcesses) -> None:
    """Out of descriptors adoption is an error, not a None that would lead to a second start."""
    process = shell(processes, FOREVER)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            processes.adopt(process.pid, process.start_time)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_output_goes_on_behind_what_is_there(processes: RealProcesses, tmp_path: Path) -> None:
    """stdout and stderr are appended to the file, which other users cannot read."""
    output = tmp_path / "out"
    for word in ("first", "second"):
        await ended(shell(processes, f"echo {word}; echo {word} >&2", output))
    assert output.read_text().split() == ["first", "first", "second", "second"]
    assert output.stat().st_mode & 0o007 == 0


async def test_output_is_bounded_under_its_writer(processes: RealProcesses, tmp_path: Path) -> None:
    """A file over its bound keeps its newest part beside it and starts anew; its writer goes on at the new start."""
    output = tmp_path / "out"
    block = "x" * 63
    script = f"i=0; while [ $i -lt 40 ]; do echo {block}; i=$((i+1)); done; echo last; kill -STOP $$; echo behind"
    process = shell(processes, script, output)
    await until(lambda: state_of(process) == "T", "the writer to pause")
    processes.bound_output(str(output), 4 * KIB)
    assert output.stat().st_size > 2 * KIB  # below the bound nothing happens
    processes.bound_output(str(output), KIB)
    kept = (tmp_path / "out.1").read_text()
    assert (len(kept), kept.endswith("last\n"), output.stat().st_size) == (KIB, True, 0)
    process.signal_group(signal.SIGCONT)
    await ended(process)
    assert output.read_text() == "behind\n"
    assert names_in(tmp_path) == ["out", "out.1"]


async def test_an_output_that_is_a_link_is_refused(processes: RealProcesses, tmp_path: Path) -> None:
    """A symbolic link in the place of the output file is not followed."""
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        shell(processes, "echo hello", tmp_path / "out")
    assert not (tmp_path / "elsewhere").exists()


async def test_a_stopped_process_can_be_killed(processes: RealProcesses) -> None:
    """SIGKILL ends a process that SIGSTOP holds."""
    process = shell(processes, "exec sleep 60")  # a shell that waits in vfork cannot be seen to stop
    process.signal_group(signal.SIGSTOP)
    await until(lambda: state_of(process) == "T", "the process to stop")
    process.signal_group(signal.SIGKILL)
    await ended(process)
    assert process.exit_text == "killed by SIGKILL"


async def test_two_watchers_of_one_process_both_hear_its_end(processes: RealProcesses) -> None:
    """A second handle on our own child (an adoption) hears the end too; one of them reaps."""
    process = shell(processes, FOREVER)
    adopted = processes.adopt(process.pid, process.start_time)
    assert adopted is not None
    process.signal_group(signal.SIGKILL)
    await ended(process)
    await ended(adopted)
    assert {process.exit_text, adopted.exit_text} == {"killed by SIGKILL", "gone"}
    assert read_stat(process.pid) is None
