"""Addresses at which a service says by itself how it is, and the virtual servers that they become (S23, S40).

`grpc://H:P` `grpcs://H:P` speak the gRPC health protocol, `http://…` `https://…` answer with JSON. Pure: they are asked
like any virtual server, by the checks, with the resource's own timings.
"""

from __future__ import annotations

import importlib.util
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from bindings.addresses import AddressMistake, read_binding
from bindings.model import Binding, JsonJudgement, Resource, VirtualServer

GRPC = ("grpc", "grpcs")
HTTP = ("http", "https")
URL_CHARS_MAX = 4096
INSTALL = "install looksalive[grpc]"
INDEX_PLACE = "{index}"
_PORTS = {"http": 80, "https": 443}
_ACCEPT = (("Accept", "application/json"),)


class Health(NamedTuple):
    """A health address taken apart."""

    scheme: str
    binding: Binding
    path: str  # with its query, as it is asked for; "/" for grpc


def read_health(text: str, schemes: tuple[str, ...]) -> Health:
    """Take an address apart. Raises ValueError with what to write instead."""
    example = "grpc://127.0.0.1:9090" if "grpc" in schemes else "http://127.0.0.1:8080/health"
    if len(text) > URL_CHARS_MAX or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"is too long, or has a space or what is no visible ASCII character; write {example}")
    scheme, colon, _ = text.partition("://")
    if not colon or scheme not in schemes:
        raise ValueError(f"has none of the schemes {', '.join(schemes)}; write {example}")
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(scheme)
    except ValueError:
        raise ValueError(f"is no address; write {example}") from None
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("has a user or a fragment; leave them out")
    if not parts.hostname or port is None:
        raise ValueError(f"names no host and port; write {example}")
    if scheme in GRPC and (parts.path not in ("", "/") or parts.query):
        raise ValueError("has a path; which service is asked about is said by a parameter of its own")
    if scheme in GRPC and not can_speak_grpc():
        raise ValueError(f"cannot be asked: the package h2 is missing; {INSTALL}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    try:
        binding = read_binding(f"{host}:{port}", scheme in ("grpcs", "https"))
    except AddressMistake as mistake:
        raise ValueError(str(mistake)) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Health(scheme, binding, path)


def can_speak_grpc() -> bool:
    """Say whether the extra `grpc` is installed."""
    return importlib.util.find_spec("h2") is not None


def server_of(resource: Resource, health: Health, subject: str, judged: JsonJudgement) -> VirtualServer:
    """Make the virtual server that is asked about `subject`: by gRPC, else by a GET whose JSON is judged."""
    key = f"/{resource.group}/{resource.name}/{'grpc' if health.scheme in GRPC else 'http'}"
    if health.scheme in GRPC:
        return VirtualServer(key=key, protocol="grpc", bindings=(health.binding,), subject=subject)
    return VirtualServer(
        key=key,
        protocol="http",
        bindings=(health.binding,),
        path=health.path,
        headers=_ACCEPT,
        expect_status="200-299",
        subject=subject,
        body_json=judged,
    )


def with_index(health: Health, index: str) -> Health:
    """Name the index in the address: in the place of `{index}`, else as one more part of the query."""
    named = quote(index, safe="")
    if INDEX_PLACE in health.path:
        return health._replace(path=health.path.replace(INDEX_PLACE, named))
    return health._replace(path=f"{health.path}{'&' if '?' in health.path else '?'}index={named}")
