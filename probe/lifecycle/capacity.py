"""How many storage groups a node may mount (S45), and whether one more group of resources fits (S46).

The limit is the node's, whatever number of groups came. A store that does not fit is turned away before anything is
done for it: its online is refused, or (at a start of ours) it fails with the reason `capacity`, and tries again when
another one has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Record, Refused, Remains, World
from probe.values import Reason, ResourceId, State, Verdict

_MOUNTED = (State.ONLINE, State.ONLINE_PENDING, State.OFFLINE_PENDING)


def is_mounted(record: Record) -> bool:
    """Whether its storage groups are, or may be, mounted here."""
    return record.spec.storage_groups > 0 and (record.state in _MOUNTED or record.remains is not Remains.NONE)


def mounted(world: World) -> int:
    """Count the storage groups that are, or may be, mounted here."""
    records = (world.records.get(id) for id in world.stores)
    return sum(record.spec.storage_groups for record in records if record is not None and is_mounted(record))


def used(draft: Draft, without: Iterable[ResourceId] = ()) -> int:
    """Count the storage groups that are mounted here, but for those of `without`."""
    left_out = frozenset(without)
    records = [draft.record(id) for id in draft.stores() if id not in left_out]
    return sum(record.spec.storage_groups for record in records if record is not None and is_mounted(record))


def lack_of(draft: Draft, record: Record) -> Verdict | None:
    """Say why the resource may not start for lack of room, or None when it may."""
    needs = record.spec.storage_groups
    if not needs:
        return None
    text = lack(draft.decision.storage_groups_max, used(draft, (record.id,)), needs, str(record.id))
    return Verdict(Reason.CAPACITY, text) if text else None


def refusal_of(draft: Draft, wanted: Iterable[Record]) -> Refused | None:
    """Refuse to bring these up where they need more room than is left."""
    stores = [record for record in wanted if record.spec.storage_groups and not is_mounted(record)]
    needs = sum(record.spec.storage_groups for record in stores)
    if not needs:
        return None
    text = lack(draft.decision.storage_groups_max, used(draft), needs, ", ".join(str(record.id) for record in stores))
    return Refused("capacity", text) if text else None


def make_room_known(draft: Draft) -> None:
    """Have those that were turned away try again: another one has gone."""
    for id in draft.stores():
        record = draft.record(id)
        if record is not None and record.state is State.FAILED and record.reason is Reason.CAPACITY:
            draft.put(record, spent=False)


def lack(limit: int, used: int, needs: int, who: str) -> str:
    """Say what is lacking, and what to do instead; empty when there is room."""
    if used + needs <= limit:
        return ""
    return (
        f"{who} would mount {needs} storage group{'s' if needs > 1 else ''}, and {used} of {limit} are mounted on this "
        "node: take another group offline first, move this one elsewhere, or raise storage_groups_max in cluster.json"
    )


class Placement(NamedTuple):
    """Where a group of a node that died would go: to `node`, or nowhere (None), and why not."""

    group: str
    node: str | None
    why_not: str = ""


def if_node_dies(mounted: Mapping[str, Mapping[str, int]], limit: int, dead: str) -> list[Placement]:
    """Say where each group of the node `dead` would go; `mounted` is storage groups by node, then by group (S46).

    The group that needs most chooses first, the node with the most room is chosen; equals go by name.
    """
    free = {node: limit - sum(groups.values()) for node, groups in mounted.items() if node != dead}
    placements = []
    for group, needs in sorted(mounted.get(dead, {}).items(), key=lambda item: (-item[1], item[0])):
        node = min(free, key=lambda name: (-free[name], name), default=None)
        if node is None:
            placements.append(Placement(group, None, "there is no other node"))
        elif free[node] < needs:
            why_not = f"it needs {needs} storage groups, and no other node has room for more than {free[node]}"
            placements.append(Placement(group, None, why_not))
        else:
            free[node] -= needs
            placements.append(Placement(group, node))
    return placements
