"""What the main process and a worker say to each other: typed messages in frames with their length in front.

Rules:
1. A frame is four bytes of length (big-endian) and so many bytes of MessagePack, at most `FRAME_BYTES_MAX`. Whatever is
   not such a frame with such a message is `Garbage`, and ends the connection: there is no way back into step.
2. A watch is named by a serial number that is never given twice, so what is still said about one that has ended is
   recognised and dropped.
3. Times are seconds of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bindings.model import VirtualServer
from probe.lifecycle.events import Trigger
from probe.monitor.recording import Moment
from probe.monitor.target import Stages
from probe.monitor.tls import TlsFacts
from probe.values import Reason, Stage, Verdict

FRAME_BYTES_MAX = 4 * 1024 * 1024
LENGTH_BYTES = 4


class Garbage(Exception):
    """What came is no frame of ours."""


class Oversize(Exception):
    """A message that is larger than a frame may be."""


# --- from the main process ---


class Confirm(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Ask `own`, `ADDRESS:PORT`, before failures are told."""

    own: str


class PlanText(msgspec.Struct, frozen=True, array_like=True):
    """What a plan is made of; the worker makes its own of it, since contexts of TLS and the like cannot be sent."""

    server: VirtualServer
    group_address: str | None
    edition: int  # of the files that it reads: a higher one has them read anew
    period_s: float
    fast_s: float
    rise: int
    fall: int


class Begin(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Watch a resource, with a check at once. `word` numbers what the main process has said of the level."""

    serial: int
    group: str
    name: str
    incarnation: int
    alive: bool | None
    confirming: bool
    word: int
    plan: PlanText


class Replan(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Go on by another plan."""

    serial: int
    plan: PlanText


class GoOn(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Take over what the core believes by now."""

    serial: int
    alive: bool | None
    confirming: bool
    word: int


class Ask(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Check now (`Monitors.verify`)."""

    serial: int
    trigger: Trigger
    at: float | None
    suspected: bool
    anew: bool


class End(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Watch no more."""

    serial: int


Command = Confirm | Begin | Replan | GoOn | Ask | End


# --- from a worker ---


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The result of one binding. `family` and `address` are those that its name led to, where it has one."""

    binding: str
    secure: bool
    verdict: Verdict
    started: float
    ended: float
    stages: Stages
    family: int = 0
    address: str = ""
    tls: TlsFacts | None = None
    moments: tuple[Moment, ...] = ()


class Counts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was counted of a resource since it was last told."""

    attempts: int
    last_run: float
    answered: int
    answered_s: float
    answered_s_max: float
    failures: tuple[tuple[Stage, Reason, int], ...] = ()
    unknowns: tuple[tuple[Reason, int], ...] = ()
    certificates: tuple[tuple[str, tuple[float, ...], bool], ...] = ()
    failed: int = 0  # of the failures, and of the unknowns, those that speak of the minute: no start was confirmed
    untold: int = 0


class Told(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A resource's last reading; `answers` has the one that decided first, then all of them where there are several.

    Without rounds only the counts are news; the answer to an `End` is such a one, and the last word of that serial.
    """

    serial: int
    word: int
    alive: bool | None
    rounds: int
    answers: tuple[Answer, ...]  # none: those that were told last still stand
    counts: Counts


class Heights(msgspec.Struct, frozen=True, array_like=True):
    """What a histogram has counted since it was last told; without a protocol one of the worker's own."""

    name: str  # a protocol's for its stages, else "lag" or "loop_lag"
    stage: Stage | None
    counts: tuple[int, ...]
    sum_s: float


class Report(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Readings that are news."""

    told: tuple[Told, ...]


class Beat(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The worker lives, and how it is: `fault` says why most of its rounds cannot tell, empty as it should be."""

    fault: str = ""
    heights: tuple[Heights, ...] = ()


class Edge(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """As `Probed`; the reading that it rests on, with the level, has been told before."""

    serial: int
    alive: bool
    verdict: Verdict
    trigger: Trigger
    seen_at: float | None


class Suspicion(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """As `Suspected`."""

    serial: int


News = Report | Beat | Edge | Suspicion

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_encode = msgspec.msgpack.Encoder().encode
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_news: msgspec.msgpack.Decoder[News] = msgspec.msgpack.Decoder(News)


def frame(message: Command | News) -> bytes:
    """Make the frame of a message. Raises Oversize."""
    body = _encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise Oversize(f"{type(message).__name__} of {len(body)} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


class Frames:
    """Cut a stream of bytes into the bodies of frames; holds at most one that is not whole yet."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = bytearray()

    def split(self, piece: bytes) -> Iterator[bytes]:
        """Take what came next and give each body that is whole by now. Raises Garbage for a length beyond the bound."""
        kept, at = self._kept, 0
        kept += piece
        try:
            while len(kept) - at >= LENGTH_BYTES:
                size = int.from_bytes(kept[at : at + LENGTH_BYTES], "big")
                if size > FRAME_BYTES_MAX:
                    raise Garbage(f"a frame of {size} bytes")
                end = at + LENGTH_BYTES + size
                if len(kept) < end:
                    return
                body = bytes(kept[at + LENGTH_BYTES : end])
                at = end
                yield body
        finally:
            del kept[:at]


def read_command(body: bytes) -> Command:
    """Read what the main process said. Raises Garbage."""
    try:
        return _commands.decode(body)
    except _UNREADABLE as error:
        raise Garbage(str(error)) from error


def read_news(body: bytes) -> News:
    """Read what a worker said. Raises Garbage."""
    try:
        return _news.decode(body)
    except _UNREADABLE as error:
        raise Garbage(str(error)) from error
