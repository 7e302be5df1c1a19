"""Deletion: what goes with what, and what it refuses."""

from __future__ import annotations

import pytest

from probe.resources.changes import Refused
from probe.resources.creation import Wanted
from probe.resources.deletion import offline_needed, plan_deletion
from probe.values import ResourceId
from tests.resources.stores import Bench


def refusal(bench: Bench, target: str, **options: object) -> Refused:
    """Return why something is not deleted."""
    with pytest.raises(Refused) as caught:
        bench.delete(target, **options)
    return caught.value


@pytest.mark.parametrize("target", ["evs1/sa", "evs1"])
def test_with_the_attendant_the_whole_group_goes(target: str) -> None:
    """S19: all resources of the group and their virtual servers are gone; dependents are named before providers."""
    bench = Bench()
    bench.group("evs1")
    change = bench.delete(target)
    assert bench.ids() == []
    assert bench.read().store.virtual_servers == {}
    assert "evs1" not in bench.read().cluster.groups
    order = [id.name for id in change.ids]
    assert order.index("smtp") < order.index("store") < order.index("sa") == len(order) - 1
    assert set(offline_needed(change)) == set(change.ids)


def test_what_others_stand_on_says_who_they_are() -> None:
    """S41: the store goes only with its dependents, which are listed first, those far away too."""
    bench = Bench()
    bench.group("evs1")
    told = refusal(bench, "evs1/store")
    assert told.code == "has_dependents"
    for name in ("search", "smtp", "pop3", "imap", "http"):
        assert f"evs1/{name}" in told.message
    assert told.message.endswith("pass --cascade to delete them as well")
    assert "evs1/smtp" in refusal(bench, "evs1/store").message
    change = bench.delete("evs1/store", cascade=True)
    assert bench.ids() == ["evs1/sa", "evs1/mta", "evs1/routing"]
    assert change.ids[-1] == ResourceId("evs1", "store")


@pytest.mark.parametrize("cascade", [False, True])
def test_nobody_takes_the_attendant_s_ground_away(cascade: bool) -> None:
    """S19, S27: what the attendant stands on takes the whole group and its mta along, so it does not go by itself."""
    bench = Bench()
    ip = Wanted(parameters={"address": "192.0.2.7/24"})
    name = Wanted(parameters={"name": "mail.example.org"})
    bench.group("evs1", ip_address=ip, network_name=name)
    bench.group("evs2")
    for target in ("evs1/ip", "evs1/network"):
        told = refusal(bench, target, cascade=cascade)
        assert told.code == "carries_the_group"
        assert "looksalive delete evs1," in told.message
    assert told.message.endswith("first let evs1/sa do without it: looksalive set evs1/sa depends_on=[]")


def test_the_mta_serves_every_group() -> None:
    """S27: its group goes only when it is the last one, or when the mta has a new home by name."""
    bench = Bench()
    bench.group("evs1")
    bench.group("evs2")
    told = refusal(bench, "evs1")
    assert told.code == "mta_needed"
    assert told.message.endswith("looksalive delete evs1 --rehome-mta evs2")
    assert "it can be one of evs2" in refusal(bench, "evs1", rehome_mta="nowhere").message
    assert "it can be one of evs2" in refusal(bench, "evs1", rehome_mta="evs1").message
    bench.delete("evs1", rehome_mta="evs2")
    assert bench.read().find("mta") == ResourceId("evs2", "mta")
    assert bench.dependencies("evs2")["mta"] == ("system-attendant",)
    assert refusal(bench, "evs2", rehome_mta="evs1").code == "nothing_to_rehome"
    bench.delete("evs2")
    assert bench.ids() == []


def test_the_mta_is_moved_by_nothing_else() -> None:
    """S26: a new home goes with the deletion of the group, with nothing less."""
    bench = Bench()
    bench.group("evs1")
    bench.group("evs2")
    for target in ("evs1/mta", "evs1/pop3"):
        assert refusal(bench, target, rehome_mta="evs2").code == "mta_stays"
    assert "leave out --rehome-mta" in refusal(bench, "evs2", rehome_mta="evs1").message


def test_a_name_that_is_taken_is_no_home() -> None:
    """S27: where the mta's name belongs to another resource, that one is named."""
    bench = Bench()
    bench.group("evs1")
    bench.group("evs2")
    bench.resource("evs2/mta", "service")
    assert "evs2/mta is there already, a service" in refusal(bench, "evs1", rehome_mta="evs2").message


def test_a_virtual_server_of_others_stays() -> None:
    """Only a virtual server that nobody else names goes with its resource, and not when it is to be kept."""
    bench = Bench()
    bench.group("evs1")
    key = {"parameters": {"virtual_server": "/smtp/evs1"}, "type": "smtp"}
    bench.folder.write_cluster("evs1", "second", key, based_on=bench.read().cluster.revision)
    bench.delete("evs1/second")
    assert "/smtp/evs1" in bench.read().store.virtual_servers
    change = bench.delete("evs1/smtp", keep_servers=True)
    assert "/smtp/evs1 stays" in change.notes[0]
    assert "default/smtp-evs1" in bench.ids()
    bench.delete("default/smtp-evs1")
    assert "/smtp/evs1" not in bench.read().store.virtual_servers


@pytest.mark.parametrize("target", ["evs2", "evs1/nobody", "default"])
def test_what_is_not_there_cannot_go(target: str) -> None:
    """A name that is nobody's is refused, also that of the group that virtual servers make by themselves."""
    bench = Bench()
    bench.group("evs1")
    bench.folder.write_metabase("/tcp/1", {"bindings": [":1"]}, based_on=bench.read().metabase.revision)
    assert refusal(bench, target).code == "no_such_resource"


def test_the_last_resource_takes_its_group_along() -> None:
    """A group of one resource ends with it; what remembers a search does not."""
    bench = Bench()
    bench.resource("g/one", "service")
    bench.delete("g/one")
    assert bench.read().cluster.groups == {}


def test_a_plan_of_a_deletion_is_pure() -> None:
    """The same reading gives the same plan, and nothing is written."""
    bench = Bench()
    bench.group("evs1")
    present = bench.read()
    bench.files.steps.clear()
    assert plan_deletion(present, "evs1") == plan_deletion(present, "evs1")
    assert not bench.files.steps
