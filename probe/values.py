"""The words every layer shares: ids, states, reasons and verdicts. Pure; nothing here knows a clock or a socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

EVIDENCE_CHARS_MAX = 200

OpId = NewType("OpId", int)
Incarnation = NewType("Incarnation", int)  # rises with every online; a late answer of an earlier one is dropped


class ResourceId(NamedTuple):
    """`group/name`, the id of a resource everywhere outside."""

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Read `group/name`. Raises ValueError naming what is wrong."""
        group, slash, name = text.partition("/")
        if not (slash and group and name) or "/" in name:
            raise ValueError(f"{text!r} is not GROUP/NAME")
        return cls(group, name)


class State(StrEnum):
    """The state of a resource; the hyphens are part of the outside contract."""

    __hash__ = str.__hash__  # Enum's own is Python, and they are keys where every probe counts

    OFFLINE = "offline"
    ONLINE_PENDING = "online-pending"
    ONLINE = "online"
    OFFLINE_PENDING = "offline-pending"
    FAILED = "failed"


class Outcome(StrEnum):
    """What a probe can say. Only `failed` ever counts against a service."""

    __hash__ = str.__hash__  # Enum's own is Python, and they are keys where every probe counts

    ALIVE = "alive"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """The parts of a dialogue, in order; each is timed and each can be the one that failed."""

    __hash__ = str.__hash__  # Enum's own is Python, and they are keys where every probe counts

    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    BANNER = "banner"
    REQUEST = "request"
    RESPONSE = "response"
    QUIT = "quit"


class Reason(StrEnum):
    """The closed list of reasons; its grouping decides the outcome (`OUTCOME`)."""

    __hash__ = str.__hash__  # Enum's own is Python, and they are keys where every probe counts

    MATCHED = "matched"

    DNS_NXDOMAIN = "dns_nxdomain"
    CONNECT_REFUSED = "connect_refused"
    CONNECT_UNREACHABLE = "connect_unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_EXPIRED = "tls_expired"
    TLS_HOSTNAME = "tls_hostname"
    TLS_PROTOCOL = "tls_protocol"
    TLS_TIMEOUT = "tls_timeout"
    BANNER_TIMEOUT = "banner_timeout"
    BANNER_MISMATCH = "banner_mismatch"
    REFUSED_BY_SERVER = "refused_by_server"
    EOF = "eof"
    RESET = "reset"
    LINE_TOO_LONG = "line_too_long"
    HTTP_STATUS = "http_status"
    HTTP_MALFORMED = "http_malformed"
    BODY_MISMATCH = "body_mismatch"
    BODY_LIMIT = "body_limit"
    STARTTLS_MISSING = "starttls_missing"
    STARTTLS_INJECTION = "starttls_injection"
    STEP_MISMATCH = "step_mismatch"
    STEP_TIMEOUT = "step_timeout"
    SERVICE_STOPPED = "service_stopped"
    EXTERNAL_STOP = "external_stop"
    NOT_SERVING = "not_serving"
    INDEX_INVALID = "index_invalid"
    ADDRESS_MISSING = "address_missing"
    NAME_MISMATCH = "name_mismatch"
    DISK_FAILED = "disk_failed"
    COLLATERAL = "collateral"
    DEPENDENCY_DOWN = "dependency_down"
    LISTENER_GONE = "listener_gone"
    PROCESS_GONE = "process_gone"
    PENDING_TIMEOUT = "pending_timeout"
    CAPACITY = "capacity"

    DNS_TIMEOUT = "dns_timeout"
    DNS_SERVFAIL = "dns_servfail"
    PROBER_STALLED = "prober_stalled"
    PROBER_DESCRIPTORS = "prober_descriptors"
    PROBER_PORTS = "prober_ports"
    PROBER_FORBIDDEN = "prober_forbidden"
    PROBE_INTERNAL = "probe_internal"
    STALE = "stale"
    NOT_YET = "not_yet"


_UNKNOWN = (
    Reason.DNS_TIMEOUT,
    Reason.DNS_SERVFAIL,
    Reason.PROBER_STALLED,
    Reason.PROBER_DESCRIPTORS,
    Reason.PROBER_PORTS,
    Reason.PROBER_FORBIDDEN,
    Reason.PROBE_INTERNAL,
    Reason.STALE,
    Reason.NOT_YET,
)

OUTCOME: dict[Reason, Outcome] = {
    reason: Outcome.ALIVE if reason is Reason.MATCHED else Outcome.UNKNOWN if reason in _UNKNOWN else Outcome.FAILED
    for reason in Reason
}

# S67: these need no second look; each counts as `fall` failures at once.
DEFINITE = frozenset(
    {
        Reason.CONNECT_REFUSED,
        Reason.ADDRESS_MISSING,
        Reason.SERVICE_STOPPED,
        Reason.EXTERNAL_STOP,
        Reason.LISTENER_GONE,
        Reason.PROCESS_GONE,
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer about a service: why, at which stage, and what was seen.

    `evidence` is text made by `evidence_of`: bounded, printable, safe in a log line; still data, never markup.
    """

    reason: Reason
    evidence: str = ""
    stage: Stage | None = None

    @property
    def outcome(self) -> Outcome:
        """Alive, failed or unknown, decided by the reason alone."""
        return OUTCOME[self.reason]

    @property
    def definite(self) -> bool:
        """Whether one such failure is enough (S67)."""
        return self.reason in DEFINITE


def evidence_of(raw: bytes | str) -> str:
    """Turn untrusted bytes into bounded printable ASCII: escapes for the rest, an ellipsis where cut."""
    data = raw[: EVIDENCE_CHARS_MAX * 4].encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
    if len(data) <= EVIDENCE_CHARS_MAX and data.isascii() and b"\\" not in data:
        plain = data.decode("ascii")
        if plain.isprintable():  # nearly every greeting: ten times faster than byte by byte
            return plain
    text = "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}"
        for byte in data[: EVIDENCE_CHARS_MAX + 1]
    )
    if len(data) > EVIDENCE_CHARS_MAX or len(text) > EVIDENCE_CHARS_MAX:
        return text[: EVIDENCE_CHARS_MAX - 3] + "..."
    return text
