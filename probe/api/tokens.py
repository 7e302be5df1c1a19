"""Who may use the control verbs: a file of `name:role:sha256` lines, read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

log = logging.getLogger(__name__)

TOKEN_FILE_BYTES_MAX = 256 * 1024
TOKENS_MAX = 1000
TOKEN_CHARS_MAX = 1024


class Role(IntEnum):
    """What a token allows; each role includes those below it."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class TokenFiles(Protocol):
    """What is needed of files; the environment's have it."""

    def read(self, path: str, bytes_max: int) -> bytes: ...
    def stamp(self, path: str) -> object | None: ...


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file; the token itself is nowhere, only its digest."""

    name: str
    role: Role
    digest: bytes


_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._@-]{0,62}):(viewer|operator|admin):([0-9a-fA-F]{64})", re.ASCII)


def parse_tokens(content: bytes) -> tuple[tuple[Token, ...], tuple[int, ...]]:
    """Read the lines of a token file; return the tokens and the numbers of the lines that are none.

    Blank lines and those beginning with `#` are skipped. Nothing of a bad line is kept: it may hold a secret.
    """
    tokens: list[Token] = []
    bad: list[int] = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        line = raw.decode("ascii", "replace").strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or len(tokens) >= TOKENS_MAX:
            bad.append(number)
        else:
            tokens.append(Token(match[1], Role[match[2].upper()], bytes.fromhex(match[3])))
    return tuple(tokens), tuple(bad)


class TokenFile:
    """The token file as it is now: every use looks whether it changed. One that cannot be read allows nobody."""

    def __init__(self, files: TokenFiles, path: str) -> None:
        self._files = files
        self._path = path
        self._stamp: object | None = None
        self._tokens: tuple[Token, ...] = ()
        self._refresh()

    def owner_of(self, presented: str) -> Token | None:
        """Find whose token this is. The time it takes does not tell how much of a token was right."""
        self._refresh()
        digest = hashlib.sha256(presented[:TOKEN_CHARS_MAX].encode("utf-8", "surrogateescape")).digest()
        owner = None
        for token in self._tokens:  # to the end always, for the same reason
            if hmac.compare_digest(token.digest, digest) and owner is None:
                owner = token
        return owner if 0 < len(presented) <= TOKEN_CHARS_MAX else None

    def _refresh(self) -> None:
        try:
            stamp = self._files.stamp(self._path)
            if stamp is not None and stamp == self._stamp:
                return
            content = self._files.read(self._path, TOKEN_FILE_BYTES_MAX)
        except OSError as error:
            if self._tokens or self._stamp is None:
                log.error(  # noqa: TRY400 - a stack says nothing that errno does not
                    "the token file cannot be read, so nobody may use the control verbs", extra={"errno": error.errno}
                )
            self._tokens, self._stamp = (), _UNREADABLE
            return
        self._stamp = stamp
        self._tokens, bad = parse_tokens(content)
        for number in bad:
            log.error("a line of the token file is not name:role:sha256 and is ignored", extra={"line": number})


_UNREADABLE = object()  # equals no stamp: the next use tries again, without saying so again
