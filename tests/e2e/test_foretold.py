"""From one command to the replay: the group made, brought up, its store's death foretold, seen and replayed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from probe.history.recording import Recording
from probe.lifecycle.actions import Action
from tests.e2e.command import looksalive
from tests.e2e.servers.mail_group import ABOVE, BELOW, GROUP, STORE, MailGroup
from tests.e2e.service import Service
from tests.e2e.waiting import wait_until

BACK_WITHIN_S = 30.0
DOINGS = ("start", "stop", "terminate", "kill")
Doing = tuple[str, str]


def foretell(mail: MailGroup, service: Service, *words: str) -> Any:
    """Return a plan."""
    told = mail.ask(service, "plan", *words, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def named(action: Action) -> Doing:
    """Call an action as a plan does."""
    return type(action).__name__.lower(), str(getattr(action, "id", ""))


def doings(file: Path, after: int) -> list[Doing]:
    """List what the decisions behind one had done, in order."""
    with Recording(str(file)) as recording:
        done = [named(action) for row in recording.decisions(after, None) for action in row.decode_actions()]
    return [each for each in done if each[0] in DOINGS]


def last_decision(file: Path) -> int:
    """Number the last decision in the file."""
    with Recording(str(file)) as recording:
        return max((row.seq for row in recording.decisions(0, None)), default=0)


def settled(service: Service, file: Path) -> int:
    """Wait until all that has been decided is in the file, and number the last of it."""
    numbers = [0]

    def quiet() -> bool:
        numbers.append(last_decision(file))
        return numbers[-1] == numbers[-2] > 0 and service.metric("history_rows_written_total") > 0

    wait_until(quiet, "the journal to be written", BACK_WITHIN_S)
    return numbers[-1]


def replay(file: Path, *words: str) -> tuple[int, Any]:
    """Replay a journal."""
    done = looksalive("replay", str(file), "--json", *words)
    return done.returncode, json.loads(done.stdout)


def tampered(file: Path, folder: Path, seq: int, sought: str, put: str) -> Path:
    """Copy a journal and change what one decision did."""
    shutil.copytree(file.parent, folder)
    copy = folder / file.name
    with closing(sqlite3.connect(copy)) as database, database:
        (was,) = database.execute("SELECT actions FROM decisions WHERE seq = ?", (seq,)).fetchone()
        text = was.decode() if isinstance(was, bytes) else was
        assert text.count(sought) == 1
        changed = text.replace(sought, put)
        value = changed.encode() if isinstance(was, bytes) else changed
        database.execute("UPDATE decisions SET actions = ? WHERE seq = ?", (value, seq))
    return copy


def decision_that(file: Path, name: str, id: str, after: int) -> int:
    """Number the first decision behind one that does this to a resource."""
    with Recording(str(file)) as recording:
        for row in recording.decisions(after, None):
            if (name, id) in map(named, row.decode_actions()):
                return row.seq
    raise AssertionError(f"no decision behind {after} does {name} {id}")


def test_from_create_to_replay(mail: MailGroup, folder: Path) -> None:
    """S15 to S18, S54: one command makes the group, it is valid, `online` brings it up in order; `plan kill` of the
    store foretells, action by action, what kill -9 then has the journal say; the journal replays, and a copy in which
    one decision was changed shows that one.
    """
    kept_down = [f"{id.partition('/')[2]}.auto_start=false" for id in (STORE, *ABOVE, *BELOW)]
    made = mail.create(mail.health.grpc, *kept_down)
    assert (made.returncode, made.stderr) == (0, "")
    valid = looksalive("validate", "--store", str(mail.store))
    assert (valid.returncode, valid.stdout) == (0, "ok: 4 virtual servers, 12 resources in 1 group\n"), valid.stderr
    with mail.service() as service:
        assert {each["state"] for each in service.resources().values()} == {"offline"}
        up = mail.ask(service, "online", GROUP, "--wait", "--json")
        assert (up.returncode, json.loads(up.stdout)["state"]) == (0, "done"), up.stderr
        service.wait_all_alive(BACK_WITHIN_S)
        came = [each["id"] for each in service.events() if each["to"] == "online"]
        assert len(came) == 12
        assert came.index(f"{GROUP}/sa") < came.index(STORE) < min(map(came.index, ABOVE))

        before = settled(service, mail.history)
        plan = foretell(mail, service, "kill", STORE)
        foretold = [(step["kind"], step["id"]) for step in plan["steps"] if step["kind"] in DOINGS]
        assert len(foretold) == 11, "five are stopped, the store is started, five are started"
        assert [(alert["id"], sorted(alert["blamed"])) for alert in plan["alerts"]] == [(STORE, sorted(ABOVE))]
        assert {fate["after"] for fate in plan["fates"]} == {"online"}
        assert settled(service, mail.history) == before, "a plan decides nothing"

        pid = service.resource(STORE)["pid"]
        seq = service.events()[-1]["seq"]
        os.kill(pid, signal.SIGKILL)
        service.wait_for_another_process(STORE, pid, BACK_WITHIN_S)
        service.wait_all_alive(BACK_WITHIN_S)
        settled(service, mail.history)
        assert doings(mail.history, before) == foretold
        causes = [each["id"] for each in service.events() if each["seq"] > seq and each["to"] == "failed"]
        assert causes == [alert["id"] for alert in plan["alerts"]]
        status, live = replay(mail.history)
        assert (status, live["same"], live["gaps"]) == (0, True, [])
    status, whole = replay(mail.history)
    assert (status, whole["same"]) == (0, True)
    assert whole["replayed"] >= live["replayed"] > before

    at = decision_that(mail.history, "start", STORE, before)
    other = tampered(mail.history, folder / "tampered", at, '"store"', '"stork"')
    status, told = replay(other)
    assert (status, told["same"], told["difference"]["seq"]) == (1, False, at)
    assert told["difference"]["what"] == "actions"
    assert "stork" in " ".join(told["difference"]["recorded"])
    assert "stork" not in " ".join(told["difference"]["now"])
    assert replay(other, "--to", str(at - 1))[0] == 0, "the same up to there"
