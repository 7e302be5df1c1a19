"""probe/checks/grpc.py, protobuf.py: the gRPC health protocol, from bytes alone and against a real server."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from grpc_health.v1 import health_pb2
from hypothesis import given
from hypothesis import strategies as st

from bindings.model import Binding, VirtualServer
from probe.checks import check_for
from probe.checks.grpc import FRAMES_MAX, MESSAGE_BYTES_MAX, SUBJECT_BYTES_MAX
from probe.checks.protobuf import message_of, status_of
from probe.values import Reason, Stage
from tests.checks.drive import SECURE, check_of, drive
from tests.checks.grpc_transcripts import CASES, GOOD, PING, SETTINGS
from tests.house import ROOT

CHECK = check_of("grpc", subject="evs1")


@pytest.mark.parametrize(
    ("case", "reason", "evidence"),
    [
        ("serving", Reason.MATCHED, "evs1 is SERVING"),
        ("serving, in two", Reason.MATCHED, "evs1 is SERVING"),
        ("interim", Reason.MATCHED, "evs1 is SERVING"),
        ("draining", Reason.MATCHED, "evs1 is SERVING"),
        ("ping first", Reason.MATCHED, "evs1 is SERVING"),
        ("behind the end", Reason.MATCHED, "evs1 is SERVING"),
        ("not serving", Reason.NOT_SERVING, "evs1 is NOT_SERVING"),
        ("unknown", Reason.NOT_SERVING, "evs1 is UNKNOWN"),
        ("service unknown", Reason.NOT_SERVING, "evs1 is SERVICE_UNKNOWN"),
        ("a status of tomorrow", Reason.NOT_SERVING, "evs1 is serving status 9"),
        ("not found", Reason.NOT_SERVING, "evs1 is NOT_FOUND: no such service"),
        ("refused at once", Reason.NOT_SERVING, "evs1 is UNAVAILABLE"),
        ("unimplemented", Reason.NOT_SERVING, "evs1 is UNIMPLEMENTED"),
        ("status 99", Reason.NOT_SERVING, "evs1 is status 99"),
        ("http status with a call's", Reason.NOT_SERVING, "evs1 is UNAVAILABLE"),
        ("no number", Reason.HTTP_MALFORMED, "grpc-status is five"),
        ("http status", Reason.HTTP_STATUS, "expected 200, got 503"),
        ("a page", Reason.HTTP_MALFORMED, "the answer is no gRPC but text/html"),
        ("no type", Reason.HTTP_MALFORMED, "the answer is no gRPC but of no type"),
        ("no trailers", Reason.HTTP_MALFORMED, "the call ended without a grpc-status"),
        ("compressed", Reason.HTTP_MALFORMED, "the message is not one whole uncompressed message"),
        ("short message", Reason.HTTP_MALFORMED, "the message is not one whole uncompressed message"),
        ("no message", Reason.HTTP_MALFORMED, "the message is not one whole uncompressed message"),
        ("no such message", Reason.HTTP_MALFORMED, "the message is no HealthCheckResponse: the status is no number"),
        ("long message", Reason.HTTP_MALFORMED, f"the message is longer than {MESSAGE_BYTES_MAX} bytes"),
        ("reset", Reason.RESET, "the call was reset: INTERNAL_ERROR"),
        ("sent away", Reason.REFUSED_BY_SERVER, "GOAWAY ENHANCE_YOUR_CALM: too_many_pings"),
        ("sent away politely", Reason.REFUSED_BY_SERVER, "GOAWAY NO_ERROR: "),
        ("sent away by a code of tomorrow", Reason.REFUSED_BY_SERVER, "GOAWAY error 99: "),
        ("a frame too long", Reason.HTTP_MALFORMED, "a frame is longer than 16384 bytes"),
        ("a flood of frames", Reason.HTTP_MALFORMED, f"the answer does not end after {FRAMES_MAX} frames"),
        ("a flood of bytes", Reason.HTTP_MALFORMED, "the answer does not end after 4 frames"),
        ("http/1", Reason.HTTP_MALFORMED, "no HTTP/2: HTTP/1.1 "),
        ("smtp", Reason.HTTP_MALFORMED, "no HTTP/2: 220 mail."),
        ("settings too long", Reason.HTTP_MALFORMED, r"no HTTP/2: \x00@\x01\x04\x00\x00\x00\x00\x00"),
        ("gone", Reason.EOF, "no response"),
        ("gone in the middle", Reason.EOF, "incomplete response"),
    ],
)
def test_an_answer_is_judged(case: str, reason: Reason, evidence: str) -> None:
    """S23: SERVING is alive; any other word about the service is not_serving; what is no gRPC is malformed."""
    talk = drive(CHECK, CASES[case])
    assert talk.verdict is not None
    assert (talk.reason, talk.verdict.evidence) == (reason, evidence)
    assert talk.fell_at is (Stage.REQUEST if case == "gone" else Stage.RESPONSE)
    assert talk.finished


@pytest.mark.parametrize("case", ["short goaway", "unasked push", "bad header block"])
def test_what_http2_forbids_is_malformed(case: str) -> None:
    """Frames against RFC 9113 end the dialogue as malformed."""
    assert drive(CHECK, CASES[case]).reason is Reason.HTTP_MALFORMED


@pytest.mark.parametrize(
    ("case", "evidence", "stage"),
    [
        ("silent", "no response", Stage.REQUEST),
        ("silent after settings", "incomplete response", Stage.RESPONSE),
    ],
)
def test_a_deadline_is_told_apart(case: str, evidence: str, stage: Stage) -> None:
    """S32: a server that is silent, and one that stops in the middle, are banner time-outs with what is missing."""
    talk = drive(CHECK, CASES[case])
    assert talk.verdict is None
    assert (talk.expired.reason, talk.expired.evidence, talk.expired.stage) == (Reason.BANNER_TIMEOUT, evidence, stage)


def test_what_http2_asks_for_is_acknowledged() -> None:
    """SETTINGS and PING are acknowledged while the answer is awaited, and nothing is said after it."""
    silent = drive(CHECK, []).sent
    assert drive(CHECK, [SETTINGS, PING]).sent == silent + (
        b"\x00\x00\x00\x04\x01\x00\x00\x00\x00" + b"\x00\x00\x08\x06\x01\x00\x00\x00\x0012345678"
    )
    assert drive(CHECK, [GOOD + PING]).sent == drive(CHECK, [GOOD]).sent


def test_the_steady_verdict_is_one_object() -> None:
    """The same answer gives the same verdict again, so that whoever stores it can compare by identity."""
    check = check_of("grpc", subject="evs1")
    assert drive(check, [GOOD]).verdict is drive(check, [GOOD]).verdict


@pytest.mark.parametrize(("secure", "scheme"), [(False, ("http",)), (True, ("https",))])
def test_the_call_says_what_it_asks(secure: bool, scheme: tuple[str]) -> None:
    """S23: the call carries the service's name, the time it has, and how it came."""
    check = check_of("grpc", SECURE if secure else None, subject="evs1", probe_timeout_s=2.5)
    sent = dict(check.headers)  # type: ignore[attr-defined] # a GrpcCheck
    assert (sent[":scheme"],) == scheme
    assert (sent[":path"], sent["grpc-timeout"]) == ("/grpc.health.v1.Health/Check", "2500m")
    assert sent[":authority"] == ("127.0.0.1:4650" if secure else "127.0.0.1:2525")


def test_a_name_that_is_too_long_is_refused() -> None:
    """The bound on a service's name is told as a mistake."""
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        check_of("grpc", subject="x" * (SUBJECT_BYTES_MAX + 1))


@given(service=st.text(max_size=300))
def test_the_request_is_what_the_reference_reads(service: str) -> None:
    """Our request is read by the published message's own code, whatever the name."""
    message = message_of(service.encode())
    assert (message[:1], int.from_bytes(message[1:5], "big")) == (b"\x00", len(message) - 5)
    assert health_pb2.HealthCheckRequest.FromString(message[5:]).service == service


@given(status=st.integers(0, 2**31 - 1))
def test_the_response_is_what_the_reference_writes(status: int) -> None:
    """Any status that the published message's own code writes is read, those of tomorrow as well."""
    assert status_of(health_pb2.HealthCheckResponse(status=status).SerializeToString()) == status


@given(data=st.binary(max_size=40))
def test_any_bytes_are_a_status_or_a_value_error(data: bytes) -> None:
    """Whatever came, a number comes out of it or ValueError."""
    read = 0
    with contextlib.suppress(ValueError):
        read = status_of(data)
    assert read >= 0


@pytest.mark.parametrize("data", [b"\x08", b"\x08" + b"\x80" * 10 + b"\x01", b"\x12\x05x", b"\x00", b"\x0f", b"\x0d1"])
def test_a_broken_response_is_a_value_error(data: bytes) -> None:
    """A cut number, an endless one, a field over the end, field 0 and groups are refused."""
    with pytest.raises(ValueError, match=r".+"):
        status_of(data)


def test_unknown_fields_are_passed_over() -> None:
    """A response of tomorrow is read: fields that we do not know are skipped by their own length."""
    assert status_of(b"\x12\x02hi\x19" + b"x" * 8 + b"\x25" + b"y" * 4 + b"\x30\x05\x08\x01") == 1


WITHOUT_H2 = """
import sys
sys.modules["h2"] = None  # as if it were not installed
from bindings.model import Binding, VirtualServer
from probe.checks import check_for
binding = Binding("127.0.0.1:1", "127.0.0.1", 1)
check_for(VirtualServer(key="/smtp/1", protocol="smtp", bindings=(binding,)), binding)
try:
    check_for(VirtualServer(key="/g/1", protocol="grpc", bindings=(binding,)), binding)
except ValueError as error:
    print(error)
"""


def test_without_h2_only_grpc_is_missing() -> None:
    """Where the extra is not installed gRPC says what to install, and every other check is there."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_H2], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "gRPC cannot be spoken: the package h2 is missing; install looksalive[grpc]\n"


def test_an_authority_for_ipv6() -> None:
    """An IPv6 address is named in brackets."""
    binding = Binding("[::1]:9090", "::1", 9090)
    check = check_for(VirtualServer(key="/g/1", protocol="grpc", bindings=(binding,)), binding)
    assert dict(check.headers)[":authority"] == "[::1]:9090"  # type: ignore[attr-defined] # a GrpcCheck
