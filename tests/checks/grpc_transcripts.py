"""What gRPC servers say, good and bad: frames made by a real HTTP/2 server side, and some that none would make."""

from __future__ import annotations

from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from tests.checks.drive import ENDED, Piece, check_of

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
SERVING = b"\x00\x00\x00\x00\x02\x08\x01"


def answer(say: Callable[[H2Connection], None]) -> bytes:
    """Take a call as a server does; return what it sends: SETTINGS, their acknowledgement, and what `say` adds."""
    server = H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
    server.initiate_connection()
    server.receive_data(check_of("grpc", subject="evs1").begin().opened())
    say(server)
    return server.data_to_send()


def call(message: bytes = SERVING, status: str = "0", said: str = "") -> Callable[[H2Connection], None]:
    """Answer the call with a message and a status."""

    def say(server: H2Connection) -> None:
        server.send_headers(1, HEAD)
        if message:
            server.send_data(1, message)
        server.send_headers(1, [("grpc-status", status), ("grpc-message", said)], end_stream=True)

    return say


def trailers_only(status: str, http: str = "200") -> Callable[[H2Connection], None]:
    """Refuse the call with one block of headers."""

    def say(server: H2Connection) -> None:
        headers = [(":status", http), ("content-type", "application/grpc"), ("grpc-status", status)]
        server.send_headers(1, headers, end_stream=True)

    return say


def headers(*fields: tuple[str, str], ended: bool = False) -> Callable[[H2Connection], None]:
    """Answer with these headers and no more."""

    def say(server: H2Connection) -> None:
        server.send_headers(1, list(fields), end_stream=ended)

    return say


def _interim(server: H2Connection) -> None:
    server.send_headers(1, [(":status", "103")])
    call()(server)


def _endless(server: H2Connection) -> None:
    server.send_headers(1, HEAD)
    for _ in range(5):
        server.send_data(1, b"\x00" * 1024)


def _without_trailers(server: H2Connection) -> None:
    server.send_headers(1, HEAD)
    server.send_data(1, SERVING, end_stream=True)


def _reset(server: H2Connection) -> None:
    server.reset_stream(1, ErrorCodes.INTERNAL_ERROR)


def frame(kind: int, payload: bytes, flags: int = 0, stream: int = 0) -> bytes:
    """Write a frame (RFC 9113 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def goaway(last: int, code: int, said: bytes = b"") -> bytes:
    """Write a GOAWAY."""
    return frame(7, last.to_bytes(4, "big") + code.to_bytes(4, "big") + said)


SETTINGS = frame(4, b"")
PING = frame(6, b"12345678")
GOOD = answer(call())
FIRST = 9 + int.from_bytes(GOOD[:3], "big")  # the bytes of its SETTINGS
FRAMES = [GOOD, SETTINGS, PING, goaway(0, 11), goaway(1, 0), frame(1, b"\x88", 4, 1), frame(9, b"x", 4, 1)]

# name -> what comes
CASES: dict[str, list[Piece]] = {
    "serving": [GOOD],
    "serving, in two": [GOOD[:40], GOOD[40:]],
    "not serving": [answer(call(b"\x00\x00\x00\x00\x02\x08\x02"))],
    "unknown": [answer(call(b"\x00\x00\x00\x00\x00"))],
    "service unknown": [answer(call(b"\x00\x00\x00\x00\x02\x08\x03"))],
    "a status of tomorrow": [answer(call(b"\x00\x00\x00\x00\x02\x08\x09"))],
    "not found": [answer(call(b"", "5", "no such service"))],
    "refused at once": [answer(trailers_only("14"))],
    "unimplemented": [answer(trailers_only("12"))],
    "status 99": [answer(trailers_only("99"))],
    "no number": [answer(trailers_only("five"))],
    "http status": [answer(headers((":status", "503"), ("content-type", "text/html"), ended=True))],
    "http status with a call's": [answer(trailers_only("14", "503"))],
    "a page": [answer(headers((":status", "200"), ("content-type", "text/html")))],
    "no type": [answer(headers((":status", "200")))],
    "interim": [answer(_interim)],
    "no trailers": [answer(_without_trailers)],
    "compressed": [answer(call(b"\x01\x00\x00\x00\x02\x08\x01"))],
    "short message": [answer(call(b"\x00\x00\x00\x00\x03\x08\x01"))],
    "no message": [answer(call(b""))],
    "no such message": [answer(call(b"\x00\x00\x00\x00\x02\x0a\x05"))],
    "long message": [answer(_endless)],
    "reset": [answer(_reset)],
    "sent away": [SETTINGS + goaway(0, 11, b"too_many_pings")],
    "sent away politely": [SETTINGS + goaway(0, 0)],
    "sent away by a code of tomorrow": [SETTINGS + goaway(0, 99)],
    "draining": [SETTINGS, goaway(1, 0), GOOD[len(answer(lambda server: None)) :]],
    "short goaway": [SETTINGS + frame(7, b"\x00")],
    "ping first": [GOOD[:FIRST] + PING, GOOD[FIRST:]],
    "behind the end": [GOOD + PING, PING],
    "a frame too long": [SETTINGS, b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"],
    "a flood of frames": [SETTINGS, PING * 80],
    "a flood of bytes": [SETTINGS, frame(0xAA, b"x" * 16_384) * 5],
    "unasked push": [SETTINGS + frame(5, b"\x00\x00\x00\x02\x88", 4, 1)],
    "bad header block": [SETTINGS + frame(1, b"\xff\xff\xff", 4, 1)],
    "http/1": [b"HTTP/1.1 400 Bad Request\r\n\r\n", ENDED],
    "smtp": [b"220 mail.example.org ESMTP\r\n"],
    "settings too long": [b"\x00\x40\x01\x04\x00\x00\x00\x00\x00"],
    "silent": [],
    "silent after settings": [SETTINGS],
    "gone": [ENDED],
    "gone in the middle": [GOOD[:30], ENDED],
}
GRPC = [pieces for pieces in CASES.values() if pieces]
