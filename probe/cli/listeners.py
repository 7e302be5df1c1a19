"""What listens on this machine, from the kernel's own tables, and what each port may speak. Pure but for its reader."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
TABLE_BYTES_MAX = 64 * 1024 * 1024  # a row has 150 bytes
LISTEN = "0A"  # TCP_LISTEN in the kernel's include/net/tcp_states.h
WILDCARDS = ("0.0.0.0", "[::]")  # noqa: S104 - read, not bound


class Speech(NamedTuple):
    """A protocol of the metabase, perhaps with TLS on connect."""

    protocol: str
    secure: bool = False


class Listener(NamedTuple):
    """One port and the addresses to ask it at, the likeliest first; IPv6 in brackets."""

    port: int
    addresses: tuple[str, ...]


SMTP, LMTP, POP3, IMAP, HTTP = map(Speech, ("smtp", "lmtp", "pop3", "imap", "http"))
HTTPS = Speech("http", True)
USUAL: dict[int, tuple[Speech, ...]] = {
    **dict.fromkeys((25, 587, 2525), (SMTP,)),
    465: (Speech("smtp", True),),
    24: (LMTP,),
    110: (POP3,),
    995: (Speech("pop3", True),),
    143: (IMAP,),
    993: (Speech("imap", True),),
    **dict.fromkeys((80, 8000, 8008, 8080), (HTTP,)),
    **dict.fromkeys((443, 8443), (HTTPS,)),
}
NOT_ASKED = {  # what speaks something else, and may take our question ill
    22: "ssh",
    53: "dns",
    111: "rpcbind",
    631: "printing",
    2049: "nfs",
    3306: "mysql",
    5432: "postgresql",
    6379: "redis",
    9810: "looksalive",
    11211: "memcached",
    27017: "mongodb",
}


def read_listeners(read: Callable[[str, int], bytes]) -> list[Listener]:
    """List every listening TCP port of our network namespace, once. Raises OSError when no table can be read."""
    found: list[tuple[str, int]] = []
    for table in TABLES:
        try:
            found.extend(parse_table(read(table, TABLE_BYTES_MAX).decode("ascii", "replace")))
        except FileNotFoundError:
            if table == TABLES[0]:
                raise  # a kernel without IPv6 has no second one
    return gather(found)


def parse_table(text: str) -> list[tuple[str, int]]:
    """Read (address, port) of the listening rows of a table as proc(5) has it; what is no such row is passed over."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[3] != LISTEN:
            continue
        address, _, port = fields[1].partition(":")
        try:
            found.append((_address(bytes.fromhex(address)), int(port, 16)))
        except ValueError:
            continue
    return found


def gather(found: Iterable[tuple[str, int]]) -> list[Listener]:
    """Put together the addresses of each port; a wildcard is asked on loopback."""
    ports: dict[int, set[str]] = {}
    for address, port in found:
        near = ("127.0.0.1",) if address == WILDCARDS[0] else ("127.0.0.1", "[::1]")  # [::] mostly is for both
        ports.setdefault(port, set()).update(near if address in WILDCARDS else (address,))
    return [Listener(port, tuple(sorted(addresses, key=_rank))) for port, addresses in sorted(ports.items())]


def _rank(address: str) -> tuple[bool, bool, str]:
    return address != "127.0.0.1", address != "[::1]", address


def _address(raw: bytes) -> str:
    """Read an address as the kernel prints it: 32-bit words in the machine's own order."""
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(raw) == 4:
        return str(IPv4Address(raw))
    wide = IPv6Address(raw)
    return str(wide.ipv4_mapped) if wide.ipv4_mapped is not None else f"[{wide}]"
