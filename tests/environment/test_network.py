"""The real network and the real clock, on both event loops."""

from __future__ import annotations

import _socket
import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import pytest
import uvloop

from probe.environment import READABLE, ResolveError
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.network import EVENTS_PER_BATCH_MAX, EpollPoller, RealNetwork

Runner = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def test_a_socket_neither_blocks_nor_is_inherited() -> None:
    """Every socket is non-blocking and close-on-exec from its first moment."""
    connection = RealNetwork().socket(socket.AF_INET)
    assert isinstance(connection, _socket.socket)
    assert connection.gettimeout() == 0.0
    with socket.socket(fileno=connection.detach()) as opened:
        assert not opened.get_inheritable()


def test_what_is_no_connection_is_not_disconnected() -> None:
    """A descriptor that is none is refused, and nothing else happens."""
    network = RealNetwork()
    connection = network.socket(socket.AF_INET)
    assert network.disconnect(connection)  # nothing is connected yet: the kernel does not mind
    connection.close()
    assert not network.disconnect(connection)


def test_many_ready_sockets_cost_few_batches(run: Runner) -> None:
    """Readiness of many sockets arrives in batches through one descriptor of the loop; none is lost."""

    async def body() -> None:
        batches: list[list[tuple[int, int]]] = []
        seen: set[int] = set()
        everyone = asyncio.Event()

        def ready(events: list[tuple[int, int]]) -> None:
            batches.append(events)
            for fd, _ in events:
                poller.unregister(fd)
                seen.add(fd)
            if len(seen) == len(pairs):
                everyone.set()

        poller = RealNetwork().poller(ready)
        pairs = [socket.socketpair() for _ in range(EVENTS_PER_BATCH_MAX // 2)]
        for near, far in pairs:
            poller.register(near.fileno(), READABLE)
            far.send(b"x")
        async with asyncio.timeout(5):
            await everyone.wait()
        assert len(batches) <= 3
        poller.close()
        poller.close()
        for near, far in pairs:
            near.close()
            far.close()

    run(body())


def test_drain_delivers_what_lies_there_at_once(run: Runner) -> None:
    """`drain` tells synchronously, and a closed socket has left by itself."""

    async def body() -> None:
        told: list[tuple[int, int]] = []
        poller = RealNetwork().poller(told.extend)
        near, far = socket.socketpair()
        poller.register(near.fileno(), READABLE)
        poller.drain()
        assert told == []
        far.send(b"x")
        poller.drain()
        assert told == [(near.fileno(), READABLE)]
        near.close()
        told.clear()
        poller.drain()
        assert told == []
        far.close()
        poller.close()

    run(body())


def test_a_loop_that_cannot_carry_it_is_told_so() -> None:
    """Where the loop has no `add_reader` the error says what is missing, and nothing stays open."""

    class Poor(asyncio.SelectorEventLoop):
        def add_reader(self, fd: Any, callback: Any, *args: Any) -> NoReturn:  # type: ignore[override] # it only raises
            raise NotImplementedError

    async def body() -> None:
        with pytest.raises(RuntimeError, match="add_reader"):
            EpollPoller(lambda events: None)

    loop = asyncio.SelectorEventLoop()
    loop.__class__ = Poor
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(body())


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("192.0.2.1", False), ("2001:db8::1", False), ("nonsense", False)],
)
def test_is_local_asks_the_kernel(address: str, local: bool) -> None:
    """S34: an address is ours if a socket can be bound to it."""
    assert RealNetwork().is_local(address) is local


def test_names_resolve(run: Runner) -> None:
    """A name gives (family, numeric address) pairs without duplicates; numeric ones are themselves."""

    async def body() -> None:
        network = RealNetwork()
        assert await network.resolve("127.0.0.1") == [(socket.AF_INET, "127.0.0.1")]
        found = await network.resolve("localhost")
        assert {address for _, address in found} <= {"127.0.0.1", "::1"}
        assert len(set(found)) == len(found)

    run(body())


@pytest.mark.parametrize(
    ("code", "took_s", "kind"),
    [
        (socket.EAI_NONAME, 0.0, "nxdomain"),
        (socket.EAI_AGAIN, 5.0, "timeout"),
        (socket.EAI_AGAIN, 0.01, "servfail"),
        (socket.EAI_FAIL, 0.0, "servfail"),
        (socket.EAI_MEMORY, 0.0, "servfail"),
    ],
)
def test_each_error_of_the_resolver_has_a_kind(code: int, took_s: float, kind: str) -> None:
    """Only that the name does not exist is the service's; all else is the resolver's or ours."""

    class Failing(asyncio.SelectorEventLoop):
        async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
            failing.passed_s += took_s
            raise socket.gaierror(code, "planted")

    class Hurried(RealNetwork):
        passed_s = 0.0

        def _now(self) -> float:
            return self.passed_s

    failing = Hurried()

    async def body() -> None:
        with pytest.raises(ResolveError) as raised:
            await failing.resolve("example.org")
        assert raised.value.kind == kind

    with asyncio.Runner(loop_factory=Failing) as runner:
        runner.run(body())


def test_a_name_that_is_none_is_nxdomain() -> None:
    """A label that is too long cannot be looked up; it is the store's mistake, not the resolver's."""

    async def body() -> None:
        with pytest.raises(ResolveError) as raised:
            await RealNetwork().resolve("x" * 70 + ".example")
        assert raised.value.kind == "nxdomain"

    asyncio.run(body())


def test_the_clock_tells_time_and_never_calls_early(run: Runner) -> None:
    """A call comes when its time has come, on either loop, also when the loop's own idea of now is old."""

    async def body() -> None:
        clock = LoopClock()
        late: list[float] = []
        start = clock.now()
        for step in range(40):
            when = start + 0.01 + step * 0.0013

            def call(when: float = when) -> None:
                late.append(clock.now() - when)

            clock.call_at(when, call)
        await clock.sleep(0.1)
        assert len(late) == 40
        assert min(late) >= 0
        passed: list[int] = []
        clock.call_at(clock.now() + 0.01, lambda: passed.append(1)).cancel()
        await clock.sleep(0.03)
        assert passed == []
        assert clock.wall() > 1_700_000_000

    run(body())


def test_chance_stays_between() -> None:
    """Numbers lie between the bounds and are not all the same."""
    numbers = {SystemRandomness().uniform(2.0, 3.0) for _ in range(20)}
    assert all(2.0 <= number <= 3.0 for number in numbers)
    assert len(numbers) > 1


def test_an_error_is_raised_as_it_is() -> None:
    """A socket that cannot be had is the kernel's own OSError: the engine knows whose fault that is."""
    with pytest.raises(OSError, match="not supported") as raised:
        RealNetwork().socket(9999)
    assert raised.value.errno == errno.EAFNOSUPPORT
