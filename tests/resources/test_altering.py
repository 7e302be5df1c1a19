"""New properties: stored, and when they take effect; what no patch can do."""

from __future__ import annotations

import pytest

from probe.resources.altering import AT_NEXT_ONLINE, AT_ONCE, plan_properties
from probe.resources.changes import Refused
from probe.values import ResourceId
from tests.resources.stores import Bench

SMTP = ResourceId("evs1", "smtp")


@pytest.mark.parametrize(
    ("id", "patch", "note"),
    [
        (SMTP, {"restart_threshold": 7}, AT_ONCE),
        (SMTP, {"parameters": {"virtual_server": "/smtp/evs2"}}, AT_ONCE),
        (SMTP, {"controller": {"kind": "systemd", "unit": "postfix.service"}}, AT_NEXT_ONLINE),
        (ResourceId("evs1", "store"), {"parameters": {"name": "other"}}, AT_NEXT_ONLINE),
        (ResourceId("evs1", "search"), {"parameters": {"index": "other"}}, AT_ONCE),
        (ResourceId("evs1", "sa"), {"possible_owners": ["node1"]}, AT_ONCE),
        (SMTP, {"restart_threshold": None}, "nothing differs"),
    ],
)
def test_when_a_change_takes_effect(id: ResourceId, patch: dict[str, object], note: str) -> None:
    """S74: what a check or a decision reads counts at once, what a service was started with at its next online."""
    bench = Bench()
    bench.group("evs1")
    bench.group("evs2")
    change = bench.make(plan_properties(bench.read(), id, patch))
    assert change.notes == (note,)
    assert bool(change.edit) is (note != "nothing differs")
    own = bench.read().own(id) or {}
    for key, value in patch.items():
        assert (own.get(key) == value) or (isinstance(value, dict) and value.items() <= own[key].items())


@pytest.mark.parametrize(
    ("id", "patch", "code", "words"),
    [
        (ResourceId("evs1", "mta"), {"group": "evs2"}, "cannot_move", "--rehome-mta"),
        (SMTP, {"group": "evs2"}, "cannot_move", "delete it here and create it there"),
        (SMTP, {"type": "imap"}, "cannot_change_type", "a smtp for good"),
        (ResourceId("evs1", "x"), {"restart_threshold": 1}, "no_such_resource", "looksalive validate"),
        (ResourceId("default", "tcp-1"), {"rise": 1}, "no_such_resource", "looksalive metabase set"),
    ],
)
def test_what_no_patch_can_do(id: ResourceId, patch: dict[str, object], code: str, words: str) -> None:
    """S26: nothing is moved or becomes something else by new properties; the words say what to do instead."""
    bench = Bench()
    bench.group("evs1")
    bench.folder.write_metabase("/tcp/1", {"bindings": [":1"]}, based_on=bench.read().metabase.revision)
    with pytest.raises(Refused) as caught:
        plan_properties(bench.read(), id, patch)
    assert caught.value.code == code
    assert words in caught.value.message
