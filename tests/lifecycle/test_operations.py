"""What is done to one resource says why, and spends the budget only where it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from probe.lifecycle.events import Asked, Configured, Exited, Owned, Verb
from probe.lifecycle.world import World
from probe.values import Reason, State, Verdict
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, world_of
from tests.scenarios.language import GROUP, spec

GONE = Verdict(Reason.PROCESS_GONE)


@pytest.mark.parametrize(
    ("cause", "evidence"),
    [
        (lambda world: happen(world, Asked(Verb.OFFLINE, id_of("r0"))), "taken offline on request"),
        (lambda world: happen(world, Asked(Verb.RESTART, id_of("r0"))), "being restarted on request"),
        (lambda world: happen(world, Configured((), removed=(id_of("r0"),))), "no longer in the store"),
        (lambda world: happen(world, Configured((spec("r0", "service", "systemd"),))), "waits for its new controller"),
        (lambda world: happen(world, Owned(GROUP, here=False)), "its group is not on this node"),
    ],
)
def test_offline_says_why(cause: Callable[[World], object], evidence: str) -> None:
    """An offline that no provider caused names its own cause, in a sentence for people."""
    world = world_of(chain(1))
    bring_up(world)
    cause(world)
    record = world.records[id_of("r0")]
    assert (record.state, record.reason, record.evidence) == (State.OFFLINE_PENDING, Reason.SERVICE_STOPPED, evidence)


def test_end_of_a_service_that_is_to_go_anyway_costs_no_restart() -> None:
    """S54: while a resource waits for its dependents to stop, its own end spends nothing."""
    world = world_of(chain(2))
    bring_up(world)
    happen(world, Asked(Verb.OFFLINE, id_of("r0")))
    happen(world, Exited(id_of("r0"), world.records[id_of("r0")].incarnation, GONE))
    assert world.records[id_of("r0")].attempts == ()


def test_two_more_attempts_and_no_third() -> None:
    """S54: a service that ends at once every time is started three times in all."""
    world = world_of(chain(1))
    for _ in range(10):
        bring_up(world)
        happen(world, Exited(id_of("r0"), world.records[id_of("r0")].incarnation, GONE))
    record = world.records[id_of("r0")]
    assert (record.state, record.incarnation, record.spent) == (State.FAILED, 3, True)
