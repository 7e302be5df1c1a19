"""What a group of the reference is made of: its members, their names, and on what they depend by default (S13, S15).

network → ip · sa → network, disk · store, mta, routing → sa · search, smtp, pop3, imap, http → store
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

ATTENDANT = "system-attendant"
STORE = "information-store"


class Member(NamedTuple):
    """One member of the group: its type, its usual name, and on members of which types it depends."""

    type: str
    name: str
    providers: tuple[str, ...] = ()
    given: bool = False  # only where its creator says what it is: no group has an address by default
    binding: str = ""  # where its virtual server listens by default: on the group's own address (S43)


MEMBERS: tuple[Member, ...] = (
    Member("ip-address", "ip", given=True),
    Member("network-name", "network", ("ip-address",), given=True),
    Member("physical-disk", "disk", given=True),
    Member(ATTENDANT, "sa", ("network-name", "physical-disk")),
    Member(STORE, "store", (ATTENDANT,)),
    Member("mta", "mta", (ATTENDANT,)),
    Member("routing", "routing", (ATTENDANT,)),
    Member("search", "search", (STORE,)),
    Member("smtp", "smtp", (STORE,), binding="*:25"),
    Member("pop3", "pop3", (STORE,), binding="*:110"),
    Member("imap", "imap", (STORE,), binding="*:143"),
    Member("http", "http", (STORE,), binding="*:80"),
)
MEMBER_OF_TYPE: Mapping[str, Member] = {member.type: member for member in MEMBERS}
NEEDS_PROVIDER = (STORE, "mta", "routing", "search")  # nothing without what they stand on; a protocol can be watched


def providers_of(type: str, types: Mapping[str, str]) -> tuple[str, ...]:
    """Name the resources of a group on which one of this type depends by default; `types` of the group by name.

    A group without an ip-address or a disk has nothing to wait for; one without a name waits for its address (S15).
    """
    member = MEMBER_OF_TYPE.get(type)
    if member is None:
        return ()
    found = tuple(name for wanted in member.providers for name in _of_type(wanted, types))
    if type == ATTENDANT and "network-name" not in types.values():
        found = (*_of_type("ip-address", types), *found)
    return found


def parameters_by_default(type: str, group: str) -> dict[str, object]:
    """Say what a member's parameters are unless its creator says otherwise: it serves the group's own name."""
    named: dict[str, dict[str, object]] = {STORE: {"name": group}, "search": {"index": group}}
    return named.get(type, {})


def _of_type(type: str, types: Mapping[str, str]) -> Iterable[str]:
    return (name for name, other in types.items() if other == type)
