"""The laws that every conversation obeys, whatever the protocol: held against the corpus and against noise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.checks.conversation import Check
from tests.checks import grpc_transcripts, transcripts
from tests.checks.drive import SECURED, Piece, check_of, drive

# name -> (check, the transcripts of its protocol)
CHECKS: dict[str, tuple[Check, list[list[Piece]]]] = {
    "smtp": (check_of("smtp"), transcripts.SMTP),
    "smtp brief": (check_of("smtp", polite=False), transcripts.SMTP),
    "smtp expecting more": (check_of("smtp", expect=("220 mail.", "554")), transcripts.SMTP),
    "smtp starttls": (check_of("smtp", starttls="required"), transcripts.SMTP_STARTTLS + transcripts.SMTP),
    "smtp starttls brief": (check_of("smtp", starttls="required", polite=False), transcripts.SMTP_STARTTLS),
    "lmtp starttls": (check_of("lmtp", starttls="required"), transcripts.SMTP_STARTTLS),
    "pop3": (check_of("pop3"), transcripts.POP3),
    "pop3 brief": (check_of("pop3", polite=False), transcripts.POP3),
    "pop3 starttls": (check_of("pop3", starttls="required"), transcripts.POP3_STARTTLS + transcripts.POP3),
    "imap": (check_of("imap"), transcripts.IMAP),
    "imap brief": (check_of("imap", polite=False), transcripts.IMAP),
    "imap starttls": (check_of("imap", starttls="required"), transcripts.IMAP_STARTTLS + transcripts.IMAP),
    "http": (check_of("http"), transcripts.HTTP),
    "http any": (check_of("http", expect_status="any"), transcripts.HTTP),
    "http head": (check_of("http", method="HEAD", body_match="well"), transcripts.HTTP_BODY),
    "http body": (check_of("http", body_match="w[e]ll"), transcripts.HTTP_BODY + transcripts.HTTP),
    "http body end": (check_of("http", body_match="well$"), transcripts.HTTP_BODY),
    "http body empty": (check_of("http", body_match=""), transcripts.HTTP_BODY),
    "http active": (check_of("http", subject="evs1", body_json="active"), transcripts.HTTP_JSON + transcripts.HTTP),
    "http handle": (check_of("http", subject="evs1", body_json="handle"), transcripts.HTTP_JSON),
    "grpc": (check_of("grpc", subject="evs1"), grpc_transcripts.GRPC),
    "tcp": (check_of("tcp"), transcripts.TCP),
    "tcp expecting": (check_of("tcp", expect=("SSH-2.0-",)), transcripts.TCP),
}
EVERY = pytest.mark.parametrize("name", CHECKS)
NOISE = st.one_of(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from(
            b"220|220-|250 STARTTLS|\r\n|\n|\r| |-|554 |+OK|-ERR|.|* OK|* BYE|a1 OK|a2 NO|HTTP/1.1 |200|100| OK|X: y"
            b"|Content-Length: 3|0|3|Transfer-Encoding: chunked|well|\x00|\xff|null|[|]|\"evs1\"".split(b"|")
            + grpc_transcripts.FRAMES
        ),
        max_size=40,
    ).map(b"".join),
)  # fmt: skip


def split(data: st.DataObject, piece: Piece) -> list[Piece]:
    """Cut a piece anywhere: often at every byte, where it is short."""
    if not isinstance(piece, bytes) or len(piece) < 2:
        return [piece]
    if len(piece) <= 200 and data.draw(st.booleans(), label="every byte"):
        return [piece[at : at + 1] for at in range(len(piece))]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(piece) - 1), max_size=12), label="cuts"))
    return [piece[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(piece)], strict=True)]


def joined(pieces: list[Piece]) -> list[Piece]:
    """Run neighbouring bytes together: the least number of pieces that still says the same."""
    result: list[Piece] = []
    for piece in pieces:
        if result and isinstance(piece, bytes) and isinstance(result[-1], bytes):
            result[-1] += piece
        else:
            result.append(piece)
    return result


@EVERY
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_segmentation_changes_nothing(name: str, data: st.DataObject) -> None:
    """S31: the same bytes in any pieces give the same verdict, the same bytes sent and the same end."""
    check, corpus = CHECKS[name]
    pieces = data.draw(st.sampled_from(corpus), label="transcript")
    whole = drive(check, joined(pieces))
    again = drive(check, [part for piece in pieces for part in split(data, piece)])
    assert (again.verdict, again.sent, again.finished, again.wants_tls, again.expired) == (
        whole.verdict, whole.sent, whole.finished, whole.wants_tls, whole.expired
    )  # fmt: skip


@EVERY
def test_segmentation_byte_by_byte(name: str) -> None:
    """S31: byte by byte, every transcript of the corpus gives the verdict of the whole."""
    check, corpus = CHECKS[name]
    for pieces in corpus:
        if sum(len(piece) for piece in pieces if isinstance(piece, bytes)) > 20_000:
            continue
        atoms: list[Piece] = []
        for piece in pieces:
            atoms += [bytes([byte]) for byte in piece] if isinstance(piece, bytes) else [piece]
        whole, again = drive(check, joined(pieces)), drive(check, atoms)
        assert (again.verdict, again.sent, again.expired) == (whole.verdict, whole.sent, whole.expired)


@EVERY
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_noise_is_survived(name: str, data: st.DataObject) -> None:
    """Arbitrary bytes never raise, never hold more memory than the bounds, and are judged the same in any pieces."""
    check, _ = CHECKS[name]
    pieces: list[Piece] = list(data.draw(st.lists(st.one_of(NOISE, st.just(SECURED)), max_size=4), label="noise"))
    whole = drive(check, joined(pieces))
    again = drive(check, [part for piece in pieces for part in split(data, piece)])
    assert (again.verdict, again.sent, again.expired) == (whole.verdict, whole.sent, whole.expired)


@EVERY
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_glance_is_what_the_conversation_reaches(name: str, data: st.DataObject) -> None:
    """A glance at the first piece gives nothing, or exactly the verdict of the conversation, which is finished then."""
    check, corpus = CHECKS[name]
    first = [pieces[0] for pieces in corpus if isinstance(pieces[0], bytes)]
    piece = data.draw(st.one_of(st.sampled_from(first), NOISE.filter(bool)), label="first piece")
    for _ in range(2):  # the second one comes from the memo
        glanced = check.glance(piece)
        if glanced is not None:
            talk = drive(check, [piece])
            assert talk.verdict == glanced
            assert talk.finished


@pytest.mark.parametrize("flood", [b"x", b"220-x\r\n", b"* x\r\n", b"+OK\r\nx\r\n", b"HTTP/1.1 100 x\r\n\r\n", b"\r\n"])
@EVERY
def test_flood_ends(name: str, flood: bytes) -> None:
    """An endless answer gets a verdict and an end within the bounds, without being kept."""
    check, _ = CHECKS[name]
    opening = b"220 hi\r\n" if "smtp" in name or "lmtp" in name else b"+OK hi\r\n" if "pop3" in name else b"* OK hi\r\n"
    for start in (b"", opening):
        talk = drive(check, [start, *([flood * (4096 // len(flood))] * 40)])
        assert talk.finished


def test_steady_verdict_is_one_object() -> None:
    """The same answer gives the same object again, glanced or not, so that a steady round allocates nothing."""
    for protocol, greeting in {"smtp": b"220 hi\r\n", "pop3": b"+OK\r\n", "imap": b"* OK\r\n"}.items():
        check = check_of(protocol, polite=False)  # its own: the shared ones remember what other tests have shown them
        first = check.glance(greeting)
        assert first is not None
        assert check.glance(bytes(bytearray(greeting))) is first
        assert drive(check, [greeting]).verdict is first
    check, _ = CHECKS["http"]
    first = check.glance(b"HTTP/1.1 200 OK\r\nDate: 1\r\n\r\n")
    assert first is not None
    assert check.glance(b"HTTP/1.1 200 OK\r\nDate: 2\r\n\r\n") is first
    check, corpus = CHECKS["smtp starttls"]
    assert drive(check, corpus[0]).verdict is drive(check, corpus[0]).verdict


def test_glance_declines_a_longer_dialogue() -> None:
    """With a goodbye or STARTTLS ahead, or the greeting unfinished, a glance says nothing."""
    for name in ("smtp", "pop3", "imap", "smtp starttls", "pop3 starttls", "imap starttls"):
        check, corpus = CHECKS[name]
        assert isinstance(corpus[0][0], bytes)
        assert check.glance(corpus[0][0]) is None
    brief, _ = CHECKS["smtp brief"]
    assert [brief.glance(piece) for piece in (b"220-hi\r\n", b"220 hi", b"220 hi\r\n2", b"\n\n")] == [None] * 4
    assert CHECKS["http body"][0].glance(b"HTTP/1.1 200 OK\r\n\r\n") is None
