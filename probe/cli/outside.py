"""What `run` can be told about its outside beside where it listens: TLS, trusted proxies, how many clients."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.cli.flags import Flag, parse_count, parse_path

CLIENTS_MAX = 4000
CONNECTIONS_PER_ADDRESS = 32

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class OutsideSettings:
    """All of it, with every default filled in."""

    web_config: Path | None = None  # None: plain HTTP
    trusted_proxies: tuple[Network, ...] = ()
    clients_max: int = CLIENTS_MAX
    connections_per_address: int = CONNECTIONS_PER_ADDRESS


PLAIN = OutsideSettings()


def parse_network(text: str) -> Network:
    """Read an address or a network. Raises ArgumentTypeError."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no address or network; write 10.0.0.0/8") from None
    raise argparse.ArgumentTypeError(f"{text!r} is an address within a network; write {network}")


OUTSIDE_FLAGS: tuple[Flag, ...] = (
    Flag(
        "--web-config", "FILE", parse_path, "serve TLS as this JSON file says (SECURITY.md); read again when it changes"
    ),
    Flag(
        "--trusted-proxy",
        "CIDR",
        parse_network,
        "believe X-Forwarded-For and Forwarded from there; repeat it, or commas in the variable (nobody)",
        "repeat",
    ),
    Flag("--max-clients", "N", parse_count, f"connections at once; 5 of 8 may be streams ({CLIENTS_MAX})"),
    Flag(
        "--max-per-address",
        "N",
        parse_count,
        f"connections at once of one address that shows no token ({CONNECTIONS_PER_ADDRESS})",
    ),
)


def outside_of(values: Mapping[str, Any]) -> OutsideSettings:
    """Gather what was told."""
    return OutsideSettings(
        values["web_config"],
        tuple(values["trusted_proxy"] or ()),
        values["max_clients"] or CLIENTS_MAX,
        values["max_per_address"] or CONNECTIONS_PER_ADDRESS,
    )
