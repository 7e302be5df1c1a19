"""The level of alerts: one for a cause, none for what is planned, and each that was told is taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.lifecycle.events import Asked, Configured, Event, Exited, Maintained, Planned, Probed, Tick, Verb
from probe.notify import alerts as level
from probe.notify.alerts import Alert, Alerts
from probe.values import Reason, State, Verdict
from tests.lifecycle.worlds import id_of
from tests.notify.following import SILENT, WALL, Followed, observed
from tests.scenarios.language import GROUP, spec

SMTP = id_of("smtp")
CHILDREN = ("smtp", "pop3", "imap", "http")


def group() -> Followed:
    """Four servers that stand on a store, all well, and nothing told of it."""
    followed = Followed(observed("store", *CHILDREN, below="store"))
    followed.well("store", *CHILDREN)
    assert followed.told() == []
    return followed


def test_a_cause_with_four_dependents_is_one_alert() -> None:
    """Whoever is down because of another is no alert; when all are back the one that was told is taken back."""
    followed = group()
    for name in ("store", *CHILDREN):
        followed.probed(name)
    assert [record.state for record in followed.world.records.values()] == [State.FAILED] * 5
    assert followed.told() == [("firing", "store")]
    followed.well(*CHILDREN, "store")
    assert followed.told() == [("resolved", "store")]
    assert (followed.alerts.told, followed.alerts.waiting) == ({}, 0)


def test_the_alert_says_what_stands_on_it() -> None:
    """It carries the reason, the evidence, since when, and everything that stands on it, near or far."""
    specs = [*observed("store", *CHILDREN, below="store"), spec("page", "http", "none", ("http",))]
    followed = Followed(specs)
    followed.well("store", *CHILDREN, "page")
    followed.now = 5.0
    followed.probed("store")
    (notice,) = followed.alerts.take(followed.now)
    named = (*(f"{GROUP}/{name}" for name in CHILDREN), f"{GROUP}/page")
    assert notice.alert == Alert(id_of("store"), "smtp", "banner_timeout", "nothing was said", WALL + 5, 5, named)


def test_an_alert_that_was_sent_before_its_cause_was_known_is_taken_back() -> None:
    """A child that was told by itself is resolved as soon as it is put down to its provider."""
    followed = group()
    followed.probed("smtp")
    followed.now = 1.0
    followed.happen(Tick())  # the hold is over: the store has not failed
    assert followed.told() == [("firing", "smtp")]
    followed.probed("store")
    assert sorted(followed.told()) == [("firing", "store"), ("resolved", "smtp")]


def test_an_alert_stays_while_the_service_is_being_brought_back() -> None:
    """From its failure over every state of its way back until it is online there is one alert."""
    followed = Followed([spec("smtp", "smtp", "process")])
    while followed.world.records[SMTP].state is not State.ONLINE:
        followed.answer("smtp")
    assert followed.told() == []
    followed.happen(Exited(SMTP, followed.world.records[SMTP].incarnation, Verdict(Reason.PROCESS_GONE)))
    assert followed.told() == [("firing", "smtp")]
    seen = []
    while (state := followed.world.records[SMTP].state) is not State.ONLINE:
        seen.append(state)
        assert followed.told() == [], state
        followed.answer("smtp")
    assert State.ONLINE_PENDING in seen
    assert followed.told() == [("resolved", "smtp")]


def test_what_one_restart_mends_before_it_is_told_is_told_to_nobody() -> None:
    """A receiver that was not reached in time does not hear of what is over."""
    followed = Followed([spec("smtp", "smtp", "process")])
    while followed.world.records[SMTP].state is not State.ONLINE:
        followed.answer("smtp")
    followed.happen(Exited(SMTP, followed.world.records[SMTP].incarnation, Verdict(Reason.PROCESS_GONE)))
    while followed.world.records[SMTP].state is not State.ONLINE:
        followed.answer("smtp")
    assert followed.told() == []


@pytest.mark.parametrize("begin", [Maintained(GROUP, True, "anna"), Planned(True)])
def test_what_is_planned_is_told_to_nobody(begin: Event) -> None:
    """In maintenance and during planned stops no alert begins; one that was told ends; at the end the rest begins."""
    end = Maintained(GROUP, False) if isinstance(begin, Maintained) else Planned(False)
    followed = Followed(observed("a", "b", "c"))
    followed.well("a", "b", "c")
    followed.probed("a")
    assert followed.told() == [("firing", "a")]
    followed.happen(begin)
    followed.probed("b")
    followed.probed("c")
    assert followed.told() == []
    followed.well("a", "b")
    assert followed.told() == [("resolved", "a")]
    followed.happen(end)
    assert followed.told() == [("firing", "c")]


def test_what_nobody_wants_any_more_is_taken_back() -> None:
    """An operator's offline ends an alert, and so does the resource's removal from the store."""
    followed = Followed(observed("a", "b"))
    followed.well("a", "b")
    followed.probed("a")
    followed.probed("b")
    assert followed.told() == [("firing", "a"), ("firing", "b")]
    followed.happen(Asked(Verb.OFFLINE, id_of("a")), Configured((), (id_of("b"),)))
    assert followed.told() == [("resolved", "a"), ("resolved", "b")]


def test_patience() -> None:
    """With a patience only what has lasted so long is told; what was told is taken back at once."""
    followed = Followed(observed("a", "b"), Alerts(after_s=30))
    followed.well("a", "b")
    followed.probed("a")
    followed.probed("b")
    followed.now = 29.0
    followed.well("a")
    assert followed.told() == []
    assert followed.alerts.next_due() == 30.0
    followed.now = 30.0
    assert followed.told() == [("firing", "b")]
    followed.well("b")
    assert followed.told() == [("resolved", "b")]


def test_an_attempt_that_failed_may_have_been_heard() -> None:
    """It is told again; and once the resource is back it is taken back although nobody confirmed it."""
    followed = Followed(observed("a"))
    followed.well("a")
    followed.probed("a")
    followed.alerts.undelivered(followed.alerts.take(0.0), 0.0)
    notices = followed.alerts.take(0.0)
    assert [firing for _, firing in notices] == [True]
    followed.well("a")  # while it is on its way
    followed.alerts.undelivered(notices, 0.0)
    assert followed.told() == [("resolved", "a")]


def test_a_failure_while_the_end_of_the_last_one_is_on_its_way() -> None:
    """The receiver hears the end and the new beginning, in that order."""
    followed = Followed(observed("a"))
    followed.well("a")
    followed.probed("a")
    assert followed.told() == [("firing", "a")]
    followed.well("a")
    notices = followed.alerts.take(0.0)
    followed.probed("a")
    followed.alerts.delivered(notices, 0.0)
    assert followed.told() == [("firing", "a")]


def test_what_an_earlier_run_told_is_taken_back() -> None:
    """After a restart of ours an alert is open until its resource is seen to be well, and is told no second time."""
    open_ones = [Alert(id_of(name), "smtp", "eof", "", WALL) for name in ("a", "b", "gone")]
    followed = Followed(observed("a", "b", "c"), Alerts(open_ones))
    assert followed.told() == [("resolved", "gone")]
    followed.well("a", "c")
    assert followed.told() == [("resolved", "a")]
    followed.probed("b")
    assert followed.told() == []
    followed.well("b")
    assert followed.told() == [("resolved", "b")]


def test_the_queue_is_bounded_and_nothing_is_lost() -> None:
    """Beyond its bound the oldest are dropped and counted; once there is room, what still holds is told."""
    names = [f"s{index}" for index in range(level.QUEUE_MAX + 50)]
    followed = Followed(observed(*names))
    followed.well(*names)
    for name in names:
        followed.probed(name)
        assert followed.alerts.waiting <= level.QUEUE_MAX
    assert followed.alerts.dropped_total == 50
    followed.well("s0")
    said = followed.told()
    assert sorted(said) == sorted(("firing", name) for name in names[1:])
    assert said[-1] == ("firing", "s49")


def test_a_message_is_of_one_group_and_bounded() -> None:
    """Alerts of two groups never share a message, and no message grows without end."""
    names = [*(f"s{index}" for index in range(level.BATCH_MAX + 1)), "other/x"]
    followed = Followed(observed(*names))
    for record in list(followed.world.records.values()):
        followed.happen(Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)))
        followed.happen(Probed(record.id, record.incarnation, False, SILENT))
    sizes = []
    while notices := followed.alerts.take(0.0):
        assert len({alert.id.group for alert, _ in notices}) == 1
        sizes.append(len(notices))
        followed.alerts.delivered(notices, 0.0)
    assert sizes in ([level.BATCH_MAX, 1, 1], [level.BATCH_MAX, 1])


FATES = st.sampled_from(("ok", "lost", "none"))


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), FATES), max_size=40))
def test_a_receiver_ends_up_knowing_how_it_is(story: list[tuple[str, bool, str]]) -> None:
    """Whatever happens in whatever order, with messages that get lost: at last exactly what is down is open there."""
    followed = Followed(observed(*"abcde"))
    followed.well(*"abcde")
    opened: set[str] = set()
    for name, well, fate in story:
        if well:
            followed.well(name)
        else:
            followed.probed(name)
        if fate != "none":
            notices = followed.alerts.take(0.0)
            if fate == "ok":
                for alert, firing in notices:
                    (opened.add if firing else opened.discard)(alert.id.name)
                followed.alerts.delivered(notices, 0.0)
            else:
                followed.alerts.undelivered(notices, 0.0)
    for what, name in followed.told():
        (opened.add if what == "firing" else opened.discard)(name)
    down = {id.name for id, record in followed.world.records.items() if record.state is State.FAILED}
    assert opened == down == {id.name for id in followed.alerts.told}
