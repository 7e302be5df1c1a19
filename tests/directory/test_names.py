"""Distinguished names (RFC 4514), and properties written as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.directory.names import Several, escape_value, read_values, split_dn, write_values
from tests.directory.worlds import PROPERTIES, WORDS

VALUES = st.text(
    alphabet=st.one_of(st.sampled_from(' #,+"\\<>;='), st.characters(codec="utf-8")), min_size=1, max_size=9
)


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_names_come_back(values: list[str]) -> None:
    """Whatever the values hold, a name made of them is taken apart into them: nobody slips a part in."""
    dn = ",".join(f"cn={escape_value(value)}" for value in values)
    assert split_dn(dn) == [("cn", value) for value in values]


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("a,b", "a\\,b"),
        ("#a", "\\#a"),
        (" a ", "\\ a\\ "),
        ("a\0", "a\\00"),
        ('"+;<>\\', '\\"\\+\\;\\<\\>\\\\'),
        (" ", "\\ "),
    ],
)
def test_escapes(value: str, escaped: str) -> None:
    """RFC 4514 section 2.4, character by character."""
    assert escape_value(value) == escaped


@pytest.mark.parametrize(
    ("dn", "parts"),
    [
        ('CN=James \\"Jim\\" Smith\\, III,DC=net', [("cn", 'James "Jim" Smith, III'), ("dc", "net")]),
        ("OU=Sales+CN=J.  Smith,DC=net", [("ou", "Sales"), ("dc", "net")]),
        ("CN=Lu\\C4\\8Di\\C4\\87", [("cn", "Lučić")]),
        ("cn = a , ou= b", [("cn", "a"), ("ou", "b")]),
    ],
)  # fmt: skip
def test_others_names(dn: str, parts: list[tuple[str, str]]) -> None:
    """Names as RFC 4514 section 4 and other servers write them."""
    assert split_dn(dn) == parts


@pytest.mark.parametrize("text", ["", "x", "cn=a,,dc=b", "=a", "a b=c"])
def test_no_names(text: str) -> None:
    """What is no distinguished name is a ValueError."""
    with pytest.raises(ValueError, match="ATTRIBUTE=VALUE"):
        split_dn(text)


@given(WORDS, PROPERTIES)
def test_properties_come_back(type: str, properties: dict[str, object]) -> None:
    """S71: a type and any properties are read back from their values."""
    written = read_values(write_values(type, properties))
    assert (written.type, written.properties, written.remarks) == (type, properties, ())


@given(PROPERTIES)
def test_no_two_values_are_one_to_a_server(properties: dict[str, object]) -> None:
    """No two values are equal to a server, which disregards case and spaces (RFC 4517 section 4.2.11)."""
    values = write_values("smtp", properties)
    assert all(value.isascii() and value.isprintable() for value in values)
    assert len({value.lower().replace(" ", "") for value in values}) == len(values)


@pytest.mark.parametrize(
    ("value", "properties"),
    [
        ('parameters.address: "::1"', {"address": "::1"}),
        ("parameters.address: ::1", {"address": "::1"}),
        ("Parameters.N:5", {"n": 5}),
        (" parameters.n :  5 ", {"n": 5}),
        ("parameters.n: NaN", {"n": "NaN"}),
        ('parameters.n: {"a": 1', {"n": '{"a": 1'}),
        ("parameters.n: " + "[" * 100_000, {"n": "[" * 100_000}),
        ("parameters.n:", {"n": ""}),
        ("parameters.%4eame: 1", {"Name": 1}),
        ("parameters.%zz: 1", {"%zz": 1}),
    ],
)
def test_edited_by_hand(value: str, properties: dict[str, object]) -> None:
    """S73: what people write by another tool is understood: no quotes, other case, spaces; no JSON is text."""
    assert read_values([value]).properties == properties


def test_remarks_and_doubles() -> None:
    """S73: other values are remarks; a property written twice is neither of the two; two types are no type."""
    written = read_values(["moved by ann", "parameters.n: 1", "parameters.N: 2", "parameter.x: 1"])
    assert written.remarks == ("moved by ann", "parameter.x: 1")
    assert written.properties == {"n": Several((1, 2))}
    assert not read_values(["moved by ann"]).is_ours
    assert read_values(["type: tcp", 'type: "smtp"']).type == "smtp and tcp"
