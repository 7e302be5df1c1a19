"""Blocking byte streams to other machines' services, with one deadline over several calls; used from threads alone."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Protocol


class Stream(Protocol):
    """An open connection. Every call raises OSError; TimeoutError once the deadline has passed."""

    def limit(self, seconds: float) -> None:
        """Let all that follows, together, take so long."""

    def send(self, content: bytes) -> None:
        """Send all of it."""

    def receive(self, bytes_max: int) -> bytes:
        """Return what there is, at least a byte; b"" at the end of the stream."""

    def start_tls(self, server_name: str, ca_file: str | None) -> None:
        """Go on in TLS 1.2 or later; the certificate must be the server name's. Raises ssl.SSLError (an OSError)."""

    def close(self) -> None:
        """Close at once. Idempotent."""


class Streams(Protocol):
    """Where streams come from."""

    def connect(self, host: str, port: int, timeout_s: float) -> Stream:
        """Connect to a name or a numeric address within the time-out, which goes on as the stream's limit. OSError."""


class RealStreams:
    """`Streams` over TCP."""

    def connect(self, host: str, port: int, timeout_s: float) -> RealStream:
        """Connect; a name's addresses are tried one after the other, together for `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(max(deadline - time.monotonic(), 0.001))
                opened.connect(address)
            except OSError as error:
                opened.close()
                failure = error
            else:
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return RealStream(opened, deadline)
        raise failure


class RealStream:
    """`Stream` over a socket."""

    def __init__(self, opened: socket.socket, deadline: float) -> None:
        self._socket = opened
        self._deadline = deadline

    def limit(self, seconds: float) -> None:
        """Set the deadline anew."""
        self._deadline = time.monotonic() + seconds

    def send(self, content: bytes) -> None:
        """Send all of it before the deadline."""
        self._arm()
        self._socket.sendall(content)

    def receive(self, bytes_max: int) -> bytes:
        """Return what there is before the deadline."""
        self._arm()
        return self._socket.recv(bytes_max)

    def start_tls(self, server_name: str, ca_file: str | None) -> None:
        """Verify against the file's authorities, or the system's."""
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._arm()
        self._socket = context.wrap_socket(self._socket, server_hostname=server_name)

    def close(self) -> None:
        """Close at once."""
        self._socket.close()

    def _arm(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
