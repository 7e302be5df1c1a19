"""`looksalive plan`: on a store alone, and by asking a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE
from tests.cli.service import FakeService, refusal, serving, status_of


def store(folder: Path, *names: str, **more: Any) -> str:
    """Write a store: a chain of services that are ours to start."""
    folder.mkdir(exist_ok=True)
    (folder / "metabase.json").write_text(json.dumps({"schema_version": 1, "keys": {}}))
    resources = {
        name: {
            "type": "service",
            "depends_on": [names[at - 1]] if at else [],
            "controller": {"kind": "process", "command": ["/bin/x"]},
            **more,
        }
        for at, name in enumerate(names)
    }
    (folder / "cluster.json").write_text(
        json.dumps({"schema_version": 1, "groups": {"evs1": {"resources": resources}}})
    )
    return str(folder)


def test_a_plan_on_a_store_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any service: everything online, then the event, as a numbered list of waves."""
    assert main(["plan", "kill", "evs1/a", "--store", store(tmp_path / "s", "a", "b")]) == EXIT_OK
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()] == [
        "1. suppose that the process of evs1/a ends",
        "evs1/a fails: process_gone",
        "stop evs1/b, since it stands on evs1/a",
        "2. evs1/b is offline",
        "start evs1/a again (restart 1 of 2)",
        "3. evs1/a is online",
        "start evs1/b, now that evs1/a is online",
        "4. evs1/b is online",
        "alerts: evs1/a (process_gone), and 1 down because of it: evs1/b",
        "in the end everything is as it was",
    ]


def test_a_plan_tells_waits_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A restart that waits has its time; what ends elsewhere than it began is named with its reason."""
    delayed = store(tmp_path / "s", "a", restart_delay_s=7)
    assert main(["plan", "kill", "evs1/a", "--store", delayed]) == EXIT_OK
    assert "+7 s start evs1/a again" in " ".join(capsys.readouterr().out.split())
    assert main(["plan", "offline", "evs1", "--store", delayed]) == EXIT_OK
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "in the end evs1/a is offline (was online): service_stopped: taken offline on request"


def test_a_plan_of_a_reload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edited store beside the one in force: what its reload would do."""
    now, edited = store(tmp_path / "s", "a", "b"), store(tmp_path / "e", "a")
    assert main(["plan", "reload", edited, "--store", now, "--json"]) == EXIT_OK
    told = json.loads(capsys.readouterr().out)
    assert [step["text"] for step in told["steps"] if step["kind"] == "stop"] == ["stop evs1/b: no longer in the store"]
    assert {fate["id"]: fate["after"] for fate in told["fates"]}["evs1/b"] == ""
    assert main(["plan", "reload", "--store", now]) == EXIT_FAILED
    assert main(["plan", "reload", edited]) == EXIT_USAGE


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["kill", "evs1/x"], "there is no evs1/x"),
        (["explode", "evs1/a"], "'explode' is nothing that can be foreseen"),
        (["kill"], "a target is missing"),
    ],
)
def test_what_cannot_happen(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str) -> None:
    """Exit 1 with what could be written instead."""
    assert main(["plan", *words, "--store", store(tmp_path / "s", "a")]) == EXIT_FAILED
    assert why in capsys.readouterr().err


def test_a_store_with_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78 with every mistake, as `validate` does."""
    assert main(["plan", "kill", "evs1/a", "--store", store(tmp_path / "s", "a", colour="red")]) == EXIT_STORE
    assert "colour" in capsys.readouterr().err


REPORT = {
    "event": "kill",
    "target": "evs1/a",
    "steps": [{"wave": 0, "at_s": 0.0, "kind": "state", "id": "evs1/a", "text": "evs1/a fails: \x1b[2J"}],
    "fates": [],
    "alerts": [],
    "refused": "",
    "ended": "",
}


def asking(answer: Any, words: list[str], status: int = 200) -> tuple[int, FakeService]:
    """Ask a service that gives one answer to everything."""
    service = FakeService(status_of(1))
    asked: list[Any] = []

    def reply(request: web.Request) -> web.Response:
        asked.append(request)
        return answer if isinstance(answer, web.Response) else web.json_response(answer, status=status)

    service.raw = reply
    with serving(service):
        return main(["plan", *words, "--url", service.url]), service


def test_a_running_service_is_asked_without_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    """The event goes to POST /api/v1/plan; what is answered is printed, escapes made harmless."""
    code, service = asking(REPORT, ["kill", "evs1/a"])
    assert code == EXIT_OK
    assert service.asked == ["POST /api/v1/plan"]
    assert service.authorizations == [""]
    assert "evs1/a fails: \\x1b[2J" in capsys.readouterr().out


def test_a_refused_verb_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that would be refused says why; so does an event that cannot happen."""
    assert asking({**REPORT, "refused": "it only watches"}, ["restart", "evs1/a"])[0] == EXIT_FAILED
    assert "refused: it only watches" in capsys.readouterr().out
    answer = refusal(409, "cannot_happen", "there is no evs1/x")
    assert asking(answer, ["kill", "evs1/x"])[0] == EXIT_FAILED
    assert "there is no evs1/x" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [[], {}, {**REPORT, "steps": [{}]}])
def test_an_answer_that_is_no_plan(answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Something else answers there: exit 3."""
    assert asking(answer, ["kill", "evs1/a"])[0] == EXIT_CANNOT_ASK
    assert "is that looksalive?" in capsys.readouterr().err
