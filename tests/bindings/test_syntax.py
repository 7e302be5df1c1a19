"""JSON as text: where it breaks, and names given twice."""

from __future__ import annotations

import pytest

from bindings.errors import StoreError
from bindings.parse import parse_store

GOOD = '"/smtp/1": {"bindings": [":25"]}'


def errors(metabase: bytes | str, cluster: str | None = None) -> list[str]:
    """Return every mistake."""
    with pytest.raises(StoreError) as caught:
        parse_store(metabase.encode() if isinstance(metabase, str) else metabase, cluster.encode() if cluster else None)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"{", "line 1 column 2: not JSON: expecting property name enclosed in double quotes"),
        (b'{"a": 1,\n "b": }', "line 2 column 7: not JSON: expecting value"),
        (b'{"a": 1,\n}', "line 2 column 1: not JSON: expecting property name enclosed in double quotes"),
        (b'{"a": 1}\n\nx', "line 3 column 1: not JSON: extra data"),
        (b'{// no\n"a": 1}', "line 1 column 2: not JSON: expecting property name enclosed in double quotes"),
        (b'{"a": "\xc3\xa4", b}', "line 1 column 12: not JSON: expecting property name enclosed in double quotes"),
        (b'{"\xc3\xa4": "\xff"}', "line 1 column 8: byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbf{}", "line 1 column 1: not JSON: unexpected UTF-8 BOM (decode using utf-8-sig)"),
        (b'{"a": NaN}', "line 1 column 7: not JSON: JSON is malformed: invalid character"),
    ],
)
def test_a_text_that_is_no_json_says_where(text: bytes, wanted: str) -> None:
    """A syntax error has line and column, counted in characters from 1, and no pointer."""
    assert errors(text) == [f"metabase.json: {wanted}"]


@pytest.mark.parametrize("value", [r'"\ud800"', "1e999", "1" * 5000])
def test_what_the_grammar_allows_and_nobody_can_hold(value: str) -> None:
    """A lone surrogate or a number without bounds is refused, not passed on."""
    (line,) = errors(f'{{"schema_version": 1, "keys": {{"/smtp/1": {{"bindings": [":25"], "rise": {value}}}}}}}')
    assert line.startswith(("metabase.json: /smtp/1: cannot be read: ", "metabase.json: line 1 column "))


def test_a_key_given_twice() -> None:
    """JSON keeps the last of two equal names and says nothing; here both are a mistake."""
    text = f'{{"schema_version": 1, "keys": {{{GOOD}, {GOOD}}}}}'
    assert errors(text) == ['metabase.json: /smtp/1: "/smtp/1" is given twice (at /keys/~1smtp~11)']


def test_a_property_given_twice() -> None:
    """A property given twice is found at any depth, each once, whatever the spacing of the text."""
    key = '"/smtp/1": {"bindings" : [":25"], "rise":1, "rise" : 2, "rise": 3, "tls": {"verify": true, "verify": false}}'
    assert errors(f'{{"schema_version": 1, "schema_version" : 1, "keys" : {{{key}}}}}') == [
        'metabase.json: "schema_version" is given twice (at /schema_version)',
        'metabase.json: /smtp/1: rise: "rise" is given twice (at /keys/~1smtp~11/rise)',
        'metabase.json: /smtp/1: tls.verify: "verify" is given twice (at /keys/~1smtp~11/tls/verify)',
    ]


def test_a_resource_or_parameter_given_twice() -> None:
    """The same in cluster.json: groups, resources, properties, and what is inside parameters."""
    resource = '{"type": "x", "parameters": {"list": [{"a": 1, "a": 2}]}}'
    text = f'{{"schema_version": 1, "groups": {{"g": {{"resources": {{"r": {resource}, "r": {resource}}}}}}}}}'
    assert errors(f'{{"schema_version": 1, "keys": {{{GOOD}}}}}', text) == [
        'cluster.json: g/r: "r" is given twice (at /groups/g/resources/r)',
        'cluster.json: g/r: parameters.list[0].a: "a" is given twice (at /groups/g/resources/r/parameters/list/0/a)',
    ]
    group = '"g": {"resources": {}}'
    text = f'{{"schema_version": 1, "groups": {{{group}, {group}}}}}'
    assert errors(f'{{"schema_version": 1, "keys": {{{GOOD}}}}}', text) == [
        'cluster.json: g: "g" is given twice (at /groups/g)'
    ]  # fmt: skip


@pytest.mark.parametrize("comment", [r"see \"a\": b", r"\":", ": x", '": '.replace('"', r"\""), "a\\\\"])
def test_text_that_looks_like_a_name_is_no_mistake(comment: str) -> None:
    """Quotes and colons inside a text are not names given twice."""
    text = f'{{"schema_version" : 1,"keys"\n:{{"/smtp/1":{{"comment":"{comment}","bindings":[":25"]}}}}}}'
    assert list(parse_store(text.encode(), None).virtual_servers) == ["/smtp/1"]
