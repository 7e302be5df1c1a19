"""Every bound of the outside, in one place: how long, how much and how many."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost us. Times in seconds; the defaults are what runs, tests take shorter ones."""

    headers_s: float = 10.0  # from the connection, or from the last answer, to the next whole head
    body_s: float = 10.0
    write_s: float = 30.0  # a reader that takes no byte for so long is cut off
    linger_s: float = 2.0  # reading on after an answer that did not want the body
    close_s: float = 1.0  # for answers under way when we close
    keep_alive_s: float = 15.0  # between two signs of life on a silent stream
    connections: int = 4000  # readers must not use up the descriptors that probes need
    streams: int = 1000  # readers of /api/v1/stream at once
    waits: int = 1000  # long polls at once
    scrapes: int = 8  # scrapes of /metrics at once
    plans: int = 2  # plans made at once: each forks the world


BODY_BYTES_MAX = 64 * 1024
