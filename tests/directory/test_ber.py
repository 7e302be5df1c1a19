"""Basic encoding rules: what is encoded is read back, and bad bytes are an error and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.directory import ber


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers(value: int) -> None:
    """Every number comes back, in the fewest bytes (X.690 section 8.3.2)."""
    encoded = ber.integer(value)
    assert ber.Reader(encoded).number() == value
    content = encoded[2:]
    assert len(content) == 1 or content[:1] not in (b"\x00", b"\xff") or (content[0] ^ content[1]) & 0x80


@given(st.lists(st.one_of(st.binary(max_size=300), st.integers(0, 9)), max_size=5))
def test_sequences(parts: list[bytes | int]) -> None:
    """A sequence holds its parts in order; its measure is its length, and is unfinished from any point inside."""
    encoded = ber.sequence(*(ber.integer(one) if isinstance(one, int) else ber.octets(one) for one in parts))
    reader = ber.Reader(ber.Reader(encoded).take(ber.SEQUENCE))
    found = [reader.number() if reader.tag == ber.INTEGER else reader.take(ber.OCTETS) for _ in parts]
    assert found == parts
    assert not reader.more
    assert ber.measure(encoded) == len(encoded)
    for end in range(min(len(encoded), 4)):
        size = ber.measure(encoded[:end])
        assert size is None or size > end


@pytest.mark.parametrize("size", [127, 128, 255, 256, 65_536])
def test_lengths(size: int) -> None:
    """Short and long lengths, at their borders."""
    assert ber.Reader(ber.octets(b"x" * size)).take(ber.OCTETS) == b"x" * size


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x04",
        b"\x04\x05abc",
        b"\x04\x80abc\x00\x00",  # indefinite: not LDAP (RFC 4511 section 5.1)
        b"\x04\x85\x00\x00\x00\x00\x01a",
        b"\x1f\x81\x01\x00",
        b"\x02\x00",
        b"\x02\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        b"\x30\x03\x02\x01\x05",
    ],
)
def test_bad_bytes(content: bytes) -> None:
    """What is cut off, indefinite, too long or another kind is a BerError."""
    with pytest.raises(ber.BerError):
        ber.Reader(content).number()


@given(st.binary(max_size=40))
def test_any_bytes(content: bytes) -> None:
    """Whatever comes: values that lie inside, or a BerError; never past the end, never an endless loop."""
    reader = ber.Reader(content)
    taken = 0
    try:
        while reader.more:
            taken += 2 + len(reader.any()[1])
    except ber.BerError:
        return
    assert taken <= len(content)


def test_texts() -> None:
    """Bytes that are no UTF-8 show as their escapes."""
    assert ber.Reader(ber.octets(b"caf\xc3\xa9 \xff")).text() == "café \\xff"
    assert ber.boolean(True) == b"\x01\x01\xff"
    assert ber.boolean(False) == b"\x01\x01\x00"
