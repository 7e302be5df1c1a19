"""Who asks: the peer of the connection, or, where the peer is a trusted proxy, whom it says it speaks for.

Both X-Forwarded-For and Forwarded (RFC 7239) are read from the right, past the proxies that are trusted too: what is
further left was written by somebody whom nobody vouches for. A proxy sets one of the two and passes on what a client
wrote into the other; where both are there and disagree, neither is believed and the peer itself is counted.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from multidict import CIMultiDictProxy

from probe.api.door import Proxies

HOPS_MAX = 32  # from the right; what has passed more proxies is nobody's business
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"\\]{0,64})"|([^\s;,"]{1,64}))\s*(?=;|$)', re.IGNORECASE)


def client_of(peer: str, headers: CIMultiDictProxy[str], proxies: Proxies) -> str:
    """Name the client of a request, as an address."""
    if not proxies.trusts(peer):
        return peer
    named = headers.getall("X-Forwarded-For", [])
    standard = headers.getall("Forwarded", [])
    told = {
        _behind(peer, [part.strip() for part in _parts(named)], proxies) if named else None,
        _behind(peer, [_for_of(part) for part in _parts(standard)], proxies) if standard else None,
    } - {None}
    return told.pop() or peer if len(told) == 1 else peer


def _parts(lines: Sequence[str]) -> list[str]:
    return ",".join(lines).rsplit(",", HOPS_MAX)[-HOPS_MAX:]


def _for_of(part: str) -> str:
    match = _FOR.search(part)
    return (match[1] or match[2] or "") if match else ""


def _behind(peer: str, hops: Sequence[str], proxies: Proxies) -> str:
    """Walk from the right to the first that is no trusted proxy; what is no address ends the walk."""
    client = peer
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break
        client = address
        if not proxies.trusts(address):
            break
    return client


def _address(text: str) -> str | None:
    """Read `1.2.3.4`, `1.2.3.4:80`, `::1` or `[::1]:80`; a name, `unknown` and `_hidden` are no address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
