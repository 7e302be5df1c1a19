"""Every bound of the outside, in one place: how long, how much and how many. `SECURITY.md` has them as a table."""

from __future__ import annotations

from dataclasses import dataclass

CLIENTS = 4000  # readers must not use up the descriptors that probes need
STREAMS_OF_CLIENTS = 5 / 8  # so that neither streams nor long polls, nor both together, leave no room for others


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost us. Times in seconds; the defaults are what runs, tests take shorter ones."""

    handshake_s: float = 5.0  # for TLS; a connection takes a place behind it
    headers_s: float = 10.0  # from the connection, or from the last answer, to the next whole head
    body_s: float = 10.0
    write_s: float = 30.0  # a reader that takes no byte for so long is cut off
    linger_s: float = 2.0  # reading on after an answer that did not want the body
    close_s: float = 1.0  # for answers under way when we close
    keep_alive_s: float = 15.0  # between two signs of life on a silent stream
    connections: int = CLIENTS
    per_address: int = 32  # connections of one address (of an IPv6 /64) that showed no token and no certificate
    reserve: int = 64  # connections beside all those, for /livez, /readyz, /isalive, /metrics and who shows a token
    streams: int = int(CLIENTS * STREAMS_OF_CLIENTS)  # readers of /api/v1/stream at once
    waits: int = 1000  # long polls at once
    scrapes: int = 8  # scrapes of /metrics at once
    plans: int = 2  # plans made at once: each forks the world
    readings: int = 16  # pages and timelines of the history's file at once: a few are read, the others wait for them
    reports: int = 4  # of availability at once: one is worked out, the others wait for it
    refusals_per_s: float = 5.0  # refused control requests that are written down, after a burst of so many at once:
    refusals_burst: int = 100


def limits_for(clients: int) -> Limits:
    """Make the limits for so many connections at once."""
    return Limits(connections=clients, streams=max(1, int(clients * STREAMS_OF_CLIENTS)))


BODY_BYTES_MAX = 64 * 1024
