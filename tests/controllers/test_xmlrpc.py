"""XML-RPC: what is written is read, and nothing that comes can do more than be refused."""

from __future__ import annotations

import contextlib
import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.controllers.xmlrpc import ANSWER_BYTES_MAX, AnswerError, FaultError, read_answer, write_call

XML_TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | XML_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(XML_TEXT, inner, max_size=4),
    max_leaves=10,
)
GOOD = xmlrpc.client.dumps(([{"name": "a", "state": 20}],), methodresponse=True).encode()


@given(VALUES)
def test_an_answer_is_read_as_it_was_meant(value: object) -> None:
    """Any value that another library writes is the one that is read."""
    assert read_answer(xmlrpc.client.dumps((value,), methodresponse=True).encode()) == value  # type: ignore[arg-type] # any value on purpose


@given(st.integers(-(2**31), 2**31 - 1), XML_TEXT)
def test_a_fault_is_raised_with_its_code(code: int, text: str) -> None:
    """A refusal keeps its number and its words."""
    with pytest.raises(FaultError) as caught:
        read_answer(xmlrpc.client.dumps(xmlrpc.client.Fault(code, text), methodresponse=True).encode())
    assert (caught.value.code, caught.value.text) == (code, text)


@given(XML_TEXT, st.booleans())
def test_a_call_is_read_as_it_was_meant(name: str, wait: bool) -> None:
    """Whatever the program's name holds, it arrives as one argument."""
    assert xmlrpc.client.loads(write_call("supervisor.startProcess", name, wait)) == (
        (name, wait),
        "supervisor.startProcess",
    )


@given(st.data())
def test_any_damage_is_refused_or_read(data: st.DataObject) -> None:
    """Cut off, overwritten, repeated: nothing but an AnswerError, a FaultError or a value comes of it."""
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged)))
        end = data.draw(st.integers(place, min(len(damaged), place + 20)))
        pieces = (b"", b"<", b"</value>", b"<value>", b"<int>x</int>", b"<double>", b"\0", b"\xff", b"<fault>")
        damaged[place:end] = data.draw(st.sampled_from(pieces))
    with contextlib.suppress(AnswerError, FaultError):
        read_answer(bytes(damaged))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_answer(body: bytes) -> None:
    """What is not XML-RPC at all is an AnswerError."""
    with pytest.raises(AnswerError):
        read_answer(body)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"])
def test_an_entity_is_never_expanded(encoding: str) -> None:
    """A declaration is refused before anything parses it, in whatever encoding it hides."""
    body = "<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
    document = f"<?xml version='1.0' encoding='{encoding}'?>{BOMB}{body}"
    with pytest.raises(AnswerError):
        read_answer(document.encode(encoding))
    with pytest.raises(AnswerError):
        read_answer(document.encode())


def test_the_declared_encoding_changes_nothing() -> None:
    """The text is UTF-8, whatever it says of itself."""
    body = "<methodResponse><params><param><value>é</value></param></params></methodResponse>"
    assert read_answer(f"<?xml version='1.0' encoding='iso-8859-1'?>{body}".encode()) == "é"


def test_bounds() -> None:
    """What is too long or too deep is refused, not read, in time that does not matter."""
    with pytest.raises(AnswerError, match="more than"):
        read_answer(b" " * (ANSWER_BYTES_MAX + 1))
    deep = "<array><data><value>" * 10_000 + "</value></data></array>" * 10_000
    with pytest.raises(AnswerError, match="deep"):
        read_answer(f"<methodResponse><params><param><value>{deep}</value></param></params></methodResponse>".encode())


@pytest.mark.parametrize(
    "value",
    [
        "<base64>AAAA</base64>",
        "<dateTime.iso8601>20250101T00:00:00</dateTime.iso8601>",
        f"<int>{'9' * 5000}</int>",
        "<bigdecimal>1</bigdecimal>",
    ],
)
def test_kinds_that_we_do_not_speak_are_refused(value: str) -> None:
    """Dates, bytes, decimals and endless numbers are nothing that a supervisord says."""
    with pytest.raises(AnswerError):
        read_answer(f"<methodResponse><params><param><value>{value}</value></param></params></methodResponse>".encode())


@pytest.mark.parametrize(
    "document",
    [
        "<methodResponse><params></params></methodResponse>",
        "<methodCall><methodName>x</methodName><params><param><value>1</value></param></params></methodCall>",
        "<methodResponse><fault><value><int>1</int></value></fault></methodResponse>",
        "<methodResponse><fault><value><struct></struct></value></fault></methodResponse>",
    ],
)
def test_other_documents_are_refused(document: str) -> None:
    """No value, a call, a fault without code and text: no answer."""
    with pytest.raises(AnswerError):
        read_answer(document.encode())
