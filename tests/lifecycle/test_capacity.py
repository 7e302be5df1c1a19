"""Room for storage groups: counted, refused with a sentence, and foreseen for the death of a node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.lifecycle import capacity
from probe.lifecycle.capacity import Placement, if_node_dies, lack


def test_there_is_room_up_to_the_limit() -> None:
    """S45: four fit on a node, the fifth is refused; the sentence says how many there are and what to do."""
    assert lack(4, 3, 1, "g/store") == ""
    said = lack(4, 4, 1, "g/store")
    assert "would mount 1 storage group, and 4 of 4 are mounted" in said
    assert "take another group offline first" in said


def test_where_the_groups_of_a_dead_node_go() -> None:
    """S46: the group that needs most chooses first, the freest node is chosen; who finds no room is told why."""
    mounted = {"a": {"g1": 3, "g2": 2, "g3": 1}, "b": {"g4": 1}, "c": {"g5": 3}}
    assert if_node_dies(mounted, 4, "a") == [
        Placement("g1", "b"),
        Placement("g2", None, "it needs 2 storage groups, and no other node has room for more than 1"),
        Placement("g3", "c"),
    ]


def test_without_another_node_nothing_goes_anywhere() -> None:
    """S46: with one node its death takes every group along."""
    assert if_node_dies({"a": {"g1": 1}}, 4, "a") == [Placement("g1", None, "there is no other node")]


nodes = st.dictionaries(
    st.sampled_from("abcd"),
    st.dictionaries(st.integers(0, 9).map(str), st.integers(1, 4), max_size=3),
    min_size=1,
)


@given(nodes, st.integers(4, 12))
def test_no_node_is_ever_overfull(mounted: dict[str, dict[str, int]], limit: int) -> None:
    """S46: whatever dies, no node is given more than it may mount, and every group is told where it goes."""
    mounted = {node: {f"{node}{group}": count for group, count in groups.items()} for node, groups in mounted.items()}
    for dead, lost in mounted.items():
        used = {node: sum(groups.values()) for node, groups in mounted.items() if node != dead}
        before = dict(used)
        placements = capacity.if_node_dies(mounted, limit, dead)
        assert {one.group for one in placements} == set(lost)
        for one in placements:
            assert bool(one.why_not) is (one.node is None)
            if one.node is not None:
                used[one.node] += lost[one.group]
        assert all(count <= max(limit, before[node]) for node, count in used.items())
