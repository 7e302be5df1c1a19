"""The whole service in virtual time: starts, ends, deaths, hangs and budgets."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any

from probe.values import State
from tests.sim.loop import run_virtual
from tests.sim.servers import Fault
from tests.sim.service import (
    PORTS,
    SimService,
    make_machine,
    pid_of,
    resource_id,
    running_names,
    serving,
    started,
    told,
)

HOUR_S = 3600.0
PROTOCOLS = list(PORTS)
SMTP = ("127.0.0.1", 25)


def simulate(main: Coroutine[Any, Any, None], until_s: float = HOUR_S) -> None:
    """Run a body to its end."""
    run_virtual(main, until_s=until_s)


# --- starting and ending ---


def test_cold_start() -> None:
    """S15 S16: the store starts before the protocols, those start in parallel, each online once its check answers."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine, within_s=5) as service:
            order = told(service)
            assert order.index(("store", "online")) < min(order.index((name, "online-pending")) for name in PROTOCOLS)
            pending = [order.index((name, "online-pending")) for name in PROTOCOLS]
            assert max(pending) < min(order.index((name, "online")) for name in PROTOCOLS)
            assert service.edges("smtp")[-1] == ("online-pending", "online", "matched", "probe")
            assert service.reader.not_ready == ""

    simulate(main())


def test_slow_provider_holds_its_dependents_back() -> None:
    """S16: a protocol whose program takes long is online-pending meanwhile, and the others do not wait for it."""

    async def main() -> None:
        machine = make_machine()
        machine.recipes["/bin/imap"].start_delay_s = 30
        service = SimService(machine)
        took_s = await service.until(5, smtp=State.ONLINE, imap=State.ONLINE_PENDING)
        assert took_s < 1
        assert not service.report("imap").alive
        assert 29 < await service.until(40) < 31.5
        await service.end()

    simulate(main())


def test_ending_in_reverse_order() -> None:
    """S16: at the end the protocols stop before the store, nothing is left running, and it takes no time."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            assert await service.end() < 1
            order = told(service, before)
            assert order.index(("store", "offline-pending")) > max(order.index((name, "offline")) for name in PROTOCOLS)
        assert running_names(machine) == []

    simulate(main())


def test_ending_with_deaf_programs() -> None:
    """DESIGN 4: programs that ignore SIGTERM are killed, and the end takes less than 5 s in all."""

    async def main() -> None:
        machine = make_machine(kill_after_s=10)
        for recipe in machine.recipes.values():
            recipe.ignores_term = True
        async with serving(machine) as service:
            assert await service.end() < 5
        assert running_names(machine) == []

    simulate(main())


def test_leaving_everything_running() -> None:
    """DESIGN 4: `--leave-running` ends at once and touches no program."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            assert await service.end(stop_services=False) < 0.1
        assert len(running_names(machine)) == 5

    simulate(main())


# --- deaths and hangs ---


def test_killed_protocol_comes_back_alone() -> None:
    """S3 S6: a killed service fails with its reason at once, comes back, and nobody else changes state."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            machine.kill(pid_of(machine, "smtp"), signal.SIGKILL)
            await service.until_edge("smtp", State.FAILED, 0.1, before)
            await service.until(5)
            assert service.edges("smtp", before)[0] == ("online", "failed", "process_gone", "process")
            assert {name for name, _ in told(service, before)} == {"smtp"}
            assert started(machine, "smtp") == 2
            assert (service.report("smtp").restarts, service.report("smtp").restarts_left) == (1, 1)

    simulate(main())


def test_killed_provider_takes_its_dependents_along() -> None:
    """S16: when the store dies its dependents stop under its name, and start again after it: one cause, one failure."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            machine.kill(pid_of(machine, "store"), signal.SIGKILL)
            await service.run.clock.sleep(0.01)
            report = service.report("smtp")
            assert (report.reason, report.root_cause) == ("dependency_down", resource_id("store"))
            await service.until(5)
            assert [name for name, to in told(service, before) if to == "failed"] == ["store"]
            order = told(service, before)
            assert order.index(("store", "online")) < min(order.index((name, "online")) for name in PROTOCOLS)
            assert all(service.report(name).root_cause is None for name in PROTOCOLS)

    simulate(main())


def test_frozen_service() -> None:
    """S32 S67: a frozen service is `banner_timeout` after two time-outs, is ended all the same, and returns."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            machine.kill(pid_of(machine, "smtp"), signal.SIGSTOP)
            assert 5 < await service.until_edge("smtp", State.FAILED, 30, before) < 10 + 5 + 1 + 5 + 0.1
            await service.until(15)
            assert service.edges("smtp", before)[0] == ("online", "failed", "banner_timeout", "probe")
            assert running_names(machine).count("smtp") == 1

    simulate(main())


def test_service_that_recovers_by_itself() -> None:
    """S67: a service that misses one check and answers the next keeps its state."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            server = machine.server("smtp", SMTP)
            for _ in range(5):
                before, server.fault = server.total, Fault.WRONG
                while server.total == before:
                    await service.run.clock.sleep(0.05)
                server.fault = Fault.NONE
                await service.run.clock.sleep(60)
            assert service.edges("smtp")[-1] == ("online-pending", "online", "matched", "probe")
            assert started(machine, "smtp") == 1

    simulate(main())


def test_start_that_hangs() -> None:
    """S52 S54: a start that is not confirmed within pending_timeout_s has failed; each attempt counts."""

    async def main() -> None:
        machine = make_machine(pending_timeout_s=30)
        machine.recipes["/bin/smtp"].start_delay_s = 10_000
        service = SimService(machine)
        await service.until(200, smtp=State.FAILED)
        await service.run.clock.sleep(200)
        reasons = [reason for _, to, reason, _ in service.edges("smtp") if to == "failed"]
        assert reasons == ["pending_timeout"] * 3
        assert started(machine, "smtp") == 3
        assert service.states["pop3"] is State.ONLINE
        await service.end()
        assert running_names(machine) == []

    simulate(main())


# --- the budget ---


def test_restart_budget() -> None:
    """S54: after a failed online two more attempts are made, then it stays failed, also when the period has passed."""

    async def main() -> None:
        machine = make_machine()
        machine.recipes["/bin/smtp"].crashes_at_start = True
        service = SimService(machine)
        await service.run.clock.sleep(60)
        assert (service.states["smtp"], started(machine, "smtp")) == (State.FAILED, 3)
        await service.run.clock.sleep(3000)
        assert (service.states["smtp"], started(machine, "smtp")) == (State.FAILED, 3)
        assert [service.states[name] for name in ("sa", "store", "pop3")] == [State.ONLINE] * 3
        await service.end()

    simulate(main())


def test_retry_after_giving_up() -> None:
    """S12: with retry_period_s one new try is made each period after giving up, and it succeeds once it can."""

    async def main() -> None:
        machine = make_machine(retry_period_s=300)
        machine.recipes["/bin/smtp"].crashes_at_start = True
        service = SimService(machine)
        await service.run.clock.sleep(250)
        assert started(machine, "smtp") == 3
        await service.run.clock.sleep(600)
        assert started(machine, "smtp") == 5
        machine.recipes["/bin/smtp"].crashes_at_start = False
        await service.until(310)
        await service.end()

    simulate(main())


def test_budget_refills() -> None:
    """S54: deaths further apart than restart_period_s / restart_threshold are made good for ever."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            for _ in range(20):
                await service.run.clock.sleep(500)
                machine.kill(pid_of(machine, "smtp"), signal.SIGKILL)
                await service.until(5)

    simulate(main(), until_s=5 * HOUR_S)


def test_repair_by_hand() -> None:
    """S63: what is left failed keeps its check, and a service that somebody brought back is online again by it."""

    async def main() -> None:
        machine = make_machine()
        machine.recipes["/bin/smtp"].crashes_at_start = True
        service = SimService(machine)
        await service.run.clock.sleep(60)
        by_hand = machine.serve("smtp", SMTP)
        await service.until(15)
        assert service.edges("smtp")[-1][:2] == ("failed", "online")
        assert service.edges("smtp")[-1][3] == "probe"
        assert started(machine, "smtp") == 3
        by_hand.close()
        await service.end()

    simulate(main())
