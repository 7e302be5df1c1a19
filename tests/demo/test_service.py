"""The embedded services, spoken to by Python's own clients of each protocol."""

from __future__ import annotations

import contextlib
import http.client
import imaplib
import poplib
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest

TIMEOUT_S = 10.0
START_S_MAX = 2.0  # some 0.1 s on an idle machine


@contextlib.contextmanager
def served(name: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a service on a free port; give its process and the port that it names."""
    command = [sys.executable, "-m", "probe.demo.service", name, *arguments]
    with socket.create_server(("127.0.0.1", 0)) as reserving:
        port = reserving.getsockname()[1]
    if name != "store":
        command += ["--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line == ("store runs" if name == "store" else f"{name} on 127.0.0.1:{port}")
            yield process, port
        finally:
            process.kill()


def exchange(port: int, *lines: bytes) -> bytes:
    """Send raw lines after the greeting; return everything up to the end of the stream."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as peer, peer.makefile("rb") as stream:
        greeting = stream.readline()
        answers = [greeting]
        with contextlib.suppress(OSError):  # it may hang up before it has read everything, which resets the connection
            peer.sendall(b"".join(lines))
            peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := stream.read1():
                answers.append(piece)
        return b"".join(answers)


def test_smtp_is_spoken() -> None:
    """EHLO, HELO, NOOP, RSET and QUIT are answered as a client expects; other commands are politely refused."""
    with served("smtp") as (_, port):
        client = smtplib.SMTP("127.0.0.1", port, timeout=TIMEOUT_S)
        assert client.ehlo()[0] == 250
        assert client.has_extn("8bitmime")
        assert [client.helo()[0], client.noop()[0], client.rset()[0], client.docmd("DATA")[0]] == [250, 250, 250, 502]
        assert client.quit()[0] == 221
        assert exchange(port).startswith(b"220 ")


def test_pop3_is_spoken() -> None:
    """The greeting, CAPA, NOOP and QUIT are answered; other commands are politely refused."""
    with served("pop3") as (_, port):
        client = poplib.POP3("127.0.0.1", port, timeout=TIMEOUT_S)
        assert client.getwelcome().startswith(b"+OK ")
        assert client.capa() == {"IMPLEMENTATION": ["looksalive-demo"]}
        assert client.noop() == b"+OK"
        with pytest.raises(poplib.error_proto, match="-ERR"):
            client.stat()
        assert client.quit().startswith(b"+OK")


def test_imap_is_spoken() -> None:
    """CAPABILITY, NOOP and LOGOUT are answered under their tags; other commands and missing tags are BAD."""
    with served("imap") as (_, port):
        client = imaplib.IMAP4("127.0.0.1", port, timeout=TIMEOUT_S)
        assert client.capabilities == ("IMAP4REV1",)
        assert client.noop()[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error, match="not implemented"):
            client.login("somebody", "secret")
        assert client.logout()[0] == "BYE"
        answer = exchange(port, b"\r\n", b"a1 LOGOUT\r\n").split(b"\r\n")
        assert [line.partition(b" ")[0] + b" " + line.split(b" ")[1] for line in answer[1:-1]] == [
            b"* BAD",
            b"* BYE",
            b"a1 OK",
        ]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 200), ("HEAD", "/", 200), ("GET", "/x", 404), ("POST", "/", 405)]
)
def test_http_is_spoken(method: str, path: str, status: int) -> None:
    """GET and HEAD of `/` are answered with 200; anything else with the right refusal."""
    with served("http") as (_, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        client.request(method, path)
        response = client.getresponse()
        assert (response.status, bool(response.read())) == (status, method != "HEAD")
        assert response.getheader("Connection") == "close"
        client.close()


def test_http_refuses_what_is_no_request() -> None:
    """A malformed request line gets 400, endless headers too, within bounds."""
    with served("http") as (_, port):
        for sent in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 70):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as peer, peer.makefile("rb") as stream:
                peer.sendall(sent)
                assert stream.readline() == b"HTTP/1.1 400 Bad Request\r\n"


@pytest.mark.parametrize("name", ["smtp", "pop3", "imap"])
def test_a_line_has_a_bound(name: str) -> None:
    """Whoever sends an endless line is hung up on, and the next client is served."""
    with served(name) as (_, port):
        with contextlib.suppress(ConnectionError):
            assert exchange(port, b"x" * 100_000).count(b"\r\n") == 1
        assert exchange(port).count(b"\r\n") == 1


def test_a_service_ends_on_term() -> None:
    """SIGTERM ends a service with status 0 at once, although a client is connected."""
    with (
        served("smtp") as (process, port),
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as peer,
        peer.makefile("rb") as stream,
    ):
        assert stream.readline().startswith(b"220 ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert stream.read() == b""


def test_the_store_only_runs() -> None:
    """The stand-in of the information store has no port, starts and ends like the others."""
    with served("store") as (process, _):
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0


def test_a_taken_port_is_an_error() -> None:
    """A service that cannot have its port says so and ends with status 1."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        command = [sys.executable, "-m", "probe.demo.service", "smtp", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 1
    assert "smtp: " in done.stderr
    assert "in use" in done.stderr


def test_a_service_starts_fast() -> None:
    """A restart must look immediate: nothing heavy is imported."""
    begun = monotonic()
    with served("smtp"):
        assert monotonic() - begun < START_S_MAX
    listing = "import sys, probe.demo.service; print(*sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "msgspec", "uvloop", "bindings", "probe.environment"} & set(modules)
