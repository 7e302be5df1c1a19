"""A disk that hangs, from its thread to the edge, in virtual time: one call of it, whatever is asked meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bindings.model import Resource
from probe.controllers import observers_by_name
from probe.environment.machine import Disk
from probe.monitor.plan import Plans, ProbePlan
from probe.values import Incarnation, Reason, ResourceId
from tests.monitor.rig import FIRST, Rig, simulate
from tests.sim.looks import SimDisks, SimThreads

DISK = ResourceId("evs1", "disk")
OWN: dict[str, object] = {"mount_point": "/srv/mail"}
GOOD = Disk("server:/mail", "nfs4", free_bytes=10**9)


def plan(rig: Rig, threads: SimThreads, disks: SimDisks) -> ProbePlan:
    """Plan the looks as the runtime does."""
    environment = replace(rig.environment, threads=threads, disks=disks)
    observer = observers_by_name(environment)["disk"]
    resource = Resource(group="evs1", name="disk", type="physical-disk", parameters=OWN)
    look = partial(observer.look, DISK, OWN)
    return Plans(environment).plan_look(resource, look, observer.overdue, calls_off=observer.calls_off)


def test_a_dead_file_server_costs_one_thread_until_it_is_back() -> None:
    """S51, S64, S65: an hour of a hanging mount is one failure and one thread, over restarts, too; its end is seen."""

    async def body(rig: Rig) -> None:
        threads, disks = SimThreads(), SimDisks({"/srv/mail": GOOD})
        rig.monitors.watch(plan(rig, threads, disks), FIRST, True)
        await rig.until(1)
        threads.made.clear()
        threads.hang()
        await rig.until(600)
        assert [(one.alive, one.verdict.reason) for one in rig.posted] == [(False, Reason.DISK_FAILED)]
        for number in range(2, 10):  # as its restarts would: each begins a new watch
            rig.monitors.unwatch(DISK)
            rig.monitors.watch(plan(rig, threads, disks), Incarnation(number), None, confirming=True)
            await rig.until(600 + 300 * number)
        assert (len(threads.made), threads.count) == (1, 1)
        assert len(rig.posted) == 1
        threads.go_on()
        await rig.until(rig.loop.time() + 0.1)
        assert [one.alive for one in rig.posted] == [False, True]
        assert threads.count == 0

    simulate(body, until_s=7200)
