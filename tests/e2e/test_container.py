"""Containers of a real Podman, through its API: brought back by the whole service, and told of at once."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import uvloop

from probe.controllers.container import TERMINATE_GRACE_S, ContainerController
from probe.controllers.contract import ServiceSpec
from probe.environment.clock import LoopClock
from probe.environment.files import RealFiles
from probe.values import Incarnation, Reason, ResourceId, Verdict
from tests.controllers.links import refused, spawn
from tests.e2e.podman import Podman
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase

BACK_WITHIN_S = 20.0
WITHIN_S = 10.0
ID = ResourceId("evs1", "web")


def test_a_container_is_brought_back(folder: Path, podman: Podman) -> None:
    """S3, S6: a killed container and one that was stopped behind our back are named rightly and brought back."""
    nginx = Nginx(folder / "nginx", Authority(folder).good)
    podman.create("web", nginx.command, folder)
    podman.serve()
    store = folder / "store"
    write_metabase(store, {"/http/1": virtual_server(nginx.http_port)}, poll_interval_s=30)  # Podman tells, not a poll
    controller = {"kind": "container", "container": "web", "socket": str(podman.socket)}
    parameters = {"virtual_server": "/http/1"}
    web = {"type": "http", "parameters": parameters, "controller": controller, "restart_threshold": 3}
    write_cluster(store, "evs1", {"web": web})
    with Service(store, "--kernel-events=off") as service:
        pid = service.wait_all_alive(BACK_WITHIN_S)["evs1/web"]["pid"]
        assert podman("inspect", "--format={{.State.Pid}}", "web") == str(pid)

        os.kill(pid, signal.SIGKILL)
        pid = service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)["pid"]
        assert service.failures("evs1/web") == [("online", "process_gone")]

        podman("stop", "web", check=False)  # who cleans up behind it complains when we have started it again by then
        pid = service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)["pid"]
        assert service.failures("evs1/web")[1:] == [("online", "external_stop")]

        podman.end_service()  # the API goes away and comes back: what happened meanwhile is told then
        os.kill(pid, signal.SIGKILL)
        podman.serve()
        resource = service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)
        assert service.failures("evs1/web")[2:] == [("online", "process_gone")]
        assert service.stop() == 0
    assert podman("inspect", "--format={{.State.Status}} {{.State.Pid}}", "web") == f"running {resource['pid']}"
    assert accepts(nginx.http_port)  # it is not ours to stop


async def every_way(podman: Podman) -> None:
    """Start, hurt and stop containers, one after another."""
    told: asyncio.Queue[Verdict] = asyncio.Queue()

    def tell(id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        assert (id, incarnation) == (ID, 1)
        told.put_nowait(verdict)

    async def news() -> Verdict:
        async with asyncio.timeout(WITHIN_S):
            return await told.get()

    async def do(*arguments: str) -> str:
        return await asyncio.to_thread(podman, *arguments)

    def service(name: str) -> ServiceSpec:
        return ServiceSpec(ID, {"container": name, "socket": str(podman.socket), "stop_timeout_s": 20})

    loop = asyncio.get_running_loop()
    controller = ContainerController(LoopClock(), RealFiles(), tell, spawn)
    verdict = await refused(controller.start(service("nobody"), Incarnation(1)))
    assert "there is no container nobody" in verdict.evidence
    await controller.stop(service("nobody"))
    verdict = await refused(controller.start(service("broken"), Incarnation(1)))
    assert (verdict.reason, "broken" in verdict.evidence) == (Reason.SERVICE_STOPPED, True)
    await controller.stop(service("broken"))

    await controller.start(service("good"), Incarnation(1))
    await controller.start(service("good"), Incarnation(1))
    await do("kill", "--signal=KILL", "good")
    assert (await news()).reason in (
        Reason.EXTERNAL_STOP,
        Reason.PROCESS_GONE,
    )  # Podman may tell the end before the kill
    await controller.start(service("good"), Incarnation(1))
    await do("pause", "good")
    await controller.stop(service("good"))
    assert await do("inspect", "--format={{.State.Status}}", "good") == "exited"
    for _ in range(3):  # the late word of a stop is no end of the next run
        await controller.start(service("good"), Incarnation(1))
        await controller.stop(service("good"))

    await controller.start(service("stubborn"), Incarnation(1))
    begun = loop.time()
    await controller.terminate(service("stubborn"))
    assert TERMINATE_GRACE_S <= loop.time() - begun < TERMINATE_GRACE_S + WITHIN_S
    await controller.start(service("stubborn"), Incarnation(1))
    controller.kill(ID)
    async with asyncio.timeout(WITHIN_S):
        while await do("inspect", "--format={{.State.Status}}", "stubborn") != "exited":
            pass
    assert told.empty()

    controller.release()
    async with asyncio.timeout(WITHIN_S):
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)


def test_a_real_engine_under_uvloop(podman: Podman) -> None:
    """S4, S56, S57, S68: starts that fail each in its way, deaths, a pause, a terminate, a kill."""
    podman.create("good", ["/usr/bin/sleep", "100000"], options=("--stop-signal=KILL",))
    podman.create("broken", ["/nowhere/program"])
    podman.create("stubborn", ["/usr/bin/env", "--ignore-signal=TERM", "/usr/bin/sleep", "100000"])
    podman.serve()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(every_way(podman))
