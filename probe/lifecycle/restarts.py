"""The restart budget (S54): how often a resource may be brought back within its period."""

from __future__ import annotations

from probe.lifecycle.spec import Spec


def recent(attempts: tuple[float, ...], spec: Spec, now: float) -> tuple[float, ...]:
    """Keep the attempts that still count at `now`."""
    return tuple(at for at in attempts if now - at < spec.restart_period_s)


def left(attempts: tuple[float, ...], spec: Spec, now: float) -> int:
    """Count the restarts still allowed at `now`; none where restart_action is do-not-restart."""
    if not spec.restart:
        return 0
    return max(0, spec.restart_threshold - len(recent(attempts, spec, now)))
