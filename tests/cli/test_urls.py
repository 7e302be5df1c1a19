"""The URLs of `check`."""

from __future__ import annotations

import re

import pytest

from probe.cli.urls import SCHEMES, read_url

PORTS = {
    "smtp": 25,
    "smtps": 465,
    "lmtp": 24,
    "pop3": 110,
    "pop3s": 995,
    "imap": 143,
    "imaps": 993,
    "http": 80,
    "https": 443,
}


@pytest.mark.parametrize("scheme", PORTS)
def test_the_usual_port_of_every_scheme(scheme: str) -> None:
    """Without a port the scheme's own is asked; only the s-schemes begin with TLS."""
    asked = read_url(f"{scheme}://mail.example.org")
    assert asked.binding == f"mail.example.org:{PORTS[scheme]}"
    assert asked.secure is (scheme in ("smtps", "pop3s", "imaps", "https"))
    assert asked.protocol == (scheme.removesuffix("s") if asked.secure else scheme)


def test_every_scheme_is_tested() -> None:
    """The table above misses none but tcp and grpc, which have no usual port."""
    assert set(SCHEMES) - set(PORTS) == {"tcp", "grpc", "grpcs"}


@pytest.mark.parametrize(
    ("url", "binding"),
    [
        ("smtp://127.0.0.1:2525", "127.0.0.1:2525"),
        ("imaps://[2001:db8::1]", "[2001:db8::1]:993"),
        ("tcp://[::1]:22/", "[::1]:22"),
        ("http+unix:///run/web.sock", "unix:/run/web.sock"),
        ("SMTP://Mail.Example.org", None),
    ],
)
def test_bindings(url: str, binding: str | None) -> None:
    """A URL becomes a binding as the store writes it; schemes are lower case."""
    if binding is None:
        with pytest.raises(ValueError, match="has none of the schemes"):
            read_url(url)
    else:
        assert read_url(url).binding == binding


def test_the_path_of_grpc_is_the_service_asked_about() -> None:
    """S23: grpc takes the service's name from the path, and asks about the whole server without one."""
    asked = read_url("grpcs://[::1]:9090/mail%20store")
    assert (asked.protocol, asked.secure, asked.properties) == ("grpc", True, {"subject": "mail store"})
    assert read_url("grpc://a.example:9090/").properties == {}


def test_path_and_query_are_asked_for() -> None:
    """http takes path and query from the URL."""
    assert read_url("http://a.example/x/y?z=1&t=%20").properties == {"path": "/x/y?z=1&t=%20"}
    assert read_url("https://a.example").properties == {"path": "/"}


@pytest.mark.parametrize(
    ("url", "mend"),
    [
        ("127.0.0.1:25", "write smtp://127.0.0.1:25"),
        ("smtp:127.0.0.1", "write smtp://127.0.0.1:25"),
        ("ftp://a", "none of the schemes"),
        ("tcp://a", "write tcp://a:PORT"),
        ("grpc://a/store", "has no port"),
        ("grpc://a:1/store?x", "has a path or a query"),
        ("smtp://", "names no host"),
        ("smtp://:25", "names no host"),
        ("smtp://::1", "write smtp://[::1]:25"),
        ("smtp://[::1", "IPv6"),
        ("smtp://a:99999", "from 1 to 65535"),
        ("smtp://a:b", "from 1 to 65535"),
        ("smtp://a/path", "has a path"),
        ("http://user:pw@a", "leave them out"),
        ("http://a/#x", "leave them out"),
        ("http://a/ b", "space"),
        ("http://a/\n", "control character"),
        ("http+unix://relative.sock", "absolute path"),
        ("http://a/" + "x" * 5000, "too long"),
    ],
)
def test_a_bad_url_says_what_to_write(url: str, mend: str) -> None:
    """Every mistake comes with its mend."""
    with pytest.raises(ValueError, match=re.escape(mend)):
        read_url(url)
