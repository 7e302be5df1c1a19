"""The ground that the other end-to-end tests stand on: the servers do what their fixtures say, without looksalive."""

from __future__ import annotations

import contextlib
import poplib
import smtplib
import socket
import ssl
import time
from imaplib import IMAP4, IMAP4_SSL
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.processes import session_members
from tests.e2e.servers import misbehaving
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.misbehaving import FullBacklog, Peer
from tests.e2e.servers.nginx import PAGE, Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import RealServer, accepts

HOST = "127.0.0.1"
PATIENCE_S = 5.0


def client_context(authority: Authority) -> ssl.SSLContext:
    """Trust the test authority and nobody else."""
    return ssl.create_default_context(cafile=str(authority.ca_file))


def test_postfix_speaks_plain_starttls_and_tls(postfix: Postfix, authority: Authority) -> None:
    """Postfix greets on its plain port, upgrades it, and greets under TLS on the other, with the good certificate."""
    context = client_context(authority)
    with smtplib.SMTP(HOST, postfix.smtp_port, timeout=PATIENCE_S) as plain:
        plain.starttls(context=context)
        assert plain.noop()[0] == 250
    with smtplib.SMTP_SSL(HOST, postfix.smtps_port, timeout=PATIENCE_S, context=context) as secure:
        assert secure.noop()[0] == 250


def test_dovecot_speaks_both_protocols_all_three_ways(dovecot: Dovecot, authority: Authority) -> None:
    """Dovecot serves IMAP and POP3 plain, upgraded and under TLS, with the good certificate."""
    context = client_context(authority)
    with IMAP4(HOST, dovecot.imap_port, timeout=PATIENCE_S) as imap:
        assert imap.starttls(ssl_context=context)[0] == "OK"
    with IMAP4_SSL(HOST, dovecot.imaps_port, ssl_context=context, timeout=PATIENCE_S) as imaps:
        assert imaps.noop()[0] == "OK"
    pop3 = poplib.POP3(HOST, dovecot.pop3_port, timeout=PATIENCE_S)
    assert pop3.stls(context=context).startswith(b"+OK")
    pop3.quit()
    pop3s = poplib.POP3_SSL(HOST, dovecot.pop3s_port, timeout=PATIENCE_S, context=context)
    assert pop3s.getwelcome().startswith(b"+OK")
    pop3s.quit()


def test_nginx_serves_http_and_https(nginx: Nginx, authority: Authority) -> None:
    """nginx answers its page on both ports."""
    with urlopen(f"http://{HOST}:{nginx.http_port}/", timeout=PATIENCE_S) as answer:
        assert PAGE in answer.read().decode()
    with urlopen(
        f"https://{HOST}:{nginx.https_port}/", timeout=PATIENCE_S, context=client_context(authority)
    ) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("kind", [Postfix, Dovecot, Nginx], ids=lambda kind: kind.__name__)
def test_a_server_freezes_thaws_and_dies_as_a_whole(
    kind: type[Postfix | Dovecot | Nginx], folder: Path, authority: Authority
) -> None:
    """Frozen it accepts and is silent, thawed it goes on, killed no process of it is left, restarted it serves."""
    server: RealServer = kind(folder / "server", authority.good)
    with server:
        session = server.pid
        server.freeze()
        assert accepts(server.ports[0])
        assert first_bytes(server.ports[0], 0.3) == b""
        server.thaw()
        assert first_bytes(server.ports[0], PATIENCE_S) != b""
        server.kill()
        assert not session_members(session)
        assert not any(accepts(port) for port in server.ports)
        server.start()
        assert first_bytes(server.ports[0], PATIENCE_S) != b""
        last = server.pid
    assert not session_members(last)


def first_bytes(port: int, timeout_s: float) -> bytes:
    """Return what a client hears first, asking for a page in case it has to speak first; nothing on time-out."""
    with socket.create_connection((HOST, port), timeout=timeout_s) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            return client.recv(100)
    return b""


@pytest.mark.parametrize(
    ("which", "error"),
    [
        ("good", None),
        ("wrong_host", "Hostname|IP address mismatch"),
        ("expired", "expired"),
        ("self_signed", "self-signed"),
    ],
)
def test_each_certificate_is_bad_in_its_own_way(which: str, error: str | None, authority: Authority) -> None:
    """A strict client refuses each bad certificate for the reason it is named after, and accepts the good one."""
    shown = misbehaving.over_tls(getattr(authority, which), misbehaving.says(b"220 hello\r\n"))
    with Peer(shown) as peer, socket.create_connection((HOST, peer.port), timeout=PATIENCE_S) as client:
        expectation = pytest.raises(ssl.SSLCertVerificationError, match=error) if error else contextlib.nullcontext()
        with expectation, client_context(authority).wrap_socket(client, server_hostname=HOST) as secure:
            assert secure.recv(100) == b"220 hello\r\n"


def test_a_reset_is_a_reset() -> None:
    """The resetting peer ends a connection with RST, not with a FIN."""
    with (
        Peer(misbehaving.says_and_resets(b"")) as peer,
        pytest.raises(ConnectionResetError),  # by the connect itself where the reset is faster than our look at it
        socket.create_connection((HOST, peer.port), timeout=PATIENCE_S) as client,
    ):
        client.recv(1)


def test_a_full_backlog_answers_no_connect() -> None:
    """A connect to a full queue is neither refused nor accepted."""
    with FullBacklog() as peer, pytest.raises(TimeoutError):
        socket.create_connection((HOST, peer.port), timeout=0.3)


def test_closing_a_peer_does_not_wait_for_its_pauses() -> None:
    """A peer in the middle of a slow greeting ends at once, so that tests end at once."""
    with Peer(misbehaving.one_byte_a_second) as peer:
        with socket.create_connection((HOST, peer.port), timeout=PATIENCE_S) as client:
            assert client.recv(1) == b"2"
        begun = time.monotonic()
    assert time.monotonic() - begun < 0.9
