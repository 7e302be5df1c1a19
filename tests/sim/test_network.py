"""The socket seam, tested in the real kernel and in the simulated one with the same bodies."""

from __future__ import annotations

import errno
import socket as std
import struct
from pathlib import Path

import pytest

from probe.environment import ERROR, HANGUP, READABLE, WRITABLE
from probe.monitor.options import IP_BIND_ADDRESS_NO_PORT
from tests.sim.lab import Lab, RunLab, accepted, client, mask_of, receive, transmit

BOTH = READABLE | WRITABLE
RESET = struct.pack("ii", 1, 0)
TCP_ESTABLISHED = 1
TCP_SYN_SENT = 2
TCP_CLOSE = 7


def test_connect_succeeds(run_lab: RunLab) -> None:
    """A connect to a listener is in progress first, then writable, without error and with its round-trip time."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab) as socket:
            assert socket.connect_ex(post.address) == errno.EINPROGRESS
            await lab.settle()
            assert mask_of(lab, socket, BOTH) == WRITABLE
            assert socket.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0
            info = socket.getsockopt(std.IPPROTO_TCP, std.TCP_INFO, 104)
            assert len(info) == 104
            assert info[0] == TCP_ESTABLISHED
            assert struct.unpack_from("=I", info, 68)[0] > 0
            assert [socket.connect_ex(post.address), socket.connect_ex(post.address)] == [0, errno.EISCONN]
            assert receive(socket) == errno.EAGAIN
            accepted(post).close()

    run_lab(body)


def test_connect_refused(run_lab: RunLab) -> None:
    """A connect to a closed port ends in an error that SO_ERROR tells once; then the stream has ended."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        post.close()
        with client(lab, post.address) as socket:
            await lab.settle()
            assert mask_of(lab, socket, WRITABLE) == WRITABLE | ERROR | HANGUP
            assert socket.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == errno.ECONNREFUSED
            assert socket.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0
            assert mask_of(lab, socket, BOTH) == BOTH | HANGUP
            assert receive(socket) == b""
            assert transmit(socket, b"x") == -errno.EPIPE

    run_lab(body)


def test_refusal_is_told_by_recv(run_lab: RunLab) -> None:
    """Without asking for SO_ERROR the refusal comes from the first recv, and only from it."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        post.close()
        with client(lab, post.address) as socket:
            await lab.settle()
            assert [receive(socket), receive(socket)] == [errno.ECONNREFUSED, b""]

    run_lab(body)


def test_unconnected_socket(run_lab: RunLab) -> None:
    """A new socket hangs up in epoll, cannot receive, send or shut down."""

    async def body(lab: Lab) -> None:
        with client(lab) as socket:
            assert mask_of(lab, socket, BOTH) == WRITABLE | HANGUP
            assert receive(socket) == errno.ENOTCONN
            assert transmit(socket, b"x") == -errno.EPIPE
            with pytest.raises(OSError, match="not connected"):
                socket.shutdown(std.SHUT_WR)

    run_lab(body)


def test_dropped_syn_is_sent_again(run_lab: RunLab) -> None:
    """A connect whose SYN is dropped (a full backlog) stays silent, and succeeds a second later once there is room."""

    async def body(lab: Lab) -> None:
        post = lab.listen(backlog=0)
        with client(lab, post.address), client(lab) as second:
            await lab.settle()
            assert second.connect_ex(post.address) == errno.EINPROGRESS
            await lab.settle()
            assert mask_of(lab, second, BOTH) == 0
            assert second.getsockopt(std.IPPROTO_TCP, std.TCP_INFO, 104)[0] == TCP_SYN_SENT
            assert second.connect_ex(post.address) == errno.EALREADY
            assert receive(second) == errno.EAGAIN
            assert transmit(second, b"x") == -errno.EAGAIN
            accepted(post).close()
            await lab.settle(1.1)
            assert mask_of(lab, second, BOTH) == WRITABLE
            accepted(post).close()

    run_lab(body)


def test_bytes_arrive_whole_and_in_order(run_lab: RunLab) -> None:
    """What was sent in pieces is received in order, as much at a time as is asked for."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            peer.send(b"220 ")
            peer.send(b"hello\r\n")
            await lab.settle()
            assert mask_of(lab, socket, READABLE) == READABLE
            assert [receive(socket, 3), receive(socket), receive(socket)] == [b"220", b" hello\r\n", errno.EAGAIN]
            assert transmit(socket, b"QUIT\r\n") == 6
            await lab.settle()
            assert peer.read() == b"QUIT\r\n"
            peer.close()

    run_lab(body)


def test_end_of_stream(run_lab: RunLab) -> None:
    """After the peer's close its last bytes are read, then the end; the hang-up comes with our own shutdown."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            peer.send(b"bye")
            peer.close()
            await lab.settle()
            assert mask_of(lab, socket, BOTH) == BOTH
            assert [receive(socket), receive(socket), receive(socket)] == [b"bye", b"", b""]
            socket.shutdown(std.SHUT_WR)
            await lab.settle()
            assert mask_of(lab, socket, READABLE) == READABLE | HANGUP

    run_lab(body)


def test_reset_before_bytes(run_lab: RunLab) -> None:
    """A reset is told once by recv; afterwards the stream has ended and sending is a broken pipe."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            accepted(post).reset()
            await lab.settle()
            assert mask_of(lab, socket, BOTH) == BOTH | ERROR | HANGUP
            assert [receive(socket), receive(socket)] == [errno.ECONNRESET, b""]
            assert transmit(socket, b"x") == -errno.EPIPE

    run_lab(body)


def test_reset_after_bytes(run_lab: RunLab) -> None:
    """Bytes that came before a reset are read first."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            peer.send(b"220 x\r\n")
            await lab.settle()
            peer.reset()
            await lab.settle()
            assert [receive(socket), receive(socket)] == [b"220 x\r\n", errno.ECONNRESET]

    run_lab(body)


def test_sending_after_the_peers_close(run_lab: RunLab) -> None:
    """A send to a peer that has closed is taken; its answer, a reset after the end, makes the next a broken pipe."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            accepted(post).close()
            await lab.settle()
            assert transmit(socket, b"QUIT\r\n") == 6
            await lab.settle()
            assert receive(socket) == b""
            assert transmit(socket, b"x") == -errno.EPIPE

    run_lab(body)


@pytest.mark.parametrize("how", ["clean", "unread", "linger"])
def test_our_close_as_the_peer_sees_it(run_lab: RunLab, how: str) -> None:
    """A clean close ends the peer's stream; one with unread bytes, or with SO_LINGER 0, resets it."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            if how == "unread":
                peer.send(b"220 x\r\n")
                await lab.settle()
            if how == "linger":
                socket.setsockopt(std.SOL_SOCKET, std.SO_LINGER, RESET)
            socket.close()
            await lab.settle()
            assert peer.read() == (b"" if how == "clean" else errno.ECONNRESET)
            peer.close()

    run_lab(body)


@pytest.mark.parametrize("how", ["open", "unread", "ended", "reset"])
def test_a_disconnected_socket_is_as_new(run_lab: RunLab, how: str) -> None:
    """Disconnecting resets, and the socket carries another connection on which nothing of the first one is found."""

    async def body(lab: Lab) -> None:
        first, second = lab.listen(), lab.listen()
        with client(lab, first.address) as socket:
            await lab.settle()
            peer = accepted(first)
            peer.send(b"220 first\r\n")
            await lab.settle()
            assert receive(socket) == b"220 first\r\n"
            if how == "unread":
                peer.send(b"250 more\r\n")
            if how in {"ended", "reset"}:
                peer.close() if how == "ended" else peer.reset()
            await lab.settle()
            assert lab.network.disconnect(socket)
            assert socket.getsockopt(std.IPPROTO_TCP, std.TCP_INFO, 104)[0] == TCP_CLOSE
            await lab.settle()
            if how in {"open", "unread"}:
                assert peer.read() == errno.ECONNRESET
                peer.close()
            assert socket.connect_ex(second.address) == errno.EINPROGRESS
            await lab.settle()
            assert mask_of(lab, socket, BOTH) == WRITABLE
            assert socket.getsockopt(std.SOL_SOCKET, std.SO_ERROR) == 0
            info = socket.getsockopt(std.IPPROTO_TCP, std.TCP_INFO, 104)
            assert info[0] == TCP_ESTABLISHED
            assert struct.unpack_from("=I", info, 68)[0] > 0
            assert receive(socket) == errno.EAGAIN
            assert transmit(socket, b"EHLO x\r\n") == 8
            peer = accepted(second)
            peer.send(b"220 second\r\n")
            await lab.settle()
            assert (peer.read(), receive(socket)) == (b"EHLO x\r\n", b"220 second\r\n")
            socket.close()
            await lab.settle()
            assert peer.read() == b""
            peer.close()

    run_lab(body)


def test_a_disconnected_socket_is_bound_anew(run_lab: RunLab) -> None:
    """The source that was bound gives way to the next one."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        socket = lab.network.socket(std.AF_INET)
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
            socket.setsockopt(std.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            socket.bind((source, 0))
            assert socket.connect_ex(post.address) == errno.EINPROGRESS
            await lab.settle()
            peer = accepted(post)
            assert peer.source == source
            assert lab.network.disconnect(socket)
            peer.close()
        socket.close()

    run_lab(body)


def test_peer_that_closes_with_unread_bytes_resets(run_lab: RunLab) -> None:
    """A server that closes without having read all that it was sent resets the connection."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            assert transmit(socket, b"GET / HTTP/1.1\r\n\r\n") == 18
            await lab.settle()
            peer.close()
            await lab.settle()
            assert receive(socket) == errno.ECONNRESET

    run_lab(body)


def test_full_buffers(run_lab: RunLab) -> None:
    """Sending to a peer that does not read ends in EAGAIN and no WRITABLE, until the peer has read."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            peer = accepted(post)
            sent = 0
            for _ in range(200):
                while (count := transmit(socket, b"x" * 65536)) > 0:
                    sent += count
                assert count == -errno.EAGAIN
                await lab.settle(0.005)
                if not mask_of(lab, socket, WRITABLE):
                    break
            assert mask_of(lab, socket, WRITABLE) == 0
            told: list[tuple[int, int]] = []

            def ready(batch: list[tuple[int, int]]) -> None:
                told.extend(batch)
                poller.unregister(socket.fileno())

            poller = lab.network.poller(ready)
            poller.register(socket.fileno(), WRITABLE)
            read = 0
            while isinstance(data := peer.read(), bytes):
                read += len(data)
                await lab.settle(0.005)
            assert read == sent
            assert told == [(socket.fileno(), WRITABLE)]
            poller.close()
            peer.close()

    run_lab(body)


def test_silent_program_is_still_accepted_by_the_kernel(run_lab: RunLab) -> None:
    """A listener whose program does not run (SIGSTOP) lets clients connect and send; it finds the bytes later."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            assert mask_of(lab, socket, BOTH) == WRITABLE
            assert transmit(socket, b"EHLO x\r\n") == 8
            await lab.settle()
            peer = accepted(post)
            assert peer.read() == b"EHLO x\r\n"
            peer.close()

    run_lab(body)


def test_dead_listener_resets_what_it_did_not_accept(run_lab: RunLab) -> None:
    """Closing a listener resets the connections in its backlog."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            post.close()
            await lab.settle()
            assert receive(socket) == errno.ECONNRESET

    run_lab(body)


def test_source_address(run_lab: RunLab) -> None:
    """S34: the peer sees the address that was bound; unbound, a client of 127.0.0.2 comes from 127.0.0.1."""

    async def body(lab: Lab) -> None:
        post = lab.listen("127.0.0.2")
        with client(lab) as bound, client(lab, post.address):
            bound.bind(("127.0.0.3", 0))
            await lab.settle()
            assert bound.connect_ex(post.address) == errno.EINPROGRESS
            await lab.settle()
            peers = [accepted(post), accepted(post)]
            assert [peer.source for peer in peers] == ["127.0.0.1", "127.0.0.3"]
            for peer in peers:
                peer.close()

    run_lab(body)


def test_bind_errors(run_lab: RunLab) -> None:
    """Binding to an address that is not ours is EADDRNOTAVAIL, binding twice EINVAL."""

    async def body(lab: Lab) -> None:
        assert lab.network.is_local("127.9.9.9")
        assert not lab.network.is_local("192.0.2.1")
        with client(lab) as socket:
            with pytest.raises(OSError, match="assign requested address"):
                socket.bind(("192.0.2.1", 0))
            socket.bind(("127.0.0.1", 0))
            with pytest.raises(OSError, match="Invalid argument"):
                socket.bind(("127.0.0.1", 0))

    run_lab(body)


def test_closed_socket(run_lab: RunLab) -> None:
    """A closed socket has no descriptor, every call on it is EBADF, and its number is given to the next one."""

    async def body(lab: Lab) -> None:
        with client(lab) as socket, client(lab) as other:
            fd = socket.fileno()
            socket.close()
            socket.close()
            assert socket.fileno() == -1
            assert receive(socket) == errno.EBADF
            assert transmit(socket, b"x") == -errno.EBADF
            with client(lab) as following, client(lab) as last:
                assert following.fileno() == fd
                assert last.fileno() not in {fd, other.fileno()}

    run_lab(body)


def test_unix_sockets(run_lab: RunLab, tmp_path: Path) -> None:
    """A unix socket connects at once, or fails at once: ENOENT without a file, ECONNREFUSED without a listener."""

    async def body(lab: Lab) -> None:
        path = str(tmp_path / "lmtp")
        with client(lab, family=std.AF_UNIX) as socket:
            assert socket.connect_ex(path) == errno.ENOENT
        post = lab.listen_unix(path)
        with client(lab, family=std.AF_UNIX) as socket:
            assert socket.connect_ex(path) == 0
            await lab.settle()
            peer = accepted(post)
            peer.send(b"220")
            await lab.settle()
            assert receive(socket) == b"220"
            with pytest.raises(OSError, match="not supported"):
                socket.getsockopt(std.IPPROTO_TCP, std.TCP_INFO, 104)
            peer.close()
        post.close()
        with client(lab, family=std.AF_UNIX) as socket:
            assert socket.connect_ex(path) == errno.ECONNREFUSED

    run_lab(body)


async def _resolves(lab: Lab) -> None:
    assert list(await lab.network.resolve("127.0.0.7")) == [(std.AF_INET, "127.0.0.7")]
    assert list(await lab.network.resolve("::1")) == [(std.AF_INET6, "::1")]


def test_numeric_names(run_lab: RunLab) -> None:
    """A numeric address resolves to itself."""
    run_lab(_resolves)
