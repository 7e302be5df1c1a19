"""TLS on connect, on every protocol's own terms (RFC 8314): certificates, versions, handshakes that come to nothing."""

from __future__ import annotations

from collections.abc import Mapping

from bindings.model import Protocol
from probe.values import Reason, Stage
from tests.truth.acts import Script, close, endless, eof, hang, hears_something, pause, reset, shake
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import http, imap, pop3, response, smtp

CA: Mapping[str, object] = {"ca_file": "ca.pem"}
_SERVERS: Mapping[Protocol, Script] = {"smtp": smtp(), "pop3": pop3(), "imap": imap(), "http": http(response())}


def behind(
    name: str,
    does: str,
    certificate: str,
    reason: Reason,
    stage: Stage = Stage.TLS,
    *,
    protocol: Protocol = "smtp",
    host: str = "mail.example.org",
    tls: Mapping[str, object] = CA,
) -> Row:
    """Expect `reason` of a healthy server behind a certificate or a way of shaking hands."""
    return Row(
        name=f"tls: {name}",
        does=does,
        protocol=protocol,
        script=(shake(certificate), *_SERVERS[protocol]),
        reason=reason,
        stage=stage,
        secure=True,
        asked={"tls": tls},
        host=host,
    )


def shakes(name: str, does: str, script: Script, reason: Reason) -> Row:
    """Expect `reason`, at stage `tls`, of a server that handles the handshake so."""
    return Row(
        name=f"tls: {name}",
        does=does,
        protocol="smtp",
        script=script,
        reason=reason,
        stage=Stage.TLS,
        secure=True,
        asked={"tls": CA},
        host="mail.example.org",
    )


_ALIVE, _PROTOCOL = Reason.MATCHED, Reason.TLS_PROTOCOL
_HALF_A_RECORD = b"\x16\x03\x03\x40\x00" + b"\x02" * 100
_CLIENT = {**CA, "client_cert_file": "client.pem", "client_key_file": "client.key"}

ROWS = (
    behind("smtps", "is healthy, with a certificate of the authority", "good", _ALIVE, Stage.BANNER),
    behind("pop3s", "is healthy", "good", _ALIVE, Stage.BANNER, protocol="pop3"),
    behind("imaps", "is healthy", "good", _ALIVE, Stage.BANNER, protocol="imap"),
    behind("https", "is healthy", "good", _ALIVE, Stage.RESPONSE, protocol="http"),
    behind("by address", "is asked by its address, which its certificate names", "good", _ALIVE, Stage.BANNER, host=""),
    behind("expired", "shows a certificate that was over yesterday", "expired", Reason.TLS_EXPIRED),
    behind("expired, https", "shows a certificate that was over yesterday", "expired", Reason.TLS_EXPIRED,
        protocol="http"),
    behind("not yet valid", "shows a certificate that begins tomorrow", "not yet valid", Reason.TLS_EXPIRED),
    behind("self-signed", "shows a certificate signed by itself", "self-signed", Reason.TLS_UNTRUSTED),
    behind("stranger", "shows a good certificate of an authority that nobody trusts", "stranger's",
        Reason.TLS_UNTRUSTED),
    behind("system's authorities", "shows a certificate of a private authority, and no `ca_file` is given", "good",
           Reason.TLS_UNTRUSTED, tls={}),
    behind("wrong host", "shows another host's certificate", "wrong host", Reason.TLS_HOSTNAME),
    behind("wrong host, https", "shows another host's certificate", "wrong host", Reason.TLS_HOSTNAME, protocol="http"),
    behind("wrong host, right address", "shows a certificate for another host and the right address; asked by address",
           "other name, right address", _ALIVE, Stage.BANNER, host=""),
    behind("wrong host, asked by name", "shows a certificate for another host and the right address; asked by name",
           "other name, right address", Reason.TLS_HOSTNAME),
    behind("unverified", "shows a certificate signed by itself, and `verify` is off", "self-signed", _ALIVE,
        Stage.BANNER,
           tls={"verify": False}),
    behind("right for the name", "shows the right certificate to who asks for the name (SNI)", "by name", _ALIVE,
           Stage.BANNER),
    behind("wrong without the name", "shows another host's certificate to who asks for no name (SNI)", "by name",
           Reason.TLS_HOSTNAME, host=""),
    behind("TLS 1.0 only", "speaks TLS 1.0 only", "TLS 1.0 only", _PROTOCOL),
    behind("TLS 1.1 at most", "speaks TLS 1.1 at most", "TLS 1.1 at most", _PROTOCOL),
    behind("TLS 1.1, allowed", "speaks TLS 1.1 at most, and that is good enough", "TLS 1.1 at most", _ALIVE,
        Stage.BANNER,
           tls={**CA, "min_version": "1.1"}),
    behind("TLS 1.2 only", "speaks TLS 1.2 only", "TLS 1.2 only", _ALIVE, Stage.BANNER),
    behind("TLS 1.2, too old", "speaks TLS 1.2 only, and 1.3 is wanted", "TLS 1.2 only", _PROTOCOL,
           tls={**CA, "min_version": "1.3"}),
    behind("TLS 1.3 only", "speaks TLS 1.3 only", "TLS 1.3 only", _ALIVE, Stage.BANNER),
    behind("wants a certificate", "wants a client's certificate and gets none (TLS 1.3: said after the handshake)",
           "wants a certificate", _PROTOCOL),
    behind("wants a certificate, 1.2",
        "wants a client's certificate and gets none (TLS 1.2: said inside the handshake)",
           "wants a certificate, TLS 1.2", _PROTOCOL),
    behind("gets a certificate", "wants a client's certificate and gets it", "wants a certificate", _ALIVE,
        Stage.BANNER,
           tls=_CLIENT),
    shakes("plain text", "greets in plain text on the TLS port", smtp(), _PROTOCOL),
    shakes("plain text, late", "waits for the handshake and answers in plain text",
           (hears_something, b"500 5.5.1 what?\r\n", hang), _PROTOCOL),
    shakes("alert", "answers the handshake with an alert",
           (hears_something, b"\x15\x03\x03\x00\x02\x02\x28", eof), _PROTOCOL),
    shakes("garbage", "answers the handshake with garbage", (hears_something, b"\xff\xfe\x00\x01" * 16, hang),
        _PROTOCOL),
    shakes("handshake without end", "sends handshake records without end",
           (endless(b"\x16\x03\x03\x40\x00" + b"\x00" * 0x4000),), _PROTOCOL),
    shakes("stalled handshake", "reads the ClientHello and says nothing", (hang,), Reason.TLS_TIMEOUT),
    shakes("half a record", "sends half a record and stops", (hears_something, _HALF_A_RECORD, hang),
        Reason.TLS_TIMEOUT),
    shakes("end in the handshake", "ends the stream inside the handshake", (hears_something, eof), Reason.EOF),
    shakes("half a record, then end", "sends half a record and ends the stream",
           (hears_something, _HALF_A_RECORD, eof), Reason.EOF),
    shakes("reset in the handshake", "resets the connection inside the handshake", (hears_something, reset),
        Reason.RESET),
    shakes("close at once", "closes without reading the ClientHello",
           (hears_something, close), Reason.EOF),
    Row(name="tls: slow handshake", does="shakes hands after a third of the time-out", protocol="smtp", secure=True,
        script=(pause(SLOW_S), shake(), *smtp()), asked={"tls": CA}, host="mail.example.org", reason=_ALIVE,
        stage=Stage.BANNER),
    Row(name="tls: silence behind the handshake", does="shakes hands and never greets", protocol="smtp", secure=True,
        script=(shake(), hang), asked={"tls": CA}, host="mail.example.org", reason=Reason.BANNER_TIMEOUT,
        stage=Stage.BANNER),
    Row(name="tls: end behind the handshake", does="shakes hands and ends the stream", protocol="smtp", secure=True,
        script=(shake(), eof), asked={"tls": CA}, host="mail.example.org", reason=Reason.EOF, stage=Stage.BANNER),
    Row(name="tls: 554 over TLS", does="shakes hands and refuses with 554", protocol="smtp", secure=True,
        script=(shake(), *smtp(b"554 5.7.1 no service\r\n")), asked={"tls": CA}, host="mail.example.org",
        reason=Reason.REFUSED_BY_SERVER, stage=Stage.BANNER),
)  # fmt: skip
