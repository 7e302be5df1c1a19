"""The clients of a `run` that serves TLS and asks for client certificates: real certificates, real commands."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.e2e.command import COMMAND, looksalive, surroundings
from tests.e2e.servers.certificates import Authority, Certificate
from tests.e2e.service import Service
from tests.e2e.stores import write_cluster, write_metabase

OK, FAILED, USAGE, CANNOT_ASK = 0, 1, 2, 3
TOKEN = "an-operator-s-word"
WITHIN_S = 30.0


class Serving(NamedTuple):
    """A run over TLS, and what a client of it needs."""

    service: Service
    authority: Authority
    token_file: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return self.service.url.rstrip("/")

    @property
    def trust(self) -> tuple[str, ...]:
        """The flags of a client that it accepts."""
        return ("--url", self.url, "--ca-file", str(self.authority.ca_file), *shown(self.authority.good))

    @property
    def variables(self) -> dict[str, str]:
        """The same as variables."""
        good = self.authority.good
        return {
            "LOOKSALIVE_URL": self.url,
            "LOOKSALIVE_CA_FILE": str(self.authority.ca_file),
            "LOOKSALIVE_CLIENT_CERT_FILE": str(good.certificate_file),
            "LOOKSALIVE_CLIENT_KEY_FILE": str(good.key_file),
        }


def shown(certificate: Certificate) -> tuple[str, ...]:
    """Make the flags that show this certificate."""
    files = str(certificate.certificate_file), str(certificate.key_file)
    return ("--client-cert-file", files[0], "--client-key-file", files[1])


def web_config(folder: Path, certificate: Certificate, **more: str) -> Path:
    """Write the file of `--web-config`."""
    section = {"cert_file": str(certificate.certificate_file), "key_file": str(certificate.key_file), **more}
    path = folder / "web.json"
    path.write_text(json.dumps({"tls_server_config": section}), encoding="utf-8")
    return path


@pytest.fixture
def store(folder: Path) -> Path:
    """A store with one resource without any service, which is online by itself."""
    write_metabase(folder / "store", {})
    write_cluster(folder / "store", "g", {"r": {"type": "service", "controller": {"kind": "none"}}})
    return folder / "store"


@pytest.fixture
def serving(store: Path, folder: Path, authority: Authority) -> Iterator[Serving]:
    """A run that wants a client certificate."""
    config = web_config(folder, authority.good, client_ca_file=str(authority.ca_file))
    hashes, token = folder / "tokens", folder / "token"
    hashes.write_text(f"alice:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    token.write_text(TOKEN)
    with Service(store, "--web-config", str(config), "--token-file", str(hashes)) as service:
        yield Serving(service, authority, token)


def asked(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these variables."""
    return subprocess.run(
        [*COMMAND, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WITHIN_S,
        env=surroundings(**variables), cwd="/", check=False,
    )  # fmt: skip


def test_every_command_that_asks_shows_itself(serving: Serving) -> None:
    """Reading, waiting, planning and verbs go through with the three flags, and as well with their variables."""
    token = ("--token-file", str(serving.token_file))
    for words in (
        ("wait", "--for", "online", "g/r"),
        ("status",),
        ("events",),
        ("plan", "offline", "g/r"),
        ("report", "--since", "1h"),
        ("completion", "ids"),
        ("offline", "g/r", "--wait", *token),
        ("online", "g/r", "--wait", *token),
        ("drain", *token),
        ("drain", "--off", *token),
        ("maintenance", "g", *token),
        ("health",),
    ):
        for done in (looksalive(*words, *serving.trust), asked(*words, **serving.variables)):
            assert done.returncode == OK, (words, done.stderr)
    assert "g/r" in looksalive("completion", "ids", *serving.trust).stdout.split()


def test_what_follows_shows_itself_as_well(serving: Serving) -> None:
    """`events --follow` and `watch` read their endless answers over the same connection."""
    for words in (("events", "--follow", "--json"), ("watch", "--json")):
        with subprocess.Popen(
            [*COMMAND, *words, *serving.trust], stdout=subprocess.PIPE, text=True, env=surroundings(), cwd="/"
        ) as following:
            try:
                assert following.stdout is not None
                assert '"g/r"' in following.stdout.readline()
            finally:
                following.terminate()


def test_who_is_not_trusted_is_told_what_to_pass(serving: Serving, authority: Authority) -> None:
    """No CA, no certificate, an expired one, another name, no TLS: each ends at once and says the mend."""
    port, ca = urlsplit(serving.url).port, ("--ca-file", str(authority.ca_file))
    for words, mend in (
        ((*shown(authority.good), "--url", serving.url), "name who vouches for it with --ca-file FILE"),
        ((*ca, "--url", serving.url), "hung up without an answer; if it asks for client certificates"),
        ((*ca, *shown(authority.expired), "--url", serving.url), "one that its client_ca_file vouches for"),
        ((*ca, *shown(authority.good), "--url", f"https://127.0.0.2:{port}"), ""),
        (("--url", f"http://127.0.0.1:{port}"), "write https:// in the URL"),
    ):
        for command in (("status",), ("wait", "--for", "online", "g/r", "--timeout", "2")):
            done = looksalive(*command, *words)
            assert done.returncode in ((FAILED, CANNOT_ASK) if "wait" in command else (CANNOT_ASK,)), done.stderr
            assert mend in done.stderr, words
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "mend"), [("wrong_host", "write a name of it in the URL"), ("expired", "has expired")]
)
def test_a_bad_certificate_of_the_service(
    kind: str, mend: str, store: Path, folder: Path, authority: Authority
) -> None:
    """One that is over, or for another name, is not believed, and what is wrong with it is said."""
    config = web_config(folder, getattr(authority, kind))
    with Service(store, "--web-config", str(config)) as service:
        done = looksalive("status", "--url", service.url, "--ca-file", str(authority.ca_file))
    assert done.returncode == CANNOT_ASK
    assert mend in done.stderr


def test_a_self_signed_certificate_vouches_for_itself(store: Path, folder: Path, authority: Authority) -> None:
    """The mend that the refusal of --insecure names does it."""
    with Service(store, "--web-config", str(web_config(folder, authority.self_signed))) as service:
        refused = looksalive("status", "--url", service.url, "--insecure")
        assert refused.returncode == USAGE
        assert "name who vouches for it: --ca-file FILE" in refused.stderr
        done = looksalive("status", "--url", service.url, "--ca-file", str(authority.self_signed.certificate_file))
    assert done.returncode == OK, done.stderr


def test_a_container_s_health_needs_nothing_more_than_the_run_had(
    store: Path, folder: Path, authority: Authority
) -> None:
    """By the run's own variables it is asked over TLS, whatever its certificate says, and also where it wants ours."""
    for shown_one, more in (
        (authority.wrong_host, {}),
        (authority.expired, {"client_ca_file": str(authority.ca_file)}),
    ):
        config = web_config(folder, shown_one, **more)
        with Service(store, "--web-config", str(config)) as service:
            where = {"LOOKSALIVE_LISTEN": urlsplit(service.url).netloc, "LOOKSALIVE_WEB_CONFIG": str(config)}
            done = asked("health", "--json", **where)
            assert done.returncode == OK, done.stderr
            assert json.loads(done.stdout)["status"] == (None if more else 200)
            by_url = asked("health", **where, LOOKSALIVE_URL=service.url)
            assert by_url.returncode == FAILED, "who names a URL wants it to be who it says"
        assert asked("health", **where).returncode == FAILED


def test_files_that_cannot_be_used_are_named(serving: Serving, tmp_path: Path) -> None:
    """A flag whose file is not there, holds something else, or stands alone is bad usage, with its name."""
    other = tmp_path / "other"
    other.write_text("nothing of the kind")
    for words, mend in (
        (("--ca-file", str(tmp_path / "missing")), "cannot read"),
        (("--ca-file", str(other)), "holds no certificate; it must be PEM"),
        (("--client-cert-file", str(other)), "cannot be used"),
        (("--client-key-file", str(other)), "pass --client-cert-file FILE too"),
    ):
        for command in ("status", "health"):
            done = looksalive(command, "--url", serving.url, *words)
            assert (done.returncode, words[0] in done.stderr, mend in done.stderr) == (USAGE, True, True), done.stderr
    assert "write https:// in --url" in looksalive("status", "--ca-file", str(other)).stderr


def test_a_port_without_tls(store: Path) -> None:
    """Who writes https:// of a plain service is told to write http://."""
    with Service(store) as service:
        done = looksalive("status", "--url", service.url.replace("http:", "https:"))
    assert done.returncode == CANNOT_ASK
    assert "write http:// in the URL" in done.stderr
