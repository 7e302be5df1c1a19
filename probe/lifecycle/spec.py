"""What the core knows of a resource before anything happens to it: traits of its type and its configured policy."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from probe.values import ResourceId


@dataclass(frozen=True, slots=True)
class Traits:
    """What is odd about a type, in one row; `resources` fills in the table."""

    type: str
    online_waits_forever: bool = False  # S53: no time-out while going online
    kill_when_offline_hangs: bool = False  # S56: an offline that does not return ends in a kill
    dismounts_on_terminate: bool = False  # S69: terminate runs the offline procedure; on its time-out a kill
    stops_the_whole_service: bool = False  # S36, S59: its offline ends the service for all who share it
    one_per_cluster: bool = False  # S24
    recreated_with: str = ""  # S41: the type with which alone it is created again once it was deleted


class Spec(msgspec.Struct, frozen=True, gc=False):
    """One resource as the core sees it; compared by value, so an unchanged one is recognised on reload.

    A struct, as the records are: see `world.Record`.
    """

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
    checked: bool = False  # its health is asked for regularly, by a conversation or a look; else its controller tells
    service: str = ""  # which service it is: equal texts are one service that is shared; "" is its own
    has_instance: bool = False  # it is a part of the service that comes and goes by itself (S57)
    storage_groups: int = 0  # how many it mounts on its node (S45)
    fail_over: bool = False  # restart_action is restart-and-fail-over (S54)
    can_upgrade: bool = False  # its controller has an `upgrade` (S53)
    shape: str = ""  # a digest of what a running service was started with; another one means "at next online" (S74)
