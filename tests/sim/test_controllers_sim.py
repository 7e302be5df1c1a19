"""The whole service in virtual time: one service for two groups, and containers that a kubelet restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from probe.api.isalive import blameless
from probe.values import ResourceId, State
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.programs import Recipe
from tests.sim.servers import Server
from tests.sim.service import GROUP, Json, SimService, edit, serving

SMTP = ("127.0.0.1", 25)
SECOND = ResourceId("evs2", "smtp")


def simulate(main: Coroutine[Any, Any, None]) -> None:
    """Run a body to its end."""
    run_virtual(main, until_s=3600.0)


def smtp(number: int, controller: Json, **policy: object) -> Json:
    """Make an smtp resource."""
    virtual_server = {"virtual_server": f"/smtp/{number}"}
    return {"type": "smtp", "parameters": virtual_server, "controller": controller, **policy}


def machine_of(controller: Json, groups: int = 1, **policy: object) -> Machine:
    """Make a machine whose groups have one smtp each, all with that controller."""
    machine = Machine(1, current_loop().timeline)
    machine.recipes["/bin/smtp"] = Recipe("smtp")
    keys = {f"/smtp/{n}": {"bindings": [f"127.0.0.1:{24 + n}"], "poll_interval_s": 5} for n in range(1, groups + 1)}
    edit(machine, "metabase.json", {"schema_version": 1, "keys": keys})
    members = {f"evs{n}": {"resources": {"smtp": smtp(n, controller, **policy)}} for n in range(1, groups + 1)}
    edit(machine, "cluster.json", {"schema_version": 1, "groups": members})
    return machine


SHARED: Json = {"kind": "process", "command": ["/bin/smtp", "127.0.0.1:25", "127.0.0.1:26"]}


def processes(machine: Machine) -> tuple[int, int]:
    """Count the smtp programs that were started, and that run."""
    return len(machine.programs), len(machine.running("/bin/smtp"))


def test_one_process_for_two_groups() -> None:
    """S36, S42, S59, S60: started once for both; one group's offline ends it for all, the other brings it back."""

    async def main() -> None:
        machine = machine_of(SHARED, groups=2, restart_threshold=0)
        async with serving(machine) as service:
            assert processes(machine) == (1, 1)
            await service.reader.ask_resource("offline", ResourceId(GROUP, "smtp"), "")
            await service.run.clock.sleep(20)
            states = [report.state for report in service.reader.resources()]
            assert (states, processes(machine)) == ([State.OFFLINE, State.ONLINE], (2, 1))
            told = [(e.to, e.reason) for e in service.events if e.id == str(SECOND) and e.kind == "state"]
            assert ("failed", "collateral") in told, "it was not its own failure, and cost nothing of its budget"

    simulate(main())


def test_the_death_of_a_shared_process() -> None:
    """S4, S37: both learn of it and share one again."""

    async def main() -> None:
        machine = machine_of(SHARED, groups=2)
        async with serving(machine) as service:
            (running,) = machine.running("/bin/smtp")
            machine.kill(running.pid, 9)
            await service.run.clock.sleep(20)
            assert [report.state for report in service.reader.resources()] == [State.ONLINE] * 2
            assert processes(machine) == (2, 1)

    simulate(main())


def test_a_shared_process_survives_us() -> None:
    """S57: after our death it is taken over by both, and not started again; the end stops it once."""

    async def main() -> None:
        machine = machine_of(SHARED, groups=2)
        async with serving(machine) as service:
            await service.die()
        async with serving(machine):
            assert processes(machine) == (1, 1)
        assert processes(machine) == (1, 0)

    simulate(main())


class Pod:
    """A kubelet and the container that it restarts after three failures of `/livez`; it needs its time to start."""

    PERIOD_S, THRESHOLD, STARTS_IN_S = 10.0, 3, 25.0

    def __init__(self, server: Server, service: SimService) -> None:
        self.server = server
        self.service = service
        self.restarts = 0

    async def probe(self) -> None:
        """Ask, as a kubelet does; its startup probe asks whether the server is there."""
        failures = 0
        while True:
            await self.service.run.clock.sleep(self.PERIOD_S)
            failures = 0 if blameless(self.service.report("smtp")) else failures + 1
            if failures == self.THRESHOLD:
                failures = 0
                self.restarts += 1
                self.server.close()
                await self.service.run.clock.sleep(self.STARTS_IN_S)
                self.server.open()


@asynccontextmanager
async def in_pod() -> AsyncIterator[Pod]:
    """Serve a container that the kubelet controller watches."""
    machine = machine_of({"kind": "kubelet"})
    server = machine.serve("smtp", SMTP)
    async with serving(machine) as service:
        pod = Pod(server, service)
        kubelet = asyncio.get_running_loop().create_task(pod.probe())
        yield pod
        kubelet.cancel()


@pytest.mark.parametrize("fault", ["hangs", "gone"])
def test_the_kubelet_restarts_a_failed_container_once(fault: str) -> None:
    """A failed one has no grace until it was restarted: /livez fails on, the kubelet acts, once, and it is back."""

    async def main() -> None:
        async with in_pod() as pod:
            if fault == "hangs":
                pod.server.freeze()
            else:
                pod.server.close()
            await pod.service.until(60, smtp=State.FAILED)
            await pod.service.until(150, smtp=State.ONLINE)
            assert pod.restarts == 1
            await pod.service.run.clock.sleep(300)
            assert (pod.restarts, pod.service.states["smtp"]) == (1, State.ONLINE)

    simulate(main())


def test_what_heals_by_itself_is_not_restarted() -> None:
    """A container that answers again before the kubelet had enough goes on as it is."""

    async def main() -> None:
        async with in_pod() as pod:
            pod.server.freeze()
            await pod.service.until(60, smtp=State.FAILED)
            pod.server.thaw()
            await pod.service.until(10, smtp=State.ONLINE)
            assert pod.restarts == 0

    simulate(main())


def test_an_offline_of_the_kubelet_s_leaves_the_container() -> None:
    """Offline is at once and touches nothing; nobody is to blame; online confirms it again."""

    async def main() -> None:
        async with in_pod() as pod:
            await pod.service.reader.ask_resource("offline", ResourceId(GROUP, "smtp"), "")
            await pod.service.until(1, smtp=State.OFFLINE)
            assert pod.server.listening
            assert blameless(pod.service.report("smtp"))
            await pod.service.reader.ask_resource("online", ResourceId(GROUP, "smtp"), "")
            await pod.service.until(5, smtp=State.ONLINE)

    simulate(main())
