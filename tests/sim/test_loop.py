"""Virtual time: it jumps, it is bounded, and the same program runs the same way each time."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.sim.loop import (
    EverythingWaits,
    LeftBehind,
    NotSimulated,
    SimulationError,
    TimePassed,
    TimeStandsStill,
    current_loop,
    run_virtual,
)


def test_time_jumps() -> None:
    """A year of waiting takes no time, and timers are called exactly when they are due, in order."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        called: list[float] = []
        for when in (3.5, 1.25, 86_400.1):
            loop.call_at(when, lambda: called.append(loop.time()))
        await asyncio.sleep(365 * 86_400)
        return [*called, loop.time()]

    started = time.perf_counter()
    assert run_virtual(main(), until_s=1e9) == [1.25, 3.5, 86_400.1, 365 * 86_400]
    assert time.perf_counter() - started < 1


def test_timeouts_use_virtual_time() -> None:
    """asyncio.timeout ends a wait when virtual time has come."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 5


def test_outside_goes_first() -> None:
    """What happens outside at the time of a timer happens before it."""

    async def main() -> list[str]:
        loop, log = current_loop(), list[str]()
        loop.call_at(1, lambda: log.append("timer"))
        loop.timeline.call_at(1, log.append, "outside")
        await asyncio.sleep(1)
        return log

    assert run_virtual(main()) == ["outside", "timer"]


def test_stall_lets_the_outside_go_on() -> None:
    """While the loop is stalled the outside happens at its own times; our timers are late."""

    async def main() -> list[tuple[str, float]]:
        loop, log = current_loop(), list[tuple[str, float]]()
        loop.timeline.call_at(1, lambda: log.append(("outside", loop.timeline.now)))
        loop.call_at(0.5, lambda: log.append(("timer", loop.time())))
        loop.stall(2)
        await asyncio.sleep(0)
        return log

    assert run_virtual(main()) == [("outside", 1), ("timer", 2)]


def test_cancelled_occurrence() -> None:
    """What was cancelled outside does not happen and does not keep time going."""

    async def main() -> list[str]:
        loop, log = current_loop(), list[str]()
        loop.timeline.call_at(1, log.append, "no").cancel()
        await asyncio.sleep(2)
        return log

    assert run_virtual(main()) == []


def test_everything_waits() -> None:
    """A program that nothing can ever wake is told so, with its tasks named."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(EverythingWaits, match=r"nothing is due.*Task-1"):
        run_virtual(main())


def test_time_is_bounded() -> None:
    """A program that goes on for ever ends at the bound, whether it waits or stalls."""

    async def waits() -> None:
        while True:  # noqa: ASYNC110 - waiting for ever is the point
            await asyncio.sleep(1)

    async def stalls() -> None:
        current_loop().stall(100)

    for main in (waits(), stalls()):
        with pytest.raises(TimePassed, match="virtual time passed 50 s"):
            run_virtual(main, until_s=50)


def test_time_that_stands_still() -> None:
    """A program that never waits is found out."""

    async def main() -> None:
        while True:  # noqa: ASYNC110 - never waiting is the point
            await asyncio.sleep(0)

    with pytest.raises(TimeStandsStill, match="passes at 0"):
        run_virtual(main())


def test_tasks_left_behind() -> None:
    """A task that outlives the program is an error that names it."""

    async def main() -> None:
        current_loop().create_task(asyncio.sleep(5), name="straggler")
        await asyncio.sleep(1)

    with pytest.raises(LeftBehind, match="straggler"):
        run_virtual(main())


def test_mishaps_are_errors() -> None:
    """What a callback raises fails the run; asyncio alone would only log it."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(SimulationError, match="1 mishaps") as caught:
        run_virtual(main())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_sets_of_tasks_keep_their_order() -> None:
    """Tasks and futures hash by creation, so that a set of them iterates alike in every run."""

    async def main() -> tuple[list[int], list[int]]:
        tasks = [asyncio.ensure_future(asyncio.sleep(0)) for _ in range(50)]
        futures = [asyncio.get_running_loop().create_future() for _ in range(5)]
        await asyncio.wait(tasks)
        return [tasks.index(task) for task in set(tasks)], [futures.index(future) for future in set(futures)]

    filler = [object() for _ in range(997)]  # moves the next run's objects in memory
    first = run_virtual(main())
    del filler
    assert run_virtual(main()) == first


def test_threads_are_run_in_line() -> None:
    """A call in a thread runs at once, in order; its error reaches whoever awaits it."""

    async def main() -> list[int]:
        assert await asyncio.to_thread(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)
        done: list[int] = []
        await asyncio.gather(*(asyncio.to_thread(done.append, n) for n in range(5)))
        return done

    assert run_virtual(main()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["add_reader", "create_server", "subprocess_exec", "add_signal_handler"])
def test_the_real_outside_is_refused(name: str) -> None:
    """Descriptors, transports, processes and signals do not exist in virtual time."""

    async def main() -> None:
        getattr(asyncio.get_running_loop(), name)(0, print)

    with pytest.raises(NotSimulated, match=name):
        run_virtual(main())


def test_only_in_virtual_time() -> None:
    """Asking for the virtual loop on another one is an error."""

    async def main() -> None:
        current_loop()

    with pytest.raises(SimulationError, match="not a virtual loop"):
        asyncio.run(main())
