"""The gRPC health protocol: one unary call of `grpc.health.v1.Health/Check` over HTTP/2 (RFC 9113). Pure; h2 frames it.

Rules:
1. The client speaks first: preface, SETTINGS and the whole call in one piece. What HTTP/2 wants acknowledged on the way
   (SETTINGS, PING) is; nothing else is sent.
2. Frames are cut out here and handed to h2 one by one, so that nothing behind the one that decides is looked at: the
   segmentation changes neither the verdict nor what is sent.
3. The verdict falls with the end of the stream, whose trailers hold the call's status. `grpc-status` 0 and SERVING is
   alive. Any other status, and any other word of the server about the service, is `not_serving`.
4. A GOAWAY that leaves our call to be answered (last stream at or above ours, no error) is passed over: a server that
   drains still answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import Conversation
from probe.checks.protobuf import message_of, status_of
from probe.checks.request import USER_AGENT, host_of
from probe.values import Reason, Stage, Verdict, evidence_of

PATH = "/grpc.health.v1.Health/Check"
FRAME_BYTES_MAX = 16 * 1024  # SETTINGS_MAX_FRAME_SIZE, which we leave at its least (RFC 9113 4.2)
FRAMES_MAX = 64  # a call is answered in about seven
RESPONSE_BYTES_MAX = 64 * 1024  # of all frames together
MESSAGE_BYTES_MAX = 4 * 1024
SUBJECT_BYTES_MAX = 1024
FRAME_HEAD_BYTES = 9
PREFIX_BYTES = 5  # of a message: compressed or not, length

SETTINGS_FRAME, GOAWAY_FRAME = 4, 7
STREAM = 1
_SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
STATUS = (  # https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip

Headers = list[tuple[bytes, bytes]]


class GrpcCheck:
    """Check a gRPC server at one binding; `subject` of the virtual server is the service asked about.

    Raises ValueError when the service's name is too long to be asked about.
    """

    __slots__ = ("_shared", "headers", "message", "subject")

    speaks_first = True
    glances = False

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        del headers
        asked = server.subject.encode()
        if len(asked) > SUBJECT_BYTES_MAX:
            raise ValueError(f"the service's name is longer than {SUBJECT_BYTES_MAX} bytes")
        self.subject = server.subject or "the server"
        self.message = message_of(asked)
        self.headers = [
            (":method", "POST"),
            (":scheme", "https" if binding.secure else "http"),
            (":path", PATH),
            (":authority", host_of(server, binding)),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", USER_AGENT),
            ("grpc-timeout", f"{max(1, int(server.probe_timeout_s * 1000))}m"),
        ]
        self._shared = Verdict(Reason.NOT_YET)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return GrpcConversation(self)

    def glance(self, data: bytes) -> Verdict | None:
        """Decline: an answer is several frames."""
        del data
        return None

    def share(self, verdict: Verdict) -> Verdict:
        """Return the equal verdict given last time, if it is equal, so that a steady state is one object."""
        if verdict != self._shared:
            self._shared = verdict
        return self._shared


class GrpcConversation:
    """One call and its answer."""

    __slots__ = ("_check", "_connection", "_frames", "_message", "_pending", "_seen", "finished", "stage", "verdict",
                 "wants_tls")  # fmt: skip

    def __init__(self, check: GrpcCheck) -> None:
        self.stage = Stage.REQUEST
        self.verdict: Verdict | None = None
        self.finished = False
        self.wants_tls = False
        self._check = check
        self._connection = H2Connection(_CONFIGURATION)
        self._pending = b""  # of a frame, unfinished
        self._frames = 0
        self._seen = 0  # bytes of all frames
        self._message = b""

    def opened(self) -> bytes:
        """Send the preface and the call."""
        connection, check = self._connection, self._check
        connection.local_settings = Settings(initial_values={SettingCodes.ENABLE_PUSH: 0})
        connection.initiate_connection()
        connection.send_headers(STREAM, check.headers)
        connection.send_data(STREAM, check.message, end_stream=True)
        return connection.data_to_send()

    def received(self, data: bytes) -> bytes:
        """Take the next piece of the answer; return acknowledgements."""
        if self.finished:
            return b""
        self.stage = Stage.RESPONSE
        pending, answer = self._pending + data, b""
        while self._hears and len(pending) >= FRAME_HEAD_BYTES:
            end = FRAME_HEAD_BYTES + int.from_bytes(pending[:3], "big")
            self._check_frame(pending[:FRAME_HEAD_BYTES], end)
            if len(pending) < end or not self._hears:
                break
            answer += self._take(pending[:end])
            pending = pending[end:]
        self._pending = pending if self._hears else b""
        return answer

    def secured(self) -> bytes:
        """Send nothing: gRPC is over TLS from the first byte or not at all."""
        return b""

    def ended(self) -> None:
        """Note the end of the stream: `eof` unless the verdict has fallen."""
        if not self.finished:
            self._conclude(self._missing(Reason.EOF))

    def expired(self) -> Verdict:
        """Say `banner_timeout`: whatever is missing is missing before the verdict, as the headers are to http."""
        return self.verdict or self._missing(Reason.BANNER_TIMEOUT)

    @property
    def _hears(self) -> bool:
        return not self.finished

    def _check_frame(self, head: bytes, length: int) -> None:
        """Judge a frame by its head, before any of it is kept."""
        if not self._frames and (head[3] != SETTINGS_FRAME or length > FRAME_BYTES_MAX):
            self._malformed(b"no HTTP/2: " + head)
        elif length - FRAME_HEAD_BYTES > FRAME_BYTES_MAX:
            self._malformed(b"a frame is longer than %d bytes" % FRAME_BYTES_MAX)
        elif self._frames >= FRAMES_MAX or self._seen + length > RESPONSE_BYTES_MAX:
            self._malformed(b"the answer does not end after %d frames" % self._frames)

    def _take(self, frame: bytes) -> bytes:
        self._frames += 1
        self._seen += len(frame)
        if frame[3] == GOAWAY_FRAME and len(frame) >= FRAME_HEAD_BYTES + 8:
            self._go_away(frame[FRAME_HEAD_BYTES:])
            return b""
        try:
            events = self._connection.receive_data(frame)
        except H2Error as error:
            # The text of some errors holds an address in memory, and would differ each time.
            self._malformed(f"{type(error).__name__} at a frame of type {frame[3]}".encode())
            return b""
        for event in events:
            if self._hears:
                self._hear(event)
        return self._connection.data_to_send()

    def _go_away(self, payload: bytes) -> None:
        """Pass over a farewell that leaves our call to be answered (RFC 9113 6.8)."""
        last, code = int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF, int.from_bytes(payload[4:8], "big")
        if last < STREAM or code:
            evidence = evidence_of(f"GOAWAY {_error_name(code)}: ".encode() + payload[8:])
            self._conclude(Verdict(Reason.REFUSED_BY_SERVER, evidence, self.stage))

    def _hear(self, event: Event) -> None:
        match event:
            case InformationalResponseReceived():
                pass
            case ResponseReceived():
                self._hear_head(event.headers, ended=event.stream_ended is not None)
            case DataReceived():
                self._message += event.data
                if len(self._message) > MESSAGE_BYTES_MAX:
                    self._malformed(b"the message is longer than %d bytes" % MESSAGE_BYTES_MAX)
            case TrailersReceived():
                self._judge(event.headers)
            case StreamEnded():
                self._malformed(b"the call ended without a grpc-status")
            case StreamReset():
                evidence = f"the call was reset: {_error_name(int(event.error_code))}"
                self._conclude(Verdict(Reason.RESET, evidence, self.stage))

    def _hear_head(self, headers: Headers, *, ended: bool) -> None:
        status, kind = _value(headers, b":status"), _value(headers, b"content-type")
        if ended and _value(headers, b"grpc-status"):
            self._judge(headers)
        elif status != b"200":
            self._conclude(Verdict(Reason.HTTP_STATUS, evidence_of(b"expected 200, got " + status), self.stage))
        elif not kind.startswith(b"application/grpc"):
            self._malformed(b"the answer is no gRPC but " + (kind or b"of no type"))

    def _judge(self, headers: Headers) -> None:
        """Judge the call by its status, and where that is good by its message (rule 3)."""
        code = _value(headers, b"grpc-status")
        if not code.isdigit() or len(code) > 2:
            self._malformed(b"the call ended without a grpc-status" if not code else b"grpc-status is " + code)
            return
        number = int(code)
        if number:
            name = STATUS[number] if number < len(STATUS) else f"status {number}"
            said = _value(headers, b"grpc-message")
            self._serving(Reason.NOT_SERVING, name.encode() + (b": " + said if said else b""))
            return
        message = self._message
        if len(message) < PREFIX_BYTES or message[0] or int.from_bytes(message[1:5], "big") != len(message) - 5:
            self._malformed(b"the message is not one whole uncompressed message")
            return
        try:
            serving = status_of(message[PREFIX_BYTES:])
        except ValueError as error:
            self._malformed(f"the message is no HealthCheckResponse: {error}".encode())
            return
        reason = Reason.MATCHED if serving == 1 else Reason.NOT_SERVING
        self._serving(reason, _SERVING.get(serving, f"serving status {serving}").encode())

    def _serving(self, reason: Reason, status: bytes) -> None:
        evidence = evidence_of(f"{self._check.subject} is ".encode() + status)
        self._conclude(Verdict(reason, evidence, self.stage))

    def _missing(self, reason: Reason) -> Verdict:
        if not self._frames and not self._pending:
            return Verdict(reason, "no response", self.stage)
        return Verdict(reason, "incomplete response", self.stage)

    def _malformed(self, what: bytes) -> None:
        self._conclude(Verdict(Reason.HTTP_MALFORMED, evidence_of(what), self.stage))

    def _conclude(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = self._check.share(verdict)
        self.finished = True
        self._pending = self._message = b""


def _error_name(code: int) -> str:
    return ErrorCodes(code).name if code in set(ErrorCodes) else f"error {code}"


def _value(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


_CONFIGURATION = H2Configuration(client_side=True, header_encoding=None)
