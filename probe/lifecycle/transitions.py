"""Every transition of a resource's state, as one table. Nothing else in the program changes a state.

Rules:
1. `move` is the only way to a new state; an (state, input) pair that the table lacks is a bug of ours and raises.
2. An input names what happened, not who caused it: the cause is the transition's trigger.
3. `online` is reached only by `ready` (a start that was confirmed) or `recover` (good checks of a failed resource).
4. A failed start and a failed service end in the same state, `failed`; the restart budget decides what follows.
5. The README's diagram is drawn from `TABLE`; a test fails when it is stale.
"""

from __future__ import annotations

from enum import StrEnum

from probe.values import State


class Input(StrEnum):
    """What can happen to a state."""

    START = "start"  # an online begins
    READY = "ready"  # the start succeeded and, where there is a conversation, was confirmed by it
    FAIL = "fail"  # a check, the controller or the process says so
    OVERDUE = "overdue"  # pending_timeout_s has passed
    RECOVER = "recover"  # good checks of a failed resource, no action of ours
    STOP = "stop"  # an offline begins
    STOPPED = "stopped"  # nothing of it runs any more


TABLE: dict[tuple[State, Input], State] = {
    (State.OFFLINE, Input.START): State.ONLINE_PENDING,
    (State.OFFLINE, Input.STOP): State.OFFLINE_PENDING,  # an earlier run of ours left it running
    (State.ONLINE_PENDING, Input.READY): State.ONLINE,
    (State.ONLINE_PENDING, Input.FAIL): State.FAILED,
    (State.ONLINE_PENDING, Input.OVERDUE): State.FAILED,
    (State.ONLINE_PENDING, Input.STOP): State.OFFLINE_PENDING,
    (State.ONLINE, Input.FAIL): State.FAILED,
    (State.ONLINE, Input.STOP): State.OFFLINE_PENDING,
    (State.FAILED, Input.START): State.ONLINE_PENDING,
    (State.FAILED, Input.RECOVER): State.ONLINE,
    (State.FAILED, Input.STOP): State.OFFLINE_PENDING,
    (State.FAILED, Input.STOPPED): State.OFFLINE,
    (State.OFFLINE_PENDING, Input.STOPPED): State.OFFLINE,
    (State.OFFLINE_PENDING, Input.FAIL): State.FAILED,
    (State.OFFLINE_PENDING, Input.OVERDUE): State.FAILED,
}


class ImpossibleTransition(Exception):
    """Our own bug: an input reached a state that does not take it."""


def move(state: State, occurrence: Input) -> State:
    """Return the state that follows. Raises ImpossibleTransition."""
    try:
        return TABLE[state, occurrence]
    except KeyError:
        raise ImpossibleTransition(f"state {state} takes no {occurrence}") from None


def diagram() -> str:
    """Draw the table as a Mermaid state diagram, for the README."""
    names = {state: state.replace("-", "_") for state in State}
    lines = ["stateDiagram-v2", "    [*] --> offline"]
    merged: dict[tuple[State, State], list[str]] = {}
    for (source, occurrence), target in TABLE.items():
        merged.setdefault((source, target), []).append(occurrence)
    lines += [
        f"    {names[source]} --> {names[target]}: {', '.join(inputs)}" for (source, target), inputs in merged.items()
    ]
    return "\n".join(lines)
