"""Whom a proxy speaks for: only a trusted one is believed, and only what was written behind it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from probe.api.door import Proxies
from probe.api.forwarded import client_of

PROXIES = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


def _client(peer: str, *headers: tuple[str, str], proxies: Proxies = PROXIES) -> str:
    return client_of(peer, CIMultiDictProxy(CIMultiDict(headers)), proxies)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),  # the left one was written by the right one
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2,10.0.0.3", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1, nonsense", "10.0.0.1"),
        ("nonsense, 10.0.0.7", "10.0.0.7"),
        ("", "10.0.0.1"),
        ("10.0.0.5", "10.0.0.5"),
    ],
)
def test_x_forwarded_for(value: str, client: str) -> None:
    """The client is the rightmost address that is no trusted proxy; what is no address ends the reading."""
    assert _client("10.0.0.1", ("X-Forwarded-For", value)) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('For="[2001:db8::1]:4711";proto=https', "2001:db8::1"),
        ("proto=http;for=192.0.2.1;by=10.0.0.1, for=10.0.0.2", "192.0.2.1"),
        ("for=unknown", "10.0.0.1"),
        ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("by=192.0.2.1", "10.0.0.1"),
    ],
)
def test_forwarded(value: str, client: str) -> None:
    """RFC 7239's header says the same in other words."""
    assert _client("10.0.0.1", ("Forwarded", value)) == client


def test_lines_are_one_list() -> None:
    """Several lines of a header are one list, the last line's end being its right end."""
    assert _client("10.0.0.1", ("X-Forwarded-For", "198.51.100.1"), ("x-forwarded-for", "192.0.2.1")) == "192.0.2.1"


def test_headers_that_disagree_are_not_believed() -> None:
    """A client can write the header that the proxy does not: where the two name different clients, the peer counts."""
    standard, named = ("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "198.51.100.1")
    assert _client("10.0.0.1", standard, named) == "10.0.0.1"
    assert _client("10.0.0.1", standard, ("X-Forwarded-For", "192.0.2.1")) == "192.0.2.1"


@given(st.text(max_size=200), st.sampled_from(["X-Forwarded-For", "Forwarded"]))
def test_nobody_else_is_believed(value: str, header: str) -> None:
    """Whatever an untrusted peer writes, it is itself; whatever a trusted one writes, an address comes out."""
    assert _client("192.0.2.9", (header, value)) == "192.0.2.9"
    ipaddress.ip_address(_client("10.0.0.1", (header, value)))
    assert _client("10.0.0.1", (header, value), proxies=Proxies()) == "10.0.0.1"
