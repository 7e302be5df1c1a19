"""The socket options that probes use, as plain numbers: an enum's member costs as much as the call."""

from __future__ import annotations

import socket
import struct

from probe.environment import Socket

AF_INET = int(socket.AF_INET)
AF_UNIX = int(socket.AF_UNIX)
IPPROTO_IP = int(socket.IPPROTO_IP)
IPPROTO_TCP = int(socket.IPPROTO_TCP)
SOL_SOCKET = int(socket.SOL_SOCKET)
SO_ERROR = int(socket.SO_ERROR)
SO_LINGER = int(socket.SO_LINGER)
TCP_INFO = int(socket.TCP_INFO)
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; not in `socket` before 3.12

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
TCP_INFO_BYTES = 72
TCP_NOT_YET = frozenset({2, 3})  # SYN_SENT, SYN_RECV
rtt_us = struct.Struct("=68xI").unpack_from  # tcpi_rtt of struct tcp_info


def share_port(connection: Socket) -> None:
    """Have the port of a bound socket chosen at connect, by the whole connection; bind would take one for itself.

    Raises OSError.
    """
    connection.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)


def rtt_s(connection: Socket) -> float:
    """Return how long the connecting took, as the kernel has measured it."""
    return float(rtt_us(connection.getsockopt(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES))[0] * 1e-6)


def is_connecting(connection: Socket) -> bool:
    """Say whether the kernel still waits for the peer to answer the connect."""
    return connection.getsockopt(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES)[0] in TCP_NOT_YET


def reset_on_close(connection: Socket) -> None:
    """Let `close` end the connection by a reset, which leaves nothing in TIME_WAIT."""
    connection.setsockopt(SOL_SOCKET, SO_LINGER, RESET_ON_CLOSE)
