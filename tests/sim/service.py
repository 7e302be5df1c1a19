"""The whole service in virtual time, all but its HTTP side, on a machine with the reference's group (S15)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from bindings.store import StoreFolder
from probe.cluster import DesiredState, MaintenanceFile
from probe.controllers import CONTROLLER_KINDS, controllers_by_kind
from probe.lifecycle.events import Progressed
from probe.lifecycle.report import EventReport, ResourceReport
from probe.metrics import Metrics
from probe.runtime import Inventory, Reader, Runtime
from probe.values import Incarnation, ResourceId, State, Verdict
from tests.sim.environment import start_run
from tests.sim.loop import current_loop
from tests.sim.machine import Machine
from tests.sim.programs import Recipe

STORE_DIR = "/etc/looksalive"
STATE_DIR = "/var/lib/looksalive"
GROUP = "evs1"
PORTS = {"smtp": 25, "pop3": 110, "imap": 143, "http": 80}
EVENTS_MAX = 10_000
LOOK_S = 5.0  # whether the service still runs, while waiting for an edge of it

Json = dict[str, object]


def resource_id(name: str) -> ResourceId:
    """Name a resource of the group."""
    return ResourceId(GROUP, name)


def metabase(**root: object) -> Json:
    """Describe the four virtual servers; `root` are defaults for all of them."""
    keys: Json = {f"/{protocol}/1": {"bindings": [f"127.0.0.1:{port}"]} for protocol, port in PORTS.items()}
    return {"schema_version": 1, "revision": 1, "keys": {"/": root, **keys}}


def cluster(kill_after_s: float = 2, **policy: object) -> Json:
    """Describe the group: sa <- store <- the four protocols; `policy` goes for all that are started."""

    def started(command: list[str]) -> Json:
        return {"controller": {"kind": "process", "command": command, "kill_after_s": kill_after_s}, **policy}

    resources: dict[str, Json] = {
        "sa": {"type": "system-attendant", "controller": {"kind": "none"}},
        "store": {"type": "information-store", "depends_on": ["sa"], **started(["/bin/store"])},
    }
    resources["store"]["parameters"] = {"name": GROUP}
    for protocol, port in PORTS.items():
        resources[protocol] = {
            "type": protocol,
            "depends_on": ["store"],
            "parameters": {"virtual_server": f"/{protocol}/1"},
            **started([f"/bin/{protocol}", f"127.0.0.1:{port}"]),
        }
    return {"schema_version": 1, "revision": 1, "groups": {GROUP: {"resources": resources}}}


def make_machine(seed: int = 1, kill_after_s: float = 2, **policy: object) -> Machine:
    """Make a machine with the programs and the store of the group."""
    machine = Machine(seed, current_loop().timeline)
    machine.recipes["/bin/store"] = Recipe()
    for protocol in PORTS:
        machine.recipes[f"/bin/{protocol}"] = Recipe(protocol)
    edit(machine, "metabase.json", metabase())
    edit(machine, "cluster.json", cluster(kill_after_s, **policy))
    return machine


def edit(machine: Machine, file: str, content: Json) -> None:
    """Write a file of the store as an administrator does."""
    machine.disk.put(f"{STORE_DIR}/{file}", json.dumps(content))


class SimService:
    """One run of the service."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.run = start_run(machine)
        environment = self.run.environment
        environment.files.make_folder(STATE_DIR)
        self.metrics = Metrics()
        folder = StoreFolder(environment.files, STORE_DIR, STATE_DIR)
        self.controllers = controllers_by_kind(
            environment,
            STATE_DIR,
            self._exited,
            lambda work: self.runtime.spawn(work),  # noqa: PLW0108 - the runtime is made later
            lambda *word: self.runtime.post(Progressed(*word)),
            metabase=folder,
            ask=lambda id: self.inventory.ask_once(id),  # noqa: PLW0108 - likewise
        )
        desired = DesiredState(environment.files, STATE_DIR)
        maintained = MaintenanceFile(environment.files, STATE_DIR)
        self.inventory = Inventory(environment, folder, CONTROLLER_KINDS, self.controllers, desired, maintained)
        self.inventory.load()
        self.runtime = Runtime(
            environment,
            self.metrics,
            max_in_flight=1000,
            open_service=self.inventory.open_service,
            plan_of=self.inventory.plan_of,
        )
        self.reader = Reader(self.runtime, self.inventory, "node1")
        self.task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self.runtime.run(self._begin)
        finally:
            for controller in self.controllers.values():
                controller.release()

    async def _begin(self) -> None:
        await self.inventory.begin(self.runtime)
        await self.inventory.follow(self.runtime)

    def _exited(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        self.runtime.exited(id, incarnation, verdict)

    # --- what a reader sees ---

    def report(self, name: str) -> ResourceReport:
        """Read one resource of the group."""
        report = self.reader.resource(resource_id(name))
        assert report is not None, name
        return report

    @property
    def states(self) -> dict[str, State]:
        """The state of every resource, by name."""
        return {report.id.name: report.state for report in self.reader.resources()}

    @property
    def events(self) -> list[EventReport]:
        """Every edge so far."""
        return self.reader.events_after(0, EVENTS_MAX)

    def edges(self, name: str, after: int = 0) -> list[tuple[str, str, str, str]]:
        """The changes of one resource's state behind event number `after`: (from, to, reason, trigger) each."""
        found = [event for event in self.reader.events_after(after, EVENTS_MAX) if event.id == f"{GROUP}/{name}"]
        return [(event.from_, event.to, event.reason, event.trigger) for event in found if event.kind == "state"]

    async def until(self, within_s: float, **wanted: State) -> float:
        """Wait until the named resources (all of them without names: online) are so; return how long it took."""

        def reached() -> bool:
            states = self.states
            return bool(states) and (wanted or dict.fromkeys(states, State.ONLINE)).items() <= states.items()

        return await self._wait(reached, within_s)

    async def until_edge(self, name: str, to: State, within_s: float, after: int) -> float:
        """Wait for a change to that state behind event number `after`, however short; return how long it took."""
        return await self._wait(lambda: any(edge[1] == to for edge in self.edges(name, after)), within_s)

    async def _wait(self, reached: Callable[[], bool], within_s: float) -> float:
        clock = self.run.clock
        begun = clock.now()
        while not reached():
            self.must_run()
            left_s = begun + within_s - clock.now()
            assert left_s > 0, f"after {within_s:g} s: {self.states}"
            await self.reader.wait_past(self.reader.revision, min(left_s, LOOK_S))
        return clock.now() - begun

    def must_run(self) -> None:
        """Raise what ended the service, if anything did."""
        if self.task.done():
            self.task.result()
            raise AssertionError("the service ended")

    # --- how it ends ---

    async def end(self, *, stop_services: bool = True) -> float:
        """End it as SIGTERM does; return how long that took."""
        begun = self.run.clock.now()
        self.runtime.end(stop_services=stop_services)
        await self.task
        assert not self.run.network.sockets, "sockets are left open"
        return self.run.clock.now() - begun

    async def die(self) -> None:
        """End it as SIGKILL does."""
        self.run.die()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, BaseExceptionGroup):
            await self.task


@contextlib.asynccontextmanager
async def serving(machine: Machine, within_s: float = 60) -> AsyncIterator[SimService]:
    """Run the service until everything is online, give it, and end it in order."""
    service = SimService(machine)
    try:
        await service.until(within_s)
        yield service
    finally:
        if not service.task.done():
            await service.end()


# --- what is on the machine ---


def started(machine: Machine, name: str) -> int:
    """Count how often a program was started."""
    return sum(running.argv[0] == f"/bin/{name}" for running in machine.programs.values())


def pid_of(machine: Machine, name: str) -> int:
    """Return the pid of the one running program of that name."""
    (running,) = machine.running(f"/bin/{name}")
    return running.pid


def running_names(machine: Machine) -> list[str]:
    """List the programs that run."""
    return [one.argv[0].rpartition("/")[2] for one in machine.programs.values() if one.running]


def told(service: SimService, after: int = 0) -> list[tuple[str, str]]:
    """List all changes of state behind event number `after`: (name, new state)."""
    return [(e.id.partition("/")[2], e.to) for e in service.events if e.kind == "state" and e.seq > after]
