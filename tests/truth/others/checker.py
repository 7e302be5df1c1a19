"""What every other checker is: a program, and a way to put a row's question to it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from probe.values import Outcome
from tests.house import ROOT
from tests.truth.ask import Standing, placed
from tests.truth.rows import PEERS_TIMEOUT_S, Row

ASKED_S = 10.0  # for an answer, the program's start included
STOP_S = 5.0
SAMPLES, SAMPLE_S = 20, 0.01
LATE_SHARE = 0.95  # of its time-out


@dataclass(frozen=True)
class Said:
    """What another checker said: its verdict, in our words; how long it took; its own words."""

    outcome: Outcome
    took_s: float
    words: str = ""
    hung: bool = False  # it gave no answer in `ASKED_S`, ten times its time-out

    def is_late(self, row: Row) -> bool:
        """Whether it sat out its time-out over something that was said at once."""
        return self.outcome is Outcome.FAILED and not row.waits and self.took_s >= PEERS_TIMEOUT_S * LATE_SHARE

    def is_wrong(self, row: Row) -> bool:
        """Whether it took the dead for alive, the living for dead, its own fault for the server's, or did not end."""
        return self.hung or self.outcome not in (row.outcome, Outcome.UNKNOWN)


class Checker(Protocol):
    """One other checker."""

    name: str
    needs: str  # its program
    package: str  # Debian's

    def ask(self, stood: Standing) -> Said | None:
        """Ask about a server, or return None when the question cannot be put to it."""


class Asked:
    """A row's question in the words that all checkers share."""

    def __init__(self, stood: Standing) -> None:
        row, kit = stood.row, stood.kit
        properties = cast("dict[str, Any]", placed(row.asked, kit))
        self.protocol = row.protocol
        self.secure = row.secure
        self.starttls = properties.get("starttls") == "required"
        tls: dict[str, Any] = properties.get("tls", {})
        self.ca_file: str | None = tls.get("ca_file")
        self.verify: bool = tls.get("verify", True)
        self.min_version: str | None = tls.get("min_version")
        self.client_cert: str | None = tls.get("client_cert_file")
        self.client_key: str | None = tls.get("client_key_file")
        self.client_both = str(kit.file_named("client-and-key.pem"))
        self.address, self.port = stood.place
        self.host = row.host
        own = self.address if self.address.startswith("127.") and self.address != "127.0.0.1" else None
        self.source: str | None = properties.get("source", own)
        self.proxy: str = properties.get("proxy_protocol", "off")
        self.expect: str | None = properties.get("expect")
        self.status: str = properties.get("expect_status", "200-399")
        self.body: str | None = properties.get("body_match")

    def greeting(self, word_end: str) -> str:
        """Write the right start of a greeting as a regular expression without the `^`, empty where none is expected.

        `word_end` is the checker's way to write the end of a word; the store's `expect` is a plain prefix.
        """
        if self.expect:
            return re.escape(self.expect).replace(r"\-", "-").replace(r"\ ", " ")
        usual = {"smtp": "220", "lmtp": "220", "pop3": r"\+OK", "imap": r"\* (OK|PREAUTH)"}.get(self.protocol)
        return usual + word_end if usual else ""


def cannot_be_told(row: Row) -> bool:
    """Say whether the row is about a mistake in our own configuration, which every checker refuses to start with."""
    return row.stage is None


def run(stood: Standing, argv: Sequence[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a program on the row's ground and wait for it."""
    started = time.monotonic()
    done = subprocess.run(
        [*stood.ground.prefix, *argv],
        pass_fds=stood.ground.pass_fds,
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=ASKED_S,
        check=False,
    )
    return done, time.monotonic() - started


@contextlib.contextmanager
def running(stood: Standing, argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon on the row's ground until the block ends."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [*stood.ground.prefix, *argv], pass_fds=stood.ground.pass_fds, cwd=ROOT, stdout=output, stderr=output
        )
        try:
            yield process
        except ChildProcessError:
            output.seek(0)
            raise RuntimeError(f"{argv[0]}: {output.read().decode(errors='replace')}") from None
        finally:
            process.kill()
            process.wait(STOP_S)


def wait_for(process: subprocess.Popen[bytes], ready: Any, every_s: float = 0.01) -> Any:
    """Call `ready` until it returns something. Raises ChildProcessError when the daemon dies, TimeoutError."""
    deadline = time.monotonic() + ASKED_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ChildProcessError
        with contextlib.suppress(OSError):
            if answer := ready():
                return answer
        time.sleep(every_s)
    raise TimeoutError(f"no answer from {process.args!r}")


def starve(process: subprocess.Popen[bytes]) -> None:
    """Lower the daemon's limit of open files to what it has open while it asks nobody."""
    used = min(_descriptors(process) for _ in range(SAMPLES))
    subprocess.run(["prlimit", "--pid", str(process.pid), f"--nofile={used}:{used}"], check=True, timeout=STOP_S)


def _descriptors(process: subprocess.Popen[bytes]) -> int:
    time.sleep(SAMPLE_S)
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


def debian_version(package: str) -> str:
    """Return the installed version of a Debian package, empty when there is none."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, timeout=STOP_S, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def pairs(options: Mapping[str, object]) -> list[str]:
    """Write options and their values as arguments, leaving out those without a value."""
    return [word for name, value in options.items() if value is not None for word in (name, str(value))]
