"""The journal of a real service: what was foretold is what it then did, and its file replays, whatever ended it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.service import Service
from tests.e2e.stores import process, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

BACK_WITHIN_S = 20.0
DOINGS = ("Start", "Stop", "Terminate", "Kill")


def chain_store(folder: Path, **policy: Any) -> Path:
    """Write a store of sleeping services: imap and smtp stand on the store, the page on imap."""
    store = folder / "store"
    write_metabase(store, {})
    sleep = folder / "sleep"  # named by its folder, so that one that nobody knows of is ended with it
    sleep.symlink_to("/bin/sleep")
    providers = {"store": [], "imap": ["store"], "smtp": ["store"], "page": ["imap"]}
    resources = {
        name: {
            "type": "service",
            "depends_on": depends_on,
            "controller": process([str(sleep), f"100{at}"], kill_after_s=1),  # equal commands would be one service
            **policy,
        }
        for at, (name, depends_on) in enumerate(providers.items())
    }
    write_cluster(store, "evs1", resources)
    return store


def query(history: Path, text: str) -> list[tuple[Any, ...]]:
    """Read the live journal."""
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as database:
        return database.execute(text).fetchall()


def doings(history: Path, after: int) -> list[tuple[str, str]]:
    """List what was done by the decisions behind one: (action, resource), in order."""
    rows = query(history, f"SELECT actions FROM decisions WHERE seq > {after} ORDER BY seq")
    done = [action for (actions,) in rows for action in json.loads(actions)]
    return [(name.lower(), "/".join(fields["id"])) for name, fields in done if name in DOINGS]


def last_seq(history: Path) -> int:
    """Number the last decision that is in the file."""
    seq: int = query(history, "SELECT coalesce(max(seq), 0) FROM decisions")[0][0]
    return seq


def test_what_was_foretold_happens_and_replays(folder: Path) -> None:
    """S16, S54: the plan of a kill -9, taken before, names what the journal then has; and the journal replays."""
    history = folder / "state" / "history.sqlite3"
    with Service(chain_store(folder)) as service:
        service.wait_all_alive(BACK_WITHIN_S)
        told = looksalive("plan", "kill", "evs1/store", "--url", service.url, "--json")
        assert told.returncode == 0, told.stderr
        foretold = [(step["kind"], step["id"]) for step in json.loads(told.stdout)["steps"]]
        foretold = [each for each in foretold if each[0] in map(str.lower, DOINGS)]
        assert len(foretold) == 7, "three are stopped, four are started"
        before = wait_until(lambda: last_seq(history), "decisions in the journal", BACK_WITHIN_S)
        assert doings(history, before) == [], "a plan does nothing"
        pid = service.resource("evs1/store")["pid"]
        os.kill(pid, signal.SIGKILL)
        service.wait_for_another_process("evs1/store", pid, BACK_WITHIN_S)
        service.wait_all_alive(BACK_WITHIN_S)
        wait_until(lambda: len(doings(history, before)) >= len(foretold), "the restarts in the journal", BACK_WITHIN_S)
        done = doings(history, before)
        assert sorted(done) == sorted(foretold)
        assert done.index(("start", "evs1/store")) == foretold.index(("start", "evs1/store")) == 3
        assert done[:2] == foretold[:2], "the first wave is the very same; later ones are as quick as the services"
        live = looksalive("replay", str(history))
        assert live.returncode == 0, live.stdout + live.stderr
        assert service.metric("history_rows_written_total") > 10
        assert service.metric("history_failing") == 0
    ended = looksalive("replay", str(history), "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(ended.stdout)["same"] is True
    assert query(history, "SELECT count(*) FROM edges WHERE id = 'evs1/store' AND reason = 'process_gone'") == [(1,)]


@pytest.mark.parametrize("after_decisions", [1, 5, 40])
def test_kill_9_in_the_middle_of_writing(folder: Path, after_decisions: int) -> None:
    """Killed while it decides and writes: the file opens, replays, and the next run goes on in it."""
    history = folder / "state" / "history.sqlite3"
    store = chain_store(folder, restart_threshold=1000)
    service = Service(store)
    service.start()
    try:
        wait_until(
            lambda: _harass(service) and history.exists() and _count(history) >= after_decisions,
            f"{after_decisions} decisions in the journal",
            BACK_WITHIN_S,
        )
        service.kill()
        shutil.copytree(folder / "state", folder / "copy")
        for file in (folder / "copy" / "history.sqlite3", history):
            replayed = looksalive("replay", str(file), "--json")
            assert replayed.returncode == 0, replayed.stdout + replayed.stderr
            assert json.loads(replayed.stdout)["replayed"] >= after_decisions
        service.start()
        service.wait_all_alive(BACK_WITHIN_S)
        assert service.stop() == 0
    finally:
        service.__exit__(None, None, None)
    whole = looksalive("replay", str(history), "--json")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert set(json.loads(whole.stdout)["versions"]) == {"1", "2"}


def _harass(service: Service) -> bool:
    """Kill whatever runs, so that there is something to decide."""
    for resource in service.get("/api/v1/status").json["resources"]:
        if resource["pid"] is not None:
            try:
                os.kill(resource["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue
    return True


def _count(history: Path) -> int:
    try:
        return last_seq(history)
    except sqlite3.Error:
        return 0


def test_without_a_history_nothing_is_written(folder: Path) -> None:
    """--history off leaves no file behind."""
    with Service(chain_store(folder), "--history", "off") as service:
        service.wait_all_alive(BACK_WITHIN_S)
    assert not (folder / "state" / "history.sqlite3").exists()


def test_a_state_folder_that_takes_no_history_costs_nothing(folder: Path) -> None:
    """A folder in the place of the file: told in the log and the metrics, while services are watched as ever."""
    store = chain_store(folder)
    (folder / "state" / "history.sqlite3").mkdir(parents=True)
    with Service(store) as service:
        service.wait_all_alive(BACK_WITHIN_S)
        service.wait_for_log("the history cannot be written")
        assert service.metric("history_failing") == 1
        assert service.get("/readyz").status == 200
