"""What may be wanted of the store over the network, field by field, and how it is answered."""

from __future__ import annotations

from typing import Any

import msgspec


class MemberWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is wanted of one resource, the rest by default; `server` of the virtual server that is made with it."""

    parameters: dict[str, Any] = {}
    controller: dict[str, Any] | None = None
    properties: dict[str, Any] = {}
    server: dict[str, Any] = {}


class ResourceWanted(MemberWanted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One resource to be made."""

    type: str


class GroupWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A system-attendant to be made with its whole group; members and those left out are named by their types."""

    members: dict[str, MemberWanted] = {}
    name: str = ""
    without: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class Deletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may go with what is deleted."""

    cascade: bool = False
    rehome_mta: str | None = None
    keep_virtual_servers: bool = False


class Patch(msgspec.Struct, frozen=True):
    """Properties to be merged in (RFC 7396): null takes one away."""


class Changed(msgspec.Struct, frozen=True):
    """What became of a change of the store; `notes` are for people."""

    changed: bool
    resources: tuple[str, ...]
    notes: tuple[str, ...]
    metabase_revision: int
    cluster_revision: int
    directory_pending: tuple[str, ...]
