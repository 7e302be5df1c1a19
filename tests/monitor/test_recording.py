"""The bounds of a recording."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.monitor.recording import PIECES_MAX, SIDE_BYTES_MAX, TURNS_MAX, Happening, Recording

SPOKEN = st.lists(st.tuples(st.sampled_from(["sent", "received"]), st.binary(min_size=1, max_size=300)), max_size=300)


@given(SPOKEN, st.integers(0, 2000))
def test_each_side_keeps_its_first_bytes_and_counts_the_rest(spoken: list[tuple[str, bytes]], bytes_max: int) -> None:
    """What is kept of a side is the beginning of what it said, within the bound; every other byte is counted."""
    recording = Recording(bytes_max)
    for number, (side, data) in enumerate(spoken):
        (recording.sent if side == "sent" else recording.received)(float(number), data)
    moments = recording.moments
    assert len(moments) <= PIECES_MAX + TURNS_MAX
    said = {side: b"".join(data for one, data in spoken if one == side) for side in ("sent", "received")}
    for side, whole in said.items():
        kept = b"".join(moment.data for moment in moments if moment.direction == side)
        assert whole.startswith(kept)
        assert len(kept) <= bytes_max
    everything = sum(len(moment.data) + moment.cut for moment in moments)
    assert everything == sum(map(len, said.values()))


def test_a_drip_is_kept_as_few_pieces() -> None:
    """One byte at a time, without end: a bounded number of pieces, the first bytes, the rest counted in one mark."""
    recording = Recording()
    for number in range(3 * SIDE_BYTES_MAX):
        recording.received(float(number), b"x")
    moments = recording.moments
    assert len(moments) == PIECES_MAX
    assert [moment.cut for moment in moments] == [0] * (PIECES_MAX - 1) + [2 * SIDE_BYTES_MAX]
    assert sum(len(moment.data) for moment in moments) == SIDE_BYTES_MAX


def test_a_cut_is_marked_where_it_was() -> None:
    """The mark stands behind the last byte kept; the other side is not affected; events are always kept."""
    recording = Recording(4)
    recording.received(0.1, b"abcdef")
    recording.sent(0.2, b"QUIT")
    recording.received(0.3, b"gh")
    recording.note(0.4, Happening.CLOSED)
    assert [(moment.direction, moment.data, moment.cut) for moment in recording.moments] == [
        ("received", b"abcd", 2),
        ("sent", b"QUIT", 0),
        ("received", b"", 2),
        ("event", b"peer closed", 0),
    ]


def test_only_what_comes_from_outside_ends_a_dialogue() -> None:
    """A connection, a handshake and the verdict are no endings; a close, a deadline and a fault are."""
    for happening in Happening:
        recording = Recording()
        recording.note(0.0, happening)
        going_on = happening in (Happening.CONNECTED, Happening.SECURED, Happening.VERDICT)
        assert recording.ended is not going_on
