"""The controller of what the kubelet restarts: it waits until that has happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from probe.controllers.contract import Controller
from probe.controllers.kubelet import KubeletController, cannot_tell, kubelet_problems
from probe.values import Incarnation, Reason, ResourceId, Verdict
from tests.controllers.surroundings import ID, Surroundings, begin, in_virtual_time, refusal_of, service

REFUSED, HANGS, WELL = Reason.CONNECT_REFUSED, Reason.BANNER_TIMEOUT, Reason.MATCHED


class Pod:
    """A container that is asked, and a controller that waits for it."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        self.asked = 0
        self.around = Surroundings()
        self.controller: Controller = KubeletController(self.around.clock, self._ask)

    async def _ask(self, id: ResourceId) -> Verdict:
        assert id == ID
        self.asked += 1
        return Verdict(self.reason)

    async def is_cleared(self, clearing: asyncio.Task[None], reason: Reason) -> bool:
        """Let the container be so for ten seconds; say whether the clearing has ended."""
        self.reason = reason
        await self.around.pass_time(10)
        return clearing.done()


def with_pod(reason: Reason, test: Callable[[Pod], Coroutine[Any, Any, None]]) -> None:
    """Run a test of a container in virtual time."""

    async def main() -> None:
        pod = Pod(reason)
        try:
            await test(pod)
        finally:
            await pod.around.end(pod.controller)

    in_virtual_time(main)


def test_start_and_stop_leave_it_to_the_kubelet() -> None:
    """They return at once and look at nothing: the check confirms an online, only Kubernetes stops a pod."""

    async def test(pod: Pod) -> None:
        await pod.controller.start(service(), Incarnation(1))
        await pod.controller.stop(service())
        pod.controller.kill(ID)
        assert (pod.asked, pod.around.clock.now(), pod.controller.pid(ID)) == (0, 0, None)
        assert not pod.controller.adopt(service(), Incarnation(1))

    with_pod(HANGS, test)


def test_a_hang_is_cleared_when_the_container_is_gone() -> None:
    """While it hangs the resource stays failed, so that its /livez fails; once it is gone it was restarted."""

    async def test(pod: Pod) -> None:
        clearing = begin(pod.controller.terminate(service()))
        assert not await pod.is_cleared(clearing, HANGS)
        assert await pod.is_cleared(clearing, REFUSED)

    with_pod(HANGS, test)


def test_a_refusal_at_first_is_no_proof_of_a_restart() -> None:
    """A container whose listener died has to be restarted: that is waited for until it is well."""

    async def test(pod: Pod) -> None:
        clearing = begin(pod.controller.terminate(service()))
        assert not await pod.is_cleared(clearing, REFUSED)
        assert await pod.is_cleared(clearing, WELL)

    with_pod(REFUSED, test)


def test_not_knowing_proves_nothing() -> None:
    """What we cannot tell is neither an answer nor a restart."""

    async def test(pod: Pod) -> None:
        clearing = begin(pod.controller.terminate(service()))
        assert not await pod.is_cleared(clearing, Reason.PROBER_STALLED)
        assert not await pod.is_cleared(clearing, REFUSED)
        assert await pod.is_cleared(clearing, WELL)

    with_pod(Reason.PROBE_INTERNAL, test)


def test_a_wait_can_be_called_off() -> None:
    """S51: the core's time-out ends it."""

    async def test(pod: Pod) -> None:
        clearing = begin(pod.controller.terminate(service()))
        await pod.around.pass_time(5)
        clearing.cancel()
        await asyncio.wait([clearing])
        assert clearing.cancelled()

    with_pod(HANGS, test)


def test_an_upgrade_is_refused() -> None:
    """It says who upgrades instead."""

    async def test(pod: Pod) -> None:
        assert "by its image" in (await refusal_of(pod.controller.upgrade(service()))).evidence

    with_pod(WELL, test)


@pytest.mark.parametrize("parameters", [{"upgrade": ["x"]}, {"pod": "mail-0"}])
def test_it_takes_no_parameters(parameters: dict[str, object]) -> None:
    """Each is named."""
    assert [problem.key for problem in kubelet_problems(parameters)] == list(parameters)


async def test_nobody_asks() -> None:
    """Without anybody to ask nothing is known."""
    assert (await cannot_tell(ID)).reason is Reason.PROBE_INTERNAL
