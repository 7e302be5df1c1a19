"""The controller that acts not."""

from __future__ import annotations

import pytest

from probe.controllers.contract import Controller, ControllerError, ServiceSpec
from probe.controllers.none import NoController
from probe.values import Incarnation, ResourceId

SERVICE = ServiceSpec(ResourceId("evs1", "sa"), {})


async def test_every_verb_is_refused() -> None:
    """Who asks it to act is told which resource has nobody to act for it."""
    controller: Controller = NoController()
    for operation in (
        controller.start(SERVICE, Incarnation(1)),
        controller.stop(SERVICE),
        controller.terminate(SERVICE),
    ):
        with pytest.raises(ControllerError, match="evs1/sa has controller none"):
            await operation


def test_it_knows_no_process() -> None:
    """It adopts nobody, kills nobody and names no pid."""
    controller: Controller = NoController()
    controller.kill(SERVICE.id)
    controller.release()
    assert not controller.acts
    assert not controller.ours_to_stop
    assert not controller.adopt(SERVICE, Incarnation(1))
    assert controller.pid(SERVICE.id) is None
