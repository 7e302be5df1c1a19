"""probe/checks/json_body.py: a store's active list and a search's handle, as an HTTP answer says them."""

from __future__ import annotations

import pytest

from probe.checks.conversation import HTTP_BODY_BYTES_MAX
from probe.values import Reason, Stage
from tests.checks.drive import ENDED, Piece, check_of, drive
from tests.checks.transcripts import CHUNKED, JSON

ACTIVE = check_of("http", subject="evs1", body_json="active", expect_status="200-299")
HANDLE = check_of("http", subject="mail", body_json="handle", expect_status="200-299")


@pytest.mark.parametrize(
    ("body", "reason", "evidence"),
    [
        (b'{"active": ["evs2", "evs1"], "more": 1}', Reason.MATCHED, "evs1 is active"),
        (b'["evs1"]', Reason.MATCHED, "evs1 is active"),
        (b'{"active": ["evs2", 7, null]}', Reason.NOT_SERVING, "evs1 is none of the 3 active: evs2"),
        (b'["evs10"]', Reason.NOT_SERVING, "evs1 is none of the 1 active: evs10"),
        (b"[]", Reason.NOT_SERVING, "evs1 is none of the 0 active: "),
        (b"[0,1,2,3,4,5,6,7,8]", Reason.NOT_SERVING, "evs1 is none of the 9 active: , ..."),
        (b'{"active": "evs1"}', Reason.HTTP_MALFORMED, 'the body is no list and has no list "active"'),
        (b'"evs1"', Reason.HTTP_MALFORMED, 'the body is no list and has no list "active"'),
        (b"evs1", Reason.HTTP_MALFORMED, "the body is no JSON: evs1"),
        (b"", Reason.HTTP_MALFORMED, "the body is no JSON: "),
        (b"[" * 9000, Reason.HTTP_MALFORMED, None),
        (b'["\xff"]', Reason.HTTP_MALFORMED, r'the body is no JSON: ["\xff"]'),
    ],
)
def test_the_active_list_is_looked_through(body: bytes, reason: Reason, evidence: str | None) -> None:
    """S23: the store is alive while the virtual server's name is in its active list."""
    talk = drive(ACTIVE, [JSON + body, ENDED])
    assert talk.verdict is not None
    assert (talk.reason, talk.fell_at) == (reason, Stage.RESPONSE)
    assert evidence is None or talk.verdict.evidence == evidence


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"handle": "0x7f"}', Reason.MATCHED),
        (b'{"handle": 0}', Reason.MATCHED),
        (b'{"handle": null}', Reason.INDEX_INVALID),
        (b'{"error": "no such index"}', Reason.INDEX_INVALID),
        (b'"0x7f"', Reason.MATCHED),
        (b"null", Reason.INDEX_INVALID),
        (b"0x7f", Reason.HTTP_MALFORMED),
    ],
)
def test_a_handle_is_wanted(body: bytes, reason: Reason) -> None:
    """S40: a search is alive while its index has a handle that is not null."""
    assert drive(HANDLE, [JSON + body, ENDED]).reason is reason


def test_the_status_comes_first() -> None:
    """S23, S40: an error is an error whatever its body says."""
    talk = drive(ACTIVE, [b'HTTP/1.1 503 Down\r\n\r\n["evs1"]', ENDED])
    assert (talk.reason, talk.finished) == (Reason.HTTP_STATUS, True)


def test_a_body_above_the_bound_is_told() -> None:
    """A body longer than 64 KiB is body_limit, one of exactly 64 KiB is judged."""
    most = b'["evs1"' + b" " * (HTTP_BODY_BYTES_MAX - 8) + b"]"
    assert drive(ACTIVE, [JSON + most, ENDED]).reason is Reason.MATCHED
    assert drive(ACTIVE, [JSON + most + b" "]).reason is Reason.BODY_LIMIT


def test_a_body_that_is_cut_is_no_answer() -> None:
    """What ends before its framing says is eof, what does not end in time a step time-out, bad chunks are malformed."""
    begun = b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n["evs1"]'
    assert drive(ACTIVE, [begun, ENDED]).reason is Reason.EOF
    assert drive(ACTIVE, [begun]).expired.reason is Reason.STEP_TIMEOUT
    assert drive(ACTIVE, [CHUNKED + b"zz\r\n"]).reason is Reason.HTTP_MALFORMED


def test_the_steady_verdict_is_one_object() -> None:
    """The same answer gives the same verdict again, so that whoever stores it can compare by identity."""
    pieces: list[Piece] = [JSON + b'["evs1"]', ENDED]
    assert drive(ACTIVE, pieces).verdict is drive(ACTIVE, pieces).verdict


def test_nothing_is_judged_at_a_glance() -> None:
    """A body decides, so that a head alone says nothing."""
    assert ACTIVE.glance(JSON) is None
