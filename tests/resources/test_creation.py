"""Creation: the reference's group in one step, what it refuses, and with what words."""

from __future__ import annotations

import json
import threading

import pytest

from bindings.errors import RevisionConflict, StoreError
from probe.resources.changes import Refused
from probe.resources.creation import LEAVABLE, Wanted, plan_group, plan_resource, set_private_properties
from probe.resources.defaults import MEMBERS
from probe.resources.types import TYPES
from probe.values import ResourceId
from tests.resources.stores import HEALTH, Bench

WHOLE = {
    "ip_address": Wanted(parameters={"address": "192.0.2.7/24"}),
    "network_name": Wanted(parameters={"name": "mail.example.org"}),
    "physical_disk": Wanted(parameters={"mount_point": "/srv/mail"}),
}


def refusal(bench: Bench, id: str, type: str, wanted: Wanted | None = None) -> Refused:
    """Return why one resource is not made."""
    with pytest.raises(Refused) as caught:
        bench.resource(id, type, wanted)
    return caught.value


def test_the_whole_group_has_the_default_dependencies() -> None:
    """S13, S15, S17: with a system-attendant its dependencies and all others are made, each on what it stands on."""
    bench = Bench()
    bench.group("evs1", **WHOLE)
    assert bench.dependencies("evs1") == {
        "ip-address": (),
        "network-name": ("ip-address",),
        "physical-disk": (),
        "system-attendant": ("network-name", "physical-disk"),
        "information-store": ("system-attendant",),
        "mta": ("system-attendant",),
        "routing": ("system-attendant",),
        "search": ("information-store",),
        "smtp": ("information-store",),
        "pop3": ("information-store",),
        "imap": ("information-store",),
        "http": ("information-store",),
    }
    assert {member.type for member in MEMBERS} <= set(TYPES)


def test_what_nobody_gives_is_left_out() -> None:
    """S15: a group without an address, a name or a disk begins with its attendant; with an address alone, on that."""
    bench = Bench()
    bench.group("evs1")
    assert bench.dependencies("evs1")["system-attendant"] == ()
    bench = Bench()
    bench.group("evs1", ip_address=WHOLE["ip_address"])
    assert bench.dependencies("evs1")["system-attendant"] == ("ip-address",)


def test_protocols_listen_on_the_groups_own_address() -> None:
    """S43: a virtual server that nobody describes listens on the wildcard, which is the group's own address."""
    bench = Bench()
    bench.group("evs1", smtp=Wanted(server={"bindings": ["127.0.0.1:2525"], "starttls": "required"}))
    servers = bench.read().store.virtual_servers
    assert {key: [binding.text for binding in server.bindings] for key, server in servers.items()} == {
        "/smtp/evs1": ["127.0.0.1:2525"],
        "/pop3/evs1": ["*:110"],
        "/imap/evs1": ["*:143"],
        "/http/evs1": ["*:80"],
    }
    assert servers["/smtp/evs1"].starttls == "required"


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp": Wanted(server={"bindings": ["127.0.0.1:99999"]})},
        {"search": Wanted()},
        {"routing": Wanted(controller={"kind": "sytemd"})},
        {"http": Wanted(properties={"restart_threshold": -1})},
        {"ip_address": Wanted(parameters={"address": "nowhere"})},
    ],
)
def test_a_mistake_in_any_makes_none(wrong: dict[str, Wanted]) -> None:
    """S18: all or none: one mistake in any member, and nothing at all is written."""
    bench = Bench()
    with pytest.raises(StoreError):
        bench.group("evs1", **wrong)
    assert not bench.files.files


def test_one_call_brings_all_properties() -> None:
    """S70: the resource first, then its properties in one call, which are its parameters."""
    made = {"type": "information-store", "depends_on": ["sa"]}
    assert set_private_properties(made, {"name": "evs1"}) == {**made, "parameters": {"name": "evs1"}}
    assert set_private_properties(made, {}) == made


def test_a_later_group_has_no_mta() -> None:
    """S24, S25: the mta is made in the first group, later groups get none, and are told whose they use."""
    bench = Bench()
    bench.group("evs1")
    change = bench.group("evs2")
    assert bench.read().find("mta") == ResourceId("evs1", "mta")
    assert change.notes == ("no mta: evs1/mta serves every group",)
    bench = Bench()
    bench.make(plan_group(bench.read(), "evs1", HEALTH, without=["mta"]))
    bench.group("evs2")
    assert bench.read().find("mta") is None


def test_a_second_mta_is_refused() -> None:
    """S24, S26: there is one in a cluster; it is not moved by making another, and the words say what moves it."""
    bench = Bench()
    bench.group("evs1")
    bench.group("evs2")
    told = refusal(bench, "evs2/mta", "mta")
    assert told.code == "one_per_cluster"
    assert "evs1/mta is it" in told.message
    assert "looksalive delete evs1 --rehome-mta GROUP" in told.message
    bench.delete("evs1/mta")
    assert refusal(bench, "evs2/mta", "mta").message.endswith("looksalive create mta evs1/mta")
    bench.resource("evs1/mta", "mta")


def test_of_two_at_once_one_wins() -> None:
    """S24: two creations planned on the same store: exactly one is written, the other is told to look again."""
    bench = Bench()
    plans = [plan_group(bench.read(), name, HEALTH) for name in ("evs1", "evs2")]
    barrier, outcomes = threading.Barrier(2), list[str]()

    def write(index: int) -> None:
        other = Bench(bench.files)
        barrier.wait()
        try:
            other.make(plans[index])
        except (RevisionConflict, TimeoutError, Exception) as error:  # noqa: BLE001 - whatever it is, it must be told
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("won")

    threads = [threading.Thread(target=write, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["RevisionConflict", "won"], ["StoreBusy", "won"])
    assert len([id for id in bench.ids() if id.endswith("/mta")]) == 1


def test_asked_again_nothing_changes() -> None:
    """S18: the same creation again is no mistake and writes nothing; another one is refused."""
    bench = Bench()
    bench.group("evs1", **WHOLE)
    before = bench.files.text("/store/cluster.json")
    assert not bench.group("evs1", **WHOLE).edit
    assert bench.files.text("/store/cluster.json") == before
    with pytest.raises(Refused, match="evs1/smtp is there already, and /smtp/evs1 is not as this"):
        bench.group("evs1", smtp=Wanted(server={"bindings": [":25"]}))
    with pytest.raises(Refused, match="evs1/smtp is there already, and not as this would make"):
        bench.group("evs1", smtp=Wanted(properties={"restart_threshold": 9}))
    bench.delete("evs1/pop3")
    with pytest.raises(Refused, match="evs1 has its system-attendant already: evs1/sa; add single resources"):
        bench.group("evs1")
    with pytest.raises(Refused, match="a group has one"):
        bench.make(plan_group(bench.read(), "evs1", HEALTH, name="other"))


def test_what_the_group_has_is_used() -> None:
    """S17: an address that is there already is what the new attendant stands on, and stays as it is."""
    bench = Bench()
    bench.resource("evs1/address", "ip-address", Wanted(parameters={"address": "192.0.2.9/24"}))
    change = bench.make(plan_group(bench.read(), "evs1", HEALTH, name="attendant"))
    resources = bench.read().group("evs1").resources
    assert resources["attendant"].depends_on == ("address",)
    assert not change.notes
    bench = Bench()
    bench.resource("evs1/smtp", "imap", Wanted(server={"bindings": [":143"]}))
    with pytest.raises(Refused, match="evs1/smtp is there already, a imap, and the smtp would have that name"):
        bench.group("evs1")


def test_a_group_may_be_made_without_some() -> None:
    """S17: what may be left out is, with nothing that hangs in the air; the rest of the group cannot."""
    bench = Bench()
    bench.make(plan_group(bench.read(), "evs1", {}, without=LEAVABLE, owners=["node1"]))
    assert bench.ids() == ["evs1/sa", "evs1/store"]
    assert bench.read().group("evs1").possible_owners == ("node1",)
    with pytest.raises(Refused, match="a group cannot be without its information-store"):
        bench.make(plan_group(bench.read(), "evs2", {}, without=["information-store"]))


@pytest.mark.parametrize(
    ("type", "command"),
    [
        ("information-store", "looksalive create system-attendant evs1"),
        ("routing", "looksalive create system-attendant evs1"),
        ("mta", "looksalive create system-attendant evs1"),
        ("search", "looksalive create information-store evs1/store"),
    ],
)
def test_nothing_hangs_in_the_air(type: str, command: str) -> None:
    """S15: what is nothing without its provider is refused, with the command that makes that."""
    told = refusal(Bench(), f"evs1/{type}", type)
    assert (told.code, told.message.rpartition(": ")[2]) == ("no_provider", command)


def test_a_single_resource_finds_its_providers() -> None:
    """S15: one resource alone stands on what its group has of the right type, unless told otherwise."""
    bench = Bench()
    bench.group("evs1")
    bench.resource("evs1/web", "http", Wanted(server={"bindings": [":8080"]}))
    assert bench.read().group("evs1").resources["web"].depends_on == ("store",)
    bench.resource("evs1/web2", "http", Wanted(properties={"depends_on": ["smtp"]}, server={"bindings": [":8081"]}))
    assert bench.read().group("evs1").resources["web2"].depends_on == ("smtp",)
    bench.resource("other/db", "tcp", Wanted(server={"bindings": ["127.0.0.1:5432"]}))
    assert bench.read().group("other").resources["db"].depends_on == ()


def test_a_deleted_search_comes_back_with_its_store_only() -> None:
    """S41: alone it is refused with the way round; with the store it exists again, as it was."""
    bench = Bench()
    bench.group("evs1")
    before = bench.read().own(ResourceId("evs1", "search"))
    bench.delete("evs1/search")
    for name in ("search", "index"):
        told = refusal(bench, f"evs1/{name}", "search", HEALTH["search"])
        assert told.code == "recreated_with_another"
        assert "looksalive delete evs1/store --cascade, then" in told.message
        assert told.message.endswith("looksalive create information-store evs1/store")
    bench.delete("evs1/store", cascade=True)
    assert "evs1/search" not in bench.ids()
    assert "information-store evs1/store" in refusal(bench, "evs1/search", "search", HEALTH["search"]).message
    change = bench.resource("evs1/store", "information-store")
    assert change.notes == ("evs1/search comes back with it",)
    assert bench.read().own(ResourceId("evs1", "search")) == before
    assert json.loads(bench.files.text("/store/cluster.json"))["groups"]["evs1"].get("deleted") is None
    bench.delete("evs1/search")
    bench.delete("evs1/store", cascade=True)
    bench.resource("evs1/database", "information-store")
    assert bench.dependencies("evs1")["search"] == ("information-store",)


def test_a_search_that_never_was_is_made() -> None:
    """S41 is about deleted ones: a group made without search may have one later."""
    bench = Bench()
    bench.make(plan_group(bench.read(), "evs1", {}, without=["search"]))
    bench.resource("evs1/search", "search", HEALTH["search"])
    assert bench.dependencies("evs1")["search"] == ("information-store",)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Wanted(parameters={"virtual_server": "/smtp/none"}), "no_such_key"),
        (Wanted(parameters={"virtual_server": "/smtp/evs1"}, server={"bindings": [":1"]}), "key_taken"),
        (Wanted(parameters={"virtual_server": "/smtp"}), "no_such_key"),
    ],
)
def test_virtual_servers_are_not_taken_from_others(wanted: Wanted, code: str) -> None:
    """A virtual server is one that is there, or one's own: never somebody else's with other bindings."""
    bench = Bench()
    bench.group("evs1")
    assert refusal(bench, "evs2/smtp", "smtp", wanted).code == code


def test_a_virtual_server_that_is_there_is_taken_by_name() -> None:
    """A key of metabase.json that no resource names yet becomes this resource's, unchanged."""
    bench = Bench()
    bench.folder.write_metabase("/lmtp/x", {"bindings": ["127.0.0.1:24"]}, based_on=0)
    assert bench.ids() == ["default/lmtp-x"]
    bench.resource("g/lmtp", "lmtp", Wanted(parameters={"virtual_server": "/lmtp/x"}))
    assert bench.ids() == ["g/lmtp"]
    assert refusal(bench, "g/other", "lmtp").code == "no_bindings"
    assert refusal(bench, "g/other", "service", Wanted(server={"bindings": [":1"]})).code == "no_virtual_server"
    assert refusal(bench, "g/other", "smpt").code == "no_such_type"
    bench.folder.write_metabase("/tcp/g-db", {"bindings": [":1"]}, based_on=bench.read().metabase.revision)
    assert refusal(bench, "g/db", "tcp", Wanted(server={"bindings": [":2"]})).code == "key_taken"
    bench.resource("g/db", "tcp", Wanted(server={"bindings": [":1"]}))


def test_a_plan_writes_nothing() -> None:
    """Planning is pure: whatever is planned, the disk is as before."""
    bench = Bench()
    bench.group("evs1")
    bench.files.steps.clear()
    plan_resource(bench.read(), ResourceId("evs1", "x"), "service", Wanted())
    assert not bench.files.steps
