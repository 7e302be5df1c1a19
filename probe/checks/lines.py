"""Cut a byte stream into lines without ever holding more than one line's bound of unfinished bytes. Pure."""

from __future__ import annotations

from probe.checks.conversation import LINE_BYTES_MAX

PEEK_BYTES_MAX = 256  # enough for evidence


class LineTooLong(Exception):
    """The peer's fault: a line, or a reply made of lines, is above its bound. `seen` is how it began."""

    def __init__(self, message: str, seen: bytes = b"") -> None:
        super().__init__(message)
        self.seen = seen


class LineReader:
    """Collect pieces and give back whole lines.

    A line ends at LF; one CR before it belongs to the end (a bare LF is what some real servers send, RFC 5321 2.3.8
    forbids it). A line and its end have at most `LINE_BYTES_MAX` bytes. Whoever feeds must take until `None`, so that
    less than that is left over between two pieces.
    """

    __slots__ = ("_at", "_buffer")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add the next piece behind what is left."""
        left = self._buffer[self._at :]
        self._buffer = left + data if left else data
        self._at = 0

    def take(self) -> bytes | None:
        """Return the next whole line without its end, or None until more has come. Raises LineTooLong."""
        at = self._at
        end = self._buffer.find(b"\n", at, at + LINE_BYTES_MAX)
        if end < 0:
            if len(self._buffer) - at >= LINE_BYTES_MAX:
                raise LineTooLong(f"a line is longer than {LINE_BYTES_MAX} bytes", self.peek())
            self._buffer = self._buffer[at:]
            self._at = 0
            return None
        self._at = end + 1
        return self._buffer[at : end - 1 if end > at and self._buffer[end - 1] == 0x0D else end]

    def take_raw(self, count: int) -> bytes:
        """Return up to `count` bytes as they are, lines or not; empty when nothing is left."""
        taken = self._buffer[self._at : self._at + count]
        self._at += len(taken)
        if self._at == len(self._buffer):
            self.clear()  # what was taken is kept elsewhere now, and a piece may be long
        return taken

    def peek(self) -> bytes:
        """Return the start of what is not taken yet, for evidence."""
        return self._buffer[self._at : self._at + PEEK_BYTES_MAX]

    @property
    def pending(self) -> int:
        """Bytes not taken yet."""
        return len(self._buffer) - self._at

    def clear(self) -> None:
        """Forget what is left: nothing of it will be read."""
        self._buffer = b""
        self._at = 0
