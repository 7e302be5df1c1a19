"""Kernel events in virtual time: a dead listener's resources are asked at once, and nobody else."""

from __future__ import annotations

import errno
import logging
from typing import Any

import pytest

from probe.environment import Gone
from probe.lifecycle.events import Trigger
from probe.monitor.kernel import BREATH_S, SLICE, SWEEP_REST_S, TRIAL_S, TRIALS_AGAIN_S, TRIALS_MAX, KernelEvents
from probe.values import Reason, ResourceId
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, virtual_server
from tests.sim.listeners import EVENT_S, SimListeners, with_listeners
from tests.sim.servers import Fault, Server

SMTP = ResourceId("default", "smtp-1")
AT_ONCE_S = 0.002  # no tick of the wheel in it
SETTLED_S = 1.0  # the first checks are done


class Heard:
    """`KernelMetrics` that remember what they were told."""

    def __init__(self) -> None:
        self.watches: list[tuple[bool, str]] = []
        self.events = 0
        self.overruns = 0

    def kernel_watch(self, active: bool, why_not: str) -> None:
        self.watches.append((active, why_not))

    def kernel_events(self, count: int) -> None:
        self.events += count

    def kernel_overrun(self) -> None:
        self.overruns += 1


class Kernel:
    """Kernel events over a rig."""

    def __init__(self, rig: Rig) -> None:
        environment, self.listeners = with_listeners(rig.environment, rig.machine)
        self.heard = Heard()
        self.events = KernelEvents(environment, rig.monitors, self.heard)

    @property
    def open(self) -> bool:
        """Whether it listens to the kernel."""
        return bool(self.listeners.open_now)


def started(rig: Rig) -> Kernel:
    """Start kernel events."""
    kernel = Kernel(rig)
    kernel.events.start()
    return kernel


def watch(rig: Rig, *bindings: str, name: str = "smtp-1", **properties: Any) -> ResourceId:
    """Watch bindings as alive."""
    plan = plan_of(rig.environment, virtual_server(*bindings, **properties), name)
    rig.monitors.watch(plan, FIRST, True)
    return plan.id


def watch_many(rig: Rig, number_max: int) -> list[str]:
    """Watch so many loopback addresses at port 25, each once in a thousand seconds; return the addresses."""
    addresses = [f"127.0.{number >> 8}.{number & 255}" for number in range(1, number_max + 1)]
    rig.machine.wire.hosts.update(addresses)
    for address in addresses:
        watch(rig, f"{address}:25", name=address, poll_interval_s=1000.0)
    return addresses


def attempts(rig: Rig) -> dict[str, int]:
    """How often each resource was asked."""
    return {id.name: count for id, count in rig.counted.attempts.items()}


async def serving(rig: Rig) -> tuple[Kernel, Server]:
    """One SMTP server at PLACE, watched, with kernel events on."""
    kernel = started(rig)
    server = rig.machine.serve("smtp", PLACE)
    watch(rig, "127.0.0.1:25", poll_interval_s=1000.0)
    await rig.until(SETTLED_S)
    return kernel, server


# --- one death ---


def test_a_dead_listener_is_a_failure_at_once() -> None:
    """S67: the kernel's word and a refused connection are definite: one edge, at once, with the address in words."""

    async def body(rig: Rig) -> None:
        _, server = await serving(rig)
        died = rig.loop.time()
        server.close()
        await rig.until(died + EVENT_S + AT_ONCE_S)
        (edge,) = rig.posted
        assert (edge.alive, edge.trigger, edge.verdict.reason) == (False, Trigger.KERNEL, Reason.LISTENER_GONE)
        assert "127.0.0.1:25" in edge.verdict.evidence
        assert edge.seen_at == pytest.approx(died + EVENT_S)
        await rig.until(died + 60)
        assert rig.levels == [False]

    simulate(body)


def test_without_kernel_events_the_same_death_waits_for_the_period() -> None:
    """What is found by polling says so: trigger probe, and since when at most it was unseen."""

    async def body(rig: Rig) -> None:
        server = rig.machine.serve("smtp", PLACE)
        watch(rig, "127.0.0.1:25")
        await rig.until(SETTLED_S)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        good_at = reading.at
        server.close()
        await rig.until(SETTLED_S + AT_ONCE_S)
        assert not rig.posted
        await rig.until(SETTLED_S + 11)
        (edge,) = rig.posted
        assert (edge.trigger, edge.verdict.reason) == (Trigger.PROBE, Reason.CONNECT_REFUSED)
        assert edge.seen_at == good_at

    simulate(body)


def test_a_listener_that_was_replaced_is_no_failure() -> None:
    """An event is a reason to look and no verdict: a restarted server that answers stays alive, asked once more."""

    async def body(rig: Rig) -> None:
        _, server = await serving(rig)
        server.close()
        server.open()
        await rig.until(SETTLED_S + 0.1)
        assert attempts(rig) == {"smtp-1": 2}
        server.fault = Fault.EOF_BEFORE  # the event no longer counts: one failure alone is not enough
        rig.monitors.verify(SMTP, Trigger.PROBE, suspected=False)
        await rig.until(SETTLED_S + 0.2)
        server.fault = Fault.NONE
        await rig.until(SETTLED_S + 5)
        assert not rig.posted

    simulate(body)


def test_the_event_is_the_first_of_two_failures() -> None:
    """S67: after an event one failure that is not definite is enough, and keeps its own reason."""

    async def body(rig: Rig) -> None:
        _, server = await serving(rig)
        server.close()
        server.fault = Fault.EOF_BEFORE
        server.open()
        await rig.until(SETTLED_S + 0.1)
        assert [(edge.trigger, edge.verdict.reason) for edge in rig.posted] == [(Trigger.KERNEL, Reason.EOF)]

    simulate(body)


def test_a_death_during_a_check_is_looked_into_right_after_it() -> None:
    """S65: no second check starts beside a running one, whose answer may be older than the event: one follows."""

    async def body(rig: Rig) -> None:
        kernel, server = await serving(rig)
        server.fault = Fault.DELAY
        server.delay_s = 0.2
        rig.monitors.verify(SMTP, Trigger.PROBE, suspected=False)
        await rig.until(SETTLED_S + 0.1)
        kernel.listeners.wire.on_gone[0](PLACE)  # an event about a listener whose connections live on
        server.wire.listeners.pop(PLACE)
        await rig.until(SETTLED_S + 0.3)
        assert rig.levels == [False]
        assert rig.posted[0].verdict.reason is Reason.LISTENER_GONE

    simulate(body)


def test_the_cores_own_request_does_not_hide_the_kernels_word() -> None:
    """A check asked for while the event's is under way (a child failed too) leaves the edge the kernel's."""

    async def body(rig: Rig) -> None:
        _, server = await serving(rig)
        server.close()
        server.fault = Fault.SILENT
        server.open()
        await rig.until(SETTLED_S + 0.1)
        rig.monitors.verify(SMTP)
        await rig.until(SETTLED_S + 11)
        assert [(edge.trigger, edge.verdict.reason) for edge in rig.posted] == [(Trigger.KERNEL, Reason.BANNER_TIMEOUT)]
        assert rig.posted[0].seen_at == pytest.approx(SETTLED_S + EVENT_S)

    simulate(body)


def test_the_return_is_found_by_asking() -> None:
    """A recovery is never called the kernel's, also when an event came while an online was being confirmed."""

    async def body(rig: Rig) -> None:
        started(rig)
        server = rig.machine.serve("smtp", PLACE)
        server.fault = Fault.WRONG
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25")), FIRST, None, confirming=True)
        await rig.until(SETTLED_S)
        server.close()
        server.fault = Fault.NONE
        server.open()
        await rig.until(SETTLED_S + 2)
        assert [(edge.alive, edge.trigger) for edge in rig.posted] == [(True, Trigger.PROBE)]

    simulate(body)


def test_a_dead_ones_death_is_no_news() -> None:
    """A resource that is known to be down is not asked again because of an event."""

    async def body(rig: Rig) -> None:
        kernel, server = await serving(rig)
        server.close()
        await rig.until(SETTLED_S + 0.1)
        asked = attempts(rig)
        kernel.listeners.wire.listen(PLACE, lambda: None).close()
        await rig.until(SETTLED_S + 0.2)
        assert kernel.heard.events == 2
        assert attempts(rig) == asked

    simulate(body)


# --- whom it concerns ---


def test_a_wildcard_listener_concerns_every_local_address() -> None:
    """`0.0.0.0` served all of this machine's IPv4 addresses on its port: those are asked, no other machine is."""

    async def body(rig: Rig) -> None:
        rig.machine.add_address("10.0.0.5")
        kernel = started(rig)
        server = rig.machine.serve("smtp", ("0.0.0.0", 25))
        rig.machine.serve("smtp", ("10.9.9.9", 25))
        rig.machine.serve("smtp", ("::1", 25))
        for name, binding in {"a": "127.0.0.1:25", "b": "10.0.0.5:25", "far": "10.9.9.9:25", "six": "[::1]:25"}.items():
            watch(rig, binding, name=name, poll_interval_s=1000.0)
        await rig.until(SETTLED_S)
        server.close()
        await rig.until(SETTLED_S + EVENT_S + AT_ONCE_S)
        assert {edge.id.name for edge in rig.posted} == {"a", "b"}
        assert (attempts(rig)["far"], attempts(rig)["six"]) == (1, 1)
        assert kernel.heard.events == 1

    simulate(body)


def test_a_dual_stack_listener_concerns_both_families() -> None:
    """`::` may have served IPv4 as well: both are asked, and who still answers stays alive."""

    async def body(rig: Rig) -> None:
        started(rig)
        server = rig.machine.serve("smtp", ("::", 25))
        rig.machine.serve("smtp", PLACE)
        watch(rig, "127.0.0.1:25", name="four", poll_interval_s=1000.0)
        watch(rig, "[::1]:25", name="six")
        await rig.until(SETTLED_S)
        server.close()
        await rig.until(SETTLED_S + EVENT_S + AT_ONCE_S)
        assert [edge.id.name for edge in rig.posted] == ["six"]
        assert attempts(rig)["four"] == 2

    simulate(body)


def test_a_name_is_where_the_last_probe_found_it() -> None:
    """A binding by name is asked when the listener at an address of its last probe dies, and not for another's."""

    async def body(rig: Rig) -> None:
        rig.machine.host.names["mail.example"] = [(2, "127.0.0.1")]
        started(rig)
        server = rig.machine.serve("smtp", PLACE)
        other = rig.machine.serve("smtp", ("127.0.0.9", 25))
        watch(rig, "mail.example:25", poll_interval_s=1000.0)
        await rig.until(SETTLED_S)
        other.close()
        await rig.until(SETTLED_S + 0.1)
        assert attempts(rig) == {"smtp-1": 1}
        server.close()
        await rig.until(SETTLED_S + 0.2)
        assert [edge.trigger for edge in rig.posted] == [Trigger.KERNEL]

    simulate(body)


def test_the_table_follows_the_store() -> None:
    """After an edit the new place counts and the old does not; one that is no longer watched is never asked (S68)."""

    async def body(rig: Rig) -> None:
        old_place, new_place = ("127.0.0.1", 1025), ("127.0.0.1", 2025)
        started(rig)
        old, new = rig.machine.serve("smtp", old_place), rig.machine.serve("smtp", new_place)
        id = watch(rig, "127.0.0.1:1025", poll_interval_s=1000.0)
        await rig.until(SETTLED_S)
        rig.monitors.replan(plan_of(rig.environment, virtual_server("127.0.0.1:2025", poll_interval_s=1000.0)))
        old.close()
        await rig.until(SETTLED_S + 0.1)
        assert attempts(rig) == {"smtp-1": 1}
        new.close()
        await rig.until(SETTLED_S + 0.2)
        assert rig.levels == [False]
        rig.monitors.unwatch(id)
        new.open()
        new.close()
        await rig.until(SETTLED_S + 0.3)
        assert rig.levels == [False]
        assert repr(rig.monitors.places) == "<Places 0 on 0 ports, names on 0 ports>"

    simulate(body)


# --- many at once ---


def test_a_wildcard_with_many_resources_is_gone_through_a_slice_at_a_time() -> None:
    """The death of what served a thousand resources never asks more than a slice of them in one go."""

    async def body(rig: Rig) -> None:
        number_max = SLICE * 5 + 7
        started(rig)
        server = rig.machine.serve("smtp", ("0.0.0.0", 25))
        watch_many(rig, number_max)
        await rig.until(SETTLED_S)
        before = rig.counted.attempts.total()
        server.close()
        await rig.until(SETTLED_S + EVENT_S + AT_ONCE_S)
        assert rig.counted.attempts.total() - before == SLICE
        assert len(rig.posted) == SLICE
        await rig.until(SETTLED_S + EVENT_S + AT_ONCE_S + 6 * BREATH_S)
        assert len(rig.posted) == number_max
        assert [edge.seen_at for edge in rig.posted] == pytest.approx([SETTLED_S + EVENT_S] * number_max)

    simulate(body, max_in_flight=2000)


def test_what_is_told_again_meanwhile_is_looked_into_again() -> None:
    """A wildcard listener that dies twice in quick succession has everybody asked after the second death."""

    async def body(rig: Rig) -> None:
        number_max = SLICE * 2
        started(rig)
        server = rig.machine.serve("smtp", ("0.0.0.0", 25))
        watch_many(rig, number_max)
        await rig.until(SETTLED_S)
        server.close()
        server.open()
        await rig.until(SETTLED_S + EVENT_S + AT_ONCE_S)
        server.close()
        await rig.until(SETTLED_S + 1)
        assert len(rig.posted) == number_max

    simulate(body, max_in_flight=2000)


def test_lost_events_have_everybody_asked_and_nobody_accused() -> None:
    """After an overrun all local resources are re-checked, in slices; the loss itself is no failure of anybody."""

    async def body(rig: Rig) -> None:
        number_max = SLICE * 3
        kernel = started(rig)
        addresses = watch_many(rig, number_max)
        servers = [rig.machine.serve("smtp", (address, 25)) for address in addresses]
        rig.machine.serve("smtp", ("10.9.9.9", 25))
        watch(rig, "10.9.9.9:25", name="far", poll_interval_s=1000.0)
        rig.machine.serve("smtp", "/run/smtp")
        watch(rig, "unix:/run/smtp", name="path")
        await rig.until(SETTLED_S)
        servers[1].wire.listeners.pop(servers[1].place)  # a death whose event is lost
        servers[2].fault = Fault.EOF_BEFORE  # and one bad moment that proves nothing
        kernel.listeners.open_now[0].overflow()
        await rig.until(SETTLED_S + BREATH_S / 2)
        assert rig.counted.attempts.total() == number_max + SLICE + 2
        servers[2].fault = Fault.NONE
        await rig.until(SETTLED_S + 5)
        asked = attempts(rig)
        assert asked["far"] == 1
        assert all(asked[address] >= 2 for address in addresses)
        assert [edge.id.name for edge in rig.posted] == [addresses[1]]
        assert rig.posted[0].verdict.reason is Reason.LISTENER_GONE
        assert kernel.heard.overruns == 1

    simulate(body, max_in_flight=2000)


def test_a_storm_of_overruns_re_checks_everybody_once_a_second() -> None:
    """However often events are lost, between two re-checks of everybody there is a rest; the last loss is answered."""

    async def body(rig: Rig) -> None:
        kernel, _ = await serving(rig)
        for _ in range(100):
            kernel.listeners.open_now[0].overflow()
            await rig.until(rig.loop.time() + 0.01)
        assert kernel.heard.overruns == 100
        assert attempts(rig)["smtp-1"] <= 1 + 2
        await rig.until(SETTLED_S + SWEEP_REST_S + 1.5)
        assert attempts(rig)["smtp-1"] == 1 + 2

    simulate(body)


# --- on, off, and why not ---


def test_it_is_active_once_deaths_of_our_own_were_heard() -> None:
    """The self-test listens and closes on both loopbacks; its events are not counted as anybody's."""

    async def body(rig: Rig) -> None:
        kernel = started(rig)
        assert not kernel.events.active
        await rig.until(EVENT_S * 2)
        assert kernel.events.active
        assert kernel.heard.watches == [(False, "untested"), (True, "")]
        assert kernel.heard.events == 0
        assert repr(kernel.events) == "<KernelEvents active, 0 in work>"
        kernel.events.close()
        kernel.events.close()
        assert not kernel.open

    simulate(body)


def test_our_own_stall_does_not_fail_the_self_test() -> None:
    """A loop that had no time to read reads what lies there before it judges: the first trial is good."""

    async def body(rig: Rig) -> None:
        kernel = started(rig)
        kernel.listeners.neglected = True
        rig.loop.stall(TRIAL_S * 10)
        await rig.until(TRIAL_S * 10 + 0.1)
        assert kernel.heard.watches == [(False, "untested"), (True, "")]

    simulate(body)


@pytest.mark.parametrize(
    ("code", "why_not"),
    [(errno.EPERM, "permission"), (errno.EACCES, "permission"), (errno.EPROTONOSUPPORT, "kernel")],
)
def test_what_the_kernel_refuses_is_named(code: int, why_not: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where it cannot be opened we poll, say so once at level info, and name whose fault it is."""

    async def body(rig: Rig) -> None:
        kernel = Kernel(rig)
        kernel.listeners.error = code
        kernel.events.start()
        assert (kernel.events.active, kernel.events.why_not) == (False, why_not)
        assert kernel.heard.watches[-1] == (False, why_not)
        await still_polls(rig)

    with caplog.at_level(logging.INFO, "probe.monitor.kernel"):
        simulate(body)
    (line,) = caplog.records
    assert line.levelno == logging.INFO
    assert "polling" in line.message


def test_a_kernel_that_says_nothing_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    """Three deaths of our own without a word: it is off, reason `no_event`, said once; later it is tried again."""

    async def body(rig: Rig) -> None:
        kernel = Kernel(rig)
        kernel.listeners.mute = True
        kernel.events.start()
        await rig.until(TRIAL_S * TRIALS_MAX + 0.1)
        assert kernel.heard.watches == [(False, "untested"), (False, "no_event")]
        assert not kernel.open
        await still_polls(rig)
        await rig.until(TRIALS_AGAIN_S * 5.5)
        assert len(caplog.records) == 1
        assert len(kernel.heard.watches) == 2
        kernel.listeners.mute = False
        await rig.until(TRIALS_AGAIN_S * 7)
        assert kernel.heard.watches[2:] == [(True, "")]
        kernel.events.close()

    with caplog.at_level(logging.INFO, "probe.monitor.kernel"):
        simulate(body)


def test_one_lost_word_is_made_good_by_another_trial() -> None:
    """A single trial that is not heard proves nothing: the next one may be."""

    async def body(rig: Rig) -> None:
        kernel = Kernel(rig)
        kernel.listeners.mute = True
        kernel.events.start()
        await rig.until(TRIAL_S / 2)
        kernel.listeners.mute = False
        await rig.until(TRIAL_S + 0.1)
        assert kernel.events.active

    simulate(body)


def test_want_of_descriptors_is_no_crash() -> None:
    """Where even the self-test has no socket we poll."""

    async def body(rig: Rig) -> None:
        kernel = Kernel(rig)
        rig.machine.host.descriptors_max = 0
        kernel.events.start()
        assert kernel.heard.watches[-1] == (False, "kernel")
        assert not kernel.open

    simulate(body)


def test_switched_off_it_opens_nothing() -> None:
    """Without a source there is nothing to listen to: inactive, reason `off`."""

    async def body(rig: Rig) -> None:
        heard = Heard()
        events = KernelEvents(rig.environment, rig.monitors, heard)
        events.start()
        assert heard.watches == [(False, "off")]
        events.close()

    simulate(body)


async def still_polls(rig: Rig) -> None:
    """A death is found within the period."""
    server = rig.machine.serve("smtp", PLACE)
    watch(rig, "127.0.0.1:25")
    await rig.until(rig.loop.time() + 1)
    server.close()
    await rig.until(rig.loop.time() + 11)
    assert [edge.trigger for edge in rig.posted] == [Trigger.PROBE]


def test_the_simulated_source_tells_only_what_a_kernel_would() -> None:
    """The simulator's own: nothing about other machines or paths, and nothing after it was closed."""

    async def body(rig: Rig) -> None:
        told: list[Gone] = []
        listeners = SimListeners(rig.machine.wire, rig.machine.host, rig.loop)
        source = listeners.open(told.extend, lambda: None)
        for place in (PLACE, ("10.9.9.9", 25), "/run/smtp"):
            rig.machine.serve("smtp", place).close()
        await rig.until(0.1)
        assert told == [Gone(*PLACE)]
        source.close()
        rig.machine.server("smtp", PLACE).open()
        rig.machine.server("smtp", PLACE).close()
        await rig.until(0.2)
        assert told == [Gone(*PLACE)]

    simulate(body)
