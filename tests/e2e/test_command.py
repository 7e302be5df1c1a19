"""The command line as such: usage, help, and the clients against a live service."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.e2e.command import looksalive
from tests.e2e.servers import misbehaving
from tests.e2e.servers.misbehaving import Peer
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase

TOKEN = "token-for-tests"
USAGE = 2


@pytest.mark.parametrize(
    "arguments", [("run",), ("run", "--store"), ("fly",), ("run", "--store", "/", "--no-such-flag"), ("status", "--x")]
)
def test_bad_usage_exits_two(arguments: tuple[str, ...]) -> None:
    """A mistake in the command line exits 2 and says what is wrong on stderr."""
    done = looksalive(*arguments)
    assert done.returncode == USAGE
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["run", "check", "validate", "status", "wait", "online", "offline", "restart", "terminate", "demo"]
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    """`--help` exits 0 and shows how the command is used."""
    done = looksalive(command, "--help")
    assert done.returncode == 0
    assert f"looksalive {command} " in done.stdout


def test_status_and_wait_ask_a_live_service(folder: Path) -> None:
    """`wait` returns when the state is reached and exits 1 when it is not in time; `status` tells the same."""
    with Peer(misbehaving.says(b"220 hello\r\n")) as peer:
        write_metabase(folder / "store", {"/smtp/1": virtual_server(peer.port)})
        with Service(folder / "store") as service:
            url = ("--url", service.url)
            reached = looksalive("wait", "--for", "online", "default/smtp-1", "--timeout", "10", *url)
            assert reached.returncode == 0, reached.stderr
            missed = looksalive("wait", "--for", "failed", "default/smtp-1", "--timeout", "0.5", *url)
            assert missed.returncode == 1
            shown = looksalive("status", "--json", *url)
            assert shown.returncode == 0
            assert json.loads(shown.stdout)["resources"][0]["id"] == "default/smtp-1"
            assert "default/smtp-1" in looksalive("status", *url).stdout


def test_verbs_are_off_until_there_is_a_token(folder: Path) -> None:
    """Without `--token-file` no verb works, whoever asks."""
    with Peer(misbehaving.says(b"220 hello\r\n")) as peer:
        write_metabase(folder / "store", {"/smtp/1": virtual_server(peer.port)})
        with Service(folder / "store") as service:
            service.wait_all_alive()
            answer = service.post("/api/v1/resources/default/smtp-1/offline", Authorization=f"Bearer {TOKEN}")
            assert answer.status in (401, 403)
            assert set(answer.json["error"]) >= {"code", "message"}
            assert service.resource("default/smtp-1")["state"] == "online"


def test_an_operator_takes_a_service_down_and_up(folder: Path) -> None:
    """S50, S57: with the token offline stops our process and stays so over a restart of ours; online brings it back."""
    token = folder / "token"
    token.write_text(f"tester:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    secret = folder / "secret"
    secret.write_text(TOKEN + "\n")
    secret.chmod(0o600)
    store = folder / "store"
    with Peer(misbehaving.says(b"220 hello\r\n")) as peer:
        write_metabase(store, {"/smtp/1": virtual_server(peer.port)})
        smtp = {
            "type": "smtp",
            "parameters": {"virtual_server": "/smtp/1"},
            "controller": process(["/bin/sh", "-c", f"# {folder}\nwhile :; do sleep 1; done"]),
        }
        write_cluster(store, "evs1", {"smtp": smtp})
        with Service(store, "--token-file", str(token)) as service:
            service.wait_all_alive()
            client = ("--url", service.url, "--token-file", str(secret))
            wrong = service.post("/api/v1/resources/evs1/smtp/offline", Authorization="Bearer wrong")
            assert wrong.status in (401, 403)
            done = looksalive("offline", "evs1/smtp", "--wait", "--timeout", "10", *client)
            assert done.returncode == 0, done.stderr
            down = service.wait_for("evs1/smtp", state="offline", alive=False)
            assert down["pid"] is None
            assert service.stop() == 0
        with Service(store, "--token-file", str(token)) as again:
            assert again.resource("evs1/smtp")["state"] == "offline"
            answer = again.post("/api/v1/resources/evs1/smtp/online", Authorization=f"Bearer {TOKEN}")
            assert answer.status == 202
            again.wait_for("evs1/smtp", state="online", alive=True)
