"""probe/values.py: evidence is bounded, printable and unambiguous."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.values import EVIDENCE_CHARS_MAX, evidence_of


@given(st.one_of(st.binary(max_size=300), st.text(st.characters(max_codepoint=126), max_size=300).map(str.encode)))
def test_evidence_is_escaped_byte_by_byte(raw: bytes) -> None:
    """Whatever the bytes: printable ASCII stays, the rest and the backslash are escaped, and what is cut says so."""
    escaped = "".join(chr(byte) if 32 <= byte < 127 and byte != ord("\\") else f"\\x{byte:02x}" for byte in raw)
    if len(escaped) > EVIDENCE_CHARS_MAX:
        escaped = escaped[: EVIDENCE_CHARS_MAX - 3] + "..."
    assert evidence_of(raw) == escaped
