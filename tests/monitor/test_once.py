"""One-shot probes over the kernel: TLS in all its ways, STARTTLS, names, misbehaving peers on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bindings.model import Resource
from probe.environment import Environment
from probe.environment.network import RealNetwork
from probe.monitor.engine import Engine
from probe.monitor.once import probe_once, probe_plan_once
from probe.monitor.plan import Plans
from probe.monitor.target import Result
from probe.values import Outcome, Reason, Stage, Verdict
from tests.e2e.servers import misbehaving
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.misbehaving import Behaviour, FullBacklog, Peer
from tests.monitor.rig import ask, real_environment, run_real, targets_of, virtual_server, with_network
from tests.truth.acts import Over, TlsConnection

GREETING = b"220 mail.example.org ESMTP\r\n"
OFFERS = b"250-mail.example.org\r\n250 STARTTLS\r\n"


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as folder:
        yield Authority(Path(folder))


class Remembering(RealNetwork):
    """The real network; it remembers the sockets it opened."""

    def __init__(self) -> None:
        self.opened: list[Any] = []

    def socket(self, family: int) -> Any:
        self.opened.append(super().socket(family))
        return self.opened[-1]


def probe(peer: Peer, *, secure: bool = False, host: str = "", **properties: Any) -> Result:
    """Probe a peer once, on asyncio's loop; no socket of ours may be left open."""
    binding = f"127.0.0.1:{peer.port}{host and ':'}{host}"
    server = virtual_server(*([] if secure else [binding]), secure=(binding,) if secure else (), **properties)

    async def main() -> Result:
        network = Remembering()
        (result,) = await probe_once(with_network(real_environment(), network), server)
        assert [opened.fileno() for opened in network.opened] == [-1] * len(network.opened)
        return result

    return asyncio.run(main())


def shown(authority: Authority, name: str, behaviour: Behaviour, **limits: ssl.TLSVersion) -> Peer:
    """Make a peer that shows one of the authority's certificates."""
    return Peer(misbehaving.over_tls(getattr(authority, name), behaviour, **limits))


def trusting(authority: Authority, **more: Any) -> dict[str, Any]:
    """Trust the authority."""
    read = virtual_server("127.0.0.1:25").tls
    return {"tls": type(read)(ca_file=str(authority.ca_file), **more)}


def test_a_dialogue_is_told_with_its_stages_and_the_goodbye() -> None:
    """S31, S32: the stages are in order, the goodbye is the last and is waited for."""
    with Peer(misbehaving.answers(GREETING, b"221 bye\r\n")) as peer:
        result = probe(peer)
    assert result.verdict.reason is Reason.MATCHED
    assert [stage for stage, _ in result.stages] == [Stage.CONNECT, Stage.BANNER, Stage.QUIT]
    assert all(0 <= seconds < 1 for _, seconds in result.stages)
    assert result.target.text == f"127.0.0.1:{peer.port}"


@pytest.mark.parametrize("protocol", ["smtp", "http"])
def test_tls_on_connect_gives_facts(authority: Authority, protocol: str) -> None:
    """A trusted peer: alive over TLS, with version, cipher, every notAfter, verified; by name and by address."""
    greeting = GREETING if protocol == "smtp" else b""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" if protocol == "http" else b"221 bye\r\n"
    for host in ("mail.example.org", ""):
        with shown(authority, "good", misbehaving.answers(greeting, answer)) as peer:
            result = probe(peer, secure=True, host=host, protocol=protocol, **trusting(authority))
        assert result.verdict.reason is Reason.MATCHED, result
        assert result.tls is not None
        assert result.tls.verified
        assert result.tls.version == "TLSv1.3"
        assert result.tls.cipher
        assert result.tls.not_after[0] == authority.good.not_after
        assert [stage for stage, _ in result.stages][:2] == [Stage.CONNECT, Stage.TLS]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("expired", Reason.TLS_EXPIRED), ("wrong_host", Reason.TLS_HOSTNAME), ("self_signed", Reason.TLS_UNTRUSTED)],
)
def test_a_certificate_that_fails_still_tells_its_date(authority: Authority, name: str, reason: Reason) -> None:
    """A refused certificate has its own reason, and its end is known all the same, not verified."""
    with shown(authority, name, misbehaving.says(GREETING)) as peer:
        result = probe(peer, secure=True, host="localhost", **trusting(authority))
    assert (result.verdict.reason, result.verdict.stage) == (reason, Stage.TLS)
    assert result.tls is not None
    assert not result.tls.verified
    assert result.tls.not_after[0] == getattr(authority, name).not_after


def test_without_verification_anything_is_taken(authority: Authority) -> None:
    """`verify: false` takes a stranger's certificate, tells its date, and does not call it verified."""
    with shown(authority, "self_signed", misbehaving.says(GREETING)) as peer:
        result = probe(peer, secure=True, **trusting(authority, verify=False))
    assert result.verdict.reason is Reason.MATCHED
    assert result.tls is not None
    assert not result.tls.verified
    assert result.tls.not_after == (authority.self_signed.not_after,)


def test_the_system_s_own_authorities_are_the_default(authority: Authority) -> None:
    """Without `ca_file` the system decides, and it does not know ours."""
    with shown(authority, "good", misbehaving.says(GREETING)) as peer:
        assert probe(peer, secure=True).verdict.reason is Reason.TLS_UNTRUSTED


def test_plain_text_on_a_tls_port_is_shown() -> None:
    """A peer that greets in plain text on a TLS port is `tls_protocol`, with its greeting as evidence."""
    with Peer(misbehaving.says(GREETING)) as peer:
        result = probe(peer, secure=True)
    assert (result.verdict.reason, result.verdict.stage) == (Reason.TLS_PROTOCOL, Stage.TLS)
    assert "220 mail.example.org" in result.verdict.evidence


def test_too_old_a_version_is_a_protocol_fault(authority: Authority) -> None:
    """A peer below `min_version` is `tls_protocol`."""
    with shown(authority, "good", misbehaving.says(GREETING), maximum_version=ssl.TLSVersion.TLSv1_2) as peer:
        result = probe(peer, secure=True, **trusting(authority, min_version="1.3"))
    assert result.verdict.reason is Reason.TLS_PROTOCOL


def test_an_old_version_is_spoken_where_it_is_asked_for(authority: Authority) -> None:
    """`min_version` 1.0 makes a context that takes old protocols, without a warning."""
    with shown(authority, "good", misbehaving.says(GREETING)) as peer:
        result = probe(peer, secure=True, **trusting(authority, min_version="1.0"))
    assert result.verdict.reason is Reason.MATCHED


def hears_and_closes(peer: Peer, connection: Any) -> None:
    """Read once, so that the close is no reset, and end the stream."""
    del peer
    connection.recv(4096)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (misbehaving.silent, Reason.TLS_TIMEOUT),
        (hears_and_closes, Reason.EOF),
        (misbehaving.says_and_resets(b""), Reason.RESET),
        (misbehaving.endless(b"\x16\x03\x03\x40\x00" + b"\x00" * 0x4000), Reason.TLS_PROTOCOL),
    ],
)
def test_a_handshake_that_does_not_come_about(behaviour: Behaviour, reason: Reason) -> None:
    """Silence, end, reset and nonsense during the handshake each have their reason, at stage `tls`."""
    with Peer(behaviour) as peer:
        result = probe(peer, secure=True, probe_timeout_s=0.3)
    assert (result.verdict.reason, result.verdict.stage) == (reason, Stage.TLS)


def starttls(authority: Authority, name: str, agreement: bytes = b"220 go ahead\r\n") -> Behaviour:
    """Agree to STARTTLS and go on over TLS: answer EHLO and QUIT there."""
    certificate = getattr(authority, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)

    def behave(peer: Peer, connection: Any) -> None:
        for reply in (GREETING, OFFERS, agreement):
            peer.send(connection, reply)
            assert connection.recv(4096) if reply is not agreement else True
        with contextlib.suppress(Over, OSError):  # the client may be gone already
            secured = TlsConnection(connection, context)
            for reply in (b"250 mail.example.org\r\n", b"221 bye\r\n"):
                if not secured.recv(4096):
                    return
                secured.sendall(reply)

    return behave


def test_starttls_goes_the_same_way(authority: Authority) -> None:
    """STARTTLS is asked for, agreed to, and the dialogue goes on over TLS, with the facts of the certificate."""
    with Peer(starttls(authority, "good")) as peer:
        result = probe(peer, starttls="required", host="mail.example.org", **trusting(authority))
    assert result.verdict.reason is Reason.MATCHED, result
    assert result.tls is not None
    assert result.tls.verified
    assert {Stage.BANNER, Stage.REQUEST, Stage.TLS, Stage.RESPONSE, Stage.QUIT} <= {stage for stage, _ in result.stages}


def test_starttls_with_a_bad_certificate(authority: Authority) -> None:
    """A certificate shown after STARTTLS is judged like any other."""
    with Peer(starttls(authority, "expired")) as peer:
        result = probe(peer, starttls="required", host="localhost", **trusting(authority))
    assert result.verdict.reason is Reason.TLS_EXPIRED
    assert result.tls is not None


def test_plain_text_behind_the_agreement_is_an_injection(authority: Authority) -> None:
    """CVE-2011-0411: what came in plain text before TLS is never taken for an answer over TLS."""
    with Peer(starttls(authority, "good", b"220 go ahead\r\n250 injected\r\n")) as peer:
        result = probe(peer, starttls="required", host="localhost", **trusting(authority))
    assert result.verdict.reason is Reason.STARTTLS_INJECTION


@pytest.mark.parametrize(
    ("answer", "reason"), [(b"250 injected\r\n", Reason.STARTTLS_INJECTION), (b"\xff" * 16, Reason.TLS_PROTOCOL)]
)
def test_plain_text_after_the_agreement_is_an_injection_too(
    authority: Authority, answer: bytes, reason: Reason
) -> None:
    """The same bytes in a segment of their own are called the same; what is no text is a fault of the protocol."""
    behaviour = misbehaving.answers(GREETING, OFFERS, b"220 go ahead\r\n", answer)  # after the ClientHello
    with Peer(behaviour) as peer:
        result = probe(peer, starttls="required", host="localhost", **trusting(authority))
    assert (result.verdict.reason, result.verdict.stage) == (reason, Stage.TLS)


def test_a_full_backlog_is_a_connect_timeout() -> None:
    """S32: a listener that nobody accepts from answers no connect: TCP's own state tells it from a silent server."""
    with FullBacklog() as peer:
        result = probe(peer, probe_timeout_s=0.3)
    assert (result.verdict.reason, result.verdict.stage) == (Reason.CONNECT_TIMEOUT, Stage.CONNECT)
    with Peer(misbehaving.silent) as peer:
        result = probe(peer, probe_timeout_s=0.3)
    assert (result.verdict.reason, result.verdict.stage) == (Reason.BANNER_TIMEOUT, Stage.BANNER)


@pytest.mark.parametrize("secure", [False, True])
def test_nobody_listens(secure: bool) -> None:
    """S32: refused is refused, whoever speaks first."""
    with Peer(misbehaving.silent) as peer:
        pass
    result = probe(peer, secure=secure)
    assert (result.verdict.reason, result.verdict.definite) == (Reason.CONNECT_REFUSED, True)


def test_an_answer_before_the_reset_counts() -> None:
    """What the peer said before it reset the connection is heard: the banner is the verdict, not the reset."""
    for _ in range(20):
        with Peer(misbehaving.says_and_resets(GREETING)) as peer:
            assert probe(peer).verdict.reason is Reason.MATCHED


def test_an_http_answer_without_listening_counts() -> None:
    """A server that answers 503 and resets before it has read the request said 503."""
    answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with Peer(misbehaving.says_and_resets(answer)) as peer:
        assert probe(peer, protocol="http").verdict.reason is Reason.HTTP_STATUS


def test_a_name_counts_as_its_addresses() -> None:
    """S33: a name is looked up, each address is asked and told with the stage `resolve`."""
    with Peer(misbehaving.says(GREETING)) as peer:
        server = virtual_server(f"localhost:{peer.port}", polite=False)
        results = asyncio.run(_once(server))
    assert results
    assert all(result.stages[0][0] is Stage.RESOLVE for result in results)
    assert any(result.verdict.reason is Reason.MATCHED for result in results)


def test_a_name_that_does_not_exist() -> None:
    """A name that cannot exist is `dns_nxdomain`, or unknown where the resolver itself does not work; never alive."""
    (result,) = asyncio.run(_once(virtual_server("no-such-name.invalid:25")))
    assert result.verdict.reason in {Reason.DNS_NXDOMAIN, Reason.DNS_SERVFAIL, Reason.DNS_TIMEOUT}
    assert [stage for stage, _ in result.stages] == [Stage.RESOLVE]


async def _once(server: Any) -> list[Result]:
    return await probe_once(real_environment(), server)


def test_an_endless_banner_costs_no_memory() -> None:
    """Reads are bounded: an endless banner is `line_too_long` after kilobytes, not gigabytes."""
    with Peer(misbehaving.endless(b"220-" + b"x" * 65536)) as peer:
        result = probe(peer)
        assert peer.sent < 32 * 1024 * 1024
    assert result.verdict.reason is Reason.LINE_TOO_LONG


def test_a_source_is_bound_and_seen_by_the_server() -> None:
    """S34: the probe of 127.0.0.2 comes from 127.0.0.2, of 127.0.0.1 from there; an address not here is missing."""
    seen: list[str] = []

    def behave(peer: Peer, connection: Any) -> None:
        seen.append(connection.getpeername()[0])
        peer.send(connection, GREETING)

    with Peer(behave) as peer:
        assert probe(peer).verdict.reason is Reason.MATCHED
        assert probe(peer, source="127.0.0.7").verdict.reason is Reason.MATCHED
        missing = probe(peer, source="192.0.2.99")
    assert seen == ["127.0.0.1", "127.0.0.7"]
    assert missing.verdict.reason is Reason.ADDRESS_MISSING


def test_a_blocked_loop_fails_no_healthy_server() -> None:
    """A loop thread blocked for ten time-outs right after the dials: every banner is in the kernel, none is failed."""

    async def body(environment: Environment) -> None:
        engine = Engine(environment, max_in_flight=100)
        with Peer(misbehaving.says(GREETING)) as peer:
            target = targets_of(environment, virtual_server(f"127.0.0.1:{peer.port}", probe_timeout_s=0.05))[0]
            for times in (1, 2, 5, 10):
                asked = [asyncio.ensure_future(ask(engine, target)) for _ in range(20)]
                await asyncio.sleep(0)
                threading.Event().wait(0.05 * times)
                results = await asyncio.gather(*asked)
                assert {result.verdict.outcome for result in results} == {Outcome.ALIVE}, results
        engine.close()

    run_real(body)


def test_a_silent_server_is_found_while_the_loop_is_blocked_again_and_again() -> None:
    """A true failure is found although the loop is blocked most of the time."""

    async def body(environment: Environment) -> None:
        engine = Engine(environment, max_in_flight=10)
        with Peer(misbehaving.silent) as peer:
            target = targets_of(environment, virtual_server(f"127.0.0.1:{peer.port}", probe_timeout_s=0.2))[0]
            asked = asyncio.ensure_future(ask(engine, target))
            started = time.monotonic()
            while not asked.done():
                await asyncio.sleep(0.06)
                threading.Event().wait(0.06)
            assert (await asked).verdict.reason is Reason.BANNER_TIMEOUT
            assert time.monotonic() - started < 2.0
        engine.close()

    run_real(body)


@pytest.mark.parametrize(
    ("policy", "order", "alive"),
    [("all", "gb", False), ("any", "bg", True), ("any", "bb", False), ("first", "gb", True), ("first", "bg", False)],
)
def test_a_plan_is_asked_once_and_weighed_by_its_policy(policy: Any, order: str, alive: bool) -> None:
    """S33: what decides is told: with `all` the first that is not alive, with `any` the first that is."""
    with Peer(misbehaving.answers(GREETING, b"221 bye\r\n")) as good, Peer(misbehaving.answers(b"554 no\r\n")) as bad:
        ports = {"g": good.port, "b": bad.port}
        server = virtual_server(*(f"127.0.0.1:{ports[each]}" for each in order), binding_policy=policy)

        async def main() -> Verdict:
            environment = real_environment()
            plan = Plans(environment).plan_for(Resource(group="g", name="r", type="smtp"), server)
            return await probe_plan_once(environment, plan)

        verdict = asyncio.run(main())
    assert (verdict.outcome is Outcome.ALIVE) is alive
