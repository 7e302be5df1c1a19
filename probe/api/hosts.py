"""Which names may address us: a name that somebody else controls could be made to point here (DNS rebinding)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?", re.ASCII)
_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})


class Hosts:
    """The Host rule: an IP literal, a loopback name, or a name that the operator allows; any port."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = frozenset(name.lower().rstrip(".") for name in allowed) | _LOOPBACK_NAMES

    def allow(self, authority: str) -> bool:
        """Judge the value of a Host header or the authority of a target."""
        match = _AUTHORITY.fullmatch(authority)
        if match is None:
            return False
        if match[1] is not None:
            return _is_literal(match[1], 6)
        name = match[2].lower().rstrip(".")
        return name in self._allowed or name.endswith(".localhost") or _is_literal(name, 4)


def _is_literal(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def same_origin(origin: str, host: str) -> bool:
    """Tell whether an Origin header names the host that was asked; `null` and anything odd are foreign."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and origin.count("/") == 2


def target_authority(target: str) -> str | None:
    """Take the authority out of an absolute request target (RFC 9112 section 3.2.2), None for a plain path."""
    if target.startswith("/"):
        return None
    try:
        return urlsplit(target).netloc
    except ValueError:
        return ""
