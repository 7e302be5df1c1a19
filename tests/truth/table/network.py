"""Connections: refused, unreachable, reset, silent; plain TCP; source addresses (S34) and the PROXY protocol."""

from __future__ import annotations

import socket

from bindings.model import Protocol
from probe.values import Reason, Stage
from tests.truth.acts import Script, Talk, endless, eof, hang, hears_something, pieces, reset, shake
from tests.truth.rows import Row
from tests.truth.servers import SMTP_GREETING, http, response, smtp

PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
ROUTES = ("ip link set lo up", "ip route add unreachable 192.0.2.1/32")
DROPPED = (
    "ip link set lo up",
    "nft add table inet truth",
    "nft add chain inet truth input {{ type filter hook input priority 0; }}",
    "nft add rule inet truth input tcp dport {port} drop",
)
REJECTED = (*DROPPED[:-1], "nft add rule inet truth input tcp dport {port} reject with tcp reset")


def row(name: str, does: str, script: Script, reason: Reason, stage: Stage, **more: object) -> Row:
    """Expect `reason` of an SMTP server."""
    return Row(name=f"net: {name}", does=does, protocol="smtp", script=script, reason=reason, stage=stage, asked=more)


def away(
    name: str,
    does: str,
    address: str,
    reason: Reason,
    setup: tuple[str, ...],
    stage: Stage = Stage.CONNECT,
    script: Script | None = None,
) -> Row:
    """Expect `reason` inside a network namespace prepared so."""
    return Row(
        name=f"net: {name}",
        does=does,
        protocol="smtp",
        address=address,
        port=0 if script else 25,
        script=script,
        reason=reason,
        stage=stage,
        ground="namespace",
        setup=setup,
    )


def tcp(name: str, does: str, script: Script, reason: Reason, stage: Stage, **asked: object) -> Row:
    """Expect `reason` of a server asked over plain TCP."""
    return Row(name=f"tcp: {name}", does=does, protocol="tcp", script=script, reason=reason, stage=stage, asked=asked)


def nobody(name: str, does: str, protocol: Protocol, *, secure: bool = False) -> Row:
    """Expect `connect_refused` where nobody listens."""
    return Row(
        name=f"net: {name}",
        does=does,
        protocol=protocol,
        reason=Reason.CONNECT_REFUSED,
        stage=Stage.CONNECT,
        secure=secure,
        asked={"tls": {"ca_file": "ca.pem"}} if secure else {},
    )


def own_address_only(talk: Talk) -> None:
    """Reset every connection that does not come from the server's own address."""
    assert isinstance(talk.connection, socket.socket)
    if talk.connection.getpeername()[0] != talk.connection.getsockname()[0]:
        reset(talk)


def proxy_v1(talk: Talk) -> None:
    """Want a PROXY header, version 1, before anything else."""
    if not talk.header().startswith(b"PROXY "):
        eof(talk)


def proxy_v2(talk: Talk) -> None:
    """Want a PROXY header, version 2, before anything else."""
    if talk.take(len(PROXY_V2)) != PROXY_V2:
        eof(talk)
    talk.take(int.from_bytes(talk.take(4)[2:], "big"))


_BANNER, _CONNECT = Stage.BANNER, Stage.CONNECT

ROWS = (
    nobody("refused", "nobody listens on the port", "smtp"),
    nobody("refused, http", "nobody listens on the port", "http"),
    nobody("refused, tls", "nobody listens on the port", "smtp", secure=True),
    Row(name="net: full backlog", does="listens and never accepts, and its queue is full: no answer to the connect",
        protocol="smtp", server="full backlog", reason=Reason.CONNECT_TIMEOUT, stage=_CONNECT),
    Row(name="net: no such destination", does="has an address to which no connection can lead (a multicast group)",
        protocol="smtp", address="224.0.0.1", port=25, reason=Reason.CONNECT_UNREACHABLE, stage=_CONNECT),
    away("no route", "is in a network to which there is no route", "198.51.100.1", Reason.CONNECT_UNREACHABLE, ROUTES),
    away("no route to host", "is a host that the router calls unreachable", "192.0.2.1",
         Reason.CONNECT_UNREACHABLE, ROUTES),
    away("firewall drops", "is behind a firewall that drops what is sent", "127.0.0.1", Reason.CONNECT_TIMEOUT,
         DROPPED, script=smtp()),
    away("firewall rejects", "is behind a firewall that answers with a reset: to a client as if nobody listened",
         "127.0.0.1", Reason.CONNECT_REFUSED, REJECTED, script=smtp()),
    row("silent", "accepts and says nothing", (hang,), Reason.BANNER_TIMEOUT, _BANNER),
    row("silent, impolite", "accepts and says nothing, to a client without manners", (hang,), Reason.BANNER_TIMEOUT,
        _BANNER, polite=False),
    row("end at once", "accepts and ends the stream", (eof,), Reason.EOF, _BANNER),
    row("reset at once", "accepts and resets the connection", (reset,), Reason.RESET, _BANNER),
    tcp("silent", "accepts and says nothing, and nothing is expected", (hang,), Reason.MATCHED, _CONNECT),
    tcp("ends", "accepts and ends the stream, and nothing is expected", (eof,), Reason.MATCHED, _CONNECT),
    tcp("as expected", "begins as `expect` says", (b"SSH-2.0-OpenSSH_9.2\r\n", hang), Reason.MATCHED, _BANNER,
        expect="SSH-2.0-"),
    tcp("as expected, in pieces", "begins as `expect` says, byte by byte", (pieces(b"SSH-2.0-OpenSSH_9.2\r\n"), hang),
        Reason.MATCHED, _BANNER, expect="SSH-2.0-"),
    tcp("otherwise", "begins otherwise", (b"220 mail.example.org ESMTP\r\n", hang), Reason.BANNER_MISMATCH, _BANNER,
        expect="SSH-2.0-"),
    tcp("the word comes later", "has the expected word in its second line only", (b"hello\r\nSSH-2.0-x\r\n", hang),
        Reason.BANNER_MISMATCH, _BANNER, expect="SSH-2.0-"),
    tcp("endless", "sends a line without an end", (endless(b"SSH-2.0-" + b"x" * 4096),), Reason.LINE_TOO_LONG, _BANNER,
        expect="SSH-2.0-"),
    Row(name="tcp: tls", does="shakes hands and says nothing, and nothing is expected", protocol="tcp", secure=True,
        script=(shake(), hang), asked={"tls": {"ca_file": "ca.pem"}}, host="", reason=Reason.MATCHED,
        stage=Stage.TLS),
    Row(name="net: own address only", does="accepts connections from its own address only (S34)", protocol="smtp",
        address="127.0.0.2", script=(own_address_only, *smtp()), reason=Reason.MATCHED, stage=_BANNER),
    Row(name="net: another source", does="accepts connections from its own address only; asked from another",
        protocol="smtp", address="127.0.0.2", script=(own_address_only, *smtp()), asked={"source": "127.0.0.3"},
        reason=Reason.RESET, stage=_BANNER),
    Row(name="net: source is missing", does="is healthy; the address it must be asked from is not on this machine",
        protocol="smtp", script=smtp(), asked={"source": "192.0.2.99"}, reason=Reason.ADDRESS_MISSING, stage=_CONNECT),
    row("proxy v1", "wants a PROXY header, version 1, and gets it", (proxy_v1, *smtp()), Reason.MATCHED, _BANNER,
        proxy_protocol="v1"),
    row("proxy v2", "wants a PROXY header, version 2, and gets it", (proxy_v2, *smtp()), Reason.MATCHED, _BANNER,
        proxy_protocol="v2"),
    row("proxy v1, not v2", "wants version 1 and gets version 2", (proxy_v1, *smtp()), Reason.EOF, _BANNER,
        proxy_protocol="v2"),
    row("proxy v2, not v1", "wants version 2 and gets version 1", (proxy_v2, *smtp()), Reason.EOF, _BANNER,
        proxy_protocol="v1"),
    row("proxy missing", "waits for a PROXY header that nobody told us of", (proxy_v1, *smtp()), Reason.BANNER_TIMEOUT,
        _BANNER),
    row("proxy unknown", "knows no PROXY header: greets, and calls it an unknown command",
        (SMTP_GREETING, *smtp(())), Reason.MATCHED, _BANNER, proxy_protocol="v1"),
    row("proxy is rude", "calls a PROXY header talking before the greeting, as postscreen does",
        (hears_something, b"521 5.5.1 Protocol error\r\n", hang), Reason.REFUSED_BY_SERVER, _BANNER,
        proxy_protocol="v1"),
    Row(name="net: proxy, http", does="knows no PROXY header and calls it a bad request", protocol="http",
        script=(*http(response(b"bad", b"400 Bad Request")),), asked={"proxy_protocol": "v1"},
        reason=Reason.HTTP_STATUS, stage=Stage.RESPONSE),
    Row(name="net: proxy, tls", does="wants a PROXY header before the handshake and gets it", protocol="smtp",
        secure=True,
        script=(proxy_v1, shake(), *smtp()), asked={"proxy_protocol": "v1", "tls": {"ca_file": "ca.pem"}}, host="",
        reason=Reason.MATCHED, stage=_BANNER),
)  # fmt: skip
