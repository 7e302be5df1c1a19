"""The kernel's tables of sockets: who listens, and where to ask."""

from __future__ import annotations

import socket

import pytest

from probe.cli.listeners import NOT_ASKED, USUAL, Listener, gather, parse_table, read_listeners
from probe.environment.files import RealFiles

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(local: str, state: str = "0A") -> str:
    """Write a row as the kernel does."""
    return f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"


@pytest.mark.parametrize(
    ("local", "address"),
    [
        ("0100007F:0019", ("127.0.0.1", 25)),
        ("00000000:01BB", ("0.0.0.0", 443)),
        ("050200C0:0050", ("192.0.2.5", 80)),
        ("00000000000000000000000000000000:0019", ("[::]", 25)),
        ("00000000000000000000000001000000:008F", ("[::1]", 143)),
        ("B80D0120000000000000000001000000:008F", ("[2001:db8::1]", 143)),
        ("0000000000000000FFFF00000100007F:0019", ("127.0.0.1", 25)),
    ],
)
def test_addresses(local: str, address: tuple[str, int]) -> None:
    """IPv4, IPv6 and the one mapped into the other, as a little-endian kernel prints them."""
    assert parse_table(HEAD + row(local)) == [address]


@pytest.mark.parametrize("text", ["", HEAD, row("0100007F:0019", "01"), row("nonsense"), row("00:ZZ"), "a b c"])
def test_what_does_not_listen(text: str) -> None:
    """Connections, and what is no row, are passed over."""
    assert parse_table(text) == []


def test_one_question_a_port() -> None:
    """A wildcard is asked on loopback, an address of its own there; loopback first, each port once."""
    found = [("192.0.2.5", 25), ("0.0.0.0", 25), ("[::]", 25), ("[::]", 80), ("[2001:db8::1]", 143)]
    assert gather(found) == [
        Listener(25, ("127.0.0.1", "[::1]", "192.0.2.5")),
        Listener(80, ("127.0.0.1", "[::1]")),
        Listener(143, ("[2001:db8::1]",)),
    ]


def test_the_real_tables() -> None:
    """A listener of ours is found on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert Listener(port, ("127.0.0.1",)) in read_listeners(RealFiles().read)


def test_what_is_usual_is_asked() -> None:
    """No port is both usual and never asked."""
    assert not set(USUAL) & set(NOT_ASKED)
