"""TLS by a web-config file: what is read, what is refused and how, who gets in, and what happens when files change."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization

from probe.api.app import ApiSettings, make_app, serve
from probe.api.certificates import Certificates, WebConfigError, parse_web_config
from probe.api.limits import Limits
from probe.environment.files import RealFiles
from probe.metrics import Metrics
from tests.api.service import StaticService, report
from tests.e2e.servers.certificates import Authority, Certificate

PAIR = '"cert_file": "c.pem", "key_file": "k.pem"'


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test's own."""
    (tmp_path / "ca").mkdir()
    return Authority(tmp_path / "ca")


def write_config(folder: Path, shown: Certificate, **more: str) -> Path:
    """Write a web-config file that shows this certificate."""
    section = {"cert_file": str(shown.certificate_file), "key_file": str(shown.key_file), **more}
    path = folder / "web.json"
    path.write_text(json.dumps({"tls_server_config": section}), encoding="utf-8")
    return path


@contextlib.asynccontextmanager
async def serving(certificates: Certificates, limits: Limits | None = None) -> AsyncIterator[str]:
    """Serve with these certificates; gives the URL by a name that they are for."""
    app = make_app(StaticService(report("smtp")), Metrics(), ApiSettings(limits=limits or Limits()))
    server = await serve(app, "127.0.0.1", 0, certificates)
    try:
        yield server.url
    finally:
        await server.close()


def trusting(authority: Authority, shown: Certificate | None = None) -> ssl.SSLContext:
    """A client that trusts the authority and shows a certificate, if any."""
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    if shown is not None:
        context.load_cert_chain(shown.certificate_file, shown.key_file)
    return context


async def ask(url: str, context: ssl.SSLContext, path: str = "livez") -> int:
    async with aiohttp.ClientSession() as session, session.get(url + path, ssl=context) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tls_server_config:\n  cert_file: a\n", ["looks like YAML"]),
        ("{", ["is not JSON"]),
        ("[" * 5000, ["is not JSON"]),
        ("[]", ['no object "tls_server_config"']),
        ("{}", ["leave out --web-config"]),
        ('{"tls_server_config": 3}', ['no object "tls_server_config"']),
        ('{"tls_server_config": {}}', ["cert_file is missing", "key_file is missing"]),
        (
            f'{{"tls_server_config": {{{PAIR}, "cert": "x", "min_version": 3}}, "basic_auth_users": {{}}}}',
            ["'basic_auth_users' is not known", "'cert' is not one of", "min_version must be text"],
        ),
        (f'{{"tls_server_config": {{{PAIR}, "min_version": "TLS10"}}}}', ["min_version must be one of TLS12, TLS13"]),
        (
            f'{{"tls_server_config": {{{PAIR}, "client_auth_type": "RequireAnyClientCert", "client_ca_file": "a"}}}}',
            ["proves nothing"],
        ),
        (f'{{"tls_server_config": {{{PAIR}, "client_auth_type": "RequireAndVerifyClientCert"}}}}', ["belong together"]),
        (
            f'{{"tls_server_config": {{{PAIR}, "client_auth_type": "NoClientCert", "client_ca_file": "a"}}}}',
            ["belong together"],
        ),
        (
            f'{{"tls_server_config": {{{PAIR}, "client_auth_type": "Maybe", "min_version": "1"}}}}',
            ["client_auth_type must be one of", "min_version must be one of"],
        ),
    ],
)
def test_every_mistake_is_named(content: str, said: list[str]) -> None:
    """A web-config file that cannot be used is refused with all its mistakes, each with its mend."""
    with pytest.raises(WebConfigError) as refused:
        parse_web_config(content.encode(), "/etc/web.json")
    assert len(refused.value.problems) == len(said)
    for problem, part in zip(refused.value.problems, said, strict=True):
        assert part in problem


def test_paths_are_relative_to_the_file() -> None:
    """A relative path begins at the file's folder; naming an authority asks for certificates."""
    config = parse_web_config(
        f'{{"tls_server_config": {{{PAIR}, "client_ca_file": "/a.pem"}}}}'.encode(), "/etc/w.json"
    )
    assert config.files == ("/etc/c.pem", "/etc/k.pem", "/a.pem")
    assert config.client_auth is ssl.CERT_REQUIRED
    assert config.min_version is ssl.TLSVersion.TLSv1_2


async def test_plain_http_and_tls_share_no_port(tmp_path: Path, authority: Authority) -> None:
    """With a web-config file the URL is https, an answer comes over TLS alone, and its headers are as ever."""
    certificates = Certificates(RealFiles(), str(write_config(tmp_path, authority.good)))
    async with serving(certificates) as url:
        assert url.startswith("https://127.0.0.1:")
        assert await ask(url, trusting(authority)) == 200
        assert await ask(url, trusting(authority), "api/v1/status") == 200
        with pytest.raises(aiohttp.ClientError):
            await ask(url.replace("https:", "http:"), trusting(authority))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(url, ssl.create_default_context())
        assert await ask(url, trusting(authority)) == 200


async def test_old_versions_are_refused(tmp_path: Path, authority: Authority) -> None:
    """A client below min_version gets no connection; one at it does."""
    certificates = Certificates(RealFiles(), str(write_config(tmp_path, authority.good, min_version="TLS13")))
    old, new = trusting(authority), trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    async with serving(certificates) as url:
        with pytest.raises(aiohttp.ClientError):
            await ask(url, old)
        assert await ask(url, new) == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_only_our_clients_get_in(tmp_path: Path, authority: Authority, version: ssl.TLSVersion) -> None:
    """mTLS: without a certificate, with an expired, a foreign or a self-made one nobody is answered."""
    (tmp_path / "foreign").mkdir()
    foreign = Authority(tmp_path / "foreign")
    config = write_config(tmp_path, authority.good, client_ca_file=str(authority.ca_file))
    async with serving(Certificates(RealFiles(), str(config))) as url:
        for shown in (None, authority.expired, authority.not_yet_valid, foreign.good, authority.self_signed):
            context = trusting(authority, shown)
            context.maximum_version = version
            with pytest.raises((aiohttp.ClientError, OSError)):
                await ask(url, context)
        assert await ask(url, trusting(authority, authority.good)) == 200


async def test_a_certificate_may_be_optional(tmp_path: Path, authority: Authority) -> None:
    """VerifyClientCertIfGiven: who shows none is served as anybody, who shows a bad one is not, ours lifts limits."""
    config = write_config(
        tmp_path, authority.good, client_ca_file=str(authority.ca_file), client_auth_type="VerifyClientCertIfGiven"
    )
    async with serving(Certificates(RealFiles(), str(config)), Limits(per_address=1)) as url:
        assert await ask(url, trusting(authority)) == 200
        with pytest.raises((aiohttp.ClientError, OSError)):
            await ask(url, trusting(authority, authority.expired))
        ours = trusting(authority, authority.good)
        async with aiohttp.ClientSession() as session:
            streams = [await session.get(f"{url}api/v1/stream", ssl=ours) for _ in range(3)]
            streams += [await session.get(f"{url}api/v1/stream", ssl=trusting(authority)) for _ in range(2)]
            assert [stream.status for stream in streams] == [200, 200, 200, 200, 429]
            for stream in streams:
                stream.close()


async def test_a_handshake_has_its_time(tmp_path: Path, authority: Authority) -> None:
    """Who connects and does not shake hands is cut off, and takes no place from others meanwhile."""
    certificates = Certificates(RealFiles(), str(write_config(tmp_path, authority.good)))
    async with serving(certificates, Limits(handshake_s=0.3, connections=2, reserve=1)) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        assert await ask(url, trusting(authority)) == 200
        async with asyncio.timeout(10):
            for reader, writer in idle:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
        assert await ask(url, trusting(authority)) == 200


async def test_new_files_are_taken_over(tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """A new certificate serves new connections; a broken one changes nothing, is told once, and not quoted."""
    now = 0.0
    config = write_config(tmp_path, authority.good)
    certificates = Certificates(RealFiles(), str(config), lambda: now)
    first = certificates.context()
    assert certificates.context() is first
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    broken = tmp_path / "broken.key"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nSECRETSECRET\n-----END PRIVATE KEY-----\n", encoding="ascii")
    for breaks in (_breaking(config, broken), lambda: config.write_text("nonsense: SECRETSECRET"), config.unlink):
        breaks()
        now += 5
        with caplog.at_level(logging.DEBUG):
            assert certificates.context() is first
            now += 5
            assert certificates.context() is first
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 3
    assert "SECRET" not in caplog.text
    write_config(tmp_path, other.good)
    now += 5
    assert certificates.context() is not first
    async with serving(certificates) as url:
        assert await ask(url, trusting(other)) == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await ask(url, trusting(authority))


def _breaking(config: Path, key: Path) -> Callable[[], object]:
    document = json.loads(config.read_text(encoding="utf-8"))
    document["tls_server_config"]["key_file"] = str(key)
    return lambda: config.write_text(json.dumps(document), encoding="utf-8")


def test_what_cannot_be_used_ends_the_start(tmp_path: Path, authority: Authority) -> None:
    """A key that is missing, another's or encrypted is named at the start, without its content; nobody is asked."""
    good, other = authority.good, authority.wrong_host
    key = serialization.load_pem_private_key(good.key_file.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    for path, said in (
        (tmp_path / "nowhere", "is not there"),
        (other.key_file, "key values mismatch"),
        (locked, "is encrypted"),
    ):
        config = write_config(tmp_path, Certificate(good.certificate_file, path, 0))
        with pytest.raises(WebConfigError, match=said):
            Certificates(RealFiles(), str(config))
    with pytest.raises(WebConfigError, match="cannot be read"):
        Certificates(RealFiles(), str(tmp_path / "none.json"))
