"""The whole service in virtual time: operators, our own death and restart, edits of the store, readers."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any

import pytest

from probe.lifecycle.report import Refusal
from probe.values import State
from tests.sim.loop import run_virtual
from tests.sim.servers import Fault
from tests.sim.service import (
    GROUP,
    PORTS,
    SimService,
    cluster,
    edit,
    make_machine,
    metabase,
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


# --- the operator ---


def test_operators_offline_stays() -> None:
    """An operator's offline stays through hours, a provider's restart and our own; an online ends it."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.reader.ask_resource("offline", resource_id("smtp"), "test")
            await service.until(5, smtp=State.OFFLINE)
            machine.kill(pid_of(machine, "store"), signal.SIGKILL)
            await service.run.clock.sleep(2 * HOUR_S)
            assert (service.states["smtp"], service.states["pop3"]) == (State.OFFLINE, State.ONLINE)
        following = SimService(machine)
        await following.until(10, pop3=State.ONLINE)
        await following.run.clock.sleep(60)
        assert (following.states["smtp"], started(machine, "smtp")) == (State.OFFLINE, 1)
        await following.reader.ask_resource("online", resource_id("smtp"), "test")
        await following.until(5)
        await following.end()

    simulate(main(), until_s=3 * HOUR_S)


def test_offline_of_what_is_down_already_stays() -> None:
    """An operator's offline of a resource that is down for another's sake is kept over a restart of ours."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.reader.ask_resource("offline", resource_id("store"), "test")
            await service.until(5, store=State.OFFLINE, smtp=State.OFFLINE)
            await service.reader.ask_resource("offline", resource_id("smtp"), "test")
            await service.run.clock.sleep(5)
        following = SimService(machine)
        await following.run.clock.sleep(60)
        await following.reader.ask_resource("online", resource_id("store"), "test")
        await following.until(10, store=State.ONLINE, pop3=State.ONLINE)
        assert following.states["smtp"] is State.OFFLINE
        await following.end()

    simulate(main())


def test_online_wants_the_providers_for_good() -> None:
    """An online brings back a provider that an operator had taken down, and so it stays over a restart of ours."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.reader.ask_resource("offline", resource_id("store"), "test")
            await service.until(5, store=State.OFFLINE, smtp=State.OFFLINE)
            await service.reader.ask_resource("online", resource_id("smtp"), "test")
            await service.until(5)
        async with serving(machine):
            pass

    simulate(main())


def test_group_offline_and_online() -> None:
    """S16: a group goes offline in the reverse of its order and comes back in it; the operations are told done."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            down = await service.reader.ask_group("offline", GROUP, "test")
            await service.until(10, **dict.fromkeys(service.states, State.OFFLINE))
            order = [name for name, to in told(service, before) if to == "offline"]
            assert order[-2:] == ["store", "sa"]
            assert running_names(machine) == []
            done = service.reader.operation(down.id)
            assert done is not None
            assert done.state == "done"
            await service.reader.ask_group("online", GROUP, "test")
            await service.until(10)

    simulate(main())


def test_restart_by_the_operator() -> None:
    """An operator's restart stops and starts the service, and costs nothing of the budget."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            for expected in range(2, 8):
                await service.reader.ask_resource("restart", resource_id("smtp"), "test")
                await service.run.clock.sleep(5)
                await service.until(5)
                assert started(machine, "smtp") == expected
            assert service.report("smtp").restarts_left == 2

    simulate(main())


def test_unknown_resource_is_refused() -> None:
    """A verb for what is not there is refused with a stable word."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            with pytest.raises(Refusal) as caught:
                await service.reader.ask_resource("online", resource_id("nope"), "test")
            assert (caught.value.status, caught.value.code) == (404, "not_found")

    simulate(main())


# --- our own death ---


def test_adoption_after_our_death() -> None:
    """After `kill -9` of us the services run on, the next run adopts them all, and watches them as its own."""

    async def main() -> None:
        machine = make_machine()
        first = SimService(machine)
        await first.until(5)
        before = {name: pid_of(machine, name) for name in ("store", *PROTOCOLS)}
        await first.die()
        assert len(running_names(machine)) == 5
        async with serving(machine) as second:
            assert {name: pid_of(machine, name) for name in ("store", *PROTOCOLS)} == before
            assert second.report("smtp").pid == before["smtp"]
            machine.kill(before["smtp"], signal.SIGKILL)
            await second.until_edge("smtp", State.FAILED, 0.1, after=0)
            await second.until(5)
            assert started(machine, "smtp") == 2
        assert running_names(machine) == []

    simulate(main())


def test_what_died_while_we_were_dead() -> None:
    """A service that died while we were dead is started again, and only that one."""

    async def main() -> None:
        machine = make_machine()
        first = SimService(machine)
        await first.until(5)
        await first.die()
        machine.kill(pid_of(machine, "imap"), signal.SIGKILL)
        async with serving(machine):
            assert [started(machine, name) for name in ("store", *PROTOCOLS)] == [1, 1, 1, 2, 1]

    simulate(main())


def test_death_at_any_moment() -> None:
    """Killed at any moment of a start, the next run ends with everything online and no service running twice."""

    async def main() -> None:
        for number in range(25):
            machine = make_machine(seed=number)
            for recipe in machine.recipes.values():
                recipe.start_delay_s = 0.3
            for life in range(3):
                service = SimService(machine)
                await service.run.clock.sleep(machine.chance.choice([0, 0.001, 0.05, 0.29, 0.31, 0.7]) + life / 10)
                await service.die()
            async with serving(machine):
                assert sorted(running_names(machine)) == sorted(["store", *PROTOCOLS])
            assert running_names(machine) == []
            for server in machine.servers.values():
                server.close()

    simulate(main())


def test_reboot() -> None:
    """After a reboot nobody is adopted, though pids return: everything is started anew."""

    async def main() -> None:
        machine = make_machine()
        first = SimService(machine)
        await first.until(5)
        await first.die()
        machine.reboot()
        async with serving(machine):
            assert len(running_names(machine)) == 5

    simulate(main())


# --- the store ---


def test_good_edit_changes_what_it_names() -> None:
    """DESIGN 5.7: an edit of one virtual server leaves the others' counters, cache and schedule alone."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            await service.run.clock.sleep(35)
            before = service.events[-1].seq
            readings = {name: service.runtime.monitors.reading(resource_id(name)) for name in PROTOCOLS}
            content = metabase()
            content["keys"]["/smtp/1"]["poll_interval_s"] = 2  # type: ignore[index] # it is what metabase() made
            edit(machine, "metabase.json", content)
            total = machine.server("smtp", SMTP).total
            await service.run.clock.sleep(30)
            assert machine.server("smtp", SMTP).total - total > 10
            for name in ("pop3", "imap", "http"):
                was, now = readings[name], service.runtime.monitors.reading(resource_id(name))
                assert was is not None
                assert now is not None
                assert now.rounds == was.rounds + 3
            assert told(service, before) == []
            assert started(machine, "smtp") == 1

    simulate(main())


def test_bad_edit_is_refused() -> None:
    """A bad edit leaves the last good store in force and is counted; mending it is followed."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = service.events[-1].seq
            machine.disk.put("/etc/looksalive/metabase.json", '{"schema_version": 1, "keys": {"/smtp/1": {"port": 5}}}')
            await service.run.clock.sleep(30)
            assert told(service, before) == []
            edit(machine, "metabase.json", metabase())
            machine.kill(pid_of(machine, "smtp"), signal.SIGKILL)
            await service.until(5)

    simulate(main())


def test_removed_and_added_resource() -> None:
    """A resource taken out of the store is stopped and forgotten; put back, it is started again."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            content = cluster()
            imap = content["groups"][GROUP]["resources"].pop("imap")  # type: ignore[index] # it is what cluster() made
            edit(machine, "cluster.json", content)
            await service.run.clock.sleep(10)
            assert "imap" not in running_names(machine)
            assert resource_id("imap") not in {report.id for report in service.reader.resources()}
            content["groups"][GROUP]["resources"]["imap"] = imap  # type: ignore[index] # as above
            edit(machine, "cluster.json", content)
            await service.run.clock.sleep(5)
            await service.until(5, imap=State.ONLINE)
            assert started(machine, "store") == 1

    simulate(main())


# --- reading ---


def test_reading_costs_no_probe() -> None:
    """S7 S62: reading a thousand times asks nobody, and answers while the check hangs."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            server = machine.server("smtp", SMTP)
            server.fault = Fault.SILENT
            while not server.connections:
                await service.run.clock.sleep(0.1)
            total, now = server.total, service.run.clock.now()
            for _ in range(1000):
                assert service.report("smtp").alive
            assert (server.total, service.run.clock.now()) == (total, now)
            server.fault = Fault.NONE

    simulate(main())
