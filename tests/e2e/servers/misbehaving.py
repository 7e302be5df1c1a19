"""Peers that do one wrong thing each, on real sockets: what the in-memory network cannot prove about a kernel.

A behaviour gets the accepted connection and may use it until it returns; then it is closed. It blocks only in socket
calls with a deadline and in `Peer.pause`, both of which end when the peer is closed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.e2e.servers.certificates import Certificate

CONNECTION_S = 30.0
JOIN_S = 5.0
READ_BYTES = 4096
ENDLESS_BYTES_MAX = 64 * 1024 * 1024  # a prober that takes this much has no bound at all
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Peer:
    """A listening socket whose every connection is handed to `behaviour`; `served` counts them, `sent` their bytes."""

    def __init__(
        self, behaviour: Behaviour, *, host: str = "127.0.0.1", backlog: int = 64, accepting: bool = True
    ) -> None:
        self._behaviour = behaviour
        self._accepting = accepting
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.socket()
        self._listener.bind((host, 0))
        self._listener.listen(backlog)
        self.port: int = self._listener.getsockname()[1]
        self.served = 0
        self.sent = 0

    def pause(self, seconds: float) -> bool:
        """Wait; false when the peer was closed meanwhile."""
        return not self._closed.wait(seconds)

    def send(self, connection: socket.socket, data: bytes) -> None:
        """Send all and count it."""
        connection.sendall(data)
        self.sent += len(data)

    def __enter__(self) -> Self:
        if self._accepting:
            self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        for open_socket in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that is blocked in it
        for thread in self._threads:
            thread.join(JOIN_S)
        self._listener.close()

    def _run(self, call: Callable[[], None]) -> None:
        thread = threading.Thread(target=call, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(CONNECTION_S)
            self._open.add(connection)
            self.served += 1
            self._run(lambda taken=connection: self._serve(taken))  # type: ignore[misc] # mypy can't infer the default

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._behaviour(self, connection)
        self._open.discard(connection)


Behaviour = Callable[[Peer, socket.socket], None]


def says(data: bytes) -> Behaviour:
    """Send `data` and then only read, until the client goes."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.send(connection, data)
        while connection.recv(READ_BYTES):
            pass

    return behave


def says_and_closes(data: bytes) -> Behaviour:
    """Send `data` and end the stream."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.send(connection, data)

    return behave


def says_and_resets(data: bytes) -> Behaviour:
    """Send `data`, if any, and reset the connection."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        if data:
            peer.send(connection, data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    return behave


def silent(peer: Peer, connection: socket.socket) -> None:
    """Accept, read and never say a word."""
    while connection.recv(READ_BYTES):
        pass


def one_byte_a_second(peer: Peer, connection: socket.socket) -> None:
    """Send a perfectly good greeting, slower than any deadline; each single read is quick enough."""
    for byte in b"220 mail.example.org ESMTP, and all the time in the world\r\n":
        peer.send(connection, bytes((byte,)))
        if not peer.pause(1.0):
            return


def endless(piece: bytes, *, first: bytes = b"") -> Behaviour:
    """Send `first` and then `piece` again and again: a line without an end, or lines without end."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        connection.settimeout(1.0)
        connection.sendall(first)
        sent = 0
        while sent < ENDLESS_BYTES_MAX:
            peer.send(connection, piece)
            sent += len(piece)

    return behave


def answers(greeting: bytes, *replies: bytes) -> Behaviour:
    """Greet, and answer the n-th thing the client sends with the n-th reply; then only read."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        if greeting:
            peer.send(connection, greeting)
        for reply in replies:
            if not connection.recv(READ_BYTES):
                return
            peer.send(connection, reply)
        while connection.recv(READ_BYTES):
            pass

    return behave


def resets_after(greeting: bytes, *replies: bytes) -> Behaviour:
    """Answer like `answers`, then reset as soon as the client sends one thing more."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.send(connection, greeting)
        for reply in replies:
            connection.recv(READ_BYTES)
            peer.send(connection, reply)
        connection.recv(READ_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    return behave


def over_tls(certificate: Certificate, behaviour: Behaviour, **limits: ssl.TLSVersion) -> Behaviour:
    """Show a certificate on connect, then behave; `limits` may name a `maximum_version`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    for name, version in limits.items():
        setattr(context, name, version)

    def behave(peer: Peer, connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            behaviour(peer, wrapped)

    return behave


class FullBacklog(Peer):
    """A listener that nobody accepts from, its queue already full: a connect gets no answer at all."""

    def __init__(self) -> None:
        super().__init__(silent, backlog=0, accepting=False)
        self._fill: list[socket.socket] = []
        for _ in range(4):  # a queue of 0 holds one; what comes later only waits
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", self.port))
            self._fill.append(filler)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for filler in self._fill:
            filler.close()
        super().__exit__(kind, error, trace)
