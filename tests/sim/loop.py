"""An asyncio event loop in virtual time: idle time costs nothing, the same program runs the same way each time.

Rules:
1. Time stands still while code runs. It moves when the loop has nothing to run, to the next timer or occurrence.
2. The outside (`Timeline`) happens first at equal times, as a kernel has its packets before a timer is looked at.
3. Tasks and futures hash by the order of their creation, so that sets of them iterate the same way in every run.
4. No descriptor, no thread, no real clock. What would need one raises NotSimulated.
5. When everything waits for ever, when time passes the bound or stands still too long, the run ends with an error.
"""

from __future__ import annotations

import asyncio
import math
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple

from tests.sim.timeline import Timeline

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CLOCK_RESOLUTION_S = 1e-9
PASSES_AT_ONE_INSTANT_MAX = 20_000
PENDING_TASKS_SHOWN_MAX = 12


class SimulationError(Exception):
    """The simulated program cannot go on; the fault is the program's or the test's, never chance."""


class EverythingWaits(SimulationError):
    """Nothing will ever happen again: no timer, no packet, no callback."""


class TimePassed(SimulationError):
    """Virtual time reached the bound of the run before the program ended."""


class TimeStandsStill(SimulationError):
    """The program runs callback after callback and never waits (a level-triggered socket that nobody reads?)."""


class LeftBehind(SimulationError):
    """The program ended and left tasks running."""


class NotSimulated(SimulationError):
    """The program asked the loop for something that exists only outside the simulation."""


class _Task(asyncio.Task[Any]):
    """A task whose hash is its creation number: by default it is its address, which differs from run to run."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future[Any]):
    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _TimePasser:
    """What stands in the place of the loop's selector: no descriptors, only time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.pass_time(timeout)
        return []


def _refuse(name: str) -> Any:
    def refused(_self: VirtualLoop, *_arguments: Any, **_options: Any) -> NoReturn:
        raise NotSimulated(f"loop.{name} is not simulated: sockets and processes come from the injected environment")

    return refused


class VirtualLoop(BaseEventLoop):
    """An event loop whose clock jumps.

    `until_s` bounds virtual time. A start other than 0 lets a second program continue where the first one ended.
    """

    # Attributes of BaseEventLoop that its stub does not show.
    _ready: Any
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(self, until_s: float = math.inf, timeline: Timeline | None = None) -> None:
        super().__init__()
        self.timeline = timeline or Timeline()
        self.until_s = until_s
        self.mishaps: list[dict[str, Any]] = []  # what callbacks raised; asyncio alone would only log it
        self._now = self.timeline.now
        self._created = 0
        self._passes = 0
        self._clock_resolution = CLOCK_RESOLUTION_S
        self._selector = _TimePasser(self)
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, context: self.mishaps.append(context))

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._now

    def stall(self, seconds: float) -> None:
        """Let time pass while the caller keeps the loop from running: the outside goes on, our callbacks do not."""
        self._advance(self._now + seconds)

    def pass_time(self, timeout: float | None) -> None:
        """Wait as a selector would: until `timeout`, for ever when None, or until the outside gave us work."""
        start = self._now
        self.timeline.catch_up(start)
        if timeout != 0 and not self._ready:
            limit = math.inf if timeout is None else start + timeout
            if timeout is not None and self._scheduled:
                limit = min(limit, max(start, self._scheduled[0].when()))
            self._wait_for_outside(limit)
        self._count_pass(start)

    def _wait_for_outside(self, limit: float) -> None:
        while (when := self.timeline.next_at) <= limit and when < math.inf:
            self._advance(when)
            self.timeline.catch_up(when)
            if self._ready:
                return
        if limit == math.inf:
            raise EverythingWaits(f"at {self._now:.6f} s nothing is due and nothing can happen; {self._pending()}")
        self._advance(limit)

    def _advance(self, when: float) -> None:
        if when > self.until_s:
            self._now = self.until_s
            raise TimePassed(f"virtual time passed {self.until_s:g} s; {self._pending()}")
        self._now = max(self._now, when)
        # BaseEventLoop calls what is due before now + resolution: with 0, or with less than a float's step, nothing is.
        self._clock_resolution = max(CLOCK_RESOLUTION_S, 2 * math.ulp(self._now))

    def _count_pass(self, start: float) -> None:
        self._passes = 0 if self._now > start else self._passes + 1
        if self._passes > PASSES_AT_ONE_INSTANT_MAX:
            callbacks = ", ".join(repr(handle) for handle in list(self._ready)[:3])
            self._passes = 0
            raise TimeStandsStill(f"{PASSES_AT_ONE_INSTANT_MAX} passes at {self._now:.6f} s; running: {callbacks}")

    def _pending(self) -> str:
        tasks = sorted((t for t in asyncio.all_tasks(self)), key=hash)
        shown = "; ".join(repr(task) for task in tasks[:PENDING_TASKS_SHOWN_MAX])
        return f"{len(tasks)} tasks: {shown}" if tasks else "no tasks"

    def _make_task(
        self, _loop: asyncio.AbstractEventLoop, coroutine: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        self._created += 1
        return _Task(coroutine, self._created, loop=self, context=context, name=f"Task-{self._created}")

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future that hashes by its creation number."""
        self._created += 1
        return _Future(self._created, self)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run `func` at once on this thread: a thread of its own would bring chance in."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the future
            future.set_exception(error)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing: the time passer returns no descriptors."""

    def _write_to_self(self) -> None:
        """Nothing: nobody is outside this thread who would have to wake us."""

    add_reader = _refuse("add_reader")
    remove_reader = _refuse("remove_reader")
    add_writer = _refuse("add_writer")
    remove_writer = _refuse("remove_writer")
    add_signal_handler = _refuse("add_signal_handler")
    remove_signal_handler = _refuse("remove_signal_handler")
    create_connection = _refuse("create_connection")
    create_server = _refuse("create_server")
    create_unix_connection = _refuse("create_unix_connection")
    create_unix_server = _refuse("create_unix_server")
    create_datagram_endpoint = _refuse("create_datagram_endpoint")
    connect_read_pipe = _refuse("connect_read_pipe")
    connect_write_pipe = _refuse("connect_write_pipe")
    subprocess_exec = _refuse("subprocess_exec")
    subprocess_shell = _refuse("subprocess_shell")
    getaddrinfo = _refuse("getaddrinfo")
    getnameinfo = _refuse("getnameinfo")
    sock_accept = _refuse("sock_accept")
    sock_connect = _refuse("sock_connect")
    sock_recv = _refuse("sock_recv")
    sock_recv_into = _refuse("sock_recv_into")
    sock_sendall = _refuse("sock_sendall")


def run_virtual(main: Coroutine[Any, Any, T], until_s: float = 3600.0, timeline: Timeline | None = None) -> T:
    """Run `main` to its end in virtual time and return its result.

    Raises what `main` raises; TimePassed after `until_s` virtual seconds; EverythingWaits; TimeStandsStill; LeftBehind
    when tasks outlive `main`; SimulationError when a callback raised.
    """
    loop = VirtualLoop(until_s, timeline)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            result = runner.run(main)
            left = loop._pending() if asyncio.all_tasks(loop) else ""
        finally:
            loop.until_s = math.inf  # the clean-up of cancelled tasks may take time
    if loop.mishaps:
        first = loop.mishaps[0]
        raise SimulationError(f"{len(loop.mishaps)} mishaps: {first['message']}") from first.get("exception")
    if left:
        raise LeftBehind(left)
    return result


def current_loop() -> VirtualLoop:
    """Return the running loop. Raises SimulationError outside of virtual time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise SimulationError(f"{loop!r} is not a virtual loop")
    return loop
