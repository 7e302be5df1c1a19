"""One service for all who name it: it starts for the first, ends with the last, and its end is told to everybody."""

from __future__ import annotations

import asyncio
import random

import pytest

from probe.controllers.contract import ControllerError, Instance
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.below import PROCESS, A, B, C, Commune, user
from tests.controllers.surroundings import begin, in_virtual_time, refusal_of
from tests.sim.hooks import Deed

MOUNTED = Instance(("/hook", "in"), ("/hook", "out"))


def test_one_service_for_two() -> None:
    """S36, S42, S57: it is started for the first, the second joins it, and it stops when nobody is left."""

    async def test() -> None:
        commune = Commune()
        await asyncio.gather(*(begin(commune.sharing.start(user(id), Incarnation(1))) for id in (A, B)))
        assert commune.below.done == [f"start {A}"]
        await commune.sharing.stop(user(A))
        assert list(commune.below.running) == [A]
        assert (commune.sharing.pid(A), commune.sharing.pid(B)) == (None, 42)
        await commune.sharing.stop(user(B))
        assert commune.below.done == [f"start {A}", f"stop {A}"]
        assert commune.told == []

    in_virtual_time(test)


def test_different_names_are_different_services() -> None:
    """S36: who names no service, or another one, shares none."""

    async def test() -> None:
        commune = Commune()
        for spec in (user(A, ""), user(B, ""), user(C, "other")):
            await commune.sharing.start(spec, Incarnation(1))
        assert set(commune.below.running) == {A, B, C}
        await commune.sharing.stop(user(B, ""))
        assert set(commune.below.running) == {A, C}

    in_virtual_time(test)


def test_an_end_is_told_to_every_user() -> None:
    """S4: each hears it once, under its own incarnation, and the next start starts the service anew."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A, incarnation=3)
        await commune.start(B, incarnation=7)
        commune.below.die(A)
        assert commune.told == [(A, 3, PROCESS), (B, 7, PROCESS)]
        await commune.start(B, A, incarnation=8)
        assert commune.below.done == [f"start {A}", f"start {A}"]
        await commune.sharing.stop(user(A))
        assert set(commune.below.running) == {A}

    in_virtual_time(test)


def test_who_was_told_is_no_user_any_more() -> None:
    """Who learned of the end and does not come back keeps the service from nobody's stop."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A, B)
        commune.below.die(A)
        await commune.start(A, incarnation=2)
        await commune.sharing.stop(user(A))
        assert not commune.below.running

    in_virtual_time(test)


def test_the_stop_of_smtp_ends_it_for_all() -> None:
    """S36, S59, S60: the others are told that it was ended for another's sake, and start it again."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A, B, incarnation=5)
        await commune.sharing.stop(user(A, whole=True))
        assert not commune.below.running
        ((id, incarnation, verdict),) = commune.told
        assert (id, incarnation, verdict.reason) == (B, 5, Reason.COLLATERAL)
        assert "evs1/store" in verdict.evidence
        await commune.start(B, incarnation=6)
        assert set(commune.below.running) == {B}

    in_virtual_time(test)


def test_terminate_ends_the_service_unless_an_instance_is_enough() -> None:
    """S69: with an instance that one goes and the service stays for the others; without, the service ends."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/hook"] = lambda _call: Deed()
        with_instance = user(A, instance=MOUNTED)
        await commune.sharing.start(with_instance, Incarnation(1))
        await commune.start(B)
        await commune.sharing.terminate(with_instance)
        assert commune.around.programs.hooks() == ["in", "out"]
        assert (set(commune.below.running), commune.told) == ({A}, [])
        await commune.start(C)
        await commune.sharing.terminate(user(C))
        assert not commune.below.running
        assert [told[0] for told in commune.told] == [B]

    in_virtual_time(test)


def test_an_instance_that_will_not_go_costs_the_service() -> None:
    """S69: a terminate that cannot take its instance out ends the service, which the others are told."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/hook"] = lambda call: Deed(0 if call.argv[-1] == "in" else 1)
        with_instance = user(A, instance=MOUNTED)
        await commune.sharing.start(with_instance, Incarnation(1))
        await commune.start(B)
        assert (await refusal_of(commune.sharing.stop(with_instance))).reason is Reason.NOT_SERVING
        assert set(commune.below.running) == {A}
        await commune.sharing.terminate(with_instance)
        assert not commune.below.running
        assert [told[0] for told in commune.told] == [B]

    in_virtual_time(test)


def test_who_never_got_in_costs_nobody_the_service() -> None:
    """A clearing of one whose start was called off leaves a service alone that another started."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/hook"] = lambda _call: Deed(1)
        first = begin(commune.sharing.start(user(B), Incarnation(1)))
        await commune.around.pass_time(0.01)
        waiting = begin(commune.sharing.start(user(A, instance=MOUNTED), Incarnation(1)))
        await commune.around.pass_time(0.01)
        waiting.cancel()
        await asyncio.wait([waiting, first])
        assert waiting.cancelled()
        for spec in (user(A), user(A, instance=MOUNTED)):
            await commune.sharing.terminate(spec)
        assert (set(commune.below.running), commune.told) == ({B}, [])

    in_virtual_time(test)


def test_a_hang_keeps_nobody_from_being_cancelled() -> None:
    """S51, S55: while one's stop hangs another waits for its turn, and gives up at once when told to."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A)
        commune.below.takes_s = lambda: 1e6
        hung = begin(commune.sharing.stop(user(A)))
        await commune.around.pass_time(1)
        waiting = begin(commune.sharing.start(user(B), Incarnation(1)))
        await commune.around.pass_time(1)
        now = commune.clock.now()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert (waiting.cancelled(), commune.clock.now()) == (True, now)
        hung.cancel()
        await asyncio.wait([hung])
        commune.below.takes_s = lambda: 0.1
        await commune.start(B)
        assert set(commune.below.running) == {A}

    in_virtual_time(test)


def test_mounting_keeps_nobody_waiting() -> None:
    """S44: while one instance takes its time the other comes, goes, and the service stays."""

    async def test() -> None:
        commune = Commune()
        slow = user(A, instance=Instance(("/slow", "in"), ("/slow", "out")))
        commune.around.programs.table["/slow"] = lambda _call: Deed(takes_s=1800)
        mounting = begin(commune.sharing.start(slow, Incarnation(1)))
        await commune.around.pass_time(1)
        await commune.start(B)
        await commune.sharing.stop(user(B))
        assert commune.clock.now() < 1800
        assert set(commune.below.running) == {A}
        await mounting
        assert commune.sharing.uses(A)

    in_virtual_time(test)


def test_kill_is_told_to_the_others() -> None:
    """S56: the service's processes are killed; who asked for it is not told, the others are."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A, B)
        commune.sharing.kill(B)
        commune.sharing.kill(C)
        assert commune.below.done[-1] == f"kill {A}"
        assert [(told[0], told[2].reason) for told in commune.told] == [(A, Reason.COLLATERAL)]

    in_virtual_time(test)


def test_what_was_left_running_is_everybody_s() -> None:
    """S57: each may take it over; who was only taken over leaves it to the others, also where its stop is for all."""

    async def test() -> None:
        commune = Commune()
        commune.below.left.add(A)
        assert [commune.sharing.adopt(user(id, whole=True), Incarnation(0)) for id in (A, B)] == [True, True]
        await commune.sharing.stop(user(A, whole=True))
        assert set(commune.below.running) == {A}
        await commune.sharing.start(user(B, whole=True), Incarnation(1))
        assert not commune.sharing.adopt(user(C), Incarnation(0)), "it runs for another: nothing of it is C's"
        await commune.sharing.stop(user(B, whole=True))
        assert not commune.below.running

    in_virtual_time(test)


def test_nobody_wants_what_was_left_running() -> None:
    """The last of those who took it over stops it; what is not there is not taken over."""

    async def test() -> None:
        commune = Commune()
        assert not commune.sharing.adopt(user(A), Incarnation(0))
        commune.below.left.add(A)
        assert all(commune.sharing.adopt(user(id), Incarnation(0)) for id in (A, B))
        for id in (B, A):
            await commune.sharing.stop(user(id))
        assert not commune.below.running

    in_virtual_time(test)


def test_another_service_under_the_same_resource() -> None:
    """S74: a resource whose controller names another service leaves the old one to the others, and gets the new one."""

    async def test() -> None:
        commune = Commune()
        await commune.start(A, B)
        await commune.sharing.stop(user(A))
        await commune.sharing.start(user(A, "new"), Incarnation(2))
        assert len(commune.below.running) == 2
        commune.below.die(A)
        assert [told[0] for told in commune.told] == [B]

    in_virtual_time(test)


def test_upgrade_is_for_a_service_that_nobody_uses() -> None:
    """S53: refused while others use the service; while it runs nobody starts that; it has no time-out."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/upgrade"] = lambda _call: Deed(takes_s=2_000)
        upgraded = user(A, upgrade=["/upgrade", "now"])
        await commune.start(B)
        refusal = await refusal_of(commune.sharing.upgrade(upgraded))
        assert "evs2/store" in refusal.evidence
        await commune.sharing.stop(user(B))
        upgrade = begin(commune.sharing.upgrade(upgraded))
        start = begin(commune.sharing.start(user(B), Incarnation(2)))
        await commune.around.pass_time(1_900)
        assert (upgrade.done(), start.done(), commune.below.running) == (False, False, {})
        await asyncio.gather(upgrade, start)
        (call,) = commune.around.programs.calls
        assert (call.argv, call.output) == (("/upgrade", "now"), "/state/output/evs1/store.log")
        assert call.environment["LOOKSALIVE_HOOK"] == "upgrade"

    in_virtual_time(test)


def test_an_upgrade_that_fails_or_is_missing_says_so() -> None:
    """S53: the last line is the evidence; who has none is told what to write; a cancel ends its program."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/upgrade"] = lambda _call: Deed(4, b"work\nno space left\n", takes_s=5)
        spec = user(A, upgrade=["/upgrade"])
        verdict = await refusal_of(commune.sharing.upgrade(spec))
        assert verdict.evidence == "the upgrade ended with exit status 4: no space left"
        assert "give its controller upgrade" in (await refusal_of(commune.sharing.upgrade(user(A)))).evidence
        task = begin(commune.sharing.upgrade(spec))
        await commune.around.pass_time(1)
        task.cancel()
        await asyncio.wait([task])
        assert commune.around.programs.calls[-1].killed

    in_virtual_time(test)


@pytest.mark.parametrize("seed", range(60))
def test_any_interleaving_leaves_it_consistent(seed: int) -> None:
    """S51, S55, S57: whoever is online has a running service or was told; a last stop of all leaves nothing."""

    async def test() -> None:
        commune = Commune()
        chance = random.Random(seed)
        commune.around.programs.table["/hook"] = lambda _call: Deed(chance.random() < 0.1, takes_s=chance.random())
        commune.below.takes_s = chance.random
        commune.below.fails = lambda _verb: chance.random() < 0.15
        resources = [Resource(commune, chance, group) for group in range(4)]
        tasks = [begin(each.live()) for each in resources]
        while not all(task.done() for task in tasks):
            await commune.around.pass_time(chance.random())
            idle = [id for id in commune.below.running if not commune.below.busy[id]]
            if chance.random() < 0.1 and idle:
                commune.below.die(chance.choice(idle))
            for each in resources:
                each.hear()
                assert each.up is None or commune.below.running, f"{each.id} is online on nothing"
        commune.below.fails = lambda _verb: False
        commune.around.programs.table["/hook"] = lambda _call: Deed()
        for each in resources:
            await commune.sharing.stop(each.spec)
        assert not commune.below.running
        assert not any(commune.sharing.uses(each.id) for each in resources)

    in_virtual_time(test)


class Resource:
    """A resource whose operations come one after another and are called off at any moment."""

    def __init__(self, commune: Commune, chance: random.Random, number: int) -> None:
        self.commune = commune
        self.chance = chance
        self.id = ResourceId(f"evs{number}", "smtp")
        instance = MOUNTED if number % 2 else None
        self.spec = user(self.id, whole=number == 0, instance=instance)
        self.incarnation = 0
        self.up: int | None = None
        self.heard = 0

    def hear(self) -> None:
        """Take in what was told of us; a word about an earlier incarnation says nothing."""
        for id, incarnation, _verdict in self.commune.told[self.heard :]:
            if id == self.id and incarnation == self.up:
                self.up = None
        self.heard = len(self.commune.told)

    async def live(self) -> None:
        """Do this and that for a while."""
        for _ in range(25):
            verb = self.chance.choice(["start", "start", "stop", "terminate", "kill"])
            self.hear()
            self.up = None
            if verb == "kill":
                self.commune.sharing.kill(self.id)
                continue
            self.incarnation += 1
            sharing, incarnation = self.commune.sharing, Incarnation(self.incarnation)
            operation = sharing.start(self.spec, incarnation) if verb == "start" else getattr(sharing, verb)(self.spec)
            task = begin(operation)
            await asyncio.wait([task], timeout=self.chance.choice([0.0, 0.3, 1.0, 5.0, 60.0]))
            task.cancel()
            await asyncio.wait([task])
            done = not task.cancelled() and task.exception() is None
            assert task.cancelled() or isinstance(task.exception(), ControllerError | None)
            told = [inc for id, inc, _verdict in self.commune.told if id == self.id]
            if verb == "start" and done and incarnation not in told:
                self.up = incarnation
            await self.commune.around.pass_time(self.chance.random())


def test_hooks_see_whose_instance_it_is() -> None:
    """S57: the call names the resource and the hook."""

    async def test() -> None:
        commune = Commune()
        commune.around.programs.table["/hook"] = lambda _call: Deed()
        await commune.sharing.start(user(B, instance=MOUNTED), Incarnation(1))
        assert dict(commune.around.programs.calls[0].environment) == {
            "LOOKSALIVE_RESOURCE": "evs2/store",
            "LOOKSALIVE_HOOK": "instance_start",
        }

    in_virtual_time(test)
