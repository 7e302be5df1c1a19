"""Several bindings and names: the policies of S33, and what a lookup may do to a probe."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import pytest

from bindings.addresses import read_binding
from bindings.model import BindingPolicy
from probe.checks import check_for
from probe.monitor.resolve import LOOKUPS_AT_ONCE_MAX, Names
from probe.monitor.rounds import judge
from probe.monitor.target import Result, Target
from probe.monitor.wheel import Wheel
from probe.values import OUTCOME, Outcome, Reason, ResourceId, Stage, Verdict
from tests.monitor.rig import FIRST, Rig, plan_of, simulate, virtual_server
from tests.sim.servers import Fault

PLACE = "127.0.0.1:25"
SMTP = ResourceId("default", "smtp-1")
ALIVE, FAILED, UNKNOWN = Reason.MATCHED, Reason.BANNER_MISMATCH, Reason.PROBER_PORTS
V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


def result(reason: Reason, number: int) -> Result:
    check = check_for(virtual_server(PLACE), read_binding(PLACE, False))
    return Result(Target(f"binding {number}", "smtp", check, 1.0), Verdict(reason), 0.0, 1.0, ())


@pytest.mark.parametrize("policy", ["all", "any", "first"])
@pytest.mark.parametrize("reasons", list(itertools.product([ALIVE, FAILED, UNKNOWN], repeat=3)))
def test_the_policies(policy: BindingPolicy, reasons: tuple[Reason, ...]) -> None:
    """S33: `all` fails with the first that failed, `any` and `first` live with one alive; a doubt decides neither."""
    judged = judge(policy, [result(reason, number) for number, reason in enumerate(reasons)])
    order = [FAILED, UNKNOWN, ALIVE] if policy == "all" else [ALIVE, UNKNOWN, FAILED]
    expected = min(reasons, key=order.index)
    assert judged.verdict.outcome is OUTCOME[expected]
    assert judged.target.binding == f"binding {reasons.index(expected)}"
    assert [part.verdict.reason for part in judged.each] == list(reasons)


def begin(rig: Rig, *bindings: str, **properties: Any) -> None:
    rig.monitors.watch(plan_of(rig.environment, virtual_server(*bindings, **properties)), FIRST, True)


def outcome(rig: Rig) -> tuple[Outcome, Reason]:
    reading = rig.monitors.reading(SMTP)
    assert reading is not None
    return reading.outcome, reading.verdict.reason


def test_all_bindings_are_asked_together() -> None:
    """S33: under `all` each binding is asked each round; the reading names the one that failed."""

    async def body(rig: Rig) -> None:
        servers = [rig.machine.serve("smtp", ("127.0.0.1", port)) for port in (25, 26, 27)]
        servers[1].fault = Fault.DECLINE
        begin(rig, "127.0.0.1:25", "127.0.0.1:26", "127.0.0.1:27")
        await rig.until(0.5)
        assert [server.total for server in servers] == [1, 1, 1]
        assert outcome(rig) == (Outcome.FAILED, Reason.REFUSED_BY_SERVER)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.address == "127.0.0.1:26"
        assert [part.verdict.outcome for part in reading.result.each] == [
            Outcome.ALIVE,
            Outcome.FAILED,
            Outcome.ALIVE,
        ]
        assert rig.counted.attempts[SMTP] == 1
        await rig.until(3)
        assert rig.levels == [False]

    simulate(body)


def test_first_asks_on_until_one_is_alive() -> None:
    """S33: under `first` the bindings are asked in their order, and those behind the first alive one not at all."""

    async def body(rig: Rig) -> None:
        servers = [rig.machine.serve("smtp", ("127.0.0.1", port)) for port in (25, 26, 27)]
        servers[0].fault = Fault.REFUSE
        begin(rig, "127.0.0.1:25", "127.0.0.1:26", "127.0.0.1:27", binding_policy="first")
        await rig.until(0.5)
        assert [server.total for server in servers] == [0, 1, 0]
        assert outcome(rig) == (Outcome.ALIVE, Reason.MATCHED)

    simulate(body)


def test_a_name_is_looked_up_for_every_probe() -> None:
    """S30, S33: a name's addresses count as bindings, and an edit of the name reaches the next probe."""

    async def body(rig: Rig) -> None:
        first, second = (rig.machine.serve("smtp", (address, 25)) for address in ("127.0.0.2", "127.0.0.3"))
        names = rig.machine.host.names
        names["mail.example.org"] = [(V4, "127.0.0.2")]
        begin(rig, "mail.example.org:25", poll_interval_s=1)
        await rig.until(1.5)
        assert (first.total >= 1, second.total) == (True, 0)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.stages[0][0] is Stage.RESOLVE
        names["mail.example.org"] = [(V4, "127.0.0.3"), (V4, "127.0.0.2")]
        await rig.until(3.5)
        assert second.total >= 1
        assert set(first.sources) == {"127.0.0.2"}
        assert rig.posted == []

    simulate(body)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("nxdomain", (Outcome.FAILED, Reason.DNS_NXDOMAIN)),
        ("timeout", (Outcome.UNKNOWN, Reason.DNS_TIMEOUT)),
        ("servfail", (Outcome.UNKNOWN, Reason.DNS_SERVFAIL)),
    ],
)
def test_a_lookup_that_fails_is_judged(found: str, expected: tuple[Outcome, Reason]) -> None:
    """Only a name that does not exist is a failure; the resolver's troubles are unknown and change no level."""

    async def body(rig: Rig) -> None:
        rig.machine.host.names["mail.example.org"] = found
        begin(rig, "mail.example.org:25")
        await rig.until(5)
        assert outcome(rig) == expected
        assert bool(rig.posted) is (expected[0] is Outcome.FAILED)

    simulate(body)


def test_a_resolver_that_hangs_is_given_up() -> None:
    """A lookup has the probe's time-out; then the verdict is `dns_timeout`, unknown, and the next round looks anew."""

    async def body(rig: Rig) -> None:
        host = rig.machine.host
        host.resolve_s = 1000.0
        begin(rig, "mail.example.org:25", probe_timeout_s=2)
        await rig.until(2.5)
        assert outcome(rig) == (Outcome.UNKNOWN, Reason.DNS_TIMEOUT)
        host.resolve_s = 0.001
        host.names["mail.example.org"] = [(V4, "127.0.0.2")]
        rig.machine.serve("smtp", ("127.0.0.2", 25))
        await rig.until(30)
        assert outcome(rig) == (Outcome.ALIVE, Reason.MATCHED)

    simulate(body)


def test_unwatching_during_a_lookup_ends_it() -> None:
    """S68: a lookup under way when the watch ends leads to no dial."""

    async def body(rig: Rig) -> None:
        server = rig.machine.serve("smtp", ("127.0.0.2", 25))
        rig.machine.host.names["mail.example.org"] = [(V4, "127.0.0.2")]
        rig.machine.host.resolve_s = 1.0
        begin(rig, "mail.example.org:25")
        await rig.until(0.5)
        rig.monitors.unwatch(SMTP)
        await rig.until(5)
        assert server.total == 0

    simulate(body)


def test_lookups_are_shared_bounded_and_forgotten() -> None:
    """One lookup serves all who ask while it runs, few run at once, and a later one asks again."""

    async def body(rig: Rig) -> None:
        host = rig.machine.host
        wheel = Wheel(rig.environment.clock, lambda: None)
        names = Names(rig.environment.network, rig.environment.clock, wheel, rig.loop.create_task)
        host.resolve_s = 1.0
        answers: list[object] = []
        for number in range(LOOKUPS_AT_ONCE_MAX + 4):
            host.names[f"n{number}"] = [(V6, "::1")]
            for _ in range(3):
                names.look_up(f"n{number}", 5.0, lambda found, took_s: answers.append(found))
        await rig.until(0.5)
        assert sum(host.resolves.values()) == LOOKUPS_AT_ONCE_MAX
        await rig.until(3)
        assert answers == [[(V6, "::1")]] * 3 * (LOOKUPS_AT_ONCE_MAX + 4)
        assert set(host.resolves.values()) == {1}
        names.look_up("n0", 5.0, lambda found, took_s: None)
        await asyncio.sleep(0.1)
        assert host.resolves["n0"] == 2
        names.close()
        wheel.close()
        await asyncio.sleep(2)

    simulate(body)
