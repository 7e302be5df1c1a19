"""What the core knows of a resource before anything happens to it: traits of its type and its configured policy."""

from __future__ import annotations

from dataclasses import dataclass

from probe.values import ResourceId


@dataclass(frozen=True, slots=True)
class Traits:
    """What is odd about a type, in one row; `resources` fills in the table."""

    type: str
    conversation: bool  # its health is a protocol check over the network
    online_waits_forever: bool = False  # S53: no time-out while going online
    kill_when_offline_hangs: bool = False  # S56: an offline that does not return ends in a kill


@dataclass(frozen=True, slots=True)
class Spec:
    """One resource as the core sees it; compared by value, so an unchanged one is recognised on reload."""

    id: ResourceId
    traits: Traits
    controller: str  # kind
    acts: bool  # the controller can start and stop (false for `none`)
    ours_to_stop: bool  # its services end with us on SIGTERM (the process controller's)
    depends_on: tuple[ResourceId, ...]
    restart: bool  # restart_action is not do-not-restart
    restart_threshold: int
    restart_period_s: float
    restart_delay_s: float
    retry_period_s: float | None
    pending_timeout_s: float
    auto_start: bool
    shape: str = ""  # a digest of what a running service was started with; another one means "at next online" (S74)
