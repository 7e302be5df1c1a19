"""What the monitor's tests share: environments, servers as a store describes them, what was counted."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, cast

from bindings.addresses import read_binding
from bindings.model import Resource, VirtualServer
from probe.environment import Environment, Network
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.files import RealFiles
from probe.environment.network import RealNetwork
from probe.lifecycle.events import Probed, Suspected
from probe.monitor.contract import Watching
from probe.monitor.engine import Engine
from probe.monitor.monitor import Monitors
from probe.monitor.plan import Plans, ProbePlan
from probe.monitor.target import Result, Target
from probe.monitor.targets import Targets
from probe.values import Incarnation, Reason, ResourceId, Stage
from tests.sim.environment import make_environment
from tests.sim.loop import VirtualLoop, current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.network import SimNetwork
from tests.sim.one_by_one import OneByOne
from tests.sim.processes import SimProcesses

PLACE = ("127.0.0.1", 25)
FIRST = Incarnation(1)


def virtual_server(*bindings: str, secure: tuple[str, ...] = (), **properties: Any) -> VirtualServer:
    """Describe a virtual server; bindings as the store writes them. SMTP, unless told otherwise."""
    read = [read_binding(text, False) for text in bindings] + [read_binding(text, True) for text in secure]
    return VirtualServer(**{"key": "/smtp/1", "protocol": "smtp", "bindings": tuple(read), **properties})


def plan_of(environment: Environment, server: VirtualServer, name: str = "smtp-1", **properties: Any) -> ProbePlan:
    """Plan the probes of `default/NAME`."""
    return Plans(environment).plan_for(Resource(group="default", name=name, type="smtp", **properties), server)


class Counted(OneByOne):
    """`ProbeMetrics` that remember what they were told."""

    def __init__(self) -> None:
        self.attempts: Counter[ResourceId] = Counter()
        self.failures: Counter[tuple[ResourceId, Stage, Reason]] = Counter()
        self.unknowns: Counter[tuple[ResourceId, Reason]] = Counter()
        self.confirming = 0  # of the failures and unknowns, how many were of a start that was being confirmed
        self.stages: list[tuple[str, Stage, float]] = []
        self.lags: list[float] = []
        self.loop_lags: list[float] = []
        self.health: list[bool] = []
        self.answers: list[tuple[ResourceId, float]] = []
        self.certificates: dict[tuple[ResourceId, str], tuple[tuple[float, ...], bool]] = {}
        self.runs: dict[ResourceId, float] = {}

    def attempt(self, id: ResourceId) -> None:
        self.attempts[id] += 1

    def answered(self, id: ResourceId, seconds: float) -> None:
        self.answers.append((id, seconds))

    def failure(self, id: ResourceId, stage: Stage, reason: Reason, *, confirming: bool = False) -> None:
        self.failures[id, stage, reason] += 1
        self.confirming += confirming

    def unknown(self, id: ResourceId, reason: Reason, *, confirming: bool = False) -> None:
        self.unknowns[id, reason] += 1
        self.confirming += confirming

    def stage(self, protocol: str, stage: Stage, seconds: float) -> None:
        self.stages.append((protocol, stage, seconds))

    def lag(self, seconds: float) -> None:
        self.lags.append(seconds)

    def loop_lag(self, seconds: float) -> None:
        self.loop_lags.append(seconds)

    def prober_health(self, healthy: bool) -> None:
        self.health.append(healthy)

    def certificate(self, id: ResourceId, binding_text: str, not_after: tuple[float, ...], verified: bool) -> None:
        self.certificates[id, binding_text] = (not_after, verified)

    def ran(self, id: ResourceId, wall: float) -> None:
        self.runs[id] = wall


class Hearing:
    """A simulated machine, and what the monitors on it said."""

    monitors: Watching

    def __init__(self, environment: Environment, machine: Machine) -> None:
        self.environment = environment
        self.machine = machine
        self.loop: VirtualLoop = current_loop()
        self.posted: list[Probed] = []
        self.suspected: list[Suspected] = []

    def take(self, event: Probed | Suspected) -> None:
        if isinstance(event, Probed):
            self.posted.append(event)
        else:
            self.suspected.append(event)

    async def until(self, at: float) -> None:
        """Let virtual time pass until `at` seconds after the start."""
        await asyncio.sleep(at - self.loop.time())


H = TypeVar("H", bound=Hearing)


async def live(rig: H, body: Callable[[H], Awaitable[None]]) -> None:
    """Run a body, then close the monitors, however it ended."""
    try:
        await body(rig)
    finally:
        await rig.monitors.close()


class Rig(Hearing):
    """Our monitors on a simulated machine, what they said and what they counted."""

    monitors: Monitors

    def __init__(self, environment: Environment, machine: Machine, max_in_flight: int) -> None:
        super().__init__(environment, machine)
        self.network = cast("SimNetwork", environment.network)
        self.counted = Counted()
        self.monitors = Monitors(
            environment, self.loop.create_task, self.take, self.counted, max_in_flight=max_in_flight
        )

    @property
    def levels(self) -> list[bool]:
        """The posted edges in short."""
        return [event.alive for event in self.posted]


def simulate(body: Callable[[Rig], Awaitable[None]], *, max_in_flight: int = 100, until_s: float = 3600.0) -> None:
    """Run a body in virtual time; afterwards no socket and no task may be left."""

    async def main() -> None:
        environment, machine = make_environment(seed=1)
        rig = Rig(environment, machine, max_in_flight)
        await live(rig, body)
        assert not rig.network.sockets

    run_virtual(main(), until_s)


def real_environment() -> Environment:
    """Make the real outside, without processes."""
    network = cast("Network", RealNetwork())  # its socket is the C type, whose overloads mypy cannot match
    processes = cast("SimProcesses", None)  # the monitor starts none
    return Environment(LoopClock(), SystemRandomness(), RealFiles(), network, processes)


def with_network(environment: Environment, network: Network) -> Environment:
    """Exchange the network."""
    return dataclasses.replace(environment, network=network)


def targets_of(environment: Environment, server: VirtualServer) -> tuple[Target, ...]:
    """Build the targets of a server."""
    return Targets(environment).targets_for(server)


async def ask(engine: Engine, target: Target) -> Result:
    """Dial a target and wait for its result."""
    answered: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    engine.dial(target, answered.set_result)
    return await answered


def run_real(body: Callable[[Environment], Coroutine[Any, Any, None]]) -> None:
    """Run a body over the kernel, on asyncio's own loop."""

    async def main() -> None:
        await body(real_environment())

    asyncio.run(main())
