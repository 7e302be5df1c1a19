"""Bindings, host names, networks and access lists."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.addresses import AddressMistake, check_host, check_numeric, read_binding, read_network, rejects
from bindings.model import Binding, IpSecurity

GOOD = {
    "127.0.0.1:25": ("127.0.0.1", 25, None),
    "0.0.0.0:1": ("0.0.0.0", 1, None),
    "*:25": ("", 25, None),
    ":65535": ("", 65535, None),
    "[::1]:465": ("::1", 465, None),
    "[2001:DB8:0:0::1]:25": ("2001:db8::1", 25, None),
    "[::]:80:[::1]": ("::", 80, "[::1]"),
    "mail.example.org:25": ("mail.example.org", 25, None),
    "svc.ns.svc.cluster.local.:25": ("svc.ns.svc.cluster.local.", 25, None),
    "3com:80": ("3com", 80, None),
    "127.0.0.1:80:www.example.org": ("127.0.0.1", 80, "www.example.org"),
    "127.0.0.1:80:10.0.0.1": ("127.0.0.1", 80, "10.0.0.1"),
    "*:80:a-b.c": ("", 80, "a-b.c"),
    f"{'a' * 63}:1": ("a" * 63, 1, None),
}

BAD = {
    "": '"" has no port; write ADDRESS:PORT, for example "127.0.0.1:25"',
    "127.0.0.1": '"127.0.0.1" has no port; write ADDRESS:PORT, for example "127.0.0.1:25"',
    "25": '"25" has no port; write ADDRESS:PORT, for example "127.0.0.1:25"',
    "127.0.0.1:": 'port "" is not a number from 1 to 65535',
    "127.0.0.1:smtp": 'port "smtp" is not a number from 1 to 65535',
    "127.0.0.1:-1": 'port "-1" is not a number from 1 to 65535',
    "127.0.0.1:025": 'port "025" is not a number from 1 to 65535',
    "127.0.0.1: 25": 'port " 25" is not a number from 1 to 65535',
    "127.0.0.1:25\n": 'port "25\\n" is not a number from 1 to 65535',
    "127.0.0.1:٢٥": 'port "\\u0662\\u0665" is not a number from 1 to 65535',
    "127.0.0.1:0": "port 0 is below 1",
    "127.0.0.1:65536": "port 65536 is above 65535",
    "127.0.0.1:99999": "port 99999 is above 65535",
    "127.0.0.1:" + "9" * 5000: "port 99999999999999999999... is above 65535",
    "127.0.0.256:25": 'address "127.0.0.256" is not an IPv4 address',
    "127.1:25": 'address "127.1" is not an IPv4 address',
    "010.0.0.1:25": 'address "010.0.0.1" is not an IPv4 address',
    "my_host:25": 'address "my_host" is neither an address nor a host name (RFC 1123)',
    "-a.b:25": 'address "-a.b" is neither an address nor a host name (RFC 1123)',
    "a..b:25": 'address "a..b" is neither an address nor a host name (RFC 1123)',
    "a b:25": 'address "a b" is neither an address nor a host name (RFC 1123)',
    "münchen.de:25": 'address "m\\u00fcnchen.de" is neither an address nor a host name (RFC 1123)',
    f"{'a' * 64}:1": f'address "{"a" * 56}... is neither an address nor a host name (RFC 1123)',
    f"{'a.' * 127}com:1": f'address "{"a." * 28}... is longer than 253 characters',
    "::1": '"::1" has no port; an IPv6 address stands in brackets: "[::1]:25"',
    "2001:db8::1:25": '"2001:db8::1:25" has no port; an IPv6 address stands in brackets: "[2001:db8::1:25]:25"',
    "1:2:3:4": '"1:2:3:4" has too many colons; an IPv6 address stands in brackets: "[::1]:25"',
    "[::1]": '"[::1]" is not ADDRESS:PORT, ADDRESS:PORT:HOST or unix:/path',
    "[::1:25": '"[::1:25" is not ADDRESS:PORT, ADDRESS:PORT:HOST or unix:/path',
    "[127.0.0.1]:25": '"[127.0.0.1]" is not an IPv6 address in brackets',
    "[::g]:25": '"[::g]" is not an IPv6 address in brackets',
    "[fe80::1%eth0]:25": '"[fe80::1%eth0]" is not an IPv6 address in brackets',
    "127.0.0.1:80:": "the host after the second colon is empty",
    "127.0.0.1:80:a/b": 'host "a/b" is neither an address nor a host name (RFC 1123)',
    "127.0.0.1:80:a\r\nX: y":
        '"127.0.0.1:80:a\\r\\nX: y" has too many colons; an IPv6 address stands in brackets: "[::1]:25"',
    "127.0.0.1:80:a\r\n": 'host "a\\r\\n" is neither an address nor a host name (RFC 1123)',
    "unix:run/x": 'unix: needs an absolute path, not "run/x"',
    "unix:": 'unix: needs an absolute path, not ""',
    "unix:/a\x00b": 'the path "/a\\u0000b" has a control character',
    "unix:/" + "ü" * 54: "the path of a unix socket has at most 107 bytes",
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_binding_is_read(text: str) -> None:
    """ADDRESS:PORT[:HOST] is read into its parts; an empty or * address is the group's own."""
    address, port, host = GOOD[text]
    assert read_binding(text, secure=True) == Binding(text, address, port, host, None, True)


def test_a_unix_socket_is_read() -> None:
    """unix:/path has no port; its path may have colons, and 107 bytes."""
    path = "/run/a:b/" + "x" * 98
    assert len(path) == 107
    assert read_binding(f"unix:{path}", secure=False) == Binding(f"unix:{path}", "", 0, None, path, False)


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_binding_is_explained(text: str) -> None:
    """Every way to get a binding wrong has its own message, which says what to write instead."""
    with pytest.raises(AddressMistake) as caught:
        read_binding(text, secure=False)
    assert str(caught.value) == BAD[text]


@given(st.text())
def test_any_text_is_a_binding_or_an_address_mistake(text: str) -> None:
    """No text makes the reader raise anything else, and what it reads keeps its bounds."""
    try:
        binding = read_binding(text, secure=False)
    except AddressMistake:
        return
    assert binding.unix_path or 1 <= binding.port <= 65535


@given(st.ip_addresses(), st.integers(1, 65535), st.sampled_from([None, "www.example.org"]))
def test_every_numeric_address_and_port_is_a_binding(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, host: str | None
) -> None:
    """Any numeric address and port can be written as a binding and comes back as it was."""
    text = (f"[{ip}]" if ip.version == 6 else str(ip)) + f":{port}" + (f":{host}" if host else "")
    binding = read_binding(text, secure=False)
    assert (binding.address, binding.port, binding.host) == (str(ip), port, host)


@pytest.mark.parametrize("text", ["", "a b", "a:80", "[::1", "[x]", "1.2.3"])
def test_what_is_no_host(text: str) -> None:
    """A host is a name, IPv4 or IPv6 in brackets, without a port."""
    with pytest.raises(AddressMistake):
        check_host(text)


@pytest.mark.parametrize("text", ["", "localhost", "[::1]", "1.2.3", "fe80::1%eth0", "10.0.0.0/8"])
def test_what_is_no_numeric_address(text: str) -> None:
    """A source is a bare numeric address."""
    with pytest.raises(AddressMistake, match="is not a numeric IPv4 or IPv6 address"):
        check_numeric(text)


def test_a_network_with_host_bits_names_the_network() -> None:
    """10.0.0.5/8 is a mistake that is easily mended: the message has the network."""
    with pytest.raises(AddressMistake, match=r'"10.0.0.5/8" has bits set beyond its prefix; the network is 10.0.0.0/8'):
        read_network("10.0.0.5/8")
    with pytest.raises(AddressMistake, match="is not a network; write it like"):
        read_network("10.0.0.0/33")


@pytest.mark.parametrize(
    ("access", "address", "kept_out"),
    [
        (IpSecurity(), "127.0.0.1", False),
        (IpSecurity(allow=("10.0.0.0/8",)), "10.1.2.3", False),
        (IpSecurity(allow=("10.0.0.0/8",)), "127.0.0.1", True),
        (IpSecurity(allow=("10.0.0.0/8",)), "::1", True),
        (IpSecurity(deny=("127.0.0.0/8",)), "127.0.0.1", True),
        (IpSecurity(deny=("127.0.0.0/8",)), "::1", False),
        (IpSecurity(allow=("10.0.0.0/8",), deny=("10.9.0.0/16",)), "10.9.0.1", True),
        (IpSecurity(allow=("::1",)), "::1", False),
    ],
)
def test_an_access_list_lets_in_or_keeps_out(access: IpSecurity, address: str, kept_out: bool) -> None:
    """S34: deny wins; an empty allow lets everybody in."""
    assert rejects(access, address) is kept_out
