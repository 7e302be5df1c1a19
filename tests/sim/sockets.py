"""One in-memory socket: what its system calls return and raise, as Linux does it."""

from __future__ import annotations

import errno
import os
import socket as std
import struct
from typing import TYPE_CHECKING, Any

from probe.environment import ERROR, HANGUP, READABLE, WRITABLE
from tests.sim.wire import TIME_WAIT_S, Endpoint, Place, TcpState

if TYPE_CHECKING:
    from tests.sim.network import SimNetwork
    from tests.sim.poller import SimPoller

TCP_INFO_BYTES = 232
TCPI_RTT_OFFSET = 68
LINGER_ZERO = struct.pack("ii", 1, 0)


def fail(code: int) -> OSError:
    """Make the OSError of a failed system call."""
    return OSError(code, os.strerror(code))


class SimSocket:
    """One non-blocking stream socket."""

    def __init__(self, network: SimNetwork, family: int, fd: int) -> None:
        self._network = network
        self._family = family
        self._fd = fd
        self._endpoint: Endpoint | None = None
        self._source = ""
        self._bound = False
        self._announced = False  # connect_ex or readiness told that the connection stands
        self._linger_zero = False
        self._wrote_end = False
        self._flow: tuple[str, Place] | None = None
        self.pollers: list[SimPoller] = []

    def __repr__(self) -> str:
        state = self._endpoint.state.name if self._endpoint else "unconnected"
        return f"<SimSocket fd={self._fd} {state} {self._source}->{self._endpoint and self._endpoint.place}>"

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self._fd

    def bind(self, address: Any, /) -> None:
        """Choose the source address. Raises OSError (EADDRNOTAVAIL for one that is not local, EINVAL twice)."""
        self._enter()
        if self._bound or self._endpoint is not None:
            raise fail(errno.EINVAL)
        if not self._network.is_local(address[0]):
            raise fail(errno.EADDRNOTAVAIL)
        self._source = address[0]
        self._bound = True

    def connect_ex(self, address: Any, /) -> int:
        """Begin to connect; return EINPROGRESS, or the errno that the kernel would give at once."""
        self._enter()
        if self._endpoint is not None:
            return self._connect_again(self._endpoint)
        network = self._network
        place: Place = address if isinstance(address, str) else (address[0], address[1])
        if isinstance(place, str):
            return self._connect_unix(place)
        host = network.host
        if place[0] in host.connect_errors:
            return host.connect_errors[place[0]]
        source = self._source or host.source_for(place[0])
        flow = (source, place)
        if not host.take_port(flow):
            return errno.EADDRNOTAVAIL
        self._flow = flow
        self._source = source
        self._endpoint = network.wire.connect(source, place, near=network.is_local(place[0]))
        self._endpoint.changed = self._changed
        return errno.EINPROGRESS

    def _connect_unix(self, path: str) -> int:
        listener = self._network.wire.listeners.get(path)
        if listener is None:
            return errno.ECONNREFUSED if path in self._network.host.stale_paths else errno.ENOENT
        if listener.is_full:
            return errno.EAGAIN
        self._endpoint = self._network.wire.connect_at_once(listener)
        self._endpoint.changed = self._changed
        self._announced = True
        return 0

    def _connect_again(self, endpoint: Endpoint) -> int:
        if endpoint.state == TcpState.SYN_SENT:
            return errno.EALREADY
        if endpoint.reset:
            return self._take_error() or errno.ECONNABORTED
        if self._announced:
            return errno.EISCONN
        self._announced = True
        return 0

    def send(self, data: Any, _flags: int = 0, /) -> int:
        """Send what fits and return how many bytes. Raises BlockingIOError, ConnectionResetError, BrokenPipeError."""
        self._enter()
        endpoint = self._endpoint
        if endpoint is None:
            raise fail(errno.EPIPE)
        if endpoint.error:
            raise fail(self._take_error())
        if endpoint.reset or self._wrote_end:
            raise fail(errno.EPIPE)
        if endpoint.state == TcpState.SYN_SENT:
            raise fail(errno.EAGAIN)
        sent = endpoint.send(bytes(data))
        if not sent and len(data):
            raise fail(errno.EAGAIN)
        return sent

    def recv_into(self, buffer: Any, nbytes: int = 0, _flags: int = 0, /) -> int:
        """Receive into `buffer`; 0 at the end of the stream. Raises BlockingIOError and what broke the connection."""
        self._enter()
        endpoint = self._endpoint
        if endpoint is None:
            raise fail(errno.ENOTCONN)
        if endpoint.received:
            view = memoryview(buffer).cast("B")
            data = endpoint.take(min(nbytes or len(view), len(view)))
            view[: len(data)] = data
            return len(data)
        if endpoint.fin_received:
            return 0
        if endpoint.error:
            raise fail(self._take_error())
        if endpoint.reset:
            return 0
        raise fail(errno.EAGAIN)

    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any:
        """Answer SO_ERROR (and forget it) and TCP_INFO (state and round-trip time). Raises OSError for others."""
        self._enter()
        if (level, option) == (std.SOL_SOCKET, std.SO_ERROR):
            return self._take_error()
        if self._family == std.AF_UNIX:
            raise fail(errno.EOPNOTSUPP)
        if (level, option) == (std.IPPROTO_TCP, std.TCP_INFO):
            info = bytearray(TCP_INFO_BYTES)
            endpoint = self._endpoint
            info[0] = endpoint.state if endpoint else TcpState.CLOSE
            if endpoint and endpoint.state != TcpState.SYN_SENT:
                struct.pack_into("=I", info, TCPI_RTT_OFFSET, round(endpoint.latency_s * 2e6))
            return bytes(info[:size])
        raise fail(errno.ENOPROTOOPT)

    def setsockopt(self, level: int, option: int, value: Any, /) -> None:
        """Take SO_LINGER (only 1,0 does anything); every other option is accepted and has no effect."""
        self._enter()
        if (level, option) == (std.SOL_SOCKET, std.SO_LINGER):
            self._linger_zero = bytes(value) == LINGER_ZERO

    def shutdown(self, how: int, /) -> None:
        """End our direction. Raises OSError(ENOTCONN)."""
        self._enter()
        endpoint = self._endpoint
        if endpoint is None or endpoint.reset or endpoint.state == TcpState.SYN_SENT:
            raise fail(errno.ENOTCONN)
        if how in {std.SHUT_WR, std.SHUT_RDWR}:
            self._wrote_end = True
            endpoint.shut()
        self._changed()

    def disconnect(self) -> None:
        """Reset the connection as connecting to AF_UNSPEC does; only a source that was bound stays, to be replaced."""
        self._enter()
        assert not self.pollers, "a poller would tell of the next connection too"
        endpoint, self._endpoint = self._endpoint, None
        assert endpoint is not None
        endpoint.close(True)
        if self._flow is not None:
            self._network.host.free_port(self._flow)
            self._flow = None
        if not self._bound:
            self._source = ""
        self._bound = self._announced = self._wrote_end = False

    def close(self) -> None:
        """Close; idempotent. The descriptor leaves every poller and is free again."""
        if self._fd < 0:
            return
        self._network.catch_up()
        for poller in list(self.pollers):
            poller.forget(self._fd)
        endpoint = self._endpoint
        if endpoint is not None:
            at_once = endpoint.state != TcpState.ESTABLISHED or bool(endpoint.received) or self._linger_zero
            endpoint.close(self._linger_zero)
            if self._flow is not None:  # whoever closes first without a reset keeps its port in TIME_WAIT
                delay_s = 0.0 if at_once else TIME_WAIT_S
                self._network.wire.timeline.call_later(delay_s, self._network.host.free_port, self._flow)
        self._network.free_descriptor(self._fd)
        self._fd = -1

    @property
    def ready(self) -> int:
        """What epoll would report now."""
        endpoint = self._endpoint
        if endpoint is None:
            return WRITABLE | HANGUP
        if endpoint.reset:
            return READABLE | WRITABLE | HANGUP | (ERROR if endpoint.error else 0)
        if endpoint.state == TcpState.SYN_SENT:
            return 0
        mask = READABLE if endpoint.received or endpoint.fin_received else 0
        if endpoint.send_room > 0 or self._wrote_end:
            mask |= WRITABLE
        if endpoint.fin_received and self._wrote_end:
            mask |= HANGUP
        return mask

    def _take_error(self) -> int:
        endpoint = self._endpoint
        if endpoint is None:
            return 0
        code, endpoint.error = endpoint.error, 0
        return code

    def _enter(self) -> None:
        if self._fd < 0:
            raise fail(errno.EBADF)
        self._network.catch_up()

    def _changed(self) -> None:
        for poller in self.pollers:
            poller.touch(self._fd)
