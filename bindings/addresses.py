"""Addresses: bindings, host names, networks, and whether an access list lets an address in."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from bindings.mistakes import shown
from bindings.model import Binding, IpSecurity

UNIX_PATH_BYTES_MAX = 107  # sun_path of Linux holds 108 with the NUL
HOST_NAME_CHARS_MAX = 253
PORT_MAX = 65535
# Names of "the group's own address", and what each means in a group without one; nothing is bound to them.
WILDCARDS = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - see above

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1123 section 2.1: may begin with a digit
IPV4_PATTERN = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
NAME_PATTERN = rf"(?![0-9.]+$){_LABEL}(?:\.{_LABEL})*\.?"  # digits and dots alone are an address, or a mistake in one
HOST_PATTERN = rf"{NAME_PATTERN}|{IPV4_PATTERN}|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]"

_IPV4 = re.compile(IPV4_PATTERN)
_NAME = re.compile(NAME_PATTERN)
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_USUAL = re.compile(rf"({IPV4_PATTERN}):([1-9][0-9]{{0,4}})")  # most of any large store
_PARTS = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([^:]*)(?::(.*))?", re.DOTALL)
_PORT = re.compile(r"0|[1-9][0-9]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class AddressMistake(ValueError):
    """Text that is no address; its message is for the person who wrote it."""


def read_binding(text: str, secure: bool) -> Binding:
    """Read `ADDRESS:PORT[:HOST]` or `unix:/path`. Raises AddressMistake."""
    usual = _USUAL.fullmatch(text)
    if usual is not None and (port_number := int(usual[2])) <= PORT_MAX:
        return Binding(text, usual[1], port_number, None, None, secure)
    if text.startswith("unix:"):
        return Binding(text, "", 0, None, _unix_path(text[5:]), secure)
    parts = _PARTS.fullmatch(text)
    bare_ipv6 = "[" not in text and (text.count(":") > 2 or "::" in text)
    if parts is None or bare_ipv6:
        raise AddressMistake(_no_binding(text))
    address, port, host = parts.groups()
    number = _port(port)
    if host is not None:
        check_host(host)
    return Binding(text, _address(address), number, host, None, secure)


def check_host(text: str) -> None:
    """Check a host as HTTP and TLS name one: an RFC 1123 name, IPv4, or IPv6 in brackets. Raises AddressMistake."""
    if not text:
        raise AddressMistake("the host after the second colon is empty")
    if text.startswith("["):
        _ipv6(text)
    elif not _IPV4.fullmatch(text):
        check_name(text, "host")


def check_name(text: str, what: str) -> None:
    """Check a host name (RFC 1123 section 2.1). Raises AddressMistake."""
    if len(text) > HOST_NAME_CHARS_MAX:
        raise AddressMistake(f"{what} {shown(text)} is longer than {HOST_NAME_CHARS_MAX} characters")
    if _DIGITS_AND_DOTS.fullmatch(text):
        raise AddressMistake(f"{what} {shown(text)} is not an IPv4 address")
    if not _NAME.fullmatch(text):
        raise AddressMistake(f"{what} {shown(text)} is neither an address nor a host name (RFC 1123)")


def numeric(text: str) -> bool:
    """Tell whether an address needs no resolver."""
    return bool(_IPV4.fullmatch(text)) or ":" in text


def is_ipv4(text: str) -> bool:
    """Tell whether a text is an IPv4 address, at a fraction of what making one costs."""
    return _IPV4.fullmatch(text) is not None


def check_numeric(text: str) -> None:
    """Check an address without brackets or name. Raises AddressMistake."""
    try:
        if "%" not in text:
            ip_address(text)
            return
    except ValueError:
        pass
    raise AddressMistake(f"{shown(text)} is not a numeric IPv4 or IPv6 address")


@lru_cache(maxsize=4096)
def read_network(text: str) -> IPv4Network | IPv6Network:
    """Read a network in CIDR, or one address. Raises AddressMistake."""
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        nearest = ip_network(text, strict=False)
    except ValueError:
        raise AddressMistake(f"{shown(text)} is not a network; write it like 10.0.0.0/8 or 2001:db8::/32") from None
    raise AddressMistake(f"{shown(text)} has bits set beyond its prefix; the network is {nearest}")


def rejects(access: IpSecurity, address: str) -> bool:
    """Tell whether an access list keeps a numeric address out: `deny` wins, an empty `allow` allows all (S34)."""
    ip: IPv4Address | IPv6Address = ip_address(address)
    if any(ip in read_network(network) for network in access.deny):
        return True
    return bool(access.allow) and not any(ip in read_network(network) for network in access.allow)


def _no_binding(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError:
        pass
    else:
        return f'{shown(text)} has no port; an IPv6 address stands in brackets: "[{text}]:25"'
    if ":" in text and "[" not in text:
        return f'{shown(text)} has too many colons; an IPv6 address stands in brackets: "[::1]:25"'
    if ":" not in text:
        return f'{shown(text)} has no port; write ADDRESS:PORT, for example "127.0.0.1:25"'
    return f"{shown(text)} is not ADDRESS:PORT, ADDRESS:PORT:HOST or unix:/path"


def _unix_path(path: str) -> str:
    if not path.startswith("/"):
        raise AddressMistake(f"unix: needs an absolute path, not {shown(path)}")
    if _CONTROL.search(path):
        raise AddressMistake(f"the path {shown(path)} has a control character")
    if len(path.encode()) > UNIX_PATH_BYTES_MAX:
        raise AddressMistake(f"the path of a unix socket has at most {UNIX_PATH_BYTES_MAX} bytes")
    return path


def _port(text: str) -> int:
    if not _PORT.fullmatch(text):
        raise AddressMistake(f"port {shown(text)} is not a number from 1 to {PORT_MAX}")
    if len(text) > 5 or int(text) > PORT_MAX:
        raise AddressMistake(f"port {text if len(text) <= 20 else text[:20] + '...'} is above {PORT_MAX}")
    if text == "0":
        raise AddressMistake("port 0 is below 1")
    return int(text)


def _address(text: str) -> str:
    if _IPV4.fullmatch(text):
        return text
    if text in ("", "*"):
        return ""
    if text.startswith("["):
        return _ipv6(text)
    check_name(text, "address")
    return text


def _ipv6(text: str) -> str:
    try:
        if text.endswith("]") and "%" not in text:
            return str(IPv6Address(text[1:-1]))
    except ValueError:
        pass
    raise AddressMistake(f"{shown(text)} is not an IPv6 address in brackets")
