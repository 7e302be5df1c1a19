"""A real terminal to drive: one tmux server of the test's own, with keys to send and a screen to look at."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.programs import need

SEEN_WITHIN_S = 30.0
LOOK_S = 0.1


class Terminal:
    """A window of some columns and rows in which a program runs."""

    def __init__(self, tmux: str, socket: Path) -> None:
        self._command = [tmux, "-f", "/dev/null", "-S", str(socket)]

    def tmux(self, *arguments: str) -> str:
        """Run one of tmux's commands."""
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    def type(self, text: str) -> None:
        """Type a text as it stands."""
        self.tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, Tab, C-c, Down."""
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        """Return what is on the screen now."""
        return self.tmux("capture-pane", "-p")

    def asked(self, question: str) -> str:
        """Return what tmux knows of the window, as `#{alternate_on}`."""
        return self.tmux("display-message", "-p", question).strip()

    def wait(self, *texts: str, gone: str = "") -> str:
        """Wait until all the texts are on the screen, and another is not."""
        return self.wait_for(
            lambda screen: all(text in screen for text in texts) and not (gone and gone in screen), f"{texts}"
        )

    def wait_for(self, seen: Callable[[str], bool], what: str) -> str:
        """Wait until the screen is as wanted, and return it."""
        until = time.monotonic() + SEEN_WITHIN_S
        while not seen(screen := self.screen()):
            assert time.monotonic() < until, f"{what} was not seen in time:\n{screen}"
            time.sleep(LOOK_S)
        return screen


@contextmanager
def terminal(
    folder: Path, program: list[str], environment: Mapping[str, str], size: tuple[int, int] = (100, 24)
) -> Iterator[Terminal]:
    """Run a program in a window of (columns, rows); where there is no tmux, says so."""
    tmux = need("tmux", "tmux")
    window = Terminal(tmux, folder / "tmux")
    told = [f"{name}={value}" for name, value in environment.items()]
    columns, rows = map(str, size)
    window.tmux("new-session", "-d", "-x", columns, "-y", rows, "env", *told, *program)
    try:
        yield window
    finally:
        subprocess.run([tmux, "-S", str(folder / "tmux"), "kill-server"], check=False, timeout=30)
