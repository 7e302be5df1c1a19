"""The outside as the code sees it: clock, randomness, files, processes and sockets, each a small Protocol.

Nothing else in the two packages may ask the operating system for time, chance, a file, a process or a socket
(`tests/test_house.py` holds us to that). The real ones are in the modules beside this one; the simulator's are in
`tests/sim`. The network seam is the socket itself, so that no stream or transport ever stands in the monitor.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, Protocol

from bindings.store import Files  # bindings declares what it needs of files; the real one is in `files.py`
from probe.environment.machine import Addresses, AtOnce, Disks, Nowhere, Threads

Address = tuple[Any, ...] | str  # (host, port) or (host, port, flow, scope), both numeric; a path for AF_UNIX

READABLE = 0x001  # select.EPOLLIN
WRITABLE = 0x004  # select.EPOLLOUT
ERROR = 0x008  # select.EPOLLERR
HANGUP = 0x010  # select.EPOLLHUP


class Timer(Protocol):
    """A call that is due; `cancel` is idempotent."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Time in seconds: `now` is monotonic and what everything is computed with, `wall` is for people."""

    def now(self) -> float: ...
    def wall(self) -> float: ...
    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call once when `now()` has reached `when` (at the next pass of the loop if it has already)."""

    async def sleep(self, seconds: float) -> None: ...


class Randomness(Protocol):
    """Chance, for spreading work only; the simulator's is seeded."""

    def uniform(self, low: float, high: float) -> float: ...


class Socket(Protocol):
    """A non-blocking stream socket; the methods are those of `socket.socket` and raise what it raises."""

    def fileno(self) -> int: ...
    def bind(self, address: Any, /) -> None: ...
    def connect_ex(self, address: Any, /) -> int: ...
    def send(self, data: Any, flags: int = 0, /) -> int: ...
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int: ...
    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any: ...
    def setsockopt(self, level: int, option: int, value: Any, /) -> None: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


class Poller(Protocol):
    """Readiness of many sockets at once, told in batches to the one callback it was made with.

    A socket that is closed leaves by itself.
    """

    def register(self, fd: int, events: int) -> None: ...
    def modify(self, fd: int, events: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def drain(self) -> None:
        """Deliver what is ready now, synchronously: what lies in the kernel is seen before a deadline is judged."""

    def close(self) -> None: ...


Ready = Callable[[list[tuple[int, int]]], None]  # (descriptor, READABLE | WRITABLE | ERROR | HANGUP) each


class ResolveError(Exception):
    """A name that did not resolve; `kind` is `nxdomain`, `timeout` or `servfail`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Network(Protocol):
    """Sockets, readiness and names."""

    def socket(self, family: int) -> Socket:
        """Open a non-blocking, close-on-exec stream socket. Raises OSError (EMFILE and its kin are ours)."""

    def disconnect(self, connection: Socket) -> bool:
        """Reset its connection; say whether the socket can be bound and connected again, else it is as it was.

        A source that was bound stays until the next bind.
        """

    def poller(self, ready: Ready) -> Poller: ...
    async def resolve(self, name: str) -> Sequence[tuple[int, str]]:
        """Resolve to (family, numeric address) pairs, at least one. Raises ResolveError."""

    def is_local(self, address: str) -> bool:
        """Whether the numeric address is one of this node's own (a probe can be bound to it, S34)."""


class Process(Protocol):
    """A running program that we started or adopted: its identity is pid and start time together (S56)."""

    @property
    def pid(self) -> int: ...
    @property
    def start_time(self) -> int:
        """Field 22 of /proc/PID/stat: clock ticks after boot."""

    @property
    def running(self) -> bool: ...
    @property
    def exit_text(self) -> str:
        """How it ended, for people: `exit status 1`, `killed by SIGKILL`, `gone` when it was not our child."""

    @property
    def group_running(self) -> bool:
        """Whether anything of its process group is left; a group can outlive its leader."""

    def on_exit(self, call: Callable[[], None]) -> None:
        """Call once when it has ended (at once if it already has). Told by a pidfd, not by polling."""

    def signal_group(self, number: int) -> None:
        """Signal its whole process group; nothing if the leader's identity no longer matches and the group is gone."""

    def release(self) -> None:
        """Forget it without touching it: it runs on."""


class Processes(Protocol):
    """Starting, finding and ending programs."""

    @property
    def boot_id(self) -> str: ...
    def spawn(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None, directory: str | None, output: str | None
    ) -> Process:
        """Start in a session of its own; stdin is /dev/null, stdout and stderr go to the file `output` (append) or are
        inherited when None. Raises OSError."""

    def adopt(self, pid: int, start_time: int) -> Process | None:
        """Take over a process of an earlier run of ours, or None when that one is gone."""

    def bound_output(self, path: str, bytes_max: int) -> None:
        """Once a spawn's `output` file is larger, move its newest `bytes_max` bytes to `path` + ".1" and empty it.

        The writer keeps its descriptor: it appends, so it goes on at the start of the emptied file. Raises OSError.
        """


class Finished(NamedTuple):
    """How a program of one task ended, and the end of what it wrote."""

    status: int  # of its exit; a signal's number, negated, when that ended it
    text: str  # the same for people: `exit status 1`, `killed by SIGKILL`
    output: bytes = b""  # the newest part, bounded by whoever ran it


class Programs(Protocol):
    """Running programs that do one task and end."""

    async def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, output: str | None = None
    ) -> Finished:
        """Run to the end in a session of its own, stdin at /dev/null; `environment` is added to ours. Raises OSError.

        Its stdout and stderr go to the file `output` (append), which what it leaves running may go on writing to;
        without one they are a pipe that closes when it has ended. A cancel kills its process group.
        """


class HttpAnswer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


class HttpError(Exception):
    """The peer's answer broke off, was larger than wanted, or was no HTTP."""


class Http(Protocol):
    """Asking services on this node by HTTP: their control sockets, not what is probed."""

    async def ask(
        self,
        method: str,
        url: str,
        *,
        socket: str | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        bytes_max: int,
    ) -> HttpAnswer:
        """Send one request on a connection of its own, over the unix socket when one is named, and read the answer.

        No redirect is followed, no proxy used, no time-out set: the caller has one. Raises OSError, HttpError.
        """


class NoPrograms:
    """`Programs` of a surrounding that runs none."""

    async def run(self, *_arguments: object, **_options: object) -> NoReturn:
        """Refuse with OSError(ENOSYS)."""
        raise OSError(errno.ENOSYS, "no program can be run here")


class NoHttp:
    """`Http` of a surrounding without it."""

    async def ask(self, *_arguments: object, **_options: object) -> NoReturn:
        """Refuse with OSError(ENOSYS)."""
        raise OSError(errno.ENOSYS, "nothing can be asked by HTTP here")


class Gone(NamedTuple):
    """Where nobody listens any more: a numeric address in its shortest form (an IPv4-mapped one as IPv4) and a port.

    `0.0.0.0` and `::` stand for every local address, `::` for the IPv4 ones as well: the kernel does not tell which
    listeners were for IPv6 alone.
    """

    address: str
    port: int


class ListenerEvents(Protocol):
    """An open source of listeners' deaths."""

    def drain(self) -> None:
        """Tell now, synchronously, what lies there."""

    def close(self) -> None:
        """Tell nothing more. Idempotent."""


class ListenerWatch(Protocol):
    """The kernel's word on listening TCP sockets of our network namespace that are gone, without asking for it."""

    def open(self, on_gone: Callable[[list[Gone]], None], on_overrun: Callable[[], None]) -> ListenerEvents:
        """Begin to tell. `on_overrun`: events were lost, anything may be gone. Raises OSError where it cannot be had.

        A bound socket that never listened may be told as well: a word about it is a reason to look, and no proof.
        """

    def try_out(self) -> tuple[Gone, ...]:
        """Open and close listeners of our own on loopback, one for each family there is; what ought to be told of it.

        Raises OSError.
        """


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything outside, handed down from the top."""

    clock: Clock
    randomness: Randomness
    files: Files
    network: Network
    processes: Processes
    listeners: ListenerWatch | None = None  # None: deaths of listeners are found by asking alone
    programs: Programs = field(default_factory=NoPrograms)
    http: Http = field(default_factory=NoHttp)
    threads: Threads = field(default_factory=AtOnce)
    disks: Disks = field(default_factory=Nowhere)
    addresses: Addresses = field(default_factory=Nowhere)
