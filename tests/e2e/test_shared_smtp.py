"""One real Postfix for the smtp of several groups: one goes offline, the whole service stops, the others come back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.processes import stat_of
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_metabase, write_whole
from tests.e2e.waiting import wait_until

TOKEN = "one-for-all"
BACK_WITHIN_S = 20.0
FIRST, SECOND, THIRD = "evs1/smtp", "evs2/smtp", "evs3/smtp"


@pytest.fixture
def shared(folder: Path, authority: Authority) -> tuple[Service, Postfix, tuple[str, ...]]:
    """Three groups with one Postfix; the smtp of the third is not to be restarted."""
    postfix = Postfix(folder / "postfix", authority.good)
    port = postfix.smtp_port
    keys = {f"/smtp/{number}": virtual_server(port) for number in (1, 2, 3)}
    write_metabase(folder / "store", keys)

    def group(number: int, **policy: Any) -> dict[str, Any]:
        smtp = {"type": "smtp", "parameters": {"virtual_server": f"/smtp/{number}"}, **policy}
        return {"resources": {"smtp": {**smtp, "controller": process(postfix.command)}}}

    groups = {"evs1": group(1), "evs2": group(2), "evs3": group(3, restart_action="do-not-restart")}
    document = {"schema_version": 1, "revision": 1, "groups": groups}
    write_whole(folder / "store" / "cluster.json", json.dumps(document))
    token, hashes = folder / "token", folder / "hashes"
    token.write_text(TOKEN)
    hashes.write_text(f"tester:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    return Service(folder / "store", "--token-file", str(hashes)), postfix, ("--token-file", str(token))


def test_one_group_offline_is_collateral_to_the_others(
    shared: tuple[Service, Postfix, tuple[str, ...]],
) -> None:
    """S36, S37, S38, S59, S60: all of Postfix stops; the second group's smtp says `collateral` and is back in another
    one with its budget whole; the one that is not to be restarted stays failed; nobody is asked to fail over.
    """
    service, postfix, token = shared
    with service:
        client = ("--url", service.url, *token)
        before = service.wait_all_alive(BACK_WITHIN_S)
        [pid] = {each["pid"] for each in before.values()}
        budget = before[SECOND]["restarts_left"]
        seq = service.events()[-1]["seq"]
        planned = looksalive("plan", "offline", "evs1", "--url", service.url)
        assert "evs2/smtp fails: collateral" in planned.stdout, planned.stdout
        done = looksalive("offline", "evs1", "--wait", *client)
        assert done.returncode == 0, done.stderr
        again = service.wait_for_another_process(SECOND, pid, BACK_WITHIN_S)
        third = service.wait_for(THIRD, BACK_WITHIN_S, state="failed")
        assert stat_of(pid) is None
        told = {each["id"]: each for each in service.events() if each["seq"] > seq and each["to"] == "failed"}
        assert set(told) == {SECOND, THIRD}
        assert {(each["from"], each["reason"]) for each in told.values()} == {("online", "collateral")}
        assert again["restarts_left"] == budget
        assert third["reason"] == "collateral"
        assert FIRST in third["evidence"]
        assert service.resource(FIRST)["state"] == "offline"

        fresh = looksalive("online", THIRD, "--wait", *client)
        assert fresh.returncode == 0, fresh.stderr
        assert service.wait_for(THIRD, BACK_WITHIN_S, alive=True)["pid"] == again["pid"]
        for group in ("evs3", "evs2"):
            ended = looksalive("offline", group, "--wait", *client)
            assert ended.returncode == 0, ended.stderr
        wait_until(lambda: not accepts(postfix.smtp_port), "nobody to be left on the port", BACK_WITHIN_S)
        assert service.resource(SECOND)["restarts_left"] == budget
