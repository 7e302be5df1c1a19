"""The first 64 KiB of an HTTP/1 response's body, whatever its framing (RFC 9112 sections 6 and 7). Pure."""

from __future__ import annotations

from probe.checks.conversation import HTTP_BODY_BYTES_MAX
from probe.checks.head import Framing
from probe.checks.lines import LineReader

CHUNK_SIZE_DIGITS_MAX = 15
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class Body:
    """Decode pieces into `text`, at most `HTTP_BODY_BYTES_MAX` bytes.

    `complete`: the whole body is in `text`. `truncated`: `text` is full and more was to come. Of both at most one
    becomes true, and nothing is read after it.
    """

    __slots__ = ("_chunk_ended", "_framing", "_left", "_reader", "complete", "text", "truncated")

    def __init__(self, framing: Framing) -> None:
        self.text = bytearray()
        self.complete = framing.length == 0
        self.truncated = False
        self._framing = framing
        self._left = framing.length or 0  # of the body, or of the chunk
        self._reader = LineReader()
        self._chunk_ended = False  # a chunk's data is read, the line end behind it is not

    def feed(self, data: bytes) -> None:
        """Decode a piece. Raises LineTooLong, and ValueError when the chunks are malformed."""
        if self.complete or self.truncated:
            return
        if self._framing.chunked:
            self._reader.feed(data)
            self._feed_chunks()
        elif self._framing.length is not None:
            self._left -= self._keep(data[: self._left])
            self.complete = self._left == 0
            self.truncated = self._left > 0 and self._room == 0
        else:
            self.truncated = len(data) > self._keep(data)

    def ended(self) -> None:
        """Note the end of the stream, which is the body's own end only when nothing else delimits it."""
        if not self.truncated and self._framing == Framing():
            self.complete = True

    @property
    def _room(self) -> int:
        return HTTP_BODY_BYTES_MAX - len(self.text)

    def _keep(self, data: bytes) -> int:
        kept = data[: self._room]
        self.text += kept
        return len(kept)

    def _feed_chunks(self) -> None:
        while not (self.complete or self.truncated):
            if self._left and not self._room:
                self.truncated = True
            elif self._left:
                kept = self._keep(self._reader.take_raw(min(self._left, self._room)))
                if not kept:
                    return
                self._left -= kept
                self._chunk_ended = self._left == 0
            else:
                line = self._reader.take()
                if line is None:
                    return
                self._take_chunk_line(line)

    def _take_chunk_line(self, line: bytes) -> None:
        if self._chunk_ended:
            if line:
                raise ValueError("a chunk is longer than it says")
            self._chunk_ended = False
            return
        digits = line.partition(b";")[0].strip()
        if not digits or len(digits) > CHUNK_SIZE_DIGITS_MAX or not _HEX_DIGITS.issuperset(digits):
            raise ValueError("a chunk's size is no number")
        self._left = int(digits, 16)
        self.complete = self._left == 0
