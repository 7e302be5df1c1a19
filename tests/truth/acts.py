"""What a scripted peer can do with a connection: the words that the table's servers are written in.

A script is a tuple of acts, played in order: bytes are sent, everything else is a function of the `Talk`. Peers listen
with `tests.e2e.servers.misbehaving.Peer`, whose rules hold here too: nothing blocks but calls that end with the peer.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TypeVar

from tests.e2e.servers.misbehaving import ENDLESS_BYTES_MAX, READ_BYTES, RESET_ON_CLOSE, Behaviour, Peer

LINE_BYTES_MAX = 64 * 1024
PIECE_GAP_S = 0.001  # enough for the kernel to hand each byte on by itself

Answer = TypeVar("Answer")


class Over(Exception):
    """The connection is over; nothing more is to be done with it."""


class TlsConnection:
    """The server's side of TLS over a connection that stays its owner's, as far as a script needs it.

    Not `SSLContext.wrap_socket`: that leaks its socket when the client resets the connection at the wrong moment.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.setsockopt = connection.setsockopt
        self.shutdown = connection.shutdown
        self._exchange(self._session.do_handshake)

    def sendall(self, data: bytes) -> None:
        """Encrypt and send."""
        self._exchange(lambda: self._session.write(data))

    def recv(self, bytes_max: int) -> bytes:
        """Return what came next, nothing at the end."""
        try:
            return self._exchange(lambda: self._session.read(bytes_max))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _exchange(self, step: Callable[[], Answer]) -> Answer:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._connection.recv(READ_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            finally:
                self._flush()  # the alert that says what was wrong, too

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._connection.sendall(data)


class Talk:
    """One connection of a peer; it may change into a TLS one."""

    def __init__(self, peer: Peer, connection: socket.socket, contexts: Mapping[str, ssl.SSLContext]) -> None:
        self.peer = peer
        self.connection: socket.socket | TlsConnection = connection
        self.contexts = contexts  # by the certificate's name
        self._read = b""

    def play(self, script: Script) -> None:
        """Do what the script says, in order. Raises Over where it ends the connection."""
        for act in script:
            if isinstance(act, bytes):
                self.send(act)
            else:
                act(self)

    def send(self, data: bytes) -> None:
        """Send and count it."""
        self.connection.sendall(data)
        self.peer.sent += len(data)

    def line(self) -> bytes:
        """Return the next line of the client without its end. Raises Over at its end of stream."""
        while b"\n" not in self._read and len(self._read) < LINE_BYTES_MAX:
            self._more()
        line, _, self._read = self._read.partition(b"\n")
        return line.removesuffix(b"\r")

    def header(self) -> bytes:
        """Return the next line and read nothing behind it, where something else than lines may follow."""
        while not self._read.endswith(b"\n") and len(self._read) < LINE_BYTES_MAX:
            self._more(1)
        return self.line()

    def take(self, count: int) -> bytes:
        """Return the next bytes, whatever they are, and read nothing behind them."""
        while len(self._read) < count:
            self._more(count - len(self._read))
        taken, self._read = self._read[:count], self._read[count:]
        return taken

    def _more(self, bytes_max: int = READ_BYTES) -> None:
        data = self.connection.recv(bytes_max)
        if not data:
            raise Over
        self._read += data


Act = bytes | Callable[[Talk], None]
Script = tuple[Act, ...]


def pause(seconds: float) -> Act:
    """Wait."""

    def act(talk: Talk) -> None:
        if not talk.peer.pause(seconds):
            raise Over

    return act


def hang(talk: Talk) -> None:
    """Read and never say a word again."""
    while talk.connection.recv(READ_BYTES):
        pass
    raise Over


def eof(talk: Talk) -> None:
    """End the stream, and read until the client ends its own, so that no reset follows."""
    talk.connection.shutdown(socket.SHUT_WR)
    hang(talk)


def reset(talk: Talk) -> None:
    """Reset the connection."""
    talk.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    raise Over


def close(talk: Talk) -> None:
    """Close at once, whatever is unread."""
    raise Over


def pieces(data: bytes, gap_s: float = PIECE_GAP_S) -> Act:
    """Send byte by byte, each in a segment of its own."""

    def act(talk: Talk) -> None:
        talk.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            talk.send(bytes((byte,)))
            if not talk.peer.pause(gap_s):
                raise Over

    return act


def endless(piece: bytes) -> Act:
    """Send the piece again and again, until the client goes."""

    def act(talk: Talk) -> None:
        sent = 0
        while sent < ENDLESS_BYTES_MAX:
            talk.send(piece)
            sent += len(piece)
        raise Over

    return act


def hears(verb: bytes) -> Act:
    """Wait for a line that begins so, passing over others."""

    def act(talk: Talk) -> None:
        while not talk.line().upper().startswith(verb):
            pass

    return act


def hears_something(talk: Talk) -> None:
    """Wait until the client has sent anything, and throw it away."""
    if not talk.connection.recv(READ_BYTES):
        raise Over


def shake(certificate: str = "good") -> Act:
    """Go on over TLS, with the certificate (or the context) of that name."""

    def act(talk: Talk) -> None:
        assert isinstance(talk.connection, socket.socket), "TLS inside TLS is not spoken"
        talk.connection = TlsConnection(talk.connection, talk.contexts[certificate])

    return act


def plays(script: Script, contexts: Mapping[str, ssl.SSLContext]) -> Behaviour:
    """Make a peer's behaviour of a script; what it leaves open is read until the client goes."""

    def behave(peer: Peer, connection: socket.socket) -> None:
        talk = Talk(peer, connection, contexts)
        with contextlib.suppress(Over):
            talk.play((*script, hang))

    return behave
