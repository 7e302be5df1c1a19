"""What a running service refuses: each in a sentence that says what to do instead, and nothing has happened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.e2e.command import looksalive
from tests.e2e.service import Resource, Service
from tests.e2e.stores import process, write_metabase, write_whole

FAILED, CANNOT_ASK = 1, 3
TOKEN = "look-but-do-not-touch"
UP_WITHIN_S = 20.0


class Running(NamedTuple):
    """A service, and how a client asks it as an admin."""

    service: Service
    client: tuple[str, ...]

    @property
    def store(self) -> tuple[str, ...]:
        """The folders, for commands on the store."""
        return ("--store", str(self.service.store), "--state-dir", str(self.service.state_dir))


def groups(sleep: str, upgrade: str) -> dict[str, Any]:
    """Write three groups: stores that do not both fit, one service that two share, one that is at peace."""

    def storing(count: int, number: int) -> dict[str, Any]:
        names = [f"sg{number}{each}" for each in range(count)]
        mounted = [{"name": name, "mount": ["/bin/true"], "unmount": ["/bin/true"]} for name in names]
        controller = process([sleep, f"100{number}"])
        return {"type": "information-store", "parameters": {"storage_groups": mounted}, "controller": controller}

    shared = {"type": "service", "controller": process([sleep, "1003"], upgrade=[upgrade])}
    lone = {"type": "service", "controller": process([sleep, "1004"])}
    watched = {"type": "exec", "parameters": {"argv": ["/bin/true"]}}
    sa = {"type": "system-attendant", "controller": process([sleep, "1005"])}
    first = {"sa": sa, "mta": {"type": "mta", "depends_on": ["sa"]}, "store": storing(3, 1)}
    return {
        "evs1": first | {"shared": shared, "lone": lone, "watched": watched},
        "evs2": {"shared": shared, "store": storing(2, 2) | {"auto_start": False}},
        "evs3": {"lone": {"type": "service", "controller": process([sleep, "1006"])}},
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service, with the third group in maintenance."""
    folder = tmp_path_factory.mktemp("refused")
    store = folder / "store"
    write_metabase(store, {})
    sleep = folder / "sleep"
    sleep.symlink_to("/bin/sleep")
    named = {name: {"resources": each} for name, each in groups(str(sleep), "/bin/true").items()}
    document = {"schema_version": 1, "revision": 1, "groups": named}
    write_whole(store / "cluster.json", json.dumps(document))
    token, hashes = folder / "token", folder / "hashes"
    token.write_text(TOKEN)
    hashes.write_text(f"root:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    with Service(store, "--token-file", str(hashes)) as service:
        service.wait(lambda found: all(up(each) for each in found.values()), "all that may be to be up", UP_WITHIN_S)
        made = Running(service, ("--url", service.url, "--token-file", str(token)))
        done = looksalive("maintenance", "evs3", "--owner", "the night shift", *made.client)
        assert done.returncode == 0, done.stderr
        yield made


def up(resource: Resource) -> bool:
    """Whether a resource is as it is to be."""
    return bool(resource["alive"]) or resource["id"] == "evs2/store"


def states(service: Service) -> dict[str, tuple[str, int | None]]:
    """Return the state and the pid of everybody."""
    return {id: (each["state"], each["pid"]) for id, each in service.resources().items()}


COMMANDS: dict[str, tuple[list[str], int, tuple[str, ...]]] = {
    "S6, maintenance": (["offline", "evs3"], FAILED,
        ("the group evs3 is in maintenance by the night shift", "`looksalive maintenance evs3 --off`")),
    "S6, maintenance of one": (["restart", "evs3/lone"], FAILED, ("`looksalive maintenance evs3 --off`",)),
    "S45, a fifth storage group": (["online", "evs2/store"], FAILED,
        ("evs2/store would mount 2 storage groups, and 3 of 4 are mounted", "take another group offline first",
         "raise storage_groups_max in cluster.json")),
    "S45, with its whole group": (["online", "evs2"], FAILED, ("take another group offline first",)),
    "S46, a move": (["move", "evs1", "--to", "elsewhere"], FAILED,
        ("there is no other node", "take it offline here (looksalive offline evs1)")),
    "S53, nothing to upgrade with": (["upgrade", "evs1/lone"], FAILED, ('add "upgrade": ["/path/of/a/program", …]',)),
    "S53, one that others use": (["upgrade", "evs1/shared", "--wait"], FAILED,
        ("the service is used by evs2/shared",)),
    "watched only, restart": (["restart", "evs1/watched"], FAILED,
        ("only watches and cannot restart", "give it one that acts")),
    "watched only, terminate": (["terminate", "evs1/watched"], FAILED, ("only watches and cannot terminate",)),
    "watched only, upgrade": (["upgrade", "evs1/watched"], FAILED, ("only watches and cannot upgrade",)),
    "nobody": (["online", "evs9/smtp"], FAILED, ("there is no evs9/smtp", "`looksalive status` lists what there is")),
    "a plan of what cannot be": (["plan", "kill", "evs2/store"], FAILED,
        ("evs2/store is offline: nothing of it is up",)),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_verb_is_refused(name: str, running: Running) -> None:
    """S6, S45, S46, S53: exit 1, the words, and everybody is as before, as the same process."""
    words, code, says = COMMANDS[name]
    before = states(running.service)
    done = looksalive(*words, *running.client)
    assert done.returncode == code, done.stderr
    said = done.stderr + done.stdout
    assert [each for each in says if each not in said] == [], said
    assert states(running.service) == before


DELETIONS: dict[str, tuple[list[str], int, tuple[str, ...]]] = {
    "the attendant while online": (["evs1/sa"], FAILED,
        ("evs1/sa is online", "take it offline first (looksalive offline evs1/sa --wait), or pass --force")),
    "one that is online": (["evs1/lone"], FAILED, ("looksalive offline evs1/lone --wait", "--force")),
    "without asking": (["evs1/lone", "--unasked"], CANNOT_ASK, ("a looksalive runs on the state folder", "--url URL")),
}  # fmt: skip


@pytest.mark.parametrize("name", DELETIONS)
def test_what_runs_is_not_deleted(name: str, running: Running) -> None:
    """S19: refused unless it is offline, and unless the one who runs it could be asked; the store is as before."""
    words, code, says = DELETIONS[name]
    before = (running.service.store / "cluster.json").read_bytes()
    asked = () if "--unasked" in words else running.client
    done = looksalive("delete", words[0], "--yes", *running.store, *asked)
    assert done.returncode == code, done.stderr
    assert [each for each in says if each not in done.stderr] == [], done.stderr
    assert (running.service.store / "cluster.json").read_bytes() == before


Request = tuple[str, str, Any, int, str, str]
SHELL = {"type": "exec", "parameters": {"argv": ["/bin/sh"]}}
ATTENDANT = {"type": "system-attendant"}
REQUESTS: dict[str, Request] = {
    "S19": ("DELETE", "resources/evs1/sa", {}, 409, "not_offline", "take it offline first (POST"),
    "S17": (
        "POST",
        "resources/evs4/sa",
        {"type": "system-attendant"},
        409,
        "makes_a_group",
        "POST /api/v1/groups/evs4",
    ),
    "S24": ("POST", "resources/evs2/mta", {"type": "mta"}, 409, "one_per_cluster", "--rehome-mta GROUP"),
    "S26": ("PATCH", "resources/evs1/mta", {"group": "evs2"}, 409, "cannot_move", "--rehome-mta"),
    "a program": ("POST", "resources/evs1/shell", SHELL, 403, "only_on_the_store", "looksalive create exec evs1/shell"),
    "S45": ("POST", "resources/evs2/store/online", {}, 409, "capacity", "raise storage_groups_max"),
    "S6": ("POST", "groups/evs3/offline", {}, 409, "maintenance", "looksalive maintenance evs3 --off"),
    "S46": ("POST", "groups/evs1/move", {"to": "elsewhere"}, 409, "no_such_node", "looksalive offline evs1"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_refused_over_the_network(name: str, running: Running) -> None:
    """S6, S17, S19, S24, S26, S45, S46: the same refusals over HTTP, with a code for programs and words for people."""
    method, path, body, status, code, says = REQUESTS[name]
    before = states(running.service)
    key = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    answer = running.service.ask(method, f"/api/v1/{path}", body, key)
    assert (answer.status, answer.json["error"]["code"]) == (status, code), answer.text
    assert says in answer.json["error"]["message"]
    assert states(running.service) == before


def test_a_second_one_on_the_same_state_is_refused(running: Running) -> None:
    """S48: what is open here is not opened a second time: another `run` on the same state folder ends at once."""
    before = states(running.service)
    done = looksalive("run", *running.store, "--listen", "127.0.0.1:0")
    assert done.returncode == FAILED
    assert "another looksalive" in done.stderr
    assert "--state-dir" in done.stderr
    assert states(running.service) == before
