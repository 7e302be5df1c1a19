"""The URLs that `check` asks: `smtp://`, `imaps://[::1]`, `http://host/path?query`, `smtp+unix:///run/smtp.sock`."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

# scheme -> (protocol, TLS on connect, port by RFC 6335's registry; None where there is none)
SCHEMES: dict[str, tuple[str, bool, int | None]] = {
    "smtp": ("smtp", False, 25),
    "smtps": ("smtp", True, 465),
    "lmtp": ("lmtp", False, 24),
    "pop3": ("pop3", False, 110),
    "pop3s": ("pop3", True, 995),
    "imap": ("imap", False, 143),
    "imaps": ("imap", True, 993),
    "http": ("http", False, 80),
    "https": ("http", True, 443),
    "tcp": ("tcp", False, None),
    "grpc": ("grpc", False, None),
    "grpcs": ("grpc", True, None),
}
UNIX = "+unix"
URL_CHARS_MAX = 4096


class Asked(NamedTuple):
    """One URL and what it says of a virtual server."""

    url: str  # as given
    scheme: str
    protocol: str
    binding: str  # as in the store
    secure: bool
    properties: dict[str, object]  # that the URL itself brings: the path, or the service that grpc asks about


def read_url(url: str) -> Asked:
    """Read a URL of `check`. Raises ValueError with what to write instead."""
    if len(url) > URL_CHARS_MAX or not url.isprintable() or " " in url:
        raise ValueError("is too long, or has a space or a control character")
    scheme, colon, _ = url.partition("://")
    protocol, secure, port = SCHEMES.get(scheme.removesuffix(UNIX), ("", False, None))
    if not colon or not protocol:
        raise ValueError(f"has none of the schemes {', '.join(SCHEMES)}; write smtp://127.0.0.1:25")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("has a user or a fragment; leave them out")
    if scheme.endswith(UNIX):
        if parts.netloc or len(parts.path) < 2 or parts.query:
            raise ValueError(f"needs an absolute path and nothing else: {scheme}:///run/server.sock")
        return Asked(url, scheme, protocol, f"unix:{parts.path}", secure, {})
    if parts.netloc.count(":") > 1 and "[" not in parts.netloc:
        raise ValueError(f"has an IPv6 address without brackets; write {scheme}://[::1]:25")
    if not parts.hostname:
        raise ValueError(f"names no host; write {scheme}://127.0.0.1")
    if (protocol != "http" and parts.query) or (protocol not in ("http", "grpc") and parts.path not in ("", "/")):
        raise ValueError(f"has a path or a query, which {scheme} does not know")
    number = _port(parts, port)
    if number is None:
        raise ValueError(f"has no port; write {url.rstrip('/')}:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    properties: dict[str, object] = {}
    if protocol == "http":
        properties["path"] = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    elif protocol == "grpc" and len(parts.path) > 1:
        properties["subject"] = unquote(parts.path[1:])
    return Asked(url, scheme, protocol, f"{host}:{number}", secure, properties)


def _port(parts: SplitResult, usual: int | None) -> int | None:
    try:
        return usual if parts.port is None else parts.port
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
