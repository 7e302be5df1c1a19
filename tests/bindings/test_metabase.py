"""`metabase.json`: properties, inheritance along the path, and one message for each mistake."""

from __future__ import annotations

import json

import pytest

from bindings.errors import StoreError
from bindings.model import Binding, IpSecurity, Secret, Tls, VirtualServer
from bindings.parse import parse_store
from bindings.properties import PROPERTIES
from tests.bindings.examples import FULL_SERVER, MAIL_SERVER, metabase

AT = "metabase.json: "


def server(keys: object, key: str = "/smtp/1") -> VirtualServer:
    """Parse these keys and return one virtual server."""
    return parse_store(metabase(keys), None).virtual_servers[key]


def errors(text: bytes) -> list[str]:
    """Return every mistake of a metabase."""
    with pytest.raises(StoreError) as caught:
        parse_store(text, None)
    return str(caught.value).splitlines()


def test_every_property_is_read() -> None:
    """A virtual server that gives all properties has all of them in the model, and none is left at its default."""
    web, mail = server({"/http/1": FULL_SERVER}, "/http/1"), server({"/smtp/1": MAIL_SERVER})
    assert web == VirtualServer(
        key="/http/1",
        protocol="http",
        bindings=(
            Binding("10.0.0.5:8080:www.example.org", "10.0.0.5", 8080, "www.example.org"),
            Binding("*:80", "", 80),
            Binding(":81", "", 81),
            Binding("host.example.org.:82", "host.example.org.", 82),
            Binding("[2001:db8::1]:83:[::1]", "2001:db8::1", 83, "[::1]"),
            Binding("unix:/run/http.sock", "", 0, None, "/run/http.sock", True),
        ),
        binding_policy="any",
        comment="everything\nat once",
        tls=Tls("/etc/ca.pem", False, "www.example.org", "/c.pem", "/k.pem", "1.3"),
        source="10.0.0.5",
        proxy_protocol="v2",
        path="/health?full=1&x=%20",
        host="www.example.org:8080",
        method="HEAD",
        headers=(("Authorization", Secret("/run/secrets/token")), ("X-Probe", "yes")),
        expect_status="200-299,301,401-403",
        body_match="^ok$",
        probe_timeout_s=0.5,
        poll_interval_s=0.1,
        fast_interval_s=0.25,
        polite=False,
        rise=2,
        fall=3,
        ip_security=IpSecurity(("10.0.0.0/8", "2001:db8::/32", "127.0.0.1"), ("10.9.0.0/16",)),
        auto_start=False,
    )
    assert (mail.expect, mail.starttls, mail.helo_name) == (("220 ", "220-"), "required", "[IPv6:::1]")
    assert set(FULL_SERVER) | set(MAIL_SERVER) == {row.name for row in PROPERTIES}
    plain = server({"/http/1": {"bindings": [":1"]}}, "/http/1")
    untouched = [name for name in FULL_SERVER if hasattr(plain, name) and getattr(plain, name) == getattr(web, name)]
    assert untouched == []


def test_one_expected_greeting_needs_no_list() -> None:
    """`expect` is a prefix or a list of them."""
    assert server({"/smtp/1": {"bindings": [":25"], "expect": "220 mx"}}).expect == ("220 mx",)


def test_values_are_inherited_along_the_path() -> None:
    """`/` is laid under `/PROTOCOL`, that under `/PROTOCOL/NAME`; the order in the file does not matter."""
    keys = {
        "/smtp/1": {"bindings": [":25"], "rise": 4},
        "/smtp": {"fall": 5, "rise": 9},
        "/": {"poll_interval_s": 30, "fall": 7, "rise": 8},
        "/imap/1": {"bindings": [":143"]},
    }
    assert (server(keys).rise, server(keys).fall, server(keys).poll_interval_s) == (4, 5, 30.0)
    assert (server(keys, "/imap/1").rise, server(keys, "/imap/1").fall) == (8, 7)


def test_lists_are_inherited_whole() -> None:
    """A list of one's own replaces the inherited one; the other list is still inherited."""
    keys = {"/smtp": {"bindings": [":1", ":2"], "secure_bindings": [":3"]}, "/smtp/1": {"bindings": [":4"]}}
    assert [(b.port, b.secure) for b in server(keys).bindings] == [(4, False), (3, True)]


def test_objects_are_inherited_key_by_key() -> None:
    """tls, headers and ip_security are merged entry by entry; null inside takes one entry away."""
    keys = {
        "/": {"tls": {"ca_file": "/ca", "min_version": "1.3"}, "headers": {"A": "1", "X-B": "2"}},
        "/http": {"tls": {"verify": False}, "headers": {"C": "3", "a": "4"}, "ip_security": {"deny": ["10.0.0.0/8"]}},
        "/http/1": {"bindings": [":80"], "tls": {"min_version": None}, "headers": {"X-B": None}},
        "/http/2": {"bindings": [":80"], "tls": {}, "ip_security": {"allow": ["127.0.0.0/8"]}},
    }
    first, second = server(keys, "/http/1"), server(keys, "/http/2")
    assert first.tls == Tls(ca_file="/ca", verify=False)
    assert first.headers == (("C", "3"), ("a", "4"))
    assert first.ip_security == IpSecurity(deny=("10.0.0.0/8",))
    assert second.tls == Tls(ca_file="/ca", verify=False, min_version="1.3")
    assert second.headers == (("X-B", "2"), ("C", "3"), ("a", "4"))
    assert second.ip_security == IpSecurity(("127.0.0.0/8",), ("10.0.0.0/8",))


def test_null_unsets() -> None:
    """null takes an inherited value away, so that the built-in default holds again, and what is below starts anew."""
    keys = {
        "/": {"poll_interval_s": 30, "tls": {"verify": False, "ca_file": "/ca"}},
        "/smtp": {"tls": None},
        "/smtp/1": {"bindings": [":25"], "poll_interval_s": None, "tls": {"min_version": "1.3"}},
        "/smtp/2": {"bindings": [":25"], "expect": None, "comment": None},
    }
    assert server(keys).poll_interval_s == 10.0
    assert server(keys).tls == Tls(min_version="1.3")
    assert server(keys, "/smtp/2") == VirtualServer(
        key="/smtp/2", protocol="smtp", bindings=(Binding(":25", "", 25),), poll_interval_s=30.0
    )


def test_a_default_at_the_root_reaches_only_who_has_it() -> None:
    """`/` may hold what any protocol has; those that lack it are none the wiser."""
    keys = {"/": {"path": "/x", "helo_name": "me"}, "/smtp/1": {"bindings": [":25"]}, "/http/1": {"bindings": [":80"]}}
    assert (server(keys).path, server(keys).helo_name) == ("/", "me")
    assert (server(keys, "/http/1").path, server(keys, "/http/1").helo_name) == ("/x", None)


def test_json_has_one_kind_of_number() -> None:
    """5 is a number of seconds and 2.0 is a whole number."""
    assert server({"/smtp/1": {"bindings": [":25"], "probe_timeout_s": 5, "rise": 2.0}}).rise == 2


def test_the_schema_may_be_named() -> None:
    """`$schema` is allowed and means nothing to us."""
    assert parse_store(metabase({}, **{"$schema": "./metabase.schema.json"}), None).virtual_servers == {}


VALUES: list[tuple[str, str, object, str]] = [
    ("smtp", "bindings", [":25", 25], 'bindings[1]: must be a text such as "127.0.0.1:25", not the number 25'),
    ("smtp", "bindings", ":25", 'bindings: must be a list of bindings, not the text ":25"'),
    ("smtp", "bindings", [":25"] * 257, "bindings: has 257 entries, more than 256"),
    ("smtp", "bindings", [], '"bindings" or "secure_bindings" is missing; for example "bindings": ["127.0.0.1:25"]'),
    ("smtp", "secure_bindings", [":0"], "secure_bindings[0]: port 0 is below 1"),
    ("smtp", "comment", 1, "comment: must be a text, not the number 1"),
    ("smtp", "comment", "x" * 4097, "comment: is longer than 4096 characters"),
    ("smtp", "binding_policy", "al",
     'binding_policy: must be one of "all", "any", "first", not the text "al"; did you mean "all"?'),
    ("smtp", "expect", "", 'expect: "" is not one line of text'),
    ("smtp", "expect", [], "expect: must be a list of texts, not an empty list"),
    ("smtp", "expect", ["220", "2\r\n"], 'expect[1]: "2\\r\\n" is not one line of text'),
    ("smtp", "starttls", True, 'starttls: must be one of "off", "required", not true'),
    ("smtp", "tls", "on", 'tls: must be an object, not the text "on"'),
    ("smtp", "tls", {"verify": "no"}, 'tls.verify: must be true or false, not the text "no"'),
    ("smtp", "tls", {"ca_file": ["x"]}, "tls.ca_file: must be the path of a file, not a list"),
    ("smtp", "tls", {"min_version": 1.2},
     'tls.min_version: must be one of "1.0", "1.1", "1.2", "1.3", not the number 1.2'),
    ("smtp", "tls", {"client_cert_file": "/c"}, 'tls: "client_cert_file" needs "client_key_file" beside it'),
    ("smtp", "tls", {"client_key_file": "/k"}, 'tls: "client_key_file" needs "client_cert_file" beside it'),
    ("smtp", "tls", {"server_name": "a b"}, 'tls.server_name: "a b" is not a host name or an address'),
    ("smtp", "source", "localhost", 'source: "localhost" is not a numeric IPv4 or IPv6 address'),
    ("smtp", "proxy_protocol", "v3",
     'proxy_protocol: must be one of "off", "v1", "v2", not the text "v3"'),
    ("smtp", "helo_name", "a\r\nb", 'helo_name: "a\\r\\nb" is not a host name (RFC 5321 section 4.1.1.1)'),
    ("smtp", "helo_name", "[IPv6:1]", 'helo_name: "1" is not a numeric IPv4 or IPv6 address'),
    ("http", "path", "x",
     'path: "x" is not a path: "/" first, then printable ASCII, no space and no "#"'),
    ("http", "path", "/ HTTP/1.1\r\nX: y",
     'path: "/ HTTP/1.1\\r\\nX: y" is not a path: "/" first, then printable ASCII, no space and no "#"'),
    ("http", "host", "a:0", 'host: "a:0" is not a host name'),
    ("http", "host", "a:99999", "host: port 99999 is above 65535"),
    ("http", "host", "[::g]", 'host: "[::g]" is not a host name'),
    ("http", "host", "[::1::]:80", 'host: "[::1::]" is not an IPv6 address in brackets'),
    ("http", "host", "a b", 'host: "a b" is not a host name'),
    ("http", "method", "G T", 'method: "G T" is not an HTTP method such as GET'),
    ("http", "headers", {"a b": "1"}, 'headers.a b: "a b" is not the name of a header'),
    ("http", "headers", {"A": "1\r\nB: 2"}, 'headers.A: "1\\r\\nB: 2" is not one line of printable ASCII'),
    ("http", "headers", {"A": 1}, "headers.A: must be one line of printable ASCII, not the number 1"),
    ("http", "headers", {"A": {"file": 1}}, "headers.A.file: must be the path of a file, not the number 1"),
    ("http", "headers", {"A": {"fil": "x"}}, 'headers.A: must be {"file": "/path/of/the/secret"}'),
    ("http", "headers", {"X": "1", "x": "2"},
     'headers.x: the header "x" is given twice (case does not tell them apart)'),
    ("http", "headers", {"Host": "x"}, 'headers.Host: the header "Host" cannot be set: set the property "host"'),
    ("http", "headers", {"content-LENGTH": "5"},
     'headers.content-LENGTH: the header "content-LENGTH" cannot be set: the check sends no body'),
    ("http", "headers", {f"h{n}": "" for n in range(65)}, "headers: has 65 headers, more than 64"),
    ("http", "expect_status", 200, 'expect_status: must be a text such as "200-399", not the number 200'),
    ("http", "expect_status", "200,",
     'expect_status: "200," is neither "any" nor codes and ranges such as "200-399,401"'),
    ("http", "expect_status", "2xx",
     'expect_status: "2xx" is neither "any" nor codes and ranges such as "200-399,401"'),
    ("http", "expect_status", "99", 'expect_status: status "99" is not between 100 and 599'),
    ("http", "expect_status", "200-600", 'expect_status: status "600" is not between 100 and 599'),
    ("http", "expect_status", "399-200", "expect_status: the range 399-200 ends before it begins"),
    ("http", "body_match", "", 'body_match: "" is not a pattern'),
    ("smtp", "probe_timeout_s", 0, "probe_timeout_s: must be more than 0"),
    ("smtp", "probe_timeout_s", -1, "probe_timeout_s: -1 is below 0"),
    ("smtp", "probe_timeout_s", 1e300, "probe_timeout_s: 1e+300 is above 31622400"),
    ("smtp", "probe_timeout_s", True, "probe_timeout_s: must be a number of seconds, not true"),
    ("smtp", "probe_timeout_s", "5s", 'probe_timeout_s: must be a number of seconds, not the text "5s"'),
    ("smtp", "poll_interval_s", 0.09, "poll_interval_s: 0.09 is below 0.1"),
    ("smtp", "fast_interval_s", 0, "fast_interval_s: 0 is below 0.1"),
    ("smtp", "polite", 1, "polite: must be true or false, not the number 1"),
    ("smtp", "rise", 0, "rise: 0 is below 1"),
    ("smtp", "fall", 1001, "fall: 1001 is above 1000"),
    ("smtp", "fall", 1.5, "fall: must be a whole number, not the number 1.5"),
    ("smtp", "ip_security", {"allow": "10.0.0.0/8"},
     'ip_security.allow: must be a list of networks, not the text "10.0.0.0/8"'),
    ("smtp", "ip_security", {"deny": ["10.0.0.5/8"]},
     'ip_security.deny[0]: "10.0.0.5/8" has bits set beyond its prefix; the network is 10.0.0.0/8'),
    ("smtp", "ip_security", {"block": []}, 'ip_security: unknown key "block"'),
    ("smtp", "auto_start", "yes", 'auto_start: must be true or false, not the text "yes"'),
    ("smtp", "command", "start", 'command: "command" changes while the service runs: it is kept in runtime.json'),
    ("smtp", "state", "started", 'state: "state" changes while the service runs: it is kept in runtime.json'),
    ("smtp", "path", "/", 'unknown key "path"; it belongs to http'),
    ("http", "helo_name", "x", 'unknown key "helo_name"; it belongs to smtp, lmtp'),
    ("http", "expect", "x", 'unknown key "expect"; it belongs to smtp, lmtp, pop3, imap, tcp'),
    ("tcp", "starttls", "off", 'unknown key "starttls"; it belongs to smtp, lmtp, pop3, imap'),
    ("imap", "bindngs", [], 'unknown key "bindngs"; did you mean "bindings"?'),
    ("imap", "xyzzy", None, 'unknown key "xyzzy"'),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "name", "value", "wanted"), VALUES)
def test_each_wrong_value_has_its_message(protocol: str, name: str, value: object, wanted: str) -> None:
    """A wrong value gives exactly one message, with the key, the property and a pointer to it."""
    own = {"bindings": [":25"], name: value}
    lines = errors(metabase({f"/{protocol}/1": own}))
    assert len(lines) == 1
    assert lines[0].partition(" (at /")[0].removeprefix(f"{AT}/{protocol}/1: ") == wanted
    assert lines[0].partition(" (at ")[2].startswith(f"/keys/~1{protocol}~11")


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("smtp", '{0}: a key begins with "/", such as "/smtp/1"'),
        ("", '""'),
        ("/smpt/1", '{0}: unknown protocol "smpt"; did you mean "smtp"?'),
        ("/ftp", '{0}: unknown protocol "ftp"'),
        ("/smtp/1/x", "{0}: a key has one segment (defaults) or two (a virtual server)"),
        ("/smtp/", '{0}: "" is no name: a letter or digit, then at most 62 letters, digits or . _ -'),
        ("/smtp/-a", '{0}: "-a" is no name'),
        ("/smtp/" + "a" * 64, "{0}: "),
        ("/SMTP/1", '{0}: unknown protocol "SMTP"'),
        ("//", '{0}: unknown protocol ""'),
    ],
)
def test_each_wrong_key_has_its_message(key: str, wanted: str) -> None:
    """A path that is neither defaults nor a virtual server is an error, and its properties are checked all the same."""
    lines = errors(metabase({key: {"bindings": [":0"]}}))
    assert len(lines) == 2
    assert lines[0].startswith(AT if key == "" else AT + wanted.format(key))
    assert "port 0 is below 1" in lines[1]


def test_a_pointer_escapes_what_it_must() -> None:
    """RFC 6901: `~` and `/` of a name are written ~0 and ~1 in the pointer."""
    (line, _) = errors(metabase({"/smtp/a~/b": {"x": 1}}))
    assert line.endswith("(at /keys/~1smtp~1a~0~1b)")


def test_the_example_of_the_design_word_for_word() -> None:
    """The message of DESIGN section 3, to the letter."""
    assert errors(metabase({"/smtp/1": {"bindings": ["127.0.0.1:99999"]}})) == [
        "metabase.json: /smtp/1: bindings[0]: port 99999 is above 65535 (at /keys/~1smtp~11/bindings/0)"
    ]


def test_a_wrong_default_is_told_once_and_at_its_place() -> None:
    """A mistake in the defaults is one mistake, not one for each that inherits it; the others are still found."""
    keys = {"/smtp/1": {"bindings": [":25"]}, "/smtp/2": {"bindings": [":0"]}, "/": {"rise": 0}}
    assert [line.split(" (at ")[0] for line in errors(metabase(keys))] == [
        AT + "/: rise: 0 is below 1",
        AT + "/smtp/2: bindings[0]: port 0 is below 1",
    ]


def test_a_key_that_is_no_object() -> None:
    """A key holds properties; null does not unset a key."""
    assert errors(metabase({"/smtp/1": None, "/smtp": []})) == [
        AT + "/smtp: must be an object of properties, not a list (at /keys/~1smtp)",
        AT + "/smtp/1: must be an object of properties, not null (at /keys/~1smtp~11)",
    ]


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"bindings": ["10.0.0.1:25"]}, "/smtp/1: bindings[0]: ip_security rejects 10.0.0.1"),
        ({"secure_bindings": [":25", "10.0.0.1:465"], "bindings": [":26"]},
         "/smtp/1: secure_bindings[1]: ip_security rejects 10.0.0.1"),
        ({"bindings": ["127.0.0.1:25"], "source": "10.0.0.9"}, "/smtp/1: source: ip_security rejects 10.0.0.9"),
    ],
)  # fmt: skip
def test_an_access_list_that_keeps_the_check_out(own: dict[str, object], wanted: str) -> None:
    """S34: a server whose ip_security rejects the address the check will come from is refused at validation."""
    lines = errors(metabase({"/": {"ip_security": {"deny": ["10.0.0.0/8"]}}, "/smtp/1": own}))
    assert len(lines) == 1
    assert lines[0].startswith(f"{AT}{wanted}, the address from which the check connects")


def test_an_access_list_that_lets_the_check_in() -> None:
    """S34: the source given decides alone; a name or the group's own address is not known here."""
    access = {"ip_security": {"allow": ["127.0.0.0/8"]}}
    server({"/smtp/1": {"bindings": ["10.0.0.1:25"], "source": "127.0.0.1", **access}})
    server({"/smtp/1": {"bindings": ["mail.example.org:25", "*:26", "127.0.0.2:25", "unix:/x"], **access}})
    server({"/smtp/1": {"bindings": ["0.0.0.0:25", "[::]:25"], **access}})


def test_an_inherited_half_of_a_certificate_is_told_at_the_key() -> None:
    """A mistake that only shows in the whole points to the key, where nothing of its own is wrong."""
    keys = {"/smtp": {"tls": {"client_cert_file": "/c"}}, "/smtp/1": {"bindings": [":25"]}}
    assert errors(metabase(keys)) == [
        AT + '/smtp/1: "client_cert_file" needs "client_key_file" beside it (at /keys/~1smtp~11)'
    ]


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"keys": {}}, ['"schema_version" is missing; write "schema_version": 1']),
        ({"schema_version": 2, "keys": {}}, ["schema_version: must be 1, not the number 2 (at /schema_version)"]),
        ({"schema_version": True, "keys": {}}, ["schema_version: must be 1, not true (at /schema_version)"]),
        ({"schema_version": 1}, [('"keys" is missing; for example {"schema_version": 1, "keys": {"/smtp/1": '
                                 '{"bindings": ["127.0.0.1:25"]}}}')]),
        ({"schema_version": 1, "keys": []}, ["keys: must be an object: keys and their properties (at /keys)"]),
        ({"schema_version": 1, "keys": {}, "revision": "7"},
         ['revision: must be a whole number, not the text "7" (at /revision)']),
        ({"schema_version": 1, "keys": {}, "$schema": 1}, ["$schema: must be a text, not the number 1 (at /$schema)"]),
        ({"schema_version": 1, "keys": {}, "key": {}}, ['unknown key "key"; did you mean "keys"? (at /key)']),
        ([], ["the file must hold one JSON object: { ... }"]),
        (None, ["the file must hold one JSON object: { ... }"]),
    ],
)  # fmt: skip
def test_what_surrounds_the_keys(document: object, wanted: list[str]) -> None:
    """The document around the keys is checked as strictly as the keys."""
    assert errors(json.dumps(document).encode()) == [AT + line for line in wanted]
