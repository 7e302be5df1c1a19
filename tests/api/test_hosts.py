"""The Host and Origin rules on their own."""

from __future__ import annotations

import pytest

from probe.api.hosts import Hosts, same_origin, target_authority

OURS = ["127.0.0.1", "127.0.0.1:9810", "10.1.2.3:80", "[::1]", "[::1]:9810", "[fe80::1]", "localhost", "LOCALHOST:1"]
OURS += ["localhost.", "a.localhost", "ip6-localhost", "mail.example.org", "MAIL.EXAMPLE.ORG:9810", "mail.example.org."]
FOREIGN = ["", "example.org", "x.mail.example.org", "mail.example.org.evil", "127.0.0.1.nip.io", "1.2.3", "0x7f000001"]
FOREIGN += ["[::1", "::1", "[127.0.0.1]", "[::1]x", "localhost:", "localhost:port", "localhost:1234567", "a b", "a/b"]
FOREIGN += [
    "user@localhost",
    "localhost#",
    "localhost?",
    "l\u043ecalhost",
    "2130706433",
    "127.1",
    "notlocalhost",
    "..",
    ".",
]


@pytest.mark.parametrize("host", OURS)
def test_our_hosts(host: str) -> None:
    """An IP literal, a loopback name and an allowed name are ours, with any port and in any case."""
    assert Hosts(("Mail.Example.org.",)).allow(host)


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_hosts(host: str) -> None:
    """Everything else is foreign, also what some parsers would take for an address."""
    assert not Hosts(("mail.example.org",)).allow(host)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:9810", "localhost:9810", True),
        ("https://MAIL.example.org", "mail.example.org", True),
        ("http://localhost", "localhost:9810", False),
        ("http://localhost:9811", "localhost:9810", False),
        ("null", "localhost", False),
        ("", "localhost", False),
        ("file://", "", False),
        ("http://localhost/path", "localhost", False),
        ("http://localhost@evil.example", "localhost", False),
        ("http://[::1", "[::1", False),
    ],
)
def test_same_origin(origin: str, host: str, same: bool) -> None:
    """An Origin is ours only when it names exactly the host and port that were asked."""
    assert same_origin(origin, host) is same


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        ("/livez", None),
        ("//evil.example/livez", None),
        ("http://evil.example/x", "evil.example"),
        ("*", ""),
        ("http://[", ""),
    ],
)
def test_target_authority(target: str, authority: str | None) -> None:
    """Only an absolute target carries an authority; one that cannot be read is nobody's."""
    assert target_authority(target) == authority
