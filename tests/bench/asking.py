"""Clients of the API, as programs of their own, so that neither waits for what the benchmark itself does.

`python -m tests.bench.asking beat PORT` asks /livez again and again on one connection; each line of stdin is answered
by what was seen since the last one. `python -m tests.bench.asking ask PORT RATE SECONDS PATH` asks one path at a pace
on some connections and says at the end how that went.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

import uvloop

from tests.house import ROOT

BEAT_PAUSE_S = 0.001  # a stall is seen too short by this at most
NICENESS = -10  # where we may: what the asker itself waits for a processor is no stall of the service
ANSWER_S = 60.0
LAST_ANSWER_S = 10.0  # to what was asked before the end
CONNECTIONS = 20
RECEIVED_BYTES = 65536
HEAD = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
OK = b"HTTP/1.1 200"


@dataclass(frozen=True)
class Beats:
    """How long the answers took, in seconds."""

    count: int
    median_s: float
    worst_s: float


@dataclass(frozen=True)
class Answers:
    """How asking at a pace went."""

    asked: int
    good: int
    skipped: int  # not asked, since the answer before was not there yet
    p50_s: float
    p99_s: float
    worst_s: float


class Beat:
    """The first program, driven by `since`."""

    def __init__(self, port: int) -> None:
        self._words = [sys.executable, "-m", "tests.bench.asking", "beat", str(port)]

    def since(self) -> Beats:
        """Return what was seen since the last call, or since the start."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("?\n")
        stdin.flush()
        return Beats(**json.loads(stdout.readline()))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.since()  # it is there
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


def ask_at_pace(port: int, path: str, rate: float, seconds: float) -> subprocess.Popen[str]:
    """Start the second program; `answers_of` ends it."""
    words = [sys.executable, "-m", "tests.bench.asking", "ask", str(port), str(rate), str(seconds), path]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def answers_of(asking: subprocess.Popen[str]) -> Answers:
    """Wait for its end and return what it saw."""
    told, _ = asking.communicate(timeout=ANSWER_S)
    return Answers(**json.loads(told))


def quantile_of(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def _beat(port: int) -> None:
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    question, took_s = HEAD % b"/livez", list[float]()
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            begun = time.perf_counter()
            connection.sendall(question)
            answer = connection.recv(RECEIVED_BYTES)
            took_s.append(time.perf_counter() - begun)
            if not answer.startswith(OK):
                raise ConnectionError(f"/livez answered {answer[:80]!r}")
            if select.select([sys.stdin], [], [], BEAT_PAUSE_S)[0]:
                if not sys.stdin.readline():
                    return
                seen = {"count": len(took_s), "median_s": statistics.median(took_s), "worst_s": max(took_s)}
                sys.stdout.write(json.dumps(seen) + "\n")
                sys.stdout.flush()
                took_s.clear()


@dataclass
class _Asker(asyncio.Protocol):
    """One connection that asks at its pace."""

    question: bytes
    every_s: float
    first_at: float
    until: float
    took_s: list[float] = field(default_factory=list)
    asked: int = 0
    good: int = 0
    skipped: int = 0
    waits_since: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # its last question is answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._loop.call_at(self.first_at, self._ask, self.first_at)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1") and self.waits_since is not None:
            self.took_s.append(time.perf_counter() - self.waits_since)
            self.good += data.startswith(OK)
            self.waits_since = None
            if self._loop.time() >= self.until:
                self.ended.set()

    def _ask(self, at: float) -> None:
        following = at + self.every_s
        if following < self.until:
            self._loop.call_at(following, self._ask, following)
        else:
            self._loop.call_at(self.until, self._end)
        if self.waits_since is not None:
            self.skipped += 1
            return
        self.asked += 1
        self.waits_since = time.perf_counter()  # the loop's own is of whole milliseconds
        self._transport.write(self.question)

    def _end(self) -> None:
        if self.waits_since is None:
            self.ended.set()


async def _ask(port: int, rate: float, seconds: float, path: str) -> None:
    loop, every_s = asyncio.get_running_loop(), CONNECTIONS / rate
    begin = loop.time() + 0.1
    askers = [
        _Asker(HEAD % path.encode(), every_s, begin + number / rate, begin + seconds) for number in range(CONNECTIONS)
    ]
    for each in askers:
        await loop.create_connection(lambda each=each: each, "127.0.0.1", port)  # type: ignore[misc]  # a default binds
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(begin + seconds + LAST_ANSWER_S):
            await asyncio.gather(*(each.ended.wait() for each in askers))
    took_s = [one for each in askers for one in each.took_s]
    seen = {
        "asked": sum(each.asked for each in askers),
        "good": sum(each.good for each in askers),
        "skipped": sum(each.skipped for each in askers),
        "p50_s": quantile_of(took_s, 0.5),
        "p99_s": quantile_of(took_s, 0.99),
        "worst_s": max(took_s, default=math.nan),
    }
    sys.stdout.write(json.dumps(seen) + "\n")


def main(words: list[str]) -> None:
    """Be one of the two."""
    if words[0] == "beat":
        _beat(int(words[1]))
    else:
        uvloop.run(_ask(int(words[1]), float(words[2]), float(words[3]), words[4]))


if __name__ == "__main__":
    main(sys.argv[1:])
