"""The directory beside the running service: what is pending is done, what differs is shown, nothing of it can hurt."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
from collections.abc import Callable
from typing import TypeVar

import pytest

from bindings.model import Store
from bindings.store import StoreFolder
from probe.directory.contract import Directory, DirectoryError, DirectoryObject
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.pending import Pending, objects_of
from probe.directory.report import DirectoryReport
from probe.metrics import Metrics, chunks
from probe.runtime.directory import LOOK_INTERVAL_S, DirectoryWatch
from probe.values import ResourceId
from tests.directory.worlds import Shelf
from tests.sim.environment import Run
from tests.sim.files import MemoryFiles
from tests.sim.looks import SimThreads
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.timeline import Timeline

T = TypeVar("T")

A = ResourceId("g", "a")
CLUSTER = (
    '{"schema_version": 1, "groups": {"g": {"resources": {"a": {"type": "exec", "parameters": {"argv": ["x"]}}}}}}'
)


class Watched:
    """A watch over a store in memory."""

    def __init__(self, directory: Directory | None = None, threads: SimThreads | None = None) -> None:
        self.files = MemoryFiles.holding({"/store/cluster.json": CLUSTER})
        self.folder = StoreFolder(self.files, "/store")
        self.metrics = Metrics()
        self.threads = threads or SimThreads()
        self.changes = 0
        self.in_force: Store | None = None
        run = Run(Machine(1, Timeline()), current_loop())
        environment = dataclasses.replace(run.environment, files=self.files, threads=self.threads)
        self.watch = DirectoryWatch(
            environment,
            self.metrics,
            directory or EmbeddedDirectory(self.files, "/store", "/state"),
            "/state",
            in_force=lambda: self.in_force or self.folder.load(),
            load=self.folder.load,
            on_change=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    @property
    def report(self) -> DirectoryReport:
        """What the last look found."""
        assert self.watch.report is not None
        return self.watch.report

    def told(self) -> list[str]:
        """The lines of our metrics."""
        return [
            line for line in "".join(chunks(self.metrics, [])).splitlines() if line.startswith("looksalive_directory")
        ]


def test_without_a_directory_nothing_is_told() -> None:
    """Nobody has to have a directory: no file, no report, no difference, no lock and no write."""

    async def main() -> None:
        watched = Watched()
        await watched.watch.look()
        assert watched.watch.report is None
        assert watched.changes == 0
        assert watched.files.steps == []
        assert watched.told() == ["looksalive_directory_pending 0", "looksalive_directory_failing 0"]

    run_virtual(main())


def test_what_differs_is_shown_until_it_does_not(caplog: pytest.LogCaptureFixture) -> None:
    """S73: a foreign edit is in the report, the metrics and the log, each once, until it is undone."""

    async def main() -> None:
        watched = Watched()
        directory = EmbeddedDirectory(watched.files, "/store")
        (wanted,) = objects_of(watched.folder.load())
        directory.put(DirectoryObject(A, "exec", {"argv": ["y"]}))
        for _ in range(2):
            await watched.watch.look()
            (one,) = watched.report.differences
            assert (one.property, one.in_store, one.in_directory) == ("argv", ["x"], ["y"])
            assert watched.changes == 1
        assert 'looksalive_directory_drift{group="g",resource="a"} 1' in watched.told()
        directory.put(wanted)
        await watched.watch.look()
        assert watched.report.differences == ()
        assert watched.changes == 2
        assert not any("drift" in line for line in watched.told())

    with caplog.at_level(logging.INFO):
        run_virtual(main())
    assert caplog.messages == [
        "the directory differs from the store in 1 places; `looksalive drift` shows them",
        "the directory no longer differs from the store",
    ]


def test_what_is_pending_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """S72: a step that was cut off is done by the service; while it cannot be, that is shown, and tried each minute."""

    async def main() -> None:
        fault: list[str] = ["the server is away"]

        def fail(id: ResourceId) -> None:
            if fault:
                raise DirectoryError(fault[0])

        watched = Watched(Shelf(before=fail))
        with Pending(watched.files, "/state").changing(A):
            pass
        following = asyncio.get_running_loop().create_task(watched.watch.follow())
        await asyncio.sleep(1.0)
        report = watched.report
        assert (report.pending, report.error) == (True, "the server is away")
        assert "looksalive_directory_pending 1" in watched.told()
        assert "looksalive_directory_failing 1" in watched.told()
        fault.clear()
        await asyncio.sleep(LOOK_INTERVAL_S)
        report = watched.report
        assert (report.pending, report.error, report.differences) == (False, "", ())
        assert Pending(watched.files, "/state").ids() == ()
        assert "looksalive_directory_pending 0" in watched.told()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    with caplog.at_level(logging.INFO):
        run_virtual(main())
    assert caplog.messages[0] == "the directory is not as it should be: the server is away"
    assert caplog.messages[1] == "the directory a shelf can be asked again"


def test_a_look_that_fails_keeps_what_is_known() -> None:
    """S73: while the directory cannot be asked the last differences stay, with the reason beside them."""

    async def main() -> None:
        watched = Watched()
        directory = EmbeddedDirectory(watched.files, "/store")
        directory.put(DirectoryObject(A, "exec", {}))
        await watched.watch.look()
        watched.files.put("/store/directory.json", "{")
        await watched.watch.look()
        assert len(watched.report.differences) == 1
        assert "is no directory" in watched.report.error

    run_virtual(main())


def test_a_directory_that_hangs_is_asked_once() -> None:
    """S65: a look that does not return is waited for: no second one begins, and the loop goes on."""

    async def main() -> None:
        watched = Watched(Shelf())
        watched.threads.hang()
        following = asyncio.get_running_loop().create_task(watched.watch.follow())
        await asyncio.sleep(10 * LOOK_INTERVAL_S)
        assert watched.threads.made == ["directory"]
        watched.threads.go_on()
        await asyncio.sleep(1.0)
        assert watched.report.error == ""
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    run_virtual(main())


class NoThreads(SimThreads):
    """A machine that has no thread left."""

    async def run(self, key: object, call: Callable[[], T]) -> T:
        raise OSError(errno.EAGAIN, "no thread")


class _Broken(Shelf):
    """Has a mistake of ours in it."""

    def objects(self) -> tuple[DirectoryObject, ...]:
        raise ZeroDivisionError


@pytest.mark.parametrize("spoil", ["directory", "threads"])
def test_a_mistake_of_ours_ends_nothing(spoil: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a look raises is logged, and the next look is made: the service must not end for its directory."""

    async def main() -> None:
        watched = Watched(_Broken() if spoil == "directory" else Shelf(), NoThreads() if spoil == "threads" else None)
        await watched.watch.look()
        assert watched.watch.report is None

    run_virtual(main())
    assert caplog.messages == ["the directory could not be looked at"]


def test_a_store_with_mistakes_keeps_its_notes() -> None:
    """S72: what is pending waits while the store cannot be read; nothing is removed because of that."""

    async def main() -> None:
        shelf = Shelf(DirectoryObject(A, "exec", {"argv": ["x"]}))
        watched = Watched(shelf)
        watched.in_force = watched.folder.load()
        with Pending(watched.files, "/state").changing(A):
            watched.files.put("/store/cluster.json", "{")
        await watched.watch.look()
        assert watched.report.pending
        assert "looksalive validate" in watched.report.error
        assert shelf.get(A) is not None

    run_virtual(main())
