"""Units of a real systemd: brought back by the whole service, and every way a job of its can end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from probe.controllers.contract import ServiceSpec
from probe.controllers.systemd import TERMINATE_GRACE_S, SystemdController
from probe.environment.clock import LoopClock
from probe.values import Incarnation, Reason, ResourceId, Verdict
from tests.controllers.links import refused, spawn
from tests.e2e.machine import Machine
from tests.e2e.podman import Podman
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase

BACK_WITHIN_S = 20.0
WITHIN_S = 10.0
STUBBORN = "/usr/bin/env --ignore-signal=TERM /usr/bin/sleep 10000"


def test_a_unit_is_brought_back(folder: Path, podman: Podman) -> None:
    """S3, S6, S16: a killed unit and one that an administrator stopped are named rightly and brought back, in order."""
    nginx = Nginx(folder / "nginx", Authority(folder).good)
    machine = Machine(podman, folder)
    machine.add("web.service", f"ExecStart={' '.join(nginx.command)}\nStandardError=append:{nginx.log_file}")
    machine.add("base.service", "ExecStart=/usr/bin/sleep 100000")
    machine.boot()
    store = folder / "store"
    write_metabase(store, {"/http/1": virtual_server(nginx.http_port)}, poll_interval_s=30)  # systemd tells, not a poll

    def unit(name: str) -> dict[str, str]:
        return {"kind": "systemd", "unit": name, "bus": machine.bus}

    write_cluster(
        store,
        "evs1",
        {
            "base": {"type": "service", "controller": unit("base.service")},
            "web": {
                "type": "http",
                "parameters": {"virtual_server": "/http/1"},
                "depends_on": ["base"],
                "controller": unit("web.service"),
            },
        },
    )
    with Service(store, "--kernel-events=off") as service:
        service.wait_all_alive(BACK_WITHIN_S)
        online = [each["id"] for each in service.events() if each["to"] == "online"]
        assert online == ["evs1/base", "evs1/web"]
        pid = service.resource("evs1/web")["pid"]
        assert machine.systemctl("show", "--property=MainPID", "web.service") == f"MainPID={pid}"

        machine.systemctl("kill", "--signal=KILL", "web.service")
        pid = service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)["pid"]
        assert service.failures("evs1/web") == [("online", "process_gone")]

        machine.systemctl("stop", "web.service")
        pid = service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)["pid"]
        assert service.failures("evs1/web")[1:] == [("online", "external_stop")]

        machine.systemctl("kill", "--signal=KILL", "base.service")
        service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)
        resources = service.wait_all_alive(BACK_WITHIN_S)
        assert service.failures("evs1/base") == [("online", "process_gone")]
        assert resources["evs1/base"]["restarts"] == 1
        assert service.stop() == 0
    assert machine.systemctl("is-active", "web.service", "base.service").split() == ["active"] * 2  # not ours to stop
    assert accepts(nginx.http_port)


class Followed:
    """A controller on a machine's systemd, and what it told."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.told: asyncio.Queue[tuple[str, Verdict]] = asyncio.Queue()
        self.controller = SystemdController(LoopClock(), self._tell, spawn)

    def _tell(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        assert incarnation == 1
        self.told.put_nowait((id.name, verdict))

    def service(self, name: str) -> ServiceSpec:
        """Name the service that a unit is."""
        return ServiceSpec(ResourceId("evs1", name), {"unit": f"{name}.service", "bus": self.machine.bus})

    async def start(self, name: str) -> None:
        """Start a unit."""
        await self.controller.start(self.service(name), Incarnation(1))

    async def systemctl(self, *arguments: str) -> str:
        """Do as an administrator does."""
        return await asyncio.to_thread(self.machine.systemctl, *arguments)

    async def news(self) -> tuple[str, Reason]:
        """Return the next word of an end."""
        async with asyncio.timeout(WITHIN_S):
            name, verdict = await self.told.get()
        return name, verdict.reason


@pytest.fixture
def machine(folder: Path, podman: Podman) -> Machine:
    """A machine with units of every temper."""
    made = Machine(podman, folder)
    made.add("good.service", "ExecStart=/usr/bin/sleep 100000")
    made.add("fails.service", "Type=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/false")
    made.add("unmet.service", "ExecStart=/usr/bin/sleep 100000", "ConditionPathExists=/nowhere")
    made.add("dependent.service", "ExecStart=/usr/bin/sleep 100000", "Requires=fails.service\nAfter=fails.service")
    made.add("slow.service", "Type=notify\nExecStart=/usr/bin/sleep 100000", "JobTimeoutSec=1")
    made.add("dies.service", "ExecStart=/usr/bin/sh -c 'sleep 0.3; exit 3'")
    made.add("stubborn.service", f"ExecStart={STUBBORN}\nTimeoutStopSec=60\nRestart=always")
    made.add("returns.service", "ExecStart=/usr/bin/sleep 100000\nRestart=always\nRestartSec=0")
    made.boot()
    return made


async def every_way(followed: Followed) -> None:
    """Start, hurt and stop units, one after another."""
    controller, systemctl = followed.controller, followed.systemctl

    for name, reason, words in (
        ("fails", Reason.PROCESS_GONE, "could not be started: exit-code, exit status 1"),
        ("unmet", Reason.SERVICE_STOPPED, "is a condition of it not met?"),
        ("dependent", Reason.SERVICE_STOPPED, "a unit that it requires failed"),
        ("slow", Reason.PENDING_TIMEOUT, "timed out"),
        ("nothing", Reason.SERVICE_STOPPED, "not found"),
    ):
        verdict = await refused(followed.start(name))
        assert (verdict.reason, words in verdict.evidence) == (reason, True), verdict
        await controller.stop(followed.service(name))

    await followed.start("dies")
    assert await followed.news() == ("dies", Reason.PROCESS_GONE)

    await followed.start("good")
    await followed.start("good")
    pid = controller.pid(ResourceId("evs1", "good"))
    assert await systemctl("show", "--property=MainPID", "good.service") == f"MainPID={pid}"
    await systemctl("kill", "--signal=SEGV", "good.service")
    assert await followed.news() == ("good", Reason.PROCESS_GONE)
    await followed.start("good")
    await controller.stop(followed.service("good"))
    assert await systemctl("is-active", "good.service") == "inactive"

    await followed.start("returns")  # systemd brings it back by itself; its end is no secret for that
    await systemctl("kill", "--signal=KILL", "returns.service")
    assert await followed.news() == ("returns", Reason.PROCESS_GONE)
    await followed.start("returns")
    await controller.stop(followed.service("returns"))

    loop = asyncio.get_running_loop()
    await followed.start("stubborn")
    begun = loop.time()
    await controller.terminate(followed.service("stubborn"))
    assert TERMINATE_GRACE_S <= loop.time() - begun < TERMINATE_GRACE_S + WITHIN_S
    await followed.start("stubborn")
    controller.kill(ResourceId("evs1", "stubborn"))
    async with asyncio.timeout(WITHIN_S):
        while await systemctl("is-active", "stubborn.service") != "failed":
            pass
    assert followed.told.empty()


async def every_loss(followed: Followed) -> None:
    """Take the bus and systemd away and bring them back while a unit is followed."""
    await followed.start("good")
    await followed.systemctl("daemon-reexec")
    await followed.systemctl("kill", "--signal=KILL", "good.service")
    assert await followed.news() == ("good", Reason.PROCESS_GONE)
    await followed.start("good")
    await followed.systemctl("kill", "--signal=KILL", "dbus.service")
    await followed.systemctl("kill", "--signal=KILL", "good.service")
    assert await followed.news() == ("good", Reason.PROCESS_GONE)


@pytest.mark.parametrize("scene", [every_way, every_loss])
def test_a_real_systemd_under_uvloop(machine: Machine, scene: object) -> None:
    """S4, S56, S57, S68: jobs that fail each in its way, deaths, a terminate, a kill; losses of the connection."""

    async def main() -> None:
        followed = Followed(machine)
        try:
            assert callable(scene)
            await scene(followed)
        finally:
            followed.controller.release()
        async with asyncio.timeout(WITHIN_S):
            while left := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(left)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
