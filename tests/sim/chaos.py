"""Hours of random trouble for the whole service, and what must hold throughout.

While it lasts: nobody is started before what it depends on, no service runs twice, what an operator took offline is
not started, and at most the budget's restarts are made in its period. In the end, when the trouble has stopped and the
operator has asked for everything, all is online again.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from probe.lifecycle.report import Refusal
from probe.values import State
from tests.sim.loop import run_virtual
from tests.sim.programs import Running
from tests.sim.servers import Fault
from tests.sim.service import PORTS, SimService, make_machine, resource_id

NAMES = ("store", *PORTS)
THRESHOLD = 3
PERIOD_S = 600.0
CALM_S = 60.0
LOOK_S = 1.0


class Chaos:
    """One story: a machine, its troubles, and the service that lives through them."""

    def __init__(self, seed: int) -> None:
        self.machine = make_machine(
            seed, restart_threshold=THRESHOLD, restart_period_s=PERIOD_S, pending_timeout_s=20, retry_period_s=900
        )
        self.random = random.Random(seed)
        self.service = SimService(self.machine)
        self.offline: set[str] = set()  # what the operator took down
        self.troubles = 0
        self._seen = 0

    async def live(self, hours: float) -> None:
        """Make trouble every few minutes and look all the time."""
        clock = self.service.run.clock
        until = clock.now() + hours * 3600
        acts = (self._kill, self._freeze, self._spoil, self._crash, self._stall, self._ask, self._ask, self._die)
        while clock.now() < until:
            await self.watch(self.random.uniform(1, 300))
            self.troubles += 1
            await self.random.choice(acts)()
        await self._end_trouble()

    async def watch(self, seconds: float) -> None:
        """Let time pass and hold the service to its invariants."""
        clock = self.service.run.clock
        until = clock.now() + seconds
        while clock.now() < until:
            await clock.sleep(LOOK_S)
            self.check()

    def check(self) -> None:
        """Hold the present to the invariants."""
        running = [one.argv[0].rpartition("/")[2] for one in self.machine.programs.values() if one.running]
        assert len(running) == len(set(running)), f"runs twice: {running}"
        self.service.must_run()
        for report in self.service.reader.resources():
            name = report.id.name
            if name in self.offline:
                assert report.desired is State.OFFLINE, report
            if report.state is State.ONLINE_PENDING and name in PORTS:
                assert self.service.states["store"] is State.ONLINE, report
        for event in self.service.events[self._seen :]:
            self._seen = event.seq
            self.machine.note(f"{event.id} {event.from_} {event.to} {event.reason} {event.trigger}")

    def _one(self) -> tuple[str, Running | None]:
        name = self.random.choice(NAMES)
        found = self.machine.running(f"/bin/{name}")
        return name, found[0] if found else None

    async def _kill(self) -> None:
        _, running = self._one()
        if running is not None:
            self.machine.kill(running.pid, self.random.choice([signal.SIGKILL, signal.SIGTERM]))

    async def _freeze(self) -> None:
        _, running = self._one()
        if running is not None:
            self.machine.kill(running.pid, signal.SIGSTOP)
            await self.watch(self.random.uniform(0.1, 60))
            if running.running:
                self.machine.kill(running.pid, signal.SIGCONT)

    async def _spoil(self) -> None:
        name = self.random.choice(list(PORTS))
        server = self.machine.server(name, ("127.0.0.1", PORTS[name]))
        server.fault = self.random.choice([fault for fault in Fault if fault is not Fault.NONE])
        await self.watch(self.random.uniform(0.1, 120))
        server.fault = Fault.NONE

    async def _crash(self) -> None:
        recipe = self.machine.recipes[f"/bin/{self.random.choice(NAMES)}"]
        trouble: Callable[[bool], None] = self.random.choice(
            [
                lambda on: setattr(recipe, "crashes_at_start", on),
                lambda on: setattr(recipe, "crashes_after_s", 3.0 if on else None),
                lambda on: setattr(recipe, "ignores_term", on),
                lambda on: setattr(recipe, "start_delay_s", 60.0 if on else 0.05),
                lambda on: setattr(recipe, "stop_delay_s", 60.0 if on else 0.02),
                lambda on: setattr(recipe, "has_worker", on),
            ]
        )
        trouble(True)
        await self._kill()
        await self.watch(self.random.uniform(1, 200))
        trouble(False)

    async def _stall(self) -> None:
        self.service.run.clock.stall(self.random.uniform(0.1, 30))

    async def _ask(self) -> None:
        name = self.random.choice(NAMES)
        verb = self.random.choice(["online", "offline", "restart", "terminate"])
        try:
            await self.service.reader.ask_resource(verb, resource_id(name), "chaos")
        except Refusal:
            return
        if verb in {"offline", "terminate"}:
            self.offline.add(name)
        else:
            self.offline.discard(name)
            if verb == "online" and name in PORTS:
                self.offline.discard("store")  # an online wants the providers, too
        self.machine.note(f"asked {verb} {name}")

    async def _die(self) -> None:
        await self.service.die()
        _, running = self._one()
        if running is not None:
            # The whole group: of workers whose leader died while nobody watched it cannot be proved whose they are.
            self.machine.kill(running.pid, signal.SIGKILL, group=True)
        self.service = SimService(self.machine)
        self._seen = 0

    async def _end_trouble(self) -> None:
        """Stop the trouble, ask for everything, and see it come."""
        await self.watch(CALM_S)
        for name in NAMES:
            await self.service.reader.ask_resource("online", resource_id(name), "chaos")
        self.offline.clear()
        await self.service.until(2000)
        self.check()
        assert len(self.machine.running("/bin/store")) == 1
        assert await self.service.end() < 5
        assert not any(one.group_running for one in self.machine.programs.values())


async def chaos(seed: int, hours: float) -> str:
    """Live through a story and return its digest."""
    story = Chaos(seed)
    await story.live(hours)
    assert story.troubles > hours * 5
    return story.machine.digest


def tell(seed: int) -> None:
    """Print the digest of one hour of a story."""
    print(run_virtual(chaos(seed, hours=1), until_s=3 * 3600))  # noqa: T201 - its reader is a test
