"""`looksalive delete` on a store, with and without a service to be asked."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.cli.service import FakeService, operation_of, resource, serving, status_of


@pytest.fixture
def store(tmp_path: Path, variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store with one group, and a state folder beside it."""
    folder = tmp_path / "store"
    folder.mkdir()
    variables.setenv("LOOKSALIVE_STORE", str(folder))
    variables.setenv("LOOKSALIVE_STATE_DIR", str(tmp_path / "state"))
    assert main(["create", "system-attendant", "evs1", "--without", "search"]) == EXIT_OK
    capsys.readouterr()
    return folder


def left(store: Path) -> set[str]:
    """Name the resources that are left."""
    groups = json.loads((store / "cluster.json").read_text())["groups"]
    return {f"{group}/{name}" for group, content in groups.items() for name in content["resources"]}


def test_nobody_to_ask_is_said(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S19: where no service runs on the state folder it is held meanwhile, and the note says that nobody was asked."""
    assert main(["delete", "evs1/pop3", "--yes"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "so nobody could be asked whether it is offline" in out
    assert "deleted: evs1/pop3" in out
    assert "deleted: the virtual server /pop3/evs1" in out
    assert "evs1/pop3" not in left(store)
    assert main(["delete", "evs1", "--yes", "--json"]) == EXIT_OK
    told = json.loads(capsys.readouterr().out)
    assert told["resources"]["evs1/sa"] is None
    assert left(store) == set()


def test_a_service_that_was_not_named_must_be(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S19: a looksalive that runs on the state folder has to be asked: exit 3 says how; nothing is deleted."""
    (tmp_path / "state").mkdir(exist_ok=True)
    with (tmp_path / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["delete", "evs1", "--yes"]) == EXIT_CANNOT_ASK
    assert "pass --url URL so that it can be asked" in capsys.readouterr().err
    assert len(left(store)) == 8


def test_without_a_terminal_it_wants_a_yes(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can be asked in a script: --yes or --dry-run, else bad usage."""
    assert main(["delete", "evs1"]) == EXIT_USAGE
    assert "pass --yes to delete, or --dry-run" in capsys.readouterr().err
    assert main(["delete", "evs1", "--dry-run"]) == EXIT_OK
    assert '-        "sa": {' in capsys.readouterr().out
    assert main(["delete", "evs1", "--force", "--yes"]) == EXIT_USAGE
    assert "pass --url URL" in capsys.readouterr().err
    assert len(left(store)) == 8


def test_what_runs_is_not_deleted(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S19: one that is online refuses it, by name; offline it goes."""
    online = status_of(1, resource("evs1/smtp"), resource("evs1/imap", state="offline", alive=False))
    with serving(FakeService(online)) as service:
        assert main(["delete", "evs1/imap", "--yes", "--url", service.url]) == EXIT_OK
        capsys.readouterr()
        assert main(["delete", "evs1", "--yes", "--url", service.url]) == EXIT_FAILED
        assert "evs1/smtp is online: take it offline first" in capsys.readouterr().err
    assert len(left(store)) == 7


def test_force_takes_it_offline_first(store: Path, token_file: str) -> None:
    """S19: --force asks for an offline of what runs, waits for it, and only then deletes."""
    states = {"evs1/smtp": "online", "evs1/sa": "offline-pending"}
    service = FakeService(status_of(1))

    def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            _, _, _, kind, group, name, verb = request.path.split("/")
            assert (kind, verb) == ("resources", "offline")
            assert len(left(store)) == 8
            states[f"{group}/{name}"] = "offline"
            return web.json_response(operation_of("offline", f"{group}/{name}"), status=202)
        found: list[dict[str, Any]] = [resource(id, state=state) for id, state in states.items()]
        return web.json_response(status_of(1, *found))

    service.raw = answer
    with serving(service):
        words = ["delete", "evs1", "--yes", "--force", "--url", service.url, "--token-file", token_file]
        assert main(words) == EXIT_OK
    assert [each for each in service.asked if each.startswith("POST")] == [
        "POST /api/v1/resources/evs1/smtp/offline",
        "POST /api/v1/resources/evs1/sa/offline",
    ]
    assert left(store) == set()


def test_force_gives_up(store: Path, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not go offline in time stays, and so does the store."""
    service = FakeService(status_of(1, resource("evs1/smtp", state="offline-pending")))
    with serving(service):
        words = ["delete", "evs1/smtp", "--yes", "--force", "--timeout", "0.05", "--url", service.url]
        assert main([*words, "--token-file", token_file]) == EXIT_FAILED
    assert "evs1/smtp is still offline-pending: nothing was deleted" in capsys.readouterr().err
    assert len(left(store)) == 8


def test_a_service_that_does_not_answer(store: Path) -> None:
    """A service that was named and is not there is exit 3; nothing is deleted."""
    with serving(FakeService(status_of(1))) as service:
        url = service.url
    assert main(["delete", "evs1", "--yes", "--url", url]) == EXIT_CANNOT_ASK
    assert len(left(store)) == 8


def test_what_an_earlier_run_left_is_done(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S19: a deletion that broke off before the directory was told is done by the same command again."""
    directory = json.loads((store / "directory.json").read_text())
    assert main(["delete", "evs1/http", "--yes"]) == EXIT_OK
    (store / "directory.json").write_text(json.dumps(directory))
    (tmp_path / "state" / "directory-pending.json").write_text('{"ids": ["evs1/http"]}')
    assert main(["delete", "evs1/http", "--yes"]) == EXIT_OK
    assert "done: an earlier run had left evs1/http" in capsys.readouterr().out
    assert "evs1/http" not in json.loads((store / "directory.json").read_text())["objects"]
    assert main(["delete", "evs1/http", "--yes"]) == EXIT_FAILED
    assert "there is no evs1/http" in capsys.readouterr().err
