"""Every refusal of the reference on a store, by the command line: in a sentence that says what to do instead."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.command import COMMAND, ENDS_WITHIN_S, looksalive, surroundings

FAILED, USAGE, STORE = 1, 2, 78
HEALTH = "--search-health=http://127.0.0.1:9200/"
GROUPS = (
    ["create", "system-attendant", "evs1", "--ip", "127.0.0.7/8", "--network-name", "mail.example.org", HEALTH],
    ["create", "system-attendant", "evs2", HEALTH],
)
FIVE = json.dumps([{"name": f"sg{each}", "mount": ["/bin/true"], "unmount": ["/bin/true"]} for each in range(5)])


class Row(NamedTuple):
    """What is asked, and what must be said: `before` is done first, and goes well."""

    name: str
    words: list[str]
    code: int
    says: tuple[str, ...]
    before: tuple[list[str], ...] = ()


ROWS = (
    Row("S12: a policy that cannot be", ["set", "evs1/smtp", "restart_action=sometimes"], USAGE,
        ("restart_action", "restart-and-fail-over", "do-not-restart")),
    Row("S13: a type that there is not", ["create", "smpt", "evs1/x"], USAGE,
        ("there is no type 'smpt'", "did you mean smtp?")),
    Row("S15: a store without an attendant", ["create", "information-store", "evs3/store"], FAILED,
        ("evs3 has no system-attendant", "make it first: looksalive create system-attendant evs3")),
    Row("S15: a search without a store", ["create", "search", "evs3/search", "health=http://127.0.0.1:1/"], FAILED,
        ("evs3 has no information-store", "looksalive create information-store evs3/store")),
    Row("S16: a circle of dependencies", ["set", "evs1/sa", "depends_on=smtp"], STORE,
        ("evs1/sa: depends_on: depends on itself", "sa -> smtp -> store -> sa")),
    Row("S17: a second attendant", ["create", "system-attendant", "evs1/other", HEALTH], FAILED,
        ("evs1 has a system-attendant already: evs1/sa", "a group has one")),
    Row("S18: a group with one wrong member", ["create", "system-attendant", "evs3", "http.body_match=("], STORE,
        ("/http/evs3: body_match", "evs3/search: parameters.health: is missing", "nothing was written", "--without")),
    Row("S24: a second mta", ["create", "mta", "evs2/mta"], FAILED,
        ("a cluster has one mta, and evs1/mta is it", "looksalive delete evs1 --rehome-mta GROUP")),
    Row("S25: the mta in a later group", ["create", "mta", "evs2/mta"], FAILED,
        ("made in the first group", "looksalive create mta evs1/mta"), (["delete", "evs1/mta", "--yes"],)),
    Row("S26: the mta to another group", ["set", "evs1/mta", "group=evs2"], FAILED,
        ("evs1/mta cannot be moved to another group", "give it a new home with --rehome-mta")),
    Row("S26: anybody to another group", ["set", "evs1/smtp", "group=evs2"], FAILED,
        ("cannot be moved to another group", "delete it here and create it there")),
    Row("S26: a move of one resource", ["move", "evs1/mta", "--to", "node2"], USAGE,
        ("a whole group", "move evs1")),
    Row("S27: the group of the mta", ["delete", "evs1", "--yes"], FAILED,
        ("evs1/mta serves evs2 as well", "looksalive delete evs1 --rehome-mta evs2")),
    Row("S27: the same by its attendant", ["delete", "evs1/sa", "--yes"], FAILED,
        ("evs1/mta serves evs2 as well", "looksalive delete evs1 --rehome-mta evs2")),
    Row("S27: the same by what that stands on", ["delete", "evs1/ip", "--cascade", "--yes"], FAILED,
        ("with it the whole group", "looksalive delete evs1,")),
    Row("S27: a home that there is not", ["delete", "evs1", "--rehome-mta", "evs9", "--yes"], FAILED,
        ("it can be one of evs2",)),
    Row("S27: a new home without a deletion", ["delete", "evs1/mta", "--rehome-mta", "evs2", "--yes"], FAILED,
        ("only when its own is deleted", "looksalive delete GROUP --rehome-mta evs2")),
    Row("S34: an access list that rejects the check", ["metabase", "set", "/smtp/evs2", "bindings=127.0.0.2:25",
        'ip_security={"deny": ["127.0.0.2"]}'], STORE,
        ("/smtp/evs2: bindings[0]: ip_security rejects 127.0.0.2, the address from which the check connects",)),
    Row("S34: one that rejects the group's address", ["metabase", "set", "/smtp/evs1",
        'ip_security={"allow": ["10.0.0.0/8"]}'], STORE,
        ("/smtp/evs1: ip_security: rejects 127.0.0.7", "let it in, or name another")),
    Row("S41: a search alone", ["create", "search", "evs1/search", "health=http://127.0.0.1:1/"], FAILED,
        ("it comes back with its information-store", "looksalive delete evs1/store --cascade, then",
         "looksalive create information-store evs1/store"), (["delete", "evs1/search", "--yes"],)),
    Row("S41: the same by another name", ["create", "search", "evs1/index", "health=http://127.0.0.1:1/"], FAILED,
        ("it comes back with its information-store",), (["delete", "evs1/search", "--yes"],)),
    Row("S41: a store with dependents", ["delete", "evs1/store", "--yes"], FAILED,
        ("evs1/search, evs1/smtp, evs1/pop3, evs1/imap, evs1/http", "pass --cascade to delete them as well")),
    Row("S45: five storage groups in one store", ["set", "evs1/store", f"storage_groups={FIVE}",
        "controller=process:/bin/sleep 1"], STORE,
        ("are 5, and a node mounts at most 4", "divide it among several groups, or raise storage_groups_max")),
    Row("S53: an upgrade of a whole group", ["upgrade", "evs1"], USAGE,
        ("upgrade takes one resource; write evs1/NAME",)),
    Row("S57: an instance that nobody calls", ["set", "evs1/routing", "instance_start=/bin/true",
        "instance_stop=/bin/true"], STORE, ("the controller none does not act", "choose a controller that acts")),
    Row("S74: another type", ["set", "evs1/smtp", "type=imap"], FAILED,
        ("delete it and create another",)),
    Row("S74: a property that its server has", ["set", "evs1/smtp", "bindings=:26"], USAGE,
        ("looksalive metabase set /smtp/evs1 KEY=VALUE",)),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's group and a second one, as `create` makes them."""
    folder = tmp_path_factory.mktemp("refusals") / "store"
    folder.mkdir()
    for words in GROUPS:
        done = ask(folder, words)
        assert done[0] == 0, done
    return folder


def ask(store: Path, words: list[str]) -> tuple[int, str]:
    """Run a command on a store; return its exit status and what it complains of."""
    more = ["--store", str(store)] if words[0] not in ("move", "upgrade") else []
    more += ["--state-dir", str(store.parent / "state")] if words[0] in ("create", "delete", "set") else []
    done = looksalive(*words, *more)
    return done.returncode, done.stderr


def content(store: Path) -> dict[str, bytes]:
    """Read every file of a store."""
    return {path.name: path.read_bytes() for path in sorted(store.glob("*.json"))}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_refused_on_a_store(row: Row, made: Path, tmp_path: Path) -> None:
    """S12 to S18, S24 to S27, S34, S41, S45, S53, S57, S74: the exit status, the words, and not a byte written."""
    store = tmp_path / "store"
    shutil.copytree(made, store)
    for words in row.before:
        assert ask(store, words)[0] == 0
    before = content(store)
    code, said = ask(store, row.words)
    assert code == row.code, said
    assert [each for each in row.says if each not in said] == [], said
    assert content(store) == before


def test_a_second_mta_written_by_hand_is_a_mistake(made: Path, tmp_path: Path) -> None:
    """S24: `validate` says that there is one, and where; so the edit never comes into force."""
    store = tmp_path / "store"
    shutil.copytree(made, store)
    cluster = json.loads((store / "cluster.json").read_text())
    groups = cluster["groups"]
    groups["evs2"]["resources"]["mta"] = groups["evs1"]["resources"]["mta"]
    (store / "cluster.json").write_text(json.dumps(cluster))
    done = looksalive("validate", "--store", str(store))
    assert done.returncode == STORE
    assert "evs2/mta: type: a cluster has one mta, and evs1/mta is there already" in done.stderr
    assert "evs1/mta serves every group" in done.stderr


def test_of_two_mtas_made_at_once_one_is(made: Path, tmp_path: Path) -> None:
    """S24: two commands at the same moment: one writes, the other is refused with what to do; the store stays sound."""
    store = tmp_path / "store"
    shutil.copytree(made, store)
    assert ask(store, ["delete", "evs1/mta", "--yes"])[0] == 0
    folders = ["--store", str(store), "--state-dir", str(tmp_path / "state")]
    makers = [
        subprocess.Popen(
            [*COMMAND, "create", "mta", f"evs1/{name}", *folders],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        for name in ("one", "two")
    ]
    said = [maker.communicate(timeout=ENDS_WITHIN_S)[1] for maker in makers]
    assert sorted(maker.returncode for maker in makers) == [0, FAILED], said
    [refused] = [each for each in said if each]
    assert "a cluster has one mta" in refused or "again" in refused
    resources = json.loads((store / "cluster.json").read_text())["groups"]["evs1"]["resources"]
    assert [each["type"] for each in resources.values()].count("mta") == 1
    assert looksalive("validate", "--store", str(store)).returncode == 0
