"""Maintenance of a group in the whole service, in virtual time."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from probe.lifecycle.report import Refusal
from probe.values import State
from tests.sim.loop import run_virtual
from tests.sim.service import GROUP, SimService, make_machine, pid_of, running_names, serving, started, told

HOUR_S = 3600.0


def simulate(main: Coroutine[Any, Any, None]) -> None:
    """Run a body to its end."""
    run_virtual(main, until_s=24 * HOUR_S)


def test_nothing_is_done_and_everything_is_told() -> None:
    """S6: what is stopped on purpose is told as failed and let alone; after the maintenance it is brought back."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.reader.maintain(GROUP, True, "anna", None)
            before = service.events[-1].seq
            machine.kill(pid_of(machine, "imap"), signal.SIGTERM)
            await service.until_edge("imap", State.FAILED, 1, before)
            await service.run.clock.sleep(HOUR_S)
            assert (started(machine, "imap"), told(service, before)) == (1, [("imap", "failed")])
            with pytest.raises(Refusal, match="in maintenance by anna"):
                await service.reader.ask_resource("online", service.report("imap").id, "bert")
            await service.reader.maintain(GROUP, False, "anna", None)
            await service.until(5)
            assert (started(machine, "imap"), service.report("imap").restarts_left) == (2, 2)

    simulate(main())


def test_it_outlives_us_and_ends_by_itself() -> None:
    """A restart of ours during the maintenance acts on nothing; at its end what it kept back happens."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.reader.maintain(GROUP, True, "anna", HOUR_S)
            await service.run.clock.sleep(HOUR_S / 2)
            await service.die()
        machine.kill(pid_of(machine, "smtp"), signal.SIGKILL)
        again = SimService(machine)
        await again.run.clock.sleep(HOUR_S / 4)
        assert "smtp" not in running_names(machine)
        (group,) = filter(None, again.reader.groups())
        assert group.maintenance is not None
        states = again.states  # what still runs is taken over, for watching goes on
        assert (states["imap"], states["smtp"]) == (State.ONLINE, State.OFFLINE)
        assert group.maintenance.owner == "anna"
        await again.run.clock.sleep(HOUR_S / 4)
        await again.until(60)
        assert (started(machine, "smtp"), started(machine, "imap")) == (2, 1)
        await again.end()

    simulate(main())
