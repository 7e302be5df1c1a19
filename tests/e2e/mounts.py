"""A file system of a test's own, in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.programs import absent, need_root


@contextmanager
def tmpfs(place: Path, size: str, name: str) -> Iterator[Path]:
    """Mount a tmpfs on a fresh folder; skips the test where nothing can be mounted."""
    need_root("a mount")
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", name, str(place)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        absent(f"nothing can be mounted here: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
