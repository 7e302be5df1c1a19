"""`looksalive check`: one look at real servers, its exit status and its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.servers import misbehaving
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.misbehaving import Peer
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix

ALIVE, FAILED, UNKNOWN = 0, 2, 3  # as monitoring plugins exit


def ask(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Check one URL and return the exit status and what it said as JSON."""
    done = looksalive("check", "--json", *arguments)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        pytest.fail(f"no JSON but {done.stdout!r}; stderr {done.stderr!r}")
    return done.returncode, said[0] if isinstance(said, list) else said


@pytest.mark.parametrize(
    ("scheme", "port", "upgraded"),
    [
        ("smtp", "smtp_port", False),
        ("smtp", "smtp_port", True),
        ("smtps", "smtps_port", False),
        ("imap", "imap_port", False),
        ("imap", "imap_port", True),
        ("imaps", "imaps_port", False),
        ("pop3", "pop3_port", False),
        ("pop3", "pop3_port", True),
        ("pop3s", "pop3s_port", False),
        ("http", "http_port", False),
        ("https", "https_port", False),
        ("tcp", "smtp_port", False),
    ],
)
def test_a_real_server_is_alive(
    scheme: str, port: str, upgraded: bool, postfix: Postfix, dovecot: Dovecot, nginx: Nginx, authority: Authority
) -> None:
    """S30, S31, S35: every protocol of Postfix, Dovecot and nginx is alive, plain, upgraded and over TLS."""
    server = next(each for each in (postfix, dovecot, nginx) if hasattr(each, port))
    options = ["--starttls", "required"] if upgraded else []
    url = f"{scheme}://127.0.0.1:{getattr(server, port)}"
    status, said = ask(url, "--tls.ca-file", str(authority.ca_file), *options)
    assert (status, said["verdict"], said["reason"]) == (ALIVE, "alive", "matched"), said
    assert said["target"].startswith(url)
    assert all(seconds >= 0 for seconds in said["stages"].values())
    assert bool(said.get("tls")) is (upgraded or scheme.endswith("s"))


@pytest.mark.parametrize(
    ("which", "reason"),
    [("wrong_host", "tls_hostname"), ("expired", "tls_expired"), ("self_signed", "tls_untrusted")],
)
def test_a_bad_certificate_is_named(which: str, reason: str, authority: Authority) -> None:
    """A certificate that a client would refuse fails the check with its own reason, and its facts are still told."""
    shown = misbehaving.over_tls(getattr(authority, which), misbehaving.says(b"220 hello\r\n"))
    with Peer(shown) as peer:
        status, said = ask(f"smtps://127.0.0.1:{peer.port}", "--tls.ca-file", str(authority.ca_file))
    assert (status, said["verdict"], said["reason"]) == (FAILED, "failed", reason), said
    assert said["tls"]


def test_nobody_listening_is_refused() -> None:
    """S32: a port without a listener is `connect_refused`, exit 2."""
    status, said = ask(f"smtp://127.0.0.1:{free_port()}")
    assert (status, said["verdict"], said["reason"]) == (FAILED, "failed", "connect_refused")


def test_silence_costs_the_time_out_and_no_more() -> None:
    """S32: a silent listener is `banner_timeout` after the time-out that was asked for."""
    with Peer(misbehaving.silent) as peer:
        status, said = ask(f"pop3://127.0.0.1:{peer.port}", "--probe-timeout", "0.5")
    assert (status, said["reason"]) == (FAILED, "banner_timeout")
    assert 0.5 <= said["stages"]["banner_s"] < 1.5


def test_several_targets_end_as_the_worst() -> None:
    """Every target is reported, and one that failed makes the exit status."""
    with Peer(misbehaving.says(b"220 hello\r\n")) as good:
        done = looksalive("check", f"smtp://127.0.0.1:{good.port}", f"smtp://127.0.0.1:{free_port()}")
    assert done.returncode == FAILED
    assert "matched" in done.stdout or "alive" in done.stdout
    assert "connect_refused" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("gopher://127.0.0.1",), ("smtp://127.0.0.1", "--no-such-option")])
def test_bad_usage_is_unknown_and_never_a_failure(arguments: tuple[str, ...]) -> None:
    """A mistake in the command line exits 3, so that a monitoring system does not page for a dead server."""
    done = looksalive("check", *arguments)
    assert done.returncode == UNKNOWN
    assert done.stderr
