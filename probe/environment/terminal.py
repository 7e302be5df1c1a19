"""The terminal in which somebody sits: a whole screen to draw on, its keys, and everything as before at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable
from typing import Any, Self

KEYS_BYTES_MAX = 64  # taken at once; nobody types faster
_BEGIN = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"  # the other screen, without a cursor, empty
_END = "\x1b[?25h\x1b[?1049l"


class Screen:
    """The whole terminal, from `__enter__` to `__exit__`; keys come one by one without Enter, Ctrl-C stays a signal.

    Needs a running loop. `on_keys` gets what was typed, `on_resize` is called when the size is another. SIGTERM and
    SIGHUP are taken as the key `q`, so that nobody is left with a terminal without a cursor.
    """

    def __init__(self, on_keys: Callable[[str], None], on_resize: Callable[[], None]) -> None:
        self._on_keys = on_keys
        self._on_resize = on_resize
        self._before: list[Any] | None = None

    def __repr__(self) -> str:
        return f"<Screen {'in use' if self._before is not None else 'not in use'}>"

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(fd)
        mode = termios.tcgetattr(fd)
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        mode[6][termios.VSUSP] = b"\0"  # a stopped program would leave its screen behind
        termios.tcsetattr(fd, termios.TCSADRAIN, mode)
        loop.add_reader(fd, self._read, fd)
        loop.add_signal_handler(signal.SIGWINCH, self._on_resize)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_keys, "q")
        self._write(_BEGIN)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        fd = sys.stdin.fileno()
        loop.remove_reader(fd)
        for number in (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
        before, self._before = self._before, None
        if before is not None:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
            self._write(_END)

    @property
    def size(self) -> tuple[int, int]:
        """Return (columns, rows)."""
        try:
            size = os.get_terminal_size(sys.stdout.fileno())  # COLUMNS and LINES are of another time
        except OSError:
            return 80, 24
        return size.columns, size.lines

    def draw(self, lines: list[str]) -> None:
        """Write the lines over what is there, in one piece; each must be as wide as the screen at most."""
        if self._before is not None:
            self._write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")

    def _read(self, fd: int) -> None:
        keys = os.read(fd, KEYS_BYTES_MAX)
        self._on_keys(keys.decode(errors="replace") if keys else "q")  # the terminal has gone

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
