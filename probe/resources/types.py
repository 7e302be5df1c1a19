"""The table of resource types (S13): one row a type, so that the odd rules are readable in one place.

The protocols check by conversation (S29). The others are as alive as their controller says (S20): with a controller
that acts, while their process runs; with `none`, from the moment they are wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

from probe.lifecycle.spec import Traits


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type: its traits for the core and the names of its parameters."""

    traits: Traits
    checked: bool = False
    parameters: tuple[str, ...] = ()
    virtual_server: str | None = None  # the protocol its virtual server must have; "" = any


def _protocol(name: str) -> ResourceType:
    return ResourceType(Traits(name), True, ("virtual_server",), virtual_server=name)


TYPES: dict[str, ResourceType] = {
    **{name: _protocol(name) for name in ("smtp", "lmtp", "pop3", "imap", "http", "tcp")},
    "service": ResourceType(Traits("service")),
    "system-attendant": ResourceType(Traits("system-attendant", kill_when_offline_hangs=True)),
    "information-store": ResourceType(
        Traits("information-store", online_waits_forever=True, kill_when_offline_hangs=True),
        parameters=("name",),
    ),
}
