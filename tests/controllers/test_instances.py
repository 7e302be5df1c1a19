"""An instance in a running service: called in, counted as it comes, taken out in reverse."""

from __future__ import annotations

import asyncio

import pytest

from probe.controllers.contract import Instance
from probe.controllers.instances import instance_of
from probe.resources.parameters import InstanceParameters, StorageGroup
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.below import A, B, Commune, user
from tests.controllers.surroundings import begin, in_virtual_time, refusal_of
from tests.sim.hooks import Call, Deed


def group(name: str, *, ready: bool = True) -> StorageGroup:
    """Name a storage group and its programs."""
    mount, unmount, is_ready = (("/sg", name, word) for word in ("mount", "unmount", "ready"))
    return StorageGroup(name, mount, unmount, is_ready if ready else None)


STORE = Instance(("/instance", "in"), ("/instance", "out"), (group("sg1"), group("sg2"), group("sg3", ready=False)))


class Mounting(Commune):
    """Storage groups that take their time to be ready."""

    def __init__(self) -> None:
        self.progress: list[tuple[ResourceId, int, int, str]] = []
        super().__init__(lambda *word: self.progress.append(word))
        self.ready_at: dict[str, float] = {}
        self.fails: dict[str, int] = {}  # by the words after the program's name
        self.programs = self.around.programs
        self.programs.table["/sg"] = self.programs.table["/instance"] = self._do

    def _do(self, call: Call) -> Deed:
        words = " ".join(call.argv[1:])
        if words in self.fails:
            return Deed(self.fails[words], b"what it says\n")
        if call.argv[-1] == "ready":
            return Deed(0 if self.clock.now() >= self.ready_at.get(call.argv[1], 0) else 1)
        return Deed()

    @property
    def calls(self) -> list[str]:
        """What was called, without the looks whether it is ready."""
        words = [" ".join(call.argv[1:]) for call in self.programs.calls]
        return [word for word in words if not word.endswith("ready")]


def test_mounts_in_order_and_out_in_reverse() -> None:
    """S21, S57: the service, then the instance, then its storage groups; out the other way round, then the service."""

    async def test() -> None:
        mounting = Mounting()
        spec = user(A, instance=STORE)
        await mounting.sharing.start(spec, Incarnation(1))
        assert mounting.calls == ["in", "sg1 mount", "sg2 mount", "sg3 mount"]
        mounting.programs.calls.clear()
        await mounting.sharing.stop(spec)
        assert mounting.calls == ["sg3 unmount", "sg2 unmount", "sg1 unmount", "out"]
        assert mounting.below.done == [f"start {A}", f"stop {A}"]

    in_virtual_time(test)


def test_online_is_when_all_are_ready() -> None:
    """S22: until the last one's logs are replayed the start is not done; how many are there is told at each change."""

    async def test() -> None:
        mounting = Mounting()
        mounting.ready_at = {"sg1": 30, "sg2": 600}
        start = begin(mounting.sharing.start(user(A, instance=STORE), Incarnation(1)))
        await mounting.around.pass_time(599)
        assert not start.done()
        assert mounting.progress[-1] == (A, 2, 3, "waiting for sg2")
        await start
        assert 600 <= mounting.clock.now() < 603
        assert [(done, total) for _, done, total, _ in mounting.progress][-3:] == [(1, 3), (2, 3), (3, 3)]
        assert mounting.progress[-1][3] == "all mounted"

    in_virtual_time(test)


@pytest.mark.parametrize(
    ("words", "status", "evidence"),
    [
        ("sg2 mount", 5, "mount of sg2 ended with exit status 5: what it says"),
        ("sg2 ready", 2, "ready of sg2 ended with exit status 2: what it says"),
        ("in", 1, "instance_start ended with exit status 1: what it says"),
    ],
)
def test_what_fails_fails_the_start(words: str, status: int, evidence: str) -> None:
    """S22: a mount, a readiness other than 0 and 1, or the instance's start that fails is the start's failure."""

    async def test() -> None:
        mounting = Mounting()
        mounting.fails[words] = status
        verdict = await refusal_of(mounting.sharing.start(user(A, instance=STORE), Incarnation(1)))
        assert (verdict.reason, verdict.evidence) == (Reason.NOT_SERVING, evidence)
        assert mounting.below.running, "the reason must not say that nothing runs"

    in_virtual_time(test)


def test_only_what_may_be_in_is_taken_out() -> None:
    """S69: after a mount that failed, what was not tried is not taken out, and nothing twice."""

    async def test() -> None:
        mounting = Mounting()
        mounting.fails["sg2 mount"] = 1
        spec = user(A, instance=STORE)
        await refusal_of(mounting.sharing.start(spec, Incarnation(1)))
        mounting.programs.calls.clear()
        await mounting.sharing.terminate(spec)
        assert mounting.calls == ["sg2 unmount", "sg1 unmount", "out"]
        mounting.programs.calls.clear()
        await mounting.sharing.terminate(spec)
        assert mounting.calls == []

    in_virtual_time(test)


def test_of_an_earlier_run_nothing_is_known() -> None:
    """What an earlier run of ours may have mounted is taken out, all of it."""

    async def test() -> None:
        mounting = Mounting()
        mounting.below.left.add(A)
        spec = user(A, instance=STORE)
        assert mounting.sharing.adopt(spec, Incarnation(0))
        await mounting.sharing.stop(spec)
        assert mounting.calls == ["sg3 unmount", "sg2 unmount", "sg1 unmount", "out"]

    in_virtual_time(test)


def test_one_that_will_not_go_keeps_no_other() -> None:
    """S4: an unmount that fails is the offline's failure, the rest is taken out; the next try takes what is left."""

    async def test() -> None:
        mounting = Mounting()
        spec = user(A, instance=STORE)
        await mounting.sharing.start(spec, Incarnation(1))
        mounting.fails["sg2 unmount"] = 1
        mounting.programs.calls.clear()
        assert (await refusal_of(mounting.sharing.stop(spec))).reason is Reason.NOT_SERVING
        assert mounting.calls == ["sg3 unmount", "sg2 unmount", "sg1 unmount", "out"]
        assert mounting.below.running
        mounting.fails.clear()
        mounting.programs.calls.clear()
        await mounting.sharing.stop(spec)
        assert mounting.calls == ["sg2 unmount"]
        assert not mounting.below.running

    in_virtual_time(test)


def test_one_store_mounts_the_groups_of_two() -> None:
    """S42, S44: a second group's storage groups come into the running store and leave it; the first is not touched."""

    async def test() -> None:
        mounting = Mounting()
        first, second = user(A, instance=STORE), user(B, instance=Instance(storage_groups=(group("sg9"),)))
        await mounting.sharing.start(first, Incarnation(1))
        mounting.programs.calls.clear()
        await mounting.sharing.start(second, Incarnation(1))
        await mounting.sharing.stop(second)
        assert mounting.calls == ["sg9 mount", "sg9 unmount"]
        assert mounting.below.done == [f"start {A}"]
        assert (mounting.told, mounting.sharing.uses(A)) == ([], True)

    in_virtual_time(test)


def test_a_service_that_ended_has_nothing_mounted() -> None:
    """S4: after the store's death nothing is unmounted; the next online mounts all."""

    async def test() -> None:
        mounting = Mounting()
        spec = user(A, instance=STORE)
        await mounting.sharing.start(spec, Incarnation(1))
        mounting.below.die(A)
        mounting.programs.calls.clear()
        await mounting.sharing.terminate(spec)
        assert mounting.calls == []
        await mounting.sharing.start(spec, Incarnation(2))
        assert mounting.calls == ["in", "sg1 mount", "sg2 mount", "sg3 mount"]

    in_virtual_time(test)


def test_a_cancelled_mount_is_killed_and_taken_out_later() -> None:
    """S51, S53: no time-out of ours; a cancel kills the program, and what it may have mounted is unmounted."""

    async def test() -> None:
        mounting = Mounting()
        mounting.programs.table["/sg"] = lambda call: Deed(takes_s=1000 if call.argv[-1] == "mount" else 0.1)
        spec = user(A, instance=Instance(storage_groups=(group("sg1"), group("sg2"))))
        start = begin(mounting.sharing.start(spec, Incarnation(1)))
        await mounting.around.pass_time(900)
        start.cancel()
        await asyncio.wait([start])
        assert mounting.programs.calls[-1].killed
        mounting.programs.calls.clear()
        await mounting.sharing.stop(spec)
        assert mounting.calls == ["sg1 unmount"]

    in_virtual_time(test)


def test_nothing_to_call_is_no_instance() -> None:
    """Without programs there is no instance: a terminate then ends the service."""
    assert instance_of(InstanceParameters()) is None
    assert instance_of(InstanceParameters(("in",), ("out",))) == Instance(("in",), ("out",))
