"""Deaths of listeners as the kernel tells them: its messages taken apart, and the real kernel's word."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.environment import Gone, netlink
from probe.environment.netlink import MESSAGES_PER_PASS_MAX, NetlinkListeners, parse
from tests.e2e.waiting import wait_until
from tests.environment.until import until

ROOT = Path(__file__).parents[2]
KILLS = 50
CHURN = 5000
BURST = 20_000  # deaths in one go: three times what a queue of 8 MiB holds
AT_ONCE = 100  # connections open at the same time
ENDS_WITHIN_S = 20.0
QUIET_S = 0.1  # an event comes within a millisecond; this long without one is none
SOCK_DIAG_BY_FAMILY, NLMSG_DONE = 20, 3


# --- messages ---


def message(
    port: int, address: str, *, peer_port: int = 0, peer: str | None = None, kind: int = SOCK_DIAG_BY_FAMILY
) -> bytes:
    """A message as the kernel makes it: nlmsghdr, inet_diag_msg, one attribute (INET_DIAG_PROTOCOL)."""
    own = ip_address(address)
    packed, packed_peer = own.packed.ljust(16, b"\0"), (ip_address(peer).packed if peer else b"").ljust(16, b"\0")
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    body = struct.pack("!BBBBHH16s16s", family, 7, 0, 0, port, peer_port, packed, packed_peer)
    body += struct.pack("=I8sIIIII", 0, b"\1" * 8, 0, 0, 0, 0, 0) + struct.pack("=HHB3x", 5, 10, 6)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("::", "::"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::102:304", "::102:304"),  # what inet_ntop would spell ::1.2.3.4
    ],
)
def test_a_message_names_place_and_port(address: str, told: str) -> None:
    """IPv4 and IPv6, in the shortest form; an IPv4-mapped address is the IPv4 address that it is."""
    assert parse(message(25, address)) == [Gone(told, 25)]


def test_several_messages_in_one_datagram_are_all_read() -> None:
    """Each message is taken; what is of another kind is passed over."""
    data = message(25, "127.0.0.1") + message(1, "127.0.0.1", kind=NLMSG_DONE) + message(143, "::1")
    assert parse(data) == [Gone("127.0.0.1", 25), Gone("::1", 143)]


@pytest.mark.parametrize(
    "data",
    [
        message(25, "127.0.0.1", peer_port=40_000, peer="127.0.0.1"),
        message(40_000, "0.0.0.0", peer="127.0.0.1"),
        message(0, "0.0.0.0"),
    ],
    ids=["a connection", "a refused client", "never bound"],
)
def test_what_was_no_listener_is_left_out(data: bytes) -> None:
    """What has a peer, or no port of its own, is not told, even if a filter had let it through."""
    assert parse(data) == []


def test_a_message_that_is_cut_short_says_nothing() -> None:
    """Whatever the length, a truncated message is neither an error nor a place."""
    whole = message(25, "127.0.0.1")
    assert [parse(whole[:length]) for length in range(len(whole))] == [[]] * len(whole)
    assert parse(whole + whole[:40]) == [Gone("127.0.0.1", 25)]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 55, 200, 0xFFFFFFFF])
def test_a_message_that_lies_about_its_length_says_nothing(length: int) -> None:
    """A length that cannot be ends the reading: no error, no endless loop."""
    assert parse(struct.pack("=I", length) + message(25, "127.0.0.1")[4:]) == []


def test_an_unknown_family_says_nothing() -> None:
    """What is neither IPv4 nor IPv6 is passed over."""
    data = bytearray(message(25, "127.0.0.1"))
    data[16] = 17
    assert parse(bytes(data)) == []


@given(st.binary(max_size=300))
def test_garbage_is_never_an_error(data: bytes) -> None:
    """Any bytes give places with a port, or nothing."""
    assert all(gone.port and gone.address for gone in parse(data))


# --- the real kernel ---


class Watched:
    """What the kernel told about one address; everybody else of this namespace dies unheard."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[int] = []
        self.overruns = self.told_before = 0
        self.events: netlink.NetlinkEvents | None = None

    def gone(self, deaths: list[Gone]) -> None:
        """Take deaths."""
        self.told += [gone.port for gone in deaths if gone.address == self.address]

    def overrun(self) -> None:
        """Take a loss."""
        self.overruns += 1
        self.told_before = len(self.told)


@contextmanager
def watching(address: str) -> Iterator[Watched]:
    """Watch an address of loopback that nobody else uses."""
    watched = Watched(address)
    try:
        events = watched.events = NetlinkListeners().open(watched.gone, watched.overrun)
    except OSError as error:
        pytest.skip(f"this kernel or sandbox does not tell of destroyed sockets: {error}")
    try:
        yield watched
    finally:
        events.close()
        events.close()


class Program:
    """A listener in a process of its own."""

    def __init__(self, address: str, *options: str) -> None:
        command = [sys.executable, "-m", "tests.environment.listener", address, *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.port, self.other_pid = map(int, self.output.readline().split())

    def kill(self) -> None:
        """SIGKILL it, and the one that shares its socket if there is one. Idempotent."""
        self.process.kill()
        self.process.wait()
        self.output.close()
        self.kill_other()

    def kill_other(self) -> None:
        """SIGKILL the one that shares its socket."""
        if self.other_pid:
            os.kill(self.other_pid, signal.SIGKILL)
            self.other_pid = 0


@pytest.mark.parametrize("address", ["127.7.0.1", "::1", "0.0.0.0", "::"])
async def test_a_listener_that_is_closed_is_told_once(address: str) -> None:
    """IPv4, IPv6 and wildcard listeners; each death once, with its place."""
    with watching(address) as watched:
        port = _die(address)
        await until(lambda: port in watched.told, "its death")
        await asyncio.sleep(QUIET_S)
        assert watched.told.count(port) == 1


async def test_an_ipv4_mapped_listener_is_an_ipv4_one() -> None:
    """A listener bound to ::ffff:127.7.0.2 is told as the IPv4 address that its clients use."""
    with watching("127.7.0.2") as watched:
        listening = socket.create_server(("::ffff:127.7.0.2", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        port = listening.getsockname()[1]
        listening.close()
        await until(lambda: watched.told == [port], "its death")


async def test_every_kill_of_a_listener_is_heard() -> None:
    """Fifty listeners in processes of their own, each killed: fifty deaths are told, none twice."""
    with watching("127.7.0.3") as watched:
        programs = []
        try:
            programs += [Program("127.7.0.3") for _ in range(2)]
            killed = []
            while programs:  # the last ones as well: the kernel may tell the next test of a death that none waited for
                program = programs.pop(0)
                killed.append(program.port)
                program.kill()
                await until(lambda: watched.told == killed, "the death of each")
                if len(killed) + len(programs) < KILLS:
                    programs.append(Program("127.7.0.3"))
            assert len(killed) == KILLS
        finally:
            for program in programs:
                program.kill()


def test_churn_does_not_come_through() -> None:
    """Connections that come and go and refused clients do not even reach our queue: the kernel filters them."""
    address = "127.7.0.4"
    with watching_raw() as joined, socket.create_server((address, 0), backlog=AT_ONCE) as listening:
        port = listening.getsockname()[1]
        for _ in range(CHURN // AT_ONCE):
            _come_and_go(listening, (address, port))
        listening.close()
        for _ in range(AT_ONCE):
            with socket.socket() as refused:
                refused.bind((address, 0))
                assert refused.connect_ex((address, port)) == errno.ECONNREFUSED
        last = _die(address)
        assert messages_about(joined, address, until_port=last) == [port, last]


@contextmanager
def watching_raw() -> Iterator[socket.socket]:
    """Give the socket itself, so that a test sees what is let into its queue."""
    try:
        joined = netlink._join()
    except OSError as error:
        pytest.skip(f"this kernel or sandbox does not tell of destroyed sockets: {error}")
    with joined:
        joined.settimeout(ENDS_WITHIN_S)
        yield joined


def messages_about(joined: socket.socket, address: str, until_port: int) -> list[int]:
    """Read until the death of `until_port`; return the port of every message about the address, whatever it says."""
    ports = []
    while until_port not in ports:
        data = joined.recv(8192)
        if data[24:28] == ip_address(address).packed:
            ports.append(int.from_bytes(data[20:22], "big"))
    return ports


def _come_and_go(listening: socket.socket, place: tuple[str, int]) -> None:
    clients = []
    for _ in range(AT_ONCE):
        clients.append(client := socket.socket())
        client.bind((place[0], 0))
        client.connect(place)
    for number, client in enumerate(clients):
        accepted, _ = listening.accept()
        first, second = (accepted, client) if number % 2 else (client, accepted)
        if number % 3 == 0:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        first.close()
        second.close()


async def test_only_the_last_close_of_a_shared_listener_is_told() -> None:
    """Two processes hold one listening socket: killing one is no death, killing the other is."""
    with watching("127.7.0.5") as watched:
        program = Program("127.7.0.5", "shared")
        try:
            program.process.kill()
            program.process.wait()
            await asyncio.sleep(QUIET_S)
            assert watched.told == []
            program.kill_other()
            await until(lambda: watched.told == [program.port], "the death at the last close")
        finally:
            program.kill()


async def test_a_frozen_listener_is_not_told() -> None:
    """SIGSTOP is no death: hangs are found by asking."""
    with watching("127.7.0.6") as watched:
        program = Program("127.7.0.6")
        try:
            program.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(QUIET_S)
            assert watched.told == []
        finally:
            program.kill()
        await until(lambda: watched.told == [program.port], "the death when it is killed")


async def test_a_full_queue_is_told_as_a_loss() -> None:
    """Deaths beyond what the kernel queues are told as a loss, after all that fitted: until then more may be lost."""
    with watching("127.7.0.7") as watched:
        _overflow(watched)
        await until(lambda: watched.overruns, "the loss")
        await asyncio.sleep(QUIET_S)
        assert watched.told_before > MESSAGES_PER_PASS_MAX  # the queue was read to its end
        await until(lambda: _die("127.7.0.7") in watched.told, "a death after the loss")


def _overflow(watched: Watched) -> None:
    """Let listeners die, without a read meanwhile, until the kernel says that it has dropped some of our events."""
    assert watched.events is not None
    inode = str(os.fstat(watched.events._socket.fileno()).st_ino)

    def dropped() -> bool:
        sockets = [line.split() for line in Path("/proc/net/netlink").read_text().splitlines()]
        return [line[8] for line in sockets if line[9] == inode] != ["0"]

    for _ in range(BURST):
        _die(watched.address)
    wait_until(dropped, "the kernel to drop an event", ENDS_WITHIN_S)


def _die(address: str) -> int:
    """Listen and close; return the port. Skips the test where there is no IPv6."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listening:
        try:
            listening.bind((address, 0))
        except OSError:
            if ":" not in address:
                raise
            pytest.skip("no IPv6 on this machine")
        listening.listen(1)
        return int(listening.getsockname()[1])


async def test_a_closed_watch_says_nothing() -> None:
    """After `close` nothing is told, and no descriptor is left."""
    before = _descriptors()
    with watching("127.7.0.8") as watched:
        pass
    _die("127.7.0.8")
    await asyncio.sleep(QUIET_S)
    assert watched.told == []
    assert _descriptors() == before


def _descriptors() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


async def test_the_trial_is_what_the_kernel_then_tells() -> None:
    """What the self-test announces arrives, on every loopback address there is."""
    told: list[Gone] = []
    listeners = NetlinkListeners()
    try:
        events = listeners.open(told.extend, lambda: None)
    except OSError as error:
        pytest.skip(f"this kernel or sandbox does not tell of destroyed sockets: {error}")
    expected = listeners.try_out()
    assert expected[0].address == "127.0.0.1"
    await until(lambda: set(expected) <= set(told), "our own deaths")
    events.close()


def test_it_needs_no_privilege() -> None:
    """As uid 65534, without a capability and never to gain one, the death of another user's listener is heard."""
    command = [sys.executable, "-m", "tests.environment.watcher"]
    program = Program("127.7.0.9")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as watcher:
        assert watcher.stdin is not None
        assert watcher.stdout is not None
        bound = threading.Timer(ENDS_WITHIN_S, watcher.stdin.close)  # the watcher ends, and with it the reading below
        bound.start()
        try:
            left = watcher.stdout.readline().split()
            assert left == ["CapPrm:0000000000000000", "CapEff:0000000000000000", "NoNewPrivs:1"]
            assert watcher.stdout.readline() == "listening\n"
            program.kill()
            assert f"127.7.0.9 {program.port}\n" in watcher.stdout
        finally:
            bound.cancel()
            program.kill()
            watcher.stdin.close()
