"""Every misbehaving peer, each with the reason it deserves, all watched by one service at the same time."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.conftest import open_folder
from tests.e2e.servers import misbehaving
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.misbehaving import FullBacklog, Peer
from tests.e2e.service import Resource, Service
from tests.e2e.stores import virtual_server, write_metabase

GREETING = b"220 mail.example.org ESMTP\r\n"
OFFERS = b"250-mail.example.org\r\n250 STARTTLS\r\n"
MEMORY_BYTES_MAX = 256 * 1024 * 1024
UPGRADE = {"starttls": "required"}


@dataclass(frozen=True)
class Wrong:
    """One misbehaviour: what the peer does, how it is asked, and what it must be called."""

    protocol: str
    reason: str
    behaviour: misbehaving.Behaviour | None
    properties: dict[str, Any] = field(default_factory=dict)
    certificate: str = ""  # shown on connect
    secure: bool = False  # asked with TLS on connect


def plain(protocol: str, reason: str, data: bytes, **properties: Any) -> Wrong:
    """Expect `reason` of a peer that says `data` and then only listens."""
    return Wrong(protocol, reason, misbehaving.says(data), properties)


def tls(reason: str, certificate: str, **properties: Any) -> Wrong:
    """Expect `reason` of a healthy SMTP server behind `certificate`."""
    return Wrong("smtp", reason, misbehaving.says(GREETING), properties, certificate, secure=True)


WRONGS: dict[str, Wrong] = {
    "wrong-banner": plain("smtp", "banner_mismatch", b"SSH-2.0-OpenSSH_9.2\r\n"),
    "wrong-banner-pop3": plain("pop3", "banner_mismatch", b"* OK this is IMAP\r\n"),
    "wrong-banner-imap": plain("imap", "banner_mismatch", b"+OK this is POP3\r\n"),
    "almost-220": plain("smtp", "banner_mismatch", b"2200 hello\r\n"),
    "says-554": plain("smtp", "refused_by_server", b"554 5.7.1 go away\r\n"),
    "says-421": plain("smtp", "refused_by_server", b"421 4.3.2 too busy\r\n"),
    "second-line-554": plain("smtp", "refused_by_server", b"220-one moment\r\n554 no\r\n"),
    "says-err": plain("pop3", "refused_by_server", b"-ERR closed\r\n"),
    "says-bye": plain("imap", "refused_by_server", b"* BYE closed\r\n"),
    "silent": Wrong("smtp", "banner_timeout", misbehaving.silent),
    "half-a-banner": plain("smtp", "banner_timeout", b"220-and then nothing\r\n"),
    "one-byte-a-second": Wrong("smtp", "banner_timeout", misbehaving.one_byte_a_second),
    "endless-line": Wrong("smtp", "line_too_long", misbehaving.endless(b"220" + b"x" * 4096)),
    "endless-lines": Wrong("smtp", "line_too_long", misbehaving.endless(b"220-more\r\n" * 400)),
    "endless-imap": Wrong("imap", "line_too_long", misbehaving.endless(b"* OK " + b"x" * 4096)),
    "endless-http": Wrong(
        "http", "line_too_long", misbehaving.endless(b"X-More: yes\r\n" * 300, first=b"HTTP/1.1 200 OK\r\n")
    ),
    "reset-at-once": Wrong("smtp", "reset", misbehaving.says_and_resets(b"")),
    "reset-after-banner": Wrong("smtp", "matched", misbehaving.says_and_resets(GREETING)),
    "reset-in-dialogue": Wrong("smtp", "reset", misbehaving.resets_after(GREETING), UPGRADE),
    "closes-at-once": Wrong("smtp", "eof", misbehaving.says_and_closes(b"")),
    "closes-in-banner": Wrong("smtp", "eof", misbehaving.says_and_closes(b"220 unfini")),
    "no-starttls": Wrong(
        "smtp", "starttls_missing", misbehaving.answers(GREETING, b"250 mail.example.org\r\n"), UPGRADE
    ),
    "injected-starttls": Wrong(
        "smtp",
        "starttls_injection",
        misbehaving.answers(GREETING, OFFERS, b"220 go ahead\r\n250 injected\r\n"),
        UPGRADE,
    ),
    "no-answer-to-ehlo": Wrong("smtp", "step_timeout", misbehaving.says(GREETING), UPGRADE),
    "http-503": plain("http", "http_status", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
    "http-nonsense": plain("http", "http_malformed", b"220 this is SMTP\r\n\r\n"),
    "http-silent": Wrong("http", "banner_timeout", misbehaving.silent),
    "http-other-body": plain(
        "http", "body_mismatch", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", body_match="^good$"
    ),
    "http-endless-body": Wrong(
        "http", "body_limit", misbehaving.endless(b"x" * 4096, first=b"HTTP/1.1 200 OK\r\n\r\n"), {"body_match": "good"}
    ),
    "plain-on-tls-port": Wrong("smtp", "tls_protocol", misbehaving.says(GREETING), secure=True),
    "silent-on-tls-port": Wrong("smtp", "tls_timeout", misbehaving.silent, secure=True),
    "untrusted": tls("tls_untrusted", "self_signed"),
    "expired": tls("tls_expired", "expired"),
    "other-host": tls("tls_hostname", "wrong_host"),
    "full-backlog": Wrong("smtp", "connect_timeout", None),
}


@pytest.fixture(scope="module")
def watched(authority: Authority) -> Iterator[Service]:
    """One service that watches every misbehaving peer, and one good one."""
    keys: dict[str, dict[str, Any]] = {"/smtp": {"tls": {"ca_file": str(authority.ca_file)}}}
    with contextlib.ExitStack() as stack:
        folder = next(opened := open_folder())
        stack.callback(lambda: next(opened, None))
        for name, wrong in WRONGS.items():
            port = stack.enter_context(peer_of(wrong, authority)).port
            keys[f"/{wrong.protocol}/{name}"] = (
                virtual_server(secure=(port,), **wrong.properties)
                if wrong.secure
                else virtual_server(port, **wrong.properties)
            )
        keys["/smtp/good"] = virtual_server(stack.enter_context(Peer(misbehaving.says(GREETING))).port)
        limit = ssl.TLSVersion.TLSv1_2
        old = misbehaving.over_tls(authority.good, misbehaving.says(GREETING), maximum_version=limit)
        wants_newer = {"tls": {"ca_file": str(authority.ca_file), "min_version": "1.3"}}
        keys["/smtp/old-tls"] = virtual_server(secure=(stack.enter_context(Peer(old)).port,), **wants_newer)
        write_metabase(folder / "store", keys)
        yield stack.enter_context(Service(folder / "store"))


def peer_of(wrong: Wrong, authority: Authority) -> Peer:
    """Make the peer that behaves so."""
    if wrong.behaviour is None:
        return FullBacklog()
    if wrong.certificate:
        return Peer(misbehaving.over_tls(getattr(authority, wrong.certificate), wrong.behaviour))
    return Peer(wrong.behaviour)


def verdict_of(watched: Service, id: str) -> Resource:
    """Return the resource once its first level is known."""
    found = watched.wait(lambda all_: all_[id]["state"] in ("online", "failed"), f"a verdict on {id}", 15.0)
    return found[id]


@pytest.mark.parametrize("name", WRONGS)
def test_a_misbehaving_peer_is_called_what_it_is(name: str, watched: Service) -> None:
    """S32: each misbehaviour has its own reason; only a reset behind a complete banner changes nothing."""
    wrong = WRONGS[name]
    seen = verdict_of(watched, f"default/{wrong.protocol}-{name}")
    alive = wrong.reason == "matched"
    assert (seen["reason"], seen["alive"]) == (wrong.reason, alive), seen
    assert seen["verdict"] == ("alive" if alive else "failed")
    assert len(seen["evidence"]) <= 200
    assert seen["evidence"].isprintable()


def test_too_old_a_tls_version_is_a_protocol_error(watched: Service) -> None:
    """A peer that offers less than `min_version` is `tls_protocol`."""
    assert verdict_of(watched, "default/smtp-old-tls")["reason"] == "tls_protocol"


def test_the_good_one_among_them_is_untouched(watched: Service) -> None:
    """One peer's misbehaviour is never another's failure: the good server never left `online`."""
    assert verdict_of(watched, "default/smtp-good")["alive"]
    assert not [each for each in watched.events() if each["id"] == "default/smtp-good" and each["to"] == "failed"]


@pytest.mark.parametrize("name", ["expired", "other-host", "untrusted"])
def test_the_certificate_s_date_is_told_although_it_was_refused(
    name: str, watched: Service, authority: Authority
) -> None:
    """A certificate that failed verification still has its end in the metrics, and `tls_verified` is 0."""
    shown = getattr(authority, WRONGS[name].certificate)
    labels = {"group": "default", "resource": f"smtp-{name}"}
    verdict_of(watched, f"default/smtp-{name}")
    assert watched.metric("tls_not_after_timestamp_seconds", position="0", **labels) == shown.not_after
    assert watched.metric("tls_verified", **labels) == 0


def test_endless_peers_cost_no_memory(watched: Service) -> None:
    """Reads are bounded: after several rounds of endless banners and bodies the service is as small as ever."""
    for name in ("endless-line", "endless-lines"):
        verdict_of(watched, f"default/smtp-{name}")
    assert watched.metrics()["process_resident_memory_bytes", frozenset()] < MEMORY_BYTES_MAX
