"""A plan in words: sentences, waves, alerts, and what stays down and why."""

from __future__ import annotations

import pytest

from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Configured
from probe.lifecycle.foresee import Unforeseeable, foresee
from probe.lifecycle.foretell import STEPS_MAX, PlanReport, foretell, plan
from probe.lifecycle.world import World
from tests.lifecycle.worlds import bring_up, chain, id_of, layers, world_of
from tests.scenarios.language import spec


def group() -> World:
    """The reference's shape: sa is observed, the store stands on it, smtp and imap on the store, all online."""
    world = world_of(
        [
            spec("sa", "system-attendant", "none"),
            spec("store", "information-store", "process", ("sa",)),
            spec("smtp", "smtp", "process", ("store",)),
            spec("imap", "imap", "process", ("store",)),
            spec("web", "http", "none", ("imap",)),
        ]
    )
    bring_up(world)
    return world


def told(report: PlanReport) -> list[tuple[int, str]]:
    """The sentences, each with its wave."""
    return [(step.wave, step.text) for step in report.steps]


def test_the_death_of_a_provider_in_sentences() -> None:
    """S16, S54: dependents go down first, side by side; then the provider is started again, then they."""
    report = plan(snapshot(group()), "kill", "evs1/store", 0.0)
    assert told(report) == [
        (0, "suppose that the process of evs1/store ends"),
        (0, "evs1/store fails: process_gone"),
        (0, "stop evs1/smtp, since it stands on evs1/store"),
        (0, "stop evs1/imap, since it stands on evs1/store"),
        (1, "evs1/smtp is offline"),
        (1, "evs1/imap is offline"),
        (1, "start evs1/store again (restart 1 of 2)"),
        (2, "evs1/store is online"),
        (2, "start evs1/smtp, now that evs1/store is online"),
        (2, "start evs1/imap, now that evs1/store is online"),
        (3, "evs1/smtp is online"),
        (3, "evs1/imap is online"),
    ]
    (alert,) = report.alerts
    assert (alert.id, alert.reason, alert.blamed) == ("evs1/store", "process_gone", ("evs1/smtp", "evs1/imap"))
    assert {(fate.before, fate.after, fate.why) for fate in report.fates} == {("online", "online", "")}
    assert [step.kind for step in report.steps[:4]] == ["suppose", "state", "stop", "stop"]


def test_what_stays_down_and_why() -> None:
    """What is only observed stays down by itself; what stands on a failed one that acts, because of that one."""
    report = plan(snapshot(group()), "fail", "evs1/web", 0.0)
    assert told(report)[1:] == [(0, "ask evs1/imap at once"), (1, "evs1/web fails: banner_timeout")]
    assert report.steps[-1].at_s == 0.25
    (fate,) = [fate for fate in report.fates if fate.after != "online"]
    assert fate.why == "banner_timeout; its controller 'none' only watches and cannot bring it back"
    world = world_of(chain(2, restart_threshold=0))
    bring_up(world)
    fates = {fate.id: fate for fate in plan(snapshot(world), "kill", "evs1/r0", 0.0).fates}
    assert fates["evs1/r0"].why == "process_gone; it is not restarted any more (at most 0 within 900 s)"
    assert (fates["evs1/r1"].after, fates["evs1/r1"].why) == ("offline", "evs1/r0 is down")


def test_verbs_in_sentences() -> None:
    """An offline says that it was asked for, a restart that it is one, and nobody is alerted."""
    report = plan(snapshot(group()), "offline", "evs1", 0.0)
    assert (0, "stop evs1/smtp: taken offline on request") in told(report)
    assert report.alerts == ()
    assert {fate.why for fate in report.fates} == {"service_stopped: taken offline on request"}
    sentences = [text for _, text in told(plan(snapshot(group()), "restart", "evs1/store", 0.0))]
    assert "stop evs1/store: being restarted on request" in sentences
    terminated = [text for _, text in told(plan(snapshot(group()), "terminate", "evs1/store", 0.0))]
    assert "terminate evs1/store: taken offline on request" in terminated


def test_what_is_left_is_cleared_first() -> None:
    """A service that only its check sees fail is ended before it is started anew."""
    sentences = [text for _, text in told(plan(snapshot(group()), "fail", "evs1/smtp", 0.0))]
    assert "end what is left of evs1/smtp, so that it can start anew" in sentences


def test_a_refusal_is_told_with_its_reason() -> None:
    """A verb that would not be granted leads to nothing, and its sentence is that of the verb itself."""
    report = plan(snapshot(group()), "terminate", "evs1/sa", 0.0)
    assert report.refused.startswith("the controller 'none' of evs1/sa only watches and cannot terminate")
    assert len(report.steps) == 1
    assert "there is no nobody" in plan(snapshot(group()), "online", "nobody", 0.0).refused


def test_planned_stops_start_nothing() -> None:
    """While stops are planned, nothing follows by itself."""
    assert told(plan(snapshot(group()), "drain", "", 0.0)) == [(0, "suppose that the stops to come are planned")]


def test_an_edit_of_the_store_in_sentences() -> None:
    """What leaves the store is stopped, after what stands on it, and is gone."""
    world = world_of(chain(2))
    bring_up(world)
    taken = snapshot(world)
    report = foretell("reload", "new", foresee(taken, (Configured((), (id_of("r1"),)),), 0.0))
    assert told(report)[:2] == [
        (0, "suppose that the store is edited: 0 new or changed, 1 removed"),
        (0, "stop evs1/r1: no longer in the store"),
    ]
    (gone,) = [fate for fate in report.fates if fate.id == "evs1/r1"]
    assert (gone.before, gone.after, gone.why) == ("online", "", "")


def test_a_large_plan_is_cut_and_says_so() -> None:
    """However much follows, an answer has a bound."""
    world = world_of(layers(2, 50) + [spec(f"x{n}", "service", "process") for n in range(STEPS_MAX // 2)])
    bring_up(world)
    report = plan(snapshot(world), "offline", "evs1", 0.0)
    assert len(report.steps) == STEPS_MAX
    assert report.ended.startswith(f"only the first {STEPS_MAX} of ")


def test_where_the_groups_of_a_dead_node_would_go() -> None:
    """S46: how full the node is, and of each group that no other node takes it; for this node alone."""
    world = world_of([spec("store", "information-store", "process", storage_groups=3), spec("imap", "imap", "none")])
    bring_up(world)
    report = plan(snapshot(world), "node-down", "", 0.0)
    assert report.ended == "3 of 4 storage groups are mounted on this node"
    assert [(fate.id, fate.after, fate.why) for fate in report.fates] == [("evs1", "", "there is no other node")]
    assert report.steps == ()
    with pytest.raises(Unforeseeable, match="leave the target out"):
        plan(snapshot(world), "node-down", "node2", 0.0)
