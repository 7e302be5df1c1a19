"""The one request of an http check, built once (RFC 9112 section 3). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bindings.model import Binding, VirtualServer

USER_AGENT = "looksalive"
HEADERS_MAX = 64
REQUEST_BYTES_MAX = 32 * 1024

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"[/*][!-~]*")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HAVE_CONTENT = ("POST", "PUT", "PATCH")  # a server may wait for the length of what they bring (RFC 9110 8.6)
_DEFAULT_PORT = {False: 80, True: 443}


def request_of(server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> bytes:
    """Build the request; `headers` holds the resolved value of every header that the store keeps as a secret.

    The user's headers replace ours of the same name. Raises ValueError for what must not stand in a request, naming
    the property and never a header's value.
    """
    if not _TOKEN.fullmatch(server.method):
        raise ValueError(f"method {server.method[:80]!r} is no HTTP method")
    if not _TARGET.fullmatch(server.path):
        raise ValueError(
            f"path {server.path[:80]!r} must begin with / and hold visible ASCII only (percent-encode the rest)"
        )
    fields = {
        "host": ("Host", host_of(server, binding)),
        "user-agent": ("User-Agent", USER_AGENT),
        "accept": ("Accept", "*/*"),
        "connection": ("Connection", "close"),
    }
    if server.method in _HAVE_CONTENT:
        fields["content-length"] = ("Content-Length", "0")
    for name, value in _user_headers(server, headers or {}):
        fields[name.lower()] = (name, value)
    lines = [f"{server.method} {server.path} HTTP/1.1"]
    for name, value in fields.values():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name[:80]!r} is no header name")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {name} holds a control character")
        lines.append(f"{name}: {value}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
    if len(fields) > HEADERS_MAX or len(request) > REQUEST_BYTES_MAX:
        raise ValueError(f"headers: more than {HEADERS_MAX}, or a request of more than {REQUEST_BYTES_MAX} bytes")
    return request


def _user_headers(server: VirtualServer, resolved: Mapping[str, str]) -> list[tuple[str, str]]:
    plain = {name: value for name, value in server.headers if isinstance(value, str)}
    for name, _ in server.headers:
        if name not in plain and name not in resolved:
            raise ValueError(f"headers: the secret of {name} is not resolved")
    return list({**plain, **resolved}.items())


def host_of(server: VirtualServer, binding: Binding) -> str:
    """Say what Host to ask for: the binding's, else the server's, else the address with a port that is not default."""
    named = binding.host or server.host
    if named:
        return named
    if binding.unix_path is not None:
        return "localhost"
    address = (
        "localhost" if binding.address in ("", "*") else binding.address.partition("%")[0]
    )  # a zone means nothing to the peer (RFC 6874)
    host = f"[{address}]" if ":" in address else address
    return host if binding.port == _DEFAULT_PORT[binding.secure] else f"{host}:{binding.port}"
