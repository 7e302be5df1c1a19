"""One real Postfix for the smtp of two groups: one goes offline, the whole service stops, the other comes back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

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
FIRST, SECOND = "evs1/smtp", "evs2/smtp"


class Shared:
    """Two groups with one Postfix, each with a virtual server of its own; `policy` is the second one's."""

    def __init__(self, folder: Path, authority: Authority, **policy: Any) -> None:
        self.postfix = Postfix(folder / "postfix", authority.good)
        ports = (self.postfix.smtp_port, self.postfix.smtps_port)
        first, second = virtual_server(ports[0]), virtual_server(secure=(ports[1],), tls={"verify": False})
        write_metabase(folder / "store", {"/smtp/1": first, "/smtp/2": second})
        controller = process(self.postfix.command)
        groups = {}
        for number, more in (("1", {}), ("2", policy)):
            smtp = {"type": "smtp", "parameters": {"virtual_server": f"/smtp/{number}"}, "controller": controller}
            groups[f"evs{number}"] = {"resources": {"smtp": {**smtp, **more}}}
        document = {"schema_version": 1, "revision": 1, "groups": groups}
        write_whole(folder / "store" / "cluster.json", json.dumps(document))
        self._token, hashes = folder / "token", folder / "hashes"
        self._token.write_text(TOKEN)
        hashes.write_text(f"tester:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
        self.service = Service(folder / "store", "--token-file", str(hashes))

    def ask(self, verb: str, *words: str) -> None:
        """Ask for an operation and wait for its end."""
        client = ("--url", self.service.url, "--token-file", str(self._token))
        done = looksalive(verb, *words, "--wait", *client)
        assert done.returncode == 0, done.stderr


def test_the_other_group_is_back_at_no_cost(folder: Path, authority: Authority) -> None:
    """S36, S37, S59, S60: one group offline stops all of Postfix, as was foretold; the other's own check says so, it is
    back by itself in another process, labelled `collateral`, with its budget whole; in the end both may go.
    """
    shared = Shared(folder, authority)
    with shared.service as service:
        before = service.wait_all_alive(BACK_WITHIN_S)
        [pid] = {each["pid"] for each in before.values()}
        budget, seq = before[SECOND]["restarts_left"], service.events()[-1]["seq"]
        foretold = looksalive("plan", "offline", "evs1", "--url", service.url)
        assert "evs2/smtp fails: collateral" in foretold.stdout
        shared.ask("offline", "evs1")
        again = service.wait_for_another_process(SECOND, pid, BACK_WITHIN_S)
        assert stat_of(pid) is None
        [told] = [each for each in service.events() if each["seq"] > seq and each["to"] == "failed"]
        assert (told["id"], told["from"], told["reason"]) == (SECOND, "online", "collateral")
        assert again["restarts_left"] == budget
        assert service.resource(FIRST)["state"] == "offline"
        shared.ask("offline", "evs2")
        wait_until(lambda: not accepts(shared.postfix.smtps_port), "nobody to be left on the port", BACK_WITHIN_S)
        assert service.resource(SECOND)["restarts_left"] == budget


def test_one_that_is_not_to_be_restarted_stays_failed(folder: Path, authority: Authority) -> None:
    """S38: with `do-not-restart` it stays failed as collateral, and says whose; an operator brings it back."""
    shared = Shared(folder, authority, restart_action="do-not-restart")
    with shared.service as service:
        service.wait_all_alive(BACK_WITHIN_S)
        shared.ask("offline", "evs1")
        failed = service.wait_for(SECOND, BACK_WITHIN_S, state="failed")
        assert (failed["reason"], FIRST in failed["evidence"]) == ("collateral", True)
        probes = probed(service)
        service.wait(lambda _: probed(service) > probes + 1, "it to be asked again, in vain")
        assert service.resource(SECOND)["state"] == "failed"
        assert not accepts(shared.postfix.smtps_port)
        shared.ask("online", "evs2")
        service.wait_for(SECOND, BACK_WITHIN_S, alive=True)


def probed(service: Service) -> float:
    """Return how often the second one was asked."""
    return service.metric("probe_attempts_total", group="evs2", resource="smtp")
