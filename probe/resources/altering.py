"""New properties for what is there (S26, S74): one edit of its entry, and what takes effect when.

A protocol's virtual server is read at each check and the restart policy at each decision, so those apply at once. What
a service was started with counts from its next start.
"""

from __future__ import annotations

from collections.abc import Mapping

from bindings.cluster import RESOURCE_RULES
from bindings.documents import merge_patch
from bindings.edits import Edit
from probe.resources.changes import Change, Present, Refused
from probe.values import ResourceId

AT_ONCE = "takes effect at once"
AT_NEXT_ONLINE = "takes effect at next online"
LIVE = frozenset(RESOURCE_RULES) - {"type", "controller", "parameters", "depends_on"}
_LIVE_PARAMETERS = frozenset({"virtual_server", "health", "index", "target", "service", "free_bytes_min"})


def plan_properties(present: Present, id: ResourceId, patch: Mapping[str, object]) -> Change:
    """Merge a patch (RFC 7396) into a resource's properties; what the type calls its parameters is under `parameters`.

    Raises Refused for what no patch can do.
    """
    own = present.own(id)
    if own is None:
        implied = id.name in present.group(id.group).resources
        mend = (
            "it is its virtual server alone: looksalive metabase set PATH KEY=VALUE"
            if implied
            else ("looksalive validate says what there is")
        )
        raise Refused("no_such_resource", f"there is no {id} in cluster.json; {mend}")
    if "group" in patch:
        mta = own.get("type") == "mta"
        mend = (
            "; when its group is deleted, give it a new home with --rehome-mta"
            if mta
            else ("; delete it here and create it there")
        )
        raise Refused("cannot_move", f"{id} cannot be moved to another group{mend}")
    if patch.get("type", own.get("type")) != own.get("type"):
        raise Refused("cannot_change_type", f"{id} is a {own.get('type')} for good; delete it and create another")
    merged = merge_patch(own, patch)
    if merged == own:
        return Change(Edit(), present.revisions, (id,), ("nothing differs",))
    note = AT_NEXT_ONLINE if _waits(own, merged) else AT_ONCE
    return Change(Edit(resources={id: merged}), present.revisions, (id,), (note,))


def _waits(own: Mapping[str, object], merged: Mapping[str, object]) -> bool:
    """Whether anything of it is read only when the resource comes online."""
    differing = {name for name in own.keys() | merged.keys() if own.get(name) != merged.get(name)}
    if differing - LIVE - {"parameters", "depends_on"}:
        return True
    before, after = own.get("parameters") or {}, merged.get("parameters") or {}
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return True
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return bool(changed - _LIVE_PARAMETERS)
