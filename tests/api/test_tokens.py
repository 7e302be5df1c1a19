"""The token file: what a line is, who a token belongs to, and what happens when the file changes."""

from __future__ import annotations

import hashlib
import logging

import pytest

from probe.api.tokens import TOKEN_CHARS_MAX, TOKENS_MAX, Role, TokenFile, parse_tokens
from tests.api.conftest import TOKENS, Opener, token_lines
from tests.api.service import MemoryFiles


def line(name: str, role: str, token: str) -> bytes:
    return f"{name}:{role}:{hashlib.sha256(token.encode()).hexdigest()}\n".encode()


def test_lines() -> None:
    """Comments and blank lines are skipped, white space around a line and the digest's case do not matter."""
    digest = hashlib.sha256(b"t").hexdigest()
    content = f"# people\n\n  ann:operator:{digest.upper()}  \r\nbob@example.org:viewer:{digest}".encode()
    tokens, bad = parse_tokens(content)
    assert [(token.name, token.role, token.digest.hex()) for token in tokens] == [
        ("ann", Role.OPERATOR, digest),
        ("bob@example.org", Role.VIEWER, digest),
    ]
    assert bad == ()


@pytest.mark.parametrize(
    "content",
    [
        b"ann:operator:plain-text-secret",
        b"ann:root:" + b"0" * 64,
        b"ann:operator:" + b"0" * 63,
        b"ann:operator:" + b"0" * 65,
        b"ann:operator:" + b"0" * 64 + b":more",
        b":operator:" + b"0" * 64,
        b"a b:operator:" + b"0" * 64,
        b"\xff\xfe",
        b"ann",
    ],
)
def test_bad_lines_are_numbered_and_not_kept(content: bytes) -> None:
    """A line that is none gives no token, only its number; those around it count."""
    tokens, bad = parse_tokens(line("x", "viewer", "x") + content + b"\n" + line("y", "admin", "y"))
    assert [token.name for token in tokens] == ["x", "y"]
    assert bad == (2,)


def test_the_number_of_tokens_is_bounded() -> None:
    """Lines beyond the bound are told as bad."""
    tokens, bad = parse_tokens(line("a", "viewer", "a") * (TOKENS_MAX + 2))
    assert (len(tokens), bad) == (TOKENS_MAX, (TOKENS_MAX + 1, TOKENS_MAX + 2))


def test_a_token_has_an_owner() -> None:
    """The right token gives its line, the first of equals; anything else nobody."""
    files = MemoryFiles(tokens=token_lines() + b"\n" + line("second", "viewer", TOKENS["admin"]))
    tokens = TokenFile(files, "tokens")
    for role, token in TOKENS.items():
        owner = tokens.owner_of(token)
        assert owner is not None
        assert (owner.name, owner.role) == (f"{role}-1", Role[role.upper()])
    for wrong in ("", "O-secret", "o-secret ", "o-secre", hashlib.sha256(b"o-secret").hexdigest()):
        assert tokens.owner_of(wrong) is None


def test_an_overlong_token_is_nobodys() -> None:
    """A token beyond the bound is refused, even when its beginning is one."""
    begin = "x" * TOKEN_CHARS_MAX
    tokens = TokenFile(MemoryFiles(tokens=line("a", "admin", begin)), "tokens")
    assert tokens.owner_of(begin) is not None
    assert tokens.owner_of(begin + "y") is None


def test_a_change_is_seen_at_the_next_use(caplog: pytest.LogCaptureFixture) -> None:
    """The file is read again when its stamp moved; a line that went takes its token with it."""
    files = MemoryFiles(tokens=line("a", "operator", "old"))
    tokens = TokenFile(files, "tokens")
    files.put("tokens", b"secret-in-a-bad-line\n" + line("a", "operator", "new"))
    with caplog.at_level(logging.ERROR):
        assert tokens.owner_of("old") is None
        assert tokens.owner_of("new") is not None
    assert [record.__dict__["line"] for record in caplog.records] == [1]  # said once, by its number
    assert "secret" not in caplog.text


def test_an_unreadable_file_allows_nobody_and_mends_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read closes the door, is logged once, and opens again when it can be read."""
    files = MemoryFiles(tokens=line("a", "operator", "t"))
    tokens = TokenFile(files, "tokens")
    files.readable = False
    files.put("tokens", line("a", "operator", "t"))
    with caplog.at_level(logging.ERROR):
        assert tokens.owner_of("t") is None
        assert tokens.owner_of("t") is None
    assert len(caplog.records) == 1
    files.readable = True
    assert tokens.owner_of("t") is not None


def test_a_file_that_is_not_there_yet(caplog: pytest.LogCaptureFixture) -> None:
    """A missing file is said once, and used as soon as it is there."""
    files = MemoryFiles()
    with caplog.at_level(logging.ERROR):
        tokens = TokenFile(files, "tokens")
        assert tokens.owner_of("t") is None
    assert len(caplog.records) == 1
    files.put("tokens", line("a", "operator", "t"))
    assert tokens.owner_of("t") is not None


async def test_an_edit_takes_effect_on_the_next_verb(opened: Opener) -> None:
    """Over HTTP: a token that is taken out of the file no longer works, without a restart."""
    api = await opened(tokens=token_lines())
    verb = "/api/v1/resources/evs1/smtp/restart"
    assert (await api.order(verb))[0] == 202
    api.files.put("tokens", b"")
    assert (await api.order(verb))[0] == 401
    assert len(api.service.asked) == 1
