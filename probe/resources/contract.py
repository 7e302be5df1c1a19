"""What a module of resource types declares: a table `{name: ResourceType}`, found by the entry points of
`looksalive.types` (S1, S13).

    [project.entry-points."looksalive.types"]
    mine = "my_package.types:TYPES"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bindings.model import Resource, VirtualServer
from probe.lifecycle.spec import Traits
from probe.resources.reading import Parameter, Reading

ENTRY_POINTS = "looksalive.types"


def never(resource: Resource) -> bool:
    """Say no: its health is what its controller tells (S20, S28, S39)."""
    del resource
    return False


def always(resource: Resource) -> bool:
    """Say yes: its health is asked for whatever its parameters say."""
    del resource
    return True


def no_groups(resource: Resource) -> int:
    """Say that it mounts nothing."""
    del resource
    return 0


def nothing_more(reading: Reading) -> object:
    """Read no parameter: unknown and missing ones are found in the type's table."""
    return reading


def no_conversation(resource: Resource) -> VirtualServer | None:
    """Say that nothing is asked over a network, or only what `virtual_server` names."""
    del resource
    return None


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type: what is odd about it for the core, what it may be configured with, and how its health is asked for.

    `checked`: whether a resource of it is asked regularly. How: by the conversation with its virtual server
    (`virtual_server`: the protocol that must have), by the one that its parameters describe (`asks`), or by a look
    (`observer`: who looks). `reads` notes every mistake in the parameters that the table of them does not show.
    """

    traits: Traits
    parameters: tuple[Parameter, ...] = ()
    checked: Callable[[Resource], bool] = never
    virtual_server: str | None = None
    observer: str | None = None  # "address", "name", "disk", "argv": where its health is no conversation
    reads: Callable[[Reading], object] = nothing_more
    asks: Callable[[Resource], VirtualServer | None] = no_conversation
    has_instance: Callable[[Resource], bool] = never  # a part of its service that comes and goes by itself (S57)
    storage_groups: Callable[[Resource], int] = no_groups  # how many it mounts on its node (S45)
