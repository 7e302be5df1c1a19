"""Which resources a listener's death concerns, against looking at every resource there is."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from probe.checks.conversation import Check
from probe.environment import Gone
from probe.monitor.places import Places, concerns, places_asked
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Name, Result, Target
from probe.values import Reason, ResourceId, Verdict

CHECK = cast("Check", None)  # nothing is asked here
FAMILIES = {True: int(socket.AF_INET6), False: int(socket.AF_INET)}

# As a store may write them, and as the kernel would tell them.
SPELLINGS = {
    "127.0.0.1": "127.0.0.1",
    "127.0.0.2": "127.0.0.2",
    "10.1.2.3": "10.1.2.3",
    "::1": "::1",
    "0:0:0::1": "::1",
    "::ffff:127.0.0.1": "127.0.0.1",
    "FE80::1%eth0": "fe80::1",
    "2001:DB8::7": "2001:db8::7",
}
LOCAL = {"127.0.0.1", "127.0.0.2", "::1", "fe80::1"}
PORTS = (25, 110)


def a_target(address: str, port: int) -> Target:
    """A target at a numeric address."""
    return Target("b", "smtp", CHECK, 5.0, FAMILIES[":" in address], (address, port))


def a_name(port: int) -> Target:
    """A target whose address has to be looked up."""
    return Target("b", "smtp", CHECK, 5.0, name=Name("mail", lambda _, address: a_target(address, port), 0, port))


def a_plan(number: int, *targets: Target) -> ProbePlan:
    """The plan of resource NUMBER."""
    return ProbePlan(ResourceId("g", str(number)), "smtp", targets, "all", 5.0, 10.0, 1.0, 1, 2)


def answered(*found: Target) -> Result:
    """What the last probe said, of these targets."""
    parts = tuple(Result(target, Verdict(Reason.MATCHED), 0.0, 0.0, ()) for target in found)
    return parts[0]._replace(parts=parts)


def is_local(address: str) -> bool:
    """The machine of these tests."""
    return address in LOCAL


@dataclass(frozen=True)
class Edit:
    """A resource gets a plan, or (None) loses its own."""

    number: int
    plan: ProbePlan | None
    last: Result | None


numeric = st.builds(a_target, st.sampled_from(sorted(SPELLINGS)), st.sampled_from(PORTS))
named = st.builds(a_name, st.sampled_from(PORTS))
at_a_path = st.just(Target("unix:/s", "smtp", CHECK, 5.0, int(socket.AF_UNIX), "/s"))
hindered = numeric.map(lambda target: replace(target, obstacle=Verdict(Reason.PROBE_INTERNAL)))
targets = st.lists(st.one_of(numeric, numeric, named, at_a_path, hindered), min_size=1, max_size=4)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """One edit of one of six resources."""
    number = draw(st.integers(0, 5))
    if draw(st.integers(0, 3)) == 0:
        return Edit(number, None, None)
    plan = a_plan(number, *draw(targets))
    if draw(st.booleans()):  # not asked yet
        return Edit(number, plan, None)
    found = [
        target if target.name is None else target.name.pin(0, draw(st.sampled_from(sorted(SPELLINGS))))
        for target in plan.targets
    ]
    return Edit(number, plan, answered(*found))


deaths = st.builds(Gone, st.sampled_from([*sorted(set(SPELLINGS.values())), "0.0.0.0", "::"]), st.sampled_from(PORTS))


def asks(target: Target, gone: Gone) -> bool:
    """Whether a numeric target may have been answered by what listened there, spelled out."""
    if target.name is not None or not isinstance(target.address, tuple) or target.obstacle is not None:
        return False
    address, port = SPELLINGS[target.address[0]], target.address[1]
    same = gone.address == address
    any_4 = gone.address == "0.0.0.0" and ":" not in address and address in LOCAL
    any_6 = gone.address == "::" and address in LOCAL
    return port == gone.port and (same or any_4 or any_6)


@given(st.lists(edits(), max_size=25), deaths)
def test_the_table_finds_whom_a_search_through_everything_finds(story: list[Edit], gone: Gone) -> None:
    """However plans came, changed and went, exactly those are found whose place the dead listener may have served."""
    table, plans, lasts = Places(), dict[int, ProbePlan](), dict[int, Result | None]()
    for edit in story:
        if (old := plans.pop(edit.number, None)) is not None:
            table.remove(old)
        if edit.plan is not None:
            plans[edit.number], lasts[edit.number] = edit.plan, edit.last
            table.add(edit.plan)
    by_id = {plan.id: number for number, plan in plans.items()}
    near = (*table.at(gone), *table.candidates(gone))
    found = {
        id
        for id in near
        if any(concerns(gone, place, is_local) for place in places_asked(plans[by_id[id]], lasts[by_id[id]]))
    }
    assert found == {plan.id for number, plan in plans.items() if is_struck(plan, lasts[number], gone)}


def is_struck(plan: ProbePlan, last: Result | None, gone: Gone) -> bool:
    """Whether the death concerns a plan, found by looking at all it asks and at what its names were found to be."""
    found = [] if last is None else [part.target for part in last.each]
    return any(asks(target, gone) for target in (*plan.targets, *found))


@given(st.lists(edits(), max_size=25))
def test_nothing_is_left_when_every_plan_has_gone(story: list[Edit]) -> None:
    """A table out of which everything was taken is empty again; adding and removing twice changes nothing."""
    table, plans = Places(), dict[int, ProbePlan]()
    for edit in story:
        if (old := plans.pop(edit.number, None)) is not None:
            table.remove(old)
            table.remove(old)
        if edit.plan is not None:
            plans[edit.number] = edit.plan
            table.add(edit.plan)
            table.add(edit.plan)
    for plan in plans.values():
        table.remove(plan)
    assert (table._at, table._on_port, table._named) == ({}, {}, {})


def test_several_that_ask_one_place_are_all_found_in_their_order() -> None:
    """A place shared by many resources gives all of them, always in the same order."""
    table = Places()
    plans = [a_plan(number, a_target("127.0.0.1", 25)) for number in (3, 1, 2)]
    for plan in plans:
        table.add(plan)
    assert [id.name for id in table.at(Gone("127.0.0.1", 25))] == ["3", "1", "2"]
    table.remove(plans[1])
    assert [id.name for id in table.at(Gone("127.0.0.1", 25))] == ["3", "2"]
    assert table.at(Gone("127.0.0.1", 26)) == ()
