"""The scripted servers and the links to them: each fault does to a client what its name says."""

from __future__ import annotations

import asyncio
import errno
import socket as std
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from probe.environment import Environment, ResolveError
from tests.sim.environment import make_environment
from tests.sim.lab import receive, transmit
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.servers import GREETING, Fault, Server
from tests.sim.sockets import LINGER_ZERO, SimSocket

PLACE = ("127.0.0.1", 25)
Body = Callable[[Environment, Machine], Coroutine[Any, Any, None]]


def simulate(body: Body, seed: int = 1) -> None:
    """Run a body on a new machine."""

    async def main() -> None:
        environment, machine = make_environment(seed)
        await body(environment, machine)

    run_virtual(main())


def call(environment: Environment, place: tuple[str, int] = PLACE) -> SimSocket:
    """Connect to a place."""
    family = std.AF_INET6 if ":" in place[0] else std.AF_INET
    socket = environment.network.socket(family)
    assert isinstance(socket, SimSocket)
    assert socket.connect_ex(place) == errno.EINPROGRESS
    return socket


async def hear(socket: SimSocket, seconds: float = 0.5) -> list[bytes | int]:
    """Wait, then list what comes from the socket until it would block or has ended."""
    await asyncio.sleep(seconds)
    heard: list[bytes | int] = []
    while (piece := receive(socket)) != errno.EAGAIN:
        heard.append(piece)
        if not piece or isinstance(piece, int):
            break
    return heard


GREETED = GREETING["smtp"]


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        (Fault.NONE, [GREETED]),
        (Fault.REFUSE, [errno.ECONNREFUSED]),
        (Fault.BLACKHOLE, []),
        (Fault.SILENT, []),
        (Fault.RESET_BEFORE, [errno.ECONNRESET]),
        (Fault.RESET_AFTER, [GREETED, errno.ECONNRESET]),
        (Fault.EOF_BEFORE, [b""]),
        (Fault.EOF_WITHIN, [GREETED[: len(GREETED) // 2], b""]),
        (Fault.DRIP, [GREETED[:1]]),
        (Fault.WRONG, [b"+OK ready\r\n"]),
        (Fault.DECLINE, [b"554 no service here\r\n"]),
        (Fault.DELAY, [GREETED]),
    ],
)
def test_faults(fault: Fault, heard: list[bytes | int]) -> None:
    """Each fault is what the client sees of it within half a second."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE).fault = fault
        assert await hear(call(environment)) == heard

    simulate(body)


def test_one_byte_a_second() -> None:
    """A dripping server says the whole greeting, a byte each second."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE).fault = Fault.DRIP
        socket = call(environment)
        assert await hear(socket, 9.5) == [GREETED[:10]]
        assert await hear(socket, len(GREETED)) == [GREETED[10:]]

    simulate(body)


def test_endless_line_is_paced_by_the_reader() -> None:
    """An endless greeting goes on as long as it is read, and holds no more memory than the socket's buffers."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE).fault = Fault.ENDLESS
        socket = call(environment)
        total = 0
        for _ in range(20):
            total += sum(len(piece) for piece in await hear(socket) if isinstance(piece, bytes))
        assert 20 * 64 * 1024 < total < 21 * 400 * 1024

    simulate(body)


@pytest.mark.parametrize(
    ("protocol", "said", "answered"),
    [
        ("smtp", b"QUIT\r\n", b"221 2.0.0 bye\r\n"),
        ("pop3", b"QUIT\r\n", b"+OK\r\n"),
        ("imap", b"a1 LOGOUT\r\n", b"* BYE bye\r\na1 OK done\r\n"),
        ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", GREETING["http"]),
    ],
)
@pytest.mark.parametrize("pieces", [1, 100])
def test_dialogues(protocol: str, said: bytes, answered: bytes, pieces: int) -> None:
    """Each protocol is answered, however its lines are cut, and the server closes after the goodbye."""

    async def body(environment: Environment, machine: Machine) -> None:
        server = machine.serve(protocol, PLACE)
        socket = call(environment)
        assert await hear(socket) == ([] if protocol == "http" else [GREETING[protocol]])
        for at in range(0, len(said), max(1, len(said) // pieces)):
            transmit(socket, said[at : at + max(1, len(said) // pieces)])
            await asyncio.sleep(0.01)
        assert await hear(socket) == [answered, b""]
        assert bytes(server.visits[0].received) == said
        assert server.connections == 0

    simulate(body)


def test_record_of_visits() -> None:
    """A server counts its connections, how many at once, and where they came from."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.add_address("192.0.2.7")
        server = machine.serve("smtp", ("192.0.2.7", 25))
        first, second = call(environment, ("192.0.2.7", 25)), environment.network.socket(std.AF_INET)
        second.bind(("127.0.0.9", 0))
        second.connect_ex(("192.0.2.7", 25))
        await asyncio.sleep(1)
        first.close()
        second.close()
        await asyncio.sleep(1)
        call(environment, ("192.0.2.7", 25))
        await asyncio.sleep(1)
        assert (server.total, server.peak, server.connections) == (3, 2, 1)
        assert dict(server.sources) == {"192.0.2.7": 2, "127.0.0.9": 1}

    simulate(body)


def test_frozen_server() -> None:
    """A frozen server is connected to and silent; thawed, it takes up what has come, greetings that were due too."""

    async def body(environment: Environment, machine: Machine) -> None:
        server = machine.serve("smtp", PLACE)
        server.fault = Fault.DELAY
        early = call(environment)
        await asyncio.sleep(0.05)
        server.freeze()
        late = call(environment)
        assert [await hear(early), await hear(late)] == [[], []]
        assert transmit(late, b"QUIT\r\n") == 6
        server.thaw()
        assert await hear(early) == [GREETED]
        assert await hear(late) == [GREETED + b"221 2.0.0 bye\r\n", b""]

    simulate(body)


def test_killed_server() -> None:
    """The kernel closes a killed server's sockets: an end of stream, or a reset where it had not read all."""

    async def body(environment: Environment, machine: Machine) -> None:
        server = machine.serve("smtp", PLACE)
        read, unread = call(environment), call(environment)
        await asyncio.sleep(0.1)
        server.freeze()
        transmit(unread, b"EHLO x\r\n")
        await asyncio.sleep(0.1)
        server.close()
        assert await hear(read) == [GREETED, b""]
        assert await hear(unread) == [GREETED, errno.ECONNRESET]
        assert await hear(call(environment)) == [errno.ECONNREFUSED]

    simulate(body)


def test_second_server_at_a_place() -> None:
    """A place that is served cannot be opened again until it is closed."""

    async def body(_environment: Environment, machine: Machine) -> None:
        server = machine.serve("smtp", PLACE)
        with pytest.raises(OSError, match="in use"):
            server.open()
        with pytest.raises(OSError, match="in use"):
            Server(machine.wire, "smtp", PLACE).open()
        server.close()
        server.open()

    simulate(body)


def test_partition() -> None:
    """Nothing passes to or from a partitioned address; after the end of it bytes arrive in their order."""

    async def body(environment: Environment, machine: Machine) -> None:
        place = ("192.0.2.7", 25)
        server = machine.serve("smtp", place)
        socket = call(environment, place)
        assert await hear(socket) == [GREETED]
        machine.wire.partition("192.0.2.7")
        for piece in (b"NO", b"OP\r\n", b"QU", b"IT\r\n"):
            transmit(socket, piece)
            await asyncio.sleep(0.3)
        cut_off = call(environment, place)
        assert [await hear(socket), await hear(cut_off)] == [[], []]
        machine.wire.heal("192.0.2.7")
        assert await hear(socket) == [b"250 sim.example\r\n221 2.0.0 bye\r\n", b""]
        assert await hear(cut_off, 3) == [GREETED]
        assert server.total == 2

    simulate(body)


def test_near_connections_stand_at_once() -> None:
    """On one machine what is sent right behind the connect arrives, and a refusal is there at once (as in Linux)."""

    async def body(environment: Environment, machine: Machine) -> None:
        server = machine.serve("http", PLACE)
        socket = call(environment)
        assert transmit(socket, b"GET / HTTP/1.1\r\n\r\n") == 18
        assert receive(socket) == errno.EAGAIN
        assert await hear(socket) == [GREETING["http"], b""]
        server.close()
        assert receive(call(environment)) == errno.ECONNREFUSED
        machine.serve("http", ("192.0.2.7", 80))
        assert transmit(call(environment, ("192.0.2.7", 80)), b"x") == -errno.EAGAIN

    simulate(body)


def test_nobody_there() -> None:
    """An address without a machine is unreachable after a few seconds; one that may not be reached is so at once."""

    async def body(environment: Environment, machine: Machine) -> None:
        assert await hear(call(environment, ("198.51.100.1", 25)), 2.9) == []
        assert await hear(call(environment, ("198.51.100.1", 25)), 3.1) == [errno.EHOSTUNREACH]
        machine.host.connect_errors["198.51.100.1"] = errno.ENETUNREACH
        socket = environment.network.socket(std.AF_INET)
        assert socket.connect_ex(("198.51.100.1", 25)) == errno.ENETUNREACH

    simulate(body)


def test_silent_machine_times_out() -> None:
    """A connect that is never answered fails by itself after 127 s, as Linux's does."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE).fault = Fault.BLACKHOLE
        socket = call(environment)
        assert await hear(socket, 126.9) == []
        assert await hear(socket, 0.2) == [errno.ETIMEDOUT]

    simulate(body)


def test_resources_run_out() -> None:
    """Descriptors and ports end as the kernel's do: EMFILE from socket, EADDRNOTAVAIL from connect."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE)
        machine.host.descriptors_max = 3
        machine.host.ports_max = 2
        sockets = [call(environment), call(environment), environment.network.socket(std.AF_INET)]
        assert sockets[2].connect_ex(PLACE) == errno.EADDRNOTAVAIL
        with pytest.raises(OSError, match="Too many open files"):
            environment.network.socket(std.AF_INET)
        sockets[0].setsockopt(std.SOL_SOCKET, std.SO_LINGER, LINGER_ZERO)
        sockets[0].close()
        await asyncio.sleep(0.1)
        assert sockets[2].connect_ex(PLACE) == errno.EINPROGRESS

    simulate(body)


def test_time_wait() -> None:
    """Who closes first keeps the port for a minute; after the peer's close, or by a reset, it is free at once."""

    async def body(environment: Environment, machine: Machine) -> None:
        server = machine.serve("smtp", PLACE)
        first = call(environment)
        await hear(first)
        first.close()
        server.fault = Fault.EOF_BEFORE
        second = call(environment)
        await hear(second)
        second.close()
        await asyncio.sleep(59)
        assert sum(machine.host.flows.values()) == 1
        await asyncio.sleep(1)
        assert sum(machine.host.flows.values()) == 0

    simulate(body)


def test_names() -> None:
    """Names resolve from the host's table; failures have their kind, and an unknown name does not exist."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.host.names |= {"mail.example": [(std.AF_INET, "192.0.2.7")], "slow.example": "timeout"}
        assert await environment.network.resolve("mail.example") == [(std.AF_INET, "192.0.2.7")]
        for name, kind in (("slow.example", "timeout"), ("no.example", "nxdomain")):
            with pytest.raises(ResolveError) as caught:
                await environment.network.resolve(name)
            assert caught.value.kind == kind

    simulate(body)


def test_stalled_client_finds_the_bytes_in_the_kernel() -> None:
    """What a server says while our loop is stalled is there at the next call, before any pass of the loop."""

    async def body(environment: Environment, machine: Machine) -> None:
        machine.serve("smtp", PLACE)
        socket = call(environment)
        assert receive(socket) == errno.EAGAIN
        current_loop().stall(0.5)
        assert receive(socket) == GREETED

    simulate(body)


def test_latency_is_drawn_once_a_connection() -> None:
    """The same seed gives the same latencies, another one others."""

    def times(seed: int) -> list[float]:
        seen: list[float] = []

        async def body(environment: Environment, machine: Machine) -> None:
            server = machine.serve("smtp", PLACE)
            for _ in range(5):
                call(environment)
            await asyncio.sleep(1)
            seen.extend(visit.at for visit in server.visits)

        simulate(body, seed)
        return seen

    assert times(1) == times(1) != times(2)
