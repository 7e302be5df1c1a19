"""probe/checks/tcp.py: a connection is enough, or a first line."""

from __future__ import annotations

import pytest

from probe.values import Reason, Stage, Verdict
from tests.checks.drive import ENDED, SECURE, check_of, drive


def test_a_connection_is_enough() -> None:
    """Without `expect` the verdict falls when the connection stands, with TLS when that does."""
    plain, secure = drive(check_of("tcp"), []), drive(check_of("tcp", SECURE), [])
    assert plain.verdict == Verdict(Reason.MATCHED, "connected", Stage.CONNECT)
    assert secure.verdict == Verdict(Reason.MATCHED, "TLS stands", Stage.TLS)
    assert plain.finished
    assert secure.finished


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", Reason.MATCHED),
        (b"SSH-1.5\n", Reason.BANNER_MISMATCH),
        (b"x" * 16_384, Reason.LINE_TOO_LONG),
    ],
)
def test_first_line(line: bytes, reason: Reason) -> None:
    """S31: with `expect` the first line is judged by its start."""
    talk = drive(check_of("tcp", expect=("SSH-2.0-",)), [line])
    assert (talk.reason, talk.fell_at, talk.finished, talk.sent) == (reason, Stage.BANNER, True, b"")


def test_first_line_missing() -> None:
    """S32: no line before the deadline is `banner_timeout`, an end before the line's end `eof`."""
    check = check_of("tcp", expect=("SSH-2.0-",))
    assert drive(check, [b"SSH-2.0-x"]).expired.reason is Reason.BANNER_TIMEOUT
    assert drive(check, [b"SSH-2.0-x", ENDED]).reason is Reason.EOF
