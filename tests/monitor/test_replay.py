"""Dialogues judged anew: the whole corpus with the same check, and single ones with another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bindings.model import VirtualServer
from probe.checks import check_for
from probe.monitor.recording import EXPLAINED_BYTES_MAX, SIDE_BYTES_MAX, Happening, Recording
from probe.monitor.replay import replay
from probe.monitor.target import Result, Target
from probe.monitor.transcript import Transcript, transcript_of
from probe.values import Outcome, Reason, Stage, Verdict
from tests.checks import transcripts
from tests.checks.drive import ENDED, PLAIN, Piece, drive, server_of

# name -> (protocol, properties, the dialogues)
CASES: dict[str, tuple[str, dict[str, Any], list[list[Piece]]]] = {
    "smtp": ("smtp", {}, transcripts.SMTP),
    "smtp brief": ("smtp", {"polite": False}, transcripts.SMTP),
    "smtp expecting": ("smtp", {"expect": ("220 mail.", "554")}, transcripts.SMTP),
    "smtp by proxy": ("smtp", {"proxy_protocol": "v2"}, transcripts.SMTP),
    "smtp starttls": ("smtp", {"starttls": "required"}, transcripts.SMTP_STARTTLS + transcripts.SMTP),
    "lmtp starttls": ("lmtp", {"starttls": "required", "helo_name": "us"}, transcripts.SMTP_STARTTLS),
    "pop3": ("pop3", {}, transcripts.POP3),
    "pop3 starttls": ("pop3", {"starttls": "required"}, transcripts.POP3_STARTTLS + transcripts.POP3),
    "imap": ("imap", {}, transcripts.IMAP),
    "imap starttls": ("imap", {"starttls": "required"}, transcripts.IMAP_STARTTLS + transcripts.IMAP),
    "http": ("http", {}, transcripts.HTTP),
    "http head": ("http", {"method": "HEAD", "body_match": "well"}, transcripts.HTTP_BODY),
    "http body": ("http", {"body_match": "w[e]ll"}, transcripts.HTTP_BODY + transcripts.HTTP),
    "tcp": ("tcp", {}, transcripts.TCP),
    "tcp expecting": ("tcp", {"expect": ("SSH-2.0-",)}, transcripts.TCP),
}
TIMED_OUT_OVER_TLS = Verdict(Reason.TLS_TIMEOUT, "no TLS handshake within 5 s", Stage.TLS)
CLOSED_OVER_TLS = Verdict(Reason.EOF, "end of stream during the TLS handshake", Stage.TLS)


def recorded(server: VirtualServer, pieces: list[Piece], bytes_max: int = EXPLAINED_BYTES_MAX) -> Transcript:
    """Hold a dialogue and write it down as a dial does; when the pieces are over, the deadline passes."""
    check = check_for(server, PLAIN)
    conversation, recording = check.begin(), Recording(bytes_max)
    recording.note(0.0, Happening.CONNECTED)
    if server.proxy_protocol == "v2":
        recording.sent(0.0, b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
    said, verdict = conversation.opened(), conversation.verdict
    if verdict is not None:
        recording.note(0.0, Happening.VERDICT)
    for at, piece in enumerate([*pieces, None]):
        if said:
            recording.sent(float(at), said)
            said = b""
        if verdict is not None:
            break
        if isinstance(piece, bytes):
            recording.received(float(at), piece)
            said = conversation.received(piece)
        elif piece is ENDED or piece is None:
            recording.note(float(at), Happening.CLOSED if piece is ENDED else Happening.EXPIRED)
            if conversation.wants_tls:
                verdict = CLOSED_OVER_TLS if piece is ENDED else TIMED_OUT_OVER_TLS
            elif piece is ENDED:
                conversation.ended()
            else:
                verdict = conversation.expired()
        elif conversation.wants_tls:
            recording.note(float(at), Happening.SECURED)
            said = conversation.secured()
        verdict = verdict or conversation.verdict
        if verdict is not None:
            recording.note(float(at), Happening.VERDICT)
    assert verdict is not None
    target = Target(PLAIN.text, server.protocol, check, 5.0, text=PLAIN.text, server=server)
    result = Result(target, verdict, 0.0, 1.0, ((Stage.CONNECT, 0.1),), moments=recording.moments)
    return through_a_file(transcript_of(result, 1.7e9))


def through_a_file(transcript: Transcript) -> Transcript:
    """Write and read it, as a person would."""
    return msgspec.json.decode(msgspec.json.encode(transcript), type=Transcript)


def verdict_of(transcript: Transcript) -> Verdict:
    """The verdict of then."""
    return Verdict(transcript.reason, transcript.evidence, transcript.stage)


@pytest.mark.parametrize("name", CASES)
def test_every_dialogue_gives_its_verdict_again(name: str) -> None:
    """With nothing changed, the replay of every dialogue of the corpus gives the verdict it had, evidence and all."""
    protocol, properties, corpus = CASES[name]
    server = server_of(protocol, **properties)
    for pieces in corpus:
        transcript = recorded(server, pieces)
        driven = drive(check_for(server, PLAIN), pieces)
        if driven.verdict is not None and verdict_of(transcript) != CLOSED_OVER_TLS:  # that is no check's verdict
            assert verdict_of(transcript) == driven.verdict
        assert replay(transcript, server, PLAIN) == verdict_of(transcript), pieces


@pytest.mark.parametrize("name", CASES)
def test_a_cut_dialogue_gives_its_verdict_or_says_that_it_cannot(name: str) -> None:
    """As the service keeps them: the same verdict where it fell within what is kept, else unknown, and why."""
    protocol, properties, corpus = CASES[name]
    server = server_of(protocol, **properties)
    for pieces in corpus:
        transcript = recorded(server, pieces, SIDE_BYTES_MAX)
        now = replay(transcript, server, PLAIN)
        if now != verdict_of(transcript):
            assert any(piece.cut_bytes for piece in transcript.pieces)
            assert now.outcome is Outcome.UNKNOWN
            assert "bytes were not kept" in now.evidence


def changed(protocol: str, pieces: list[Piece], then: dict[str, Any], now: dict[str, Any]) -> Verdict:
    """Replay a dialogue held with some properties by a check with others."""
    return replay(recorded(server_of(protocol, **then), pieces), server_of(protocol, **now), PLAIN)


def test_a_changed_matcher_decides_anew() -> None:
    """S31, S35: another greeting, status or pattern expected gives the verdict that it would have had."""
    greeting: list[Piece] = [b"220 mail.example.org\r\n", b"221 bye\r\n"]
    assert changed("smtp", greeting, {}, {"expect": ("221",)}).reason is Reason.BANNER_MISMATCH
    assert changed("smtp", greeting, {"expect": ("221",)}, {}).reason is Reason.MATCHED
    page: list[Piece] = [b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"]
    assert changed("http", page, {}, {}).reason is Reason.HTTP_STATUS
    assert changed("http", page, {}, {"expect_status": "404"}).reason is Reason.MATCHED
    some = {"expect_status": "any", "body_match": "bye"}
    assert changed("http", page, {}, some).reason is Reason.BODY_MISMATCH
    assert changed("http", page, some, {**some, "body_match": "^hello$"}).reason is Reason.MATCHED


@pytest.mark.parametrize(
    ("protocol", "pieces", "then", "now", "why"),
    [
        ("smtp", [b"220 a\r\n", b"221 bye\r\n"], {}, {"starttls": "required"}, 'would say "EHLO [127.0.0.1]"'),
        ("http", [b"HTTP/1.1 200 OK\r\n\r\n"], {}, {"body_match": "x"}, "waits at stage response"),
        ("http", [b"HTTP/1.1 200 OK\r\n\r\n"], {}, {"path": "/x"}, '"GET / HTTP/1.1" instead of "GET /x HTTP/1.1"'),
        ("http", [ENDED], {}, {"method": "HEAD"}, '"GET / HTTP/1.1" instead of "HEAD / HTTP/1.1"'),
        ("smtp", [b"220 a\r\n", b"250 STARTTLS\r\n", ENDED], {"starttls": "required"}, {"helo_name": "me"}, "EHLO me"),
        ("smtp", [b"220 a\r\n"], {"proxy_protocol": "v2"}, {}, "instead of nothing"),
        ("smtp", [b"220 a\r\n"], {}, {"proxy_protocol": "v1"}, 'nothing instead of "PROXY UNKNOWN"'),
        ("smtp", [ENDED], {}, {"proxy_protocol": "v1"}, 'nothing instead of "PROXY UNKNOWN"'),
        ("tcp", [b"hi\r\n"], {}, {"expect": ("hi",)}, "waits at stage banner"),
    ],
)
def test_another_dialogue_is_no_evidence(
    protocol: str, pieces: list[Piece], then: dict[str, Any], now: dict[str, Any], why: str
) -> None:
    """Where the changed check would have said something else, or needs more, nothing is claimed, and it says why."""
    if protocol == "smtp" and "helo_name" in now:
        now = {**then, **now}
    verdict = changed(protocol, pieces, then, now)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, Reason.NOT_YET)
    assert why in verdict.evidence


@pytest.mark.parametrize(
    "happening", [Happening.UNCONNECTED, Happening.BROKEN, Happening.TLS_FAILED, Happening.STALLED]
)
def test_what_no_check_decided_stands(happening: Happening) -> None:
    """A verdict of the connection, of TLS or of our own trouble is not the check's to change."""
    server = server_of("smtp")
    transcript = recorded(server, [ENDED])
    events = (msgspec.structs.replace(transcript.pieces[1], text=happening), transcript.pieces[2])
    told = msgspec.structs.replace(transcript, reason=Reason.RESET, pieces=(transcript.pieces[0], *events))
    assert replay(told, server, PLAIN).reason is Reason.RESET


@pytest.mark.parametrize("pieces", [[b"421 too slow\r\n"], [b"421 to"], [b"421 to", ENDED]])
def test_after_a_stall_of_ours_a_failure_stays_ours(pieces: list[Piece]) -> None:
    """What was unknown because we had stalled does not become the peer's failure by a replay; a good answer counts."""
    server = server_of("smtp")
    transcript = recorded(server, pieces)
    stalled = msgspec.structs.replace(transcript.pieces[-1], direction="event", text=Happening.STALLED)
    told = msgspec.structs.replace(
        transcript, reason=Reason.PROBER_STALLED, pieces=(*transcript.pieces[:-1], stalled, transcript.pieces[-1])
    )
    assert replay(told, server, PLAIN).reason is Reason.PROBER_STALLED
    good = Reason.MATCHED if pieces == [b"421 too slow\r\n"] else Reason.PROBER_STALLED
    assert replay(told, server_of("smtp", expect=("421",)), PLAIN).reason is good


def test_a_transcript_without_an_end_claims_nothing() -> None:
    """A file that stops in the middle gives no verdict."""
    server = server_of("smtp")
    whole = recorded(server, [b"220-a\r\n", b"220 b\r\n"])
    told = msgspec.structs.replace(whole, pieces=whole.pieces[:2])
    assert replay(told, server, PLAIN).reason is Reason.NOT_YET
