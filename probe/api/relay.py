"""One writer for all readers of the stream, which tells 10,000 of them an event without anybody noticing.

1. The service is followed once, however many readers there are. An edge wakes no reader's task: it only has the writer
   begin a walk over the readers, and each gets what it lacks up to then. Edges that come during a walk are told by the
   next one, all together, so that the work is bounded by the readers, not by readers times edges.
2. In one pass of the loop the writer spends a bounded budget: a piece that is made already costs 1, making one more.
3. What readers at the same place lack is one piece, made once and written as it is to each transport.
4. A reader whose transport's buffer is full is passed over. When it has drained, the reader is caught up from the
   history, in pages, before the next walk comes to it; when that no longer reaches back it is told `overrun`. One
   that stays full for `write_s` is cut.
5. One timer turns over all readers, a few at a time: who was told nothing since its last turn is sent a sign of life.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import msgspec

from probe.api.fanout import Frames
from probe.api.limits import Limits
from probe.api.service import Follower
from probe.api.shapes import Overrun
from probe.lifecycle.report import EventReport

PASS_BUDGET = 64  # writes in one pass of the loop
NEW_PIECE_COST = 16  # what making a piece counts in writes
PIECE_EVENTS_MAX = 100
PIECE_BYTES_MAX = 64 * 1024  # one event more may be in it
PIECES_KEPT = 256
TURNS_PER_KEEP_ALIVE = 2  # so that a silence between two signs of life is no longer than the limit says

KEEP_ALIVE = b": keep-alive\n\n"


class Source(Protocol):
    """Where the events come from."""

    @property
    def revision(self) -> int: ...
    def events_after(self, seq: int, limit: int) -> list[EventReport]: ...
    def follow(self, follower: Follower) -> None: ...


class Wire(Protocol):
    """The connection of a reader: aiohttp's protocol and its transport."""

    @property
    def transport(self) -> asyncio.Transport | None: ...
    @property
    def writing_paused(self) -> bool:
        """Whether the transport's buffer is full."""


class Loop(Protocol):
    """What the relay needs of an event loop."""

    def time(self) -> float: ...
    def call_soon(self, callback: Callable[[], None], /) -> object: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Reader:
    """One connection that follows the stream; `seen` is the seq of the last event written to it, None before any."""

    __slots__ = ("_relay", "chunked", "full_since", "gone", "hungry", "overrun", "seen", "spoken", "wire")

    def __init__(self, relay: Relay, wire: Wire, seen: int | None, *, chunked: bool) -> None:
        self._relay = relay
        self.wire = wire
        self.chunked = chunked  # RFC 9112 section 7.1; not with HTTP/1.0
        self.seen = seen
        self.overrun = False  # it is owed the word that events were lost for it
        self.hungry = False  # it waits to be caught up
        self.spoken = False  # something was written to it since its last turn
        self.full_since: float | None = None  # loop time
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Reader seen={self.seen}{' full' if self.wire.writing_paused else ''}>"

    def drained(self) -> None:
        """Take note that the transport's buffer has room again."""
        self._relay.catch_up(self)

    def lost(self) -> None:
        """Take note that the connection has ended."""
        if not self.gone.done():
            self.gone.set_result(None)


class Seen(NamedTuple):
    """The last event that a reader saw; with the time it can be told from one of the same seq of another run."""

    seq: int
    time: float | None = None


class _Piece(NamedTuple):
    """What the readers at one place lack: the bytes, the seq up to which they tell, and whether there is more."""

    data: bytes
    seen: int
    more: bool


class Relay:
    """The one writer. `loop` is asked for when the first reader comes."""

    def __init__(
        self,
        source: Source,
        limits: Limits,
        loop: Callable[[], Loop] = asyncio.get_running_loop,
    ) -> None:
        self.readers: dict[Reader, None] = {}  # in the order in which they came
        self._source = source
        self._limits = limits
        self._frames = Frames()
        self._loop_of = loop
        self._loop: Loop | None = None
        self._first: int | None = None  # the seq of the first edge that we were told
        self._last = 0  # and of the last
        self._hungry: deque[Reader] = deque()
        self._walk: deque[Reader] = deque()
        self._again = False  # there is something that the walk under way does not tell everybody
        self._armed = False
        self._turning: deque[Reader] = deque()
        self._turns = False
        self._pieces: dict[tuple[int, bool], _Piece] = {}
        self._keep_alive = {chunked: _wired(KEEP_ALIVE, chunked) for chunked in (False, True)}

    def __repr__(self) -> str:
        return f"<Relay {len(self.readers)} readers, {len(self._hungry)} to be caught up, {len(self._walk)} to be told>"

    @contextmanager
    def joined(self, wire: Wire, last: Seen | None, *, chunked: bool) -> Iterator[Reader]:
        """Hold a place among the readers: what lies behind `last` is told, None: only what comes from now on."""
        if self._loop is None:
            self._loop = self._loop_of()
            self._source.follow(self)
        seen = None if last is None else last.seq
        if last is None and self._first is not None:
            seen = self._last
        reader = Reader(self, wire, seen, chunked=chunked)
        if seen is not None:
            if last is not None and not is_ours(self._source, last):
                reader.overrun, reader.seen = True, 0
            self.catch_up(reader)
        self.readers[reader] = None
        self._begin_turns()
        try:
            yield reader
        finally:
            del self.readers[reader]
            reader.lost()

    def offer(self, event: EventReport) -> None:
        """Take note of an edge; it is told in the passes to come."""
        if self._first is None:
            self._first = event.seq
        self._last = event.seq
        self._pieces.clear()
        if self.readers:
            self._again = True
            self._arm()

    def catch_up(self, reader: Reader) -> None:
        """Tell one reader, in a pass to come, what it lacks."""
        reader.full_since = None
        if not reader.hungry:
            reader.hungry = True
            self._hungry.append(reader)
            self._arm()

    def _arm(self) -> None:
        if not self._armed and self._loop is not None:
            self._armed = True
            self._loop.call_soon(self._pass)

    def _pass(self) -> None:
        """Spend one pass's budget: half of it at most on who is behind, while others wait to be told what is new."""
        self._armed = False
        left = PASS_BUDGET
        if self._again and not self._walk:
            self._walk.extend(self.readers)
            self._again = False
        reserved = PASS_BUDGET // 2 if self._walk else 0
        while self._hungry and left > reserved:
            reader = self._hungry.popleft()
            reader.hungry = False
            left -= self._tell(reader)
        while self._walk and left > 0:
            left -= self._tell(self._walk.popleft())
        if self._hungry or self._walk or self._again:
            self._arm()

    def _tell(self, reader: Reader) -> int:
        """Write to a reader what it lacks, as far as one piece goes; return what it cost."""
        transport = self._open(reader)
        if transport is None:
            return 1
        if reader.seen is None:
            if self._first is None:
                return 1
            reader.seen = self._first - 1
        cost = 1
        if reader.overrun:
            transport.write(_wired(self._overrun(), reader.chunked))
            reader.overrun = False
        if (found := self._pieces.get((reader.seen, reader.chunked))) is None:
            cost = NEW_PIECE_COST
            found = self._pieces[reader.seen, reader.chunked] = self._piece(reader)
            if len(self._pieces) > PIECES_KEPT:
                del self._pieces[next(iter(self._pieces))]
        if found.data:
            transport.write(found.data)
            reader.spoken = True
            reader.seen = found.seen
            if found.more:
                self.catch_up(reader)
        return cost

    def _piece(self, reader: Reader) -> _Piece:
        """Make what a reader lacks."""
        seen = reader.seen or 0
        page = self._source.events_after(seen, PIECE_EVENTS_MAX + 1)
        if not page:
            return _Piece(b"", seen, False)
        frames = [self._overrun()] if page[0].seq > seen + 1 else []
        size = 0
        for event in page[:PIECE_EVENTS_MAX]:
            frames.append(self._frames.of(event))
            seen = event.seq
            size += len(frames[-1])
            if size > PIECE_BYTES_MAX:
                break
        return _Piece(_wired(b"".join(frames), reader.chunked), seen, seen < page[-1].seq)

    def _overrun(self) -> bytes:
        return b"event: overrun\ndata: %s\n\n" % msgspec.json.encode(Overrun(self._source.revision))

    def _open(self, reader: Reader) -> asyncio.Transport | None:
        """Return the transport of a reader that can be written to."""
        transport = reader.wire.transport
        if reader.gone.done() or transport is None or transport.is_closing():
            reader.lost()
            return None
        if reader.wire.writing_paused:
            assert self._loop is not None
            if reader.full_since is None:
                reader.full_since = self._loop.time()
            return None
        return transport

    # --- signs of life ---

    def _begin_turns(self) -> None:
        if not self._turns:
            self._turns = True
            self._plan_turn()

    def _plan_turn(self) -> None:
        """Plan the next few so that everybody has had a turn within the time that a silence may last."""
        assert self._loop is not None
        round_s = min(self._limits.keep_alive_s, self._limits.write_s) / TURNS_PER_KEEP_ALIVE
        slices = -(-len(self.readers) // PASS_BUDGET)
        self._loop.call_later(round_s / slices, self._turn)

    def _turn(self) -> None:
        if not self.readers:
            self._turns = False
            return
        if not self._turning:
            self._turning.extend(self.readers)
        for _ in range(min(PASS_BUDGET, len(self._turning))):
            self._give_turn(self._turning.popleft())
        self._plan_turn()

    def _give_turn(self, reader: Reader) -> None:
        assert self._loop is not None
        transport = self._open(reader)
        if transport is not None:
            if not reader.spoken:
                transport.write(self._keep_alive[reader.chunked])
            reader.spoken = False
        elif reader.full_since is not None and self._loop.time() - reader.full_since >= self._limits.write_s:
            if reader.wire.transport is not None:
                reader.wire.transport.abort()  # a polite close would wait for what it does not take
            reader.lost()


def is_ours(source: Source, last: Seen) -> bool:
    """Tell whether that event can have been seen in this run of ours: seqs begin again at 1 with each run."""
    if last.seq == 0:
        return True
    found = source.events_after(last.seq - 1, 1)
    return bool(found) and (last.time is None or found[0].seq != last.seq or found[0].time == last.time)


def _wired(data: bytes, chunked: bool) -> bytes:
    """Write data as it goes over the wire."""
    return b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
