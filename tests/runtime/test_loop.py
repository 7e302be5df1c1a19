"""The loop: one event at a time, nothing lost by a mistake of ours, and an end in order at whatever moment."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from probe.lifecycle.events import Exited, Probed, Started, Tick
from probe.runtime.loop import DRAIN_BUDGET_S
from probe.values import Incarnation, OpId, Reason, State, Verdict
from tests.sim.loop import run_virtual
from tests.sim.service import (
    PORTS,
    SimService,
    make_machine,
    pid_of,
    resource_id,
    running_names,
    serving,
    started,
)

SMTP = resource_id("smtp")


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.01, 0.03, 0.06, 0.1, 0.11, 0.2, 1.0, 20.0])
def test_end_at_any_moment_leaves_nothing_running(after_s: float) -> None:
    """SIGTERM while services are starting, being confirmed or online: all of them end, within the budget."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        await asyncio.sleep(after_s)
        assert await service.end() <= DRAIN_BUDGET_S + 0.1
        assert running_names(machine) == []

    run_virtual(main())


def test_end_asked_for_before_the_store_is_told_stops_what_an_earlier_run_left() -> None:
    """The services of an earlier run are ours from the first moment, so the end takes them along."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        await service.until(60)
        await service.die()
        assert len(running_names(machine)) == 1 + len(PORTS)
        again = SimService(machine)
        assert await again.end() <= DRAIN_BUDGET_S + 0.1
        assert running_names(machine) == []
        assert started(machine, "smtp") == 1

    run_virtual(main())


def test_end_that_leaves_services_running_is_at_once() -> None:
    """--leave-running, also in the first moment: nothing is stopped, nothing waited for."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        assert await service.end(stop_services=False) < 0.1
        again = SimService(machine)
        await again.until(60)
        assert await again.end(stop_services=False) < 0.1
        assert len(running_names(machine)) == 1 + len(PORTS)

    run_virtual(main())


def test_service_that_ignores_term_is_killed_within_the_budget() -> None:
    """A service with a long kill_after_s is killed all the same when we have to end, and its provider too."""

    async def main() -> None:
        machine = make_machine(kill_after_s=60)
        machine.recipes["/bin/imap"].ignores_term = True
        service = SimService(machine)
        await service.until(60)
        assert await service.end() <= DRAIN_BUDGET_S + 0.1
        assert running_names(machine) == []

    run_virtual(main())


@dataclass(frozen=True, slots=True)
class Broken:
    """An event that the core cannot even look at."""


def test_mistake_of_ours_costs_one_event(caplog: pytest.LogCaptureFixture) -> None:
    """An event that the core stumbles over changes nothing, is in the log and in /readyz; all else goes on."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            with caplog.at_level(logging.ERROR):
                service.runtime.post(Broken())  # type: ignore[arg-type] # what no source of ours makes
                await asyncio.sleep(1)
            assert "a mistake in looksalive" in caplog.text
            assert "Broken" in service.reader.not_ready
            seq = service.events[-1].seq
            machine.kill(pid_of(machine, "smtp"), 9)
            await service.until_edge("smtp", State.FAILED, 20, seq)
            await service.until(60)

    run_virtual(main())


def test_asker_is_told_of_the_mistake() -> None:
    """Who asked hears what went wrong; nothing is lost, so nothing is said elsewhere."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            with pytest.raises(Exception, match="Broken"):
                await service.runtime.ask(Broken())  # type: ignore[arg-type] # what no source of ours makes
            assert service.reader.not_ready == ""

    run_virtual(main())


def test_resource_whose_time_out_fails_costs_no_other_its_own() -> None:
    """A tick that the core stumbles over is taken apart: the others' restarts still come, and nothing spins."""

    async def main() -> None:
        machine = make_machine(restart_delay_s=5)
        async with serving(machine) as service:
            runtime = service.runtime
            machine.kill(pid_of(machine, "smtp"), 9)
            await service.until(20, smtp=State.FAILED)
            odd = runtime.world.records[resource_id("sa")]
            never: float = "never"  # type: ignore[assignment] # what the core stumbles over when its time has come
            due = service.run.clock.now() + 1
            spec = replace(odd.spec, pending_timeout_s=never)
            runtime.world.records[odd.id] = replace(odd, spec=spec, due=due)
            runtime.world._due.insert(0, (due, odd.id))
            runtime.post(Tick())
            await service._wait(lambda: service.report("smtp").state is State.ONLINE, 60)
            assert "Tick" in runtime.fault
            runtime.world.records[odd.id] = odd

    run_virtual(main())


def test_action_that_cannot_be_carried_out_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """A start that does not even begin is a failed start: the core goes on with its budget, nobody waits for ever."""

    async def main() -> None:
        machine = make_machine(restart_threshold=1)
        async with serving(machine) as service:
            service.runtime.services.pop(SMTP)
            machine.kill(pid_of(machine, "smtp"), 9)
            await service.until(60, smtp=State.FAILED)
            await asyncio.sleep(10)
            assert service.states["smtp"] is State.FAILED
            assert service.report("smtp").restarts_left == 0
            assert "not carried out" in service.report("smtp").evidence
        assert "a mistake in looksalive" in caplog.text

    run_virtual(main())


def test_stale_answers_change_nothing() -> None:
    """Answers of the past find an operation that is no more, and move nothing."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            revision = service.reader.revision
            for op in range(1, 20):
                service.runtime.post(Started(SMTP, OpId(op)))
                service.runtime.post(Exited(SMTP, Incarnation(0), Verdict(Reason.PROCESS_GONE)))
            await asyncio.sleep(1)
            assert service.reader.revision == revision

    run_virtual(main())


def test_flood_of_events_lets_others_have_their_turn() -> None:
    """Thousands of events at once do not keep the loop from everybody else."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            for _ in range(5_000):
                service.runtime.post(Exited(SMTP, Incarnation(0), Verdict(Reason.PROCESS_GONE)))
            turns = 0
            answer = service.runtime.ask(Tick())
            while not answer.done():
                await asyncio.sleep(0)
                turns += 1
            assert turns > 10

    run_virtual(main())


def test_lost_edge_is_made_good() -> None:
    """S62: where the core does not know what the monitor knows, it learns it within one sweep."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            world = service.runtime.world
            seq = service.events[-1].seq
            world.records[SMTP] = replace(world.records[SMTP], state=State.FAILED, reason=Reason.EOF, spent=True)
            await service.until_edge("smtp", State.ONLINE, 6, seq)

    run_virtual(main())


@pytest.mark.parametrize("stall_s", [0.5, 60.0])
def test_an_answer_that_is_there_is_never_too_late(stall_s: float) -> None:
    """S52: the answer lies in the inbox when the time-out passes while we are stalled: it counts, the service is up."""

    async def main() -> None:
        machine = make_machine(pending_timeout_s=30)
        machine.recipes["/bin/smtp"].start_delay_s = 10_000
        service = SimService(machine)
        await service.until(20, smtp=State.ONLINE_PENDING, pop3=State.ONLINE)
        record = service.runtime.world.records[SMTP]
        assert record.due is not None
        await asyncio.sleep(record.due - service.run.clock.now() - 0.1)
        service.runtime.post(Probed(SMTP, record.incarnation, True, Verdict(Reason.MATCHED)))
        service.run.clock.stall(stall_s)
        await asyncio.sleep(0.1)
        assert [edge[1] for edge in service.edges("smtp")][:2] == ["online-pending", "online"]
        await service.end()

    run_virtual(main())


def test_a_pause_of_ours_is_no_time_out_of_a_service() -> None:
    """S52: stopped for twice pending_timeout_s while a service comes up: it is asked before it is given up."""

    async def main() -> None:
        machine = make_machine(pending_timeout_s=30)
        machine.recipes["/bin/smtp"].start_delay_s = 20
        service = SimService(machine)
        await service.until(20, smtp=State.ONLINE_PENDING, pop3=State.ONLINE)
        await asyncio.sleep(5)
        service.run.clock.stall(60)
        await service.until(60)
        assert [edge[1] for edge in service.edges("smtp")] == ["online-pending", "online"]
        assert started(machine, "smtp") == 1
        await service.end()

    run_virtual(main())
