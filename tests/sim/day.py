"""A day of the monitor on a simulated machine: services with faults at known times, and what was said of them."""

from __future__ import annotations

import asyncio
import random
import socket as std
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bindings.model import Binding, Protocol, Resource, VirtualServer
from probe.environment import Environment
from probe.lifecycle.events import Probed, Suspected
from probe.monitor.monitor import Monitors
from probe.monitor.plan import Plans
from probe.values import Incarnation, Reason, ResourceId, Stage
from tests.sim.environment import Run, start_run
from tests.sim.loop import current_loop
from tests.sim.machine import Machine
from tests.sim.network import SimNetwork
from tests.sim.one_by_one import OneByOne
from tests.sim.servers import Fault, Server

DAY_S = 86_400.0
PERIOD_S = 60.0
TIMEOUT_S = 5.0
FAST_S = 1.0
FALL = 2
# From a fault's start to its edge: the next round, `fall` time-outs, the fast retries between them, two wheel ticks.
FOUND_WITHIN_S = PERIOD_S + FALL * TIMEOUT_S + (FALL - 1) * FAST_S + 0.1
# From its end: the round under way runs into its time-out, the next one is alive.
RECOVERED_WITHIN_S = TIMEOUT_S + PERIOD_S + 0.1
PROTOCOLS: tuple[Protocol, ...] = ("smtp", "pop3", "imap", "http")
FAR = "192.0.2.25"  # on another machine

SEEN_AS: dict[Fault, set[Reason]] = {
    Fault.REFUSE: {Reason.CONNECT_REFUSED},
    Fault.BLACKHOLE: {Reason.CONNECT_TIMEOUT},
    Fault.SILENT: {Reason.BANNER_TIMEOUT, Reason.STEP_TIMEOUT},
    Fault.RESET_BEFORE: {Reason.RESET},
    Fault.EOF_BEFORE: {Reason.EOF},
    Fault.EOF_WITHIN: {Reason.EOF, Reason.HTTP_MALFORMED},
    Fault.DRIP: {Reason.BANNER_TIMEOUT, Reason.STEP_TIMEOUT},
    Fault.ENDLESS: {Reason.LINE_TOO_LONG, Reason.HTTP_MALFORMED},
    Fault.WRONG: {Reason.BANNER_MISMATCH, Reason.HTTP_MALFORMED},
    Fault.DECLINE: {Reason.REFUSED_BY_SERVER, Reason.HTTP_STATUS},
}


class Counts(OneByOne):
    """`ProbeMetrics` that only counts."""

    def __init__(self) -> None:
        self.attempts: Counter[ResourceId] = Counter()
        self.failures: Counter[tuple[ResourceId, Reason]] = Counter()
        self.unknowns: Counter[Reason] = Counter()
        self.lag_s = 0.0

    def attempt(self, id: ResourceId) -> None:
        self.attempts[id] += 1

    def failure(self, id: ResourceId, stage: Stage, reason: Reason, *, confirming: bool = False) -> None:
        self.failures[id, reason] += 1

    def unknown(self, id: ResourceId, reason: Reason, *, confirming: bool = False) -> None:
        self.unknowns[reason] += 1

    def stage(self, protocol: str, stage: Stage, seconds: float) -> None:
        assert seconds >= 0, (protocol, stage)

    def lag(self, seconds: float) -> None:
        self.lag_s = max(self.lag_s, seconds)

    def loop_lag(self, seconds: float) -> None: ...
    def answered(self, id: ResourceId, seconds: float) -> None:
        assert seconds >= 0, id

    def prober_health(self, healthy: bool) -> None: ...
    def certificate(self, id: ResourceId, binding_text: str, not_after: tuple[float, ...], verified: bool) -> None: ...
    def ran(self, id: ResourceId, wall: float) -> None: ...


@dataclass(frozen=True)
class Timings:
    """How often and how patiently a resource is asked."""

    period_s: float
    timeout_s: float
    fast_s: float


ORDINARY = Timings(PERIOD_S, TIMEOUT_S, FAST_S)


@dataclass
class Window:
    """A time in which something is wrong."""

    start: float
    end: float
    fault: Fault


@dataclass
class Watched:
    """One resource, its server, what was done to it and what was said of it."""

    id: ResourceId
    server: Server
    windows: list[Window] = field(default_factory=list)
    edges: list[tuple[float, Probed]] = field(default_factory=list)


class Day:
    """Services watched for a day on one machine."""

    def __init__(self, seed: int) -> None:
        self.machine = Machine(seed, current_loop().timeline)
        self.run: Run = start_run(self.machine)
        self.random = random.Random(seed)
        self.counts = Counts()
        self.watched: dict[ResourceId, Watched] = {}
        self.fresh = 0  # resources whose reading was not stale at the end

    @property
    def environment(self) -> Environment:
        return self.run.environment

    @property
    def network(self) -> SimNetwork:
        return self.run.network

    def post(self, event: Probed | Suspected) -> None:
        """Take an edge; nobody stands on anybody, so a suspicion has no use."""
        if isinstance(event, Suspected):
            return
        now = self.environment.clock.now()
        self.watched[event.id].edges.append((now, event))
        self.machine.note(f"{event.id} {event.alive} {event.verdict}")

    def add(self, number: int, host: str, protocol: Protocol, timings: Timings) -> tuple[Resource, VirtualServer]:
        """Make a resource and its server; `host` is what its binding says."""
        port = 2000 + number
        address = FAR if host != "127.0.0.1" else host
        id = ResourceId("day", f"{protocol}-{number}")
        self.watched[id] = Watched(id, self.machine.serve(protocol, (address, port)))
        virtual = VirtualServer(
            key=f"/{protocol}/{number}",
            protocol=protocol,
            bindings=(Binding(text=f"{host}:{port}", address=host, port=port),),
            probe_timeout_s=timings.timeout_s,
            poll_interval_s=timings.period_s,
            fast_interval_s=timings.fast_s,
            fall=FALL,
            polite=number % 2 == 0,
        )
        return Resource(group=id.group, name=id.name, type=protocol), virtual

    async def watch(self, count: int, until: float, timings: Timings = ORDINARY) -> None:
        """Watch `count` resources until then; they are told to be alive at the start."""
        self.machine.host.names["mail.example"] = [(int(std.AF_INET), FAR)]
        hosts = ("127.0.0.1", FAR, "mail.example")
        async with asyncio.TaskGroup() as tasks:
            monitors = Monitors(self.environment, tasks.create_task, self.post, self.counts, max_in_flight=64)
            plans = Plans(self.environment)
            for number in range(count):
                resource, virtual = self.add(number, hosts[number % 3], PROTOCOLS[number % 4], timings)
                monitors.watch(plans.plan_for(resource, virtual), Incarnation(1), alive=True)
            await self.environment.clock.sleep(until)
            now = self.environment.clock.now()
            self.fresh = sum(not reading.stale(now) for id in self.watched if (reading := monitors.reading(id)))
            await monitors.close()
        await self.environment.clock.sleep(1)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Let something happen outside."""
        self.machine.timeline.call_at(when, call)

    def spoil(self, one: Watched, window: Window) -> None:
        """Let a server have a fault for a while."""

        def set_to(fault: Fault) -> None:
            one.server.fault = fault

        one.windows.append(window)
        self.at(window.start, lambda: set_to(window.fault))
        self.at(window.end, lambda: set_to(Fault.NONE))


def spoil_at_random(day: Day, until: float) -> None:
    """Plan faults for every service, some minutes long and with calm between them."""
    for one in day.watched.values():
        now = day.random.uniform(60, 7200)
        while True:
            length_s = day.random.uniform(2 * FOUND_WITHIN_S, 600)
            if now + length_s + 120 > until:
                break
            fault = day.random.choice(list(SEEN_AS))
            day.spoil(one, Window(now, now + length_s, fault))
            now += length_s + day.random.uniform(4 * RECOVERED_WITHIN_S, 7200)


def check_edges(one: Watched, late_s: Callable[[float, float], float] = lambda _start, _end: 0.0) -> None:
    """Match edges with windows: each found, with its reason, and over in time; and no edge beside.

    `late_s(start, end)` is how much of that time the prober itself could not work.
    """
    edges = iter(one.edges)
    for window in one.windows:
        at, down = next(edges)
        reach = window.start + FOUND_WITHIN_S
        assert window.start < at <= reach + late_s(window.start, reach), (one.id, window, at)
        assert not down.alive
        assert down.verdict.reason in SEEN_AS[window.fault], (window, down.verdict)
        at, up = next(edges)
        reach = window.end + RECOVERED_WITHIN_S
        assert window.end < at <= reach + late_s(window.end, reach), (one.id, window, at)
        assert up.alive
    assert next(edges, None) is None, one.id
