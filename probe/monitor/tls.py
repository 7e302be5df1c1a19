"""TLS without sockets: `ssl.MemoryBIO` above whatever carries the bytes, the same for TLS on connect and STARTTLS.

Facts about the peer's certificates are kept also when their verification failed, without a second dial: the unverified
chain is there as soon as the peer's certificate message was read.
"""

from __future__ import annotations

import _ssl
import ssl
from typing import NamedTuple

from probe.checks.certificate import not_after
from probe.values import Reason, Stage, Verdict, evidence_of

HANDSHAKE_BYTES_MAX = 256 * 1024
READ_BYTES = 64 * 1024
CERTIFICATES_MAX = 16
FIRST_BYTES_SHOWN = 48
_TLS_RECORD_TYPES = frozenset({20, 21, 22, 23})  # RFC 8446 5.1
_TEXT = range(0x20, 0x7F)

# X509_V_ERR_... of OpenSSL's x509_vfy.h; all others are a chain that does not lead to something trusted.
_VERIFY_REASONS = {
    9: Reason.TLS_EXPIRED,  # not yet valid
    10: Reason.TLS_EXPIRED,
    62: Reason.TLS_HOSTNAME,
    63: Reason.TLS_HOSTNAME,  # e-mail mismatch
    64: Reason.TLS_HOSTNAME,  # IP address mismatch
}


class TlsFacts(NamedTuple):
    """What was learnt about the peer's TLS, trusted or not."""

    version: str  # "TLSv1.3"; empty when the handshake did not get that far
    cipher: str
    not_after: tuple[float, ...]  # seconds since the epoch, leaf first; an unreadable date is left out
    verified: bool


class TlsTerms:
    """How one binding's TLS is set up: the shared context and the name to ask for and to verify."""

    __slots__ = ("_chain", "_facts", "context", "server_name")

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self.context = context
        self.server_name = server_name
        self._chain: tuple[bytes, ...] = ()
        self._facts: TlsFacts | None = None

    def facts_of(self, session: ssl.SSLObject, *, verified: bool) -> TlsFacts:
        """Collect the facts; the same chain as last time gives the same object, so that dates are parsed once."""
        cipher = session.cipher()
        version, cipher_name = session.version() or "", cipher[0] if cipher else ""
        chain = _chain_of(session)
        known = self._facts
        if known is not None and chain == self._chain and known[:2] == (version, cipher_name):
            if known.verified is verified:
                return known
            dates = known.not_after
        else:
            dates = tuple(date for der in chain if (date := _date_of(der)) is not None)
        self._chain = chain
        self._facts = TlsFacts(version, cipher_name, dates, verified)
        return self._facts


class TlsFault(Exception):
    """The handshake, or a record after it, was no good; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.evidence)
        self.verdict = verdict


class TlsSession:
    """One TLS connection. What `pending` returns is to be sent after every call.

    `upgraded`: it began with STARTTLS, so that text in the place of the handshake is `starttls_injection`. That text
    may have come with the agreement or behind it: the segmentation must not decide what it is called.
    """

    __slots__ = ("_arrived", "_first", "_incoming", "_outgoing", "_session", "_terms", "_upgraded", "ended", "facts",
                 "stands")  # fmt: skip

    def __init__(self, terms: TlsTerms, *, upgraded: bool = False) -> None:
        self._terms = terms
        self._upgraded = upgraded
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = terms.context.wrap_bio(self._incoming, self._outgoing, server_hostname=terms.server_name)
        self._arrived = 0
        self._first = b""
        self.stands = False  # the handshake is done
        self.ended = False  # the peer said that it sends no more
        self.facts: TlsFacts | None = None
        self._shake()

    @property
    def pending(self) -> bytes:
        """Take what is to be sent."""
        return self._outgoing.read()

    def received(self, data: bytes) -> bytes:
        """Take bytes off the wire and return the plaintext in them, if any. Raises TlsFault."""
        self._incoming.write(data)
        if not self.stands:
            self._first = self._first or data[:FIRST_BYTES_SHOWN]
            self._arrived += len(data)
            if self._arrived > HANDSHAKE_BYTES_MAX:
                raise TlsFault(Verdict(Reason.TLS_PROTOCOL, "the handshake does not end", Stage.TLS))
            self._shake()
        return self._read() if self.stands else b""

    def finish(self) -> None:
        """Note the end of the stream without a closing alert."""
        self.ended = True

    def send(self, plaintext: bytes) -> None:
        """Encrypt. Raises TlsFault."""
        if plaintext:
            try:
                self._session.write(plaintext)
            except ssl.SSLError as error:
                raise TlsFault(self._protocol_fault(error)) from error

    def _shake(self) -> None:
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLCertVerificationError as error:
            self.facts = self._terms.facts_of(self._session, verified=False)
            reason = _VERIFY_REASONS.get(error.verify_code, Reason.TLS_UNTRUSTED)
            raise TlsFault(Verdict(reason, evidence_of(error.verify_message), Stage.TLS)) from error
        except ssl.SSLError as error:
            raise TlsFault(self._protocol_fault(error)) from error
        self.stands = True
        self.facts = self._terms.facts_of(self._session, verified=self._terms.context.verify_mode is ssl.CERT_REQUIRED)

    def _read(self) -> bytes:
        pieces = []
        try:
            while piece := self._session.read(READ_BYTES):
                pieces.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.ended = True
        except ssl.SSLError as error:
            raise TlsFault(self._protocol_fault(error)) from error
        return b"".join(pieces)

    def _protocol_fault(self, error: ssl.SSLError) -> Verdict:
        said = (error.reason or "TLS error").lower().replace("_", " ")
        if not self.stands and self._upgraded and self._first and self._first[0] in _TEXT:
            evidence = evidence_of(b"plain text in the place of the TLS handshake: " + self._first)
            return Verdict(Reason.STARTTLS_INJECTION, evidence, Stage.TLS)
        if not self.stands and self._first and self._first[0] not in _TLS_RECORD_TYPES:
            return Verdict(Reason.TLS_PROTOCOL, evidence_of(f"{said}: got ".encode() + self._first), Stage.TLS)
        return Verdict(Reason.TLS_PROTOCOL, evidence_of(said), Stage.TLS)


def _chain_of(session: ssl.SSLObject) -> tuple[bytes, ...]:
    # Public only from Python 3.13 on, as SSLObject.get_unverified_chain; there since 3.10. Without it: no facts.
    inner = getattr(session, "_sslobj", None)
    chain = inner.get_unverified_chain() if inner is not None and hasattr(inner, "get_unverified_chain") else None
    return tuple(bytes(one.public_bytes(_ssl.ENCODING_DER)) for one in (chain or ())[:CERTIFICATES_MAX])


def _date_of(der: bytes) -> float | None:
    try:
        return not_after(der)
    except ValueError:
        return None
