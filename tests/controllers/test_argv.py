"""The look of an exec resource: how a program's end is read, and real programs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from probe.controllers.argv import ArgvObserver, judge_end
from probe.environment import Finished
from probe.values import Reason, ResourceId
from tests.controllers.actual import Actual
from tests.environment.until import until

ID = ResourceId("evs1", "queue")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0, Reason.MATCHED),
        (1, Reason.NOT_SERVING),
        (2, Reason.NOT_SERVING),
        (3, Reason.PROBE_INTERNAL),
        (4, Reason.NOT_SERVING),
        (-9, Reason.PROBE_INTERNAL),
    ],
)
def test_an_end_is_read(status: int, reason: Reason) -> None:
    """S13: 0 is alive, 3 and a signal say nothing, everything else is a failure; the first line is the evidence."""
    verdict = judge_end(Finished(status, f"exit status {status}", b"\n  MAILQ: \x1b[31m7 <b>\nmore\n"))
    assert verdict.reason is reason
    assert "MAILQ: \\x1b[31m7 <b>" in verdict.evidence
    assert "more" not in verdict.evidence


def test_a_silent_program_is_told_by_its_status() -> None:
    """Without a line the way it ended is the evidence; a very long line is cut."""
    assert judge_end(Finished(2, "exit status 2")).evidence == "exit status 2"
    assert len(judge_end(Finished(0, "exit status 0", b"x" * 4096)).evidence) <= 200


async def look(*argv: str) -> tuple[Reason, str]:
    """Look by a real program."""
    verdict = await ArgvObserver(Actual().environment).look(ID, {"argv": list(argv)})
    return verdict.reason, verdict.evidence


async def test_real_programs() -> None:
    """A program's end and first line are what counts; it knows for whom it looks, and no shell reads its words."""
    assert await look("/bin/sh", "-c", "echo $LOOKSALIVE_RESOURCE; exit 0") == (Reason.MATCHED, "evs1/queue")
    assert await look("/bin/sh", "-c", "echo full >&2; exit 2") == (Reason.NOT_SERVING, "exit status 2: full")
    assert await look("/bin/echo", "$HOME", "*") == (Reason.MATCHED, "$HOME *")


async def test_what_cannot_be_run_is_unknown_and_named() -> None:
    """A program that is not there, or may not be run, says nothing about what it looks at."""
    reason, evidence = await look("/nonesuch/check")
    assert reason is Reason.PROBE_INTERNAL
    assert evidence == "cannot run /nonesuch/check: No such file or directory"
    reason, evidence = await look("/etc/passwd")
    assert reason is Reason.PROBER_FORBIDDEN
    assert "cannot run /etc/passwd: Permission denied" in evidence
    assert (await look())[0] is Reason.PROBE_INTERNAL


async def test_a_program_that_is_given_up_is_killed_with_its_group(tmp_path: Path) -> None:
    """S65: the cancel at the deadline leaves nothing of the program running."""
    told = tmp_path / "pids"
    script = f"sleep 1000 & echo $! $$ > {told}; wait"
    looking = asyncio.ensure_future(look("/bin/sh", "-c", script))
    await until(lambda: told.exists() and told.read_text(encoding="ascii").endswith("\n"), "the program to begin")
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    pids = [int(word) for word in told.read_text(encoding="ascii").split()]
    assert len(pids) == 2
    await until(lambda: not any(runs(pid) for pid in pids), "both processes to be gone")


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except (ProcessLookupError, FileNotFoundError):
        return False
