"""The real `ListenerWatch`: sockets that die, as the kernel's socket diagnosis multicasts them (NETLINK_SOCK_DIAG).

The kernel tells every TCP socket of our network namespace that is destroyed, to anybody, without a privilege. A filter
in the kernel lets through only what can have been a listener: it has a port of its own, and neither port nor address of
a peer. Closed connections have both, refused clients the address; neither wakes us.

Layouts: `linux/netlink.h`, `linux/inet_diag.h`, `linux/filter.h`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from probe.environment import Gone

MESSAGES_PER_PASS_MAX = 256
MESSAGE_BYTES_MAX = 8192
RECEIVE_BYTES = 4 * 1024 * 1024  # of the socket's queue; without CAP_NET_ADMIN the kernel caps it at net.core.rmem_max

_NETLINK_SOCK_DIAG = 4
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_GROUPS = (1, 3)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SOCK_DIAG_BY_FAMILY = 20
_KERNEL = 0  # the netlink port of the kernel

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ID = struct.Struct("!BBBBHH16s16s")  # struct inet_diag_msg up to idiag_dst; ports and addresses in network order
_SOURCE_PORT, _PEER_PORT, _PEER = 20, 22, 40  # offsets in a message
_PEER_BYTES = 16
_ALIGNMENT = 4

_LOAD_WORD, _LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06  # classic BPF; loads beyond the end drop
_WHOLE, _NOTHING = 0xFFFFFFFF, 0


class NetlinkListeners:
    """`ListenerWatch` over the kernel."""

    def open(self, on_gone: Callable[[list[Gone]], None], on_overrun: Callable[[], None]) -> NetlinkEvents:
        """Join the groups, on the running loop. Raises OSError where kernel or sandbox have none of it."""
        return NetlinkEvents(on_gone, on_overrun)

    def try_out(self) -> tuple[Gone, ...]:
        """Listen on 127.0.0.1 and, where there is one, on ::1, and close again. Raises OSError."""
        tried = [_listen_once(socket.AF_INET, "127.0.0.1")]
        with contextlib.suppress(OSError):  # no IPv6 here
            tried.append(_listen_once(socket.AF_INET6, "::1"))
        return tuple(tried)


class NetlinkEvents:
    """`ListenerEvents`: one netlink socket, read when the loop says so.

    The loop is shown an epoll around it: an overrun is an error condition of the socket, and libuv (uvloop) never again
    asks about a descriptor that had one.
    """

    def __init__(self, on_gone: Callable[[list[Gone]], None], on_overrun: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._on_overrun = on_overrun
        self._loop = asyncio.get_running_loop()
        self._lost = False
        self._socket = _join()
        self._epoll = select.epoll()
        self._epoll.register(self._socket, select.EPOLLIN)
        self._loop.add_reader(self._epoll.fileno(), self.drain)

    def drain(self) -> None:
        """Tell what lies in the socket's queue; what is beyond a pass is left for the next.

        A loss is told once the queue has run empty: from its first drop until then the kernel drops all that comes.
        """
        told: list[Gone] = []
        empty = False
        for _ in range(MESSAGES_PER_PASS_MAX):
            try:
                data, (sender, _) = self._socket.recvfrom(MESSAGE_BYTES_MAX)
            except BlockingIOError:
                empty = True
                break
            except OSError:  # ENOBUFS: the queue was full. The kernel says so once
                self._lost = True
                continue
            if sender == _KERNEL:
                told += parse(data)
        if told:
            self._on_gone(told)
        if self._lost and empty:
            self._lost = False
            self._on_overrun()

    def close(self) -> None:
        """Leave the loop and the groups."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._socket.close()


def parse(data: bytes) -> list[Gone]:
    """Read one datagram of netlink messages; what is cut short, malformed or about no listener is left out."""
    found = []
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind = _HEADER.unpack_from(data, offset)[:2]
        if not _HEADER.size + _ID.size <= length <= len(data) - offset:
            break
        if kind == _SOCK_DIAG_BY_FAMILY:
            family, _, _, _, port, peer_port, address, peer = _ID.unpack_from(data, offset + _HEADER.size)
            text = _text_of(family, address)
            if port and not peer_port and not any(peer) and text:
                found.append(Gone(text, port))
        offset += -(-length // _ALIGNMENT) * _ALIGNMENT
    return found


def _text_of(family: int, address: bytes) -> str:
    if family == socket.AF_INET:
        return str(IPv4Address(address[:4]))
    if family == socket.AF_INET6:
        six = IPv6Address(address)
        return str(six.ipv4_mapped or six)
    return ""


def _join() -> socket.socket:
    """Open the socket: filter first, so that nothing else is ever queued, then the groups. Raises OSError."""
    joined = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_SOCK_DIAG)
    try:
        _attach_filter(joined)
        _enlarge(joined)
        joined.bind((0, 0))
        for group in _GROUPS:
            joined.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    except BaseException:
        joined.close()
        raise
    return joined


def _enlarge(joined: socket.socket) -> None:
    try:
        joined.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BYTES)
    except PermissionError:
        joined.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)


def _attach_filter(joined: socket.socket) -> None:
    """Keep out what has a peer, or never had a port of its own."""
    zero = [(_LOAD_HALF, _PEER_PORT), *((_LOAD_WORD, _PEER + at) for at in range(0, _PEER_BYTES, 4))]
    length = 2 * len(zero) + 4
    program: list[tuple[int, int, int, int]] = []  # code, jump if true, jump if false, operand
    for load, at in zero:
        program.append((load, 0, 0, at))
        program.append((_JUMP_IF_EQUAL, 0, length - 2 - len(program), 0))
    program.append((_LOAD_HALF, 0, 0, _SOURCE_PORT))
    program.append((_JUMP_IF_EQUAL, 1, 0, 0))
    program.append((_RETURN, 0, 0, _WHOLE))
    program.append((_RETURN, 0, 0, _NOTHING))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in program))
    joined.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))


def _listen_once(family: int, address: str) -> Gone:
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.bind((address, 0))
        trial.listen(1)
        return Gone(address, trial.getsockname()[1])
