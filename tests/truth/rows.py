"""A row of the table: a server, the question, and the answer that is right."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from bindings.model import Protocol
from probe.values import OUTCOME, Outcome, Reason, Stage
from tests.e2e.servers.misbehaving import FullBacklog, Peer
from tests.truth.acts import Script, plays
from tests.truth.kit import Kit

Place = tuple[str, int]
Ground = Literal["here", "forbidden", "starved", "namespace"]

TIMEOUT_S = 0.6  # of our question; peers that are slow and healthy need a third of it
PEERS_TIMEOUT_S = 1  # of the others', most of which count in whole seconds
SLOW_S = 0.2

DEADLINES = frozenset(
    {Reason.CONNECT_TIMEOUT, Reason.TLS_TIMEOUT, Reason.BANNER_TIMEOUT, Reason.STEP_TIMEOUT}
)  # what only a passed deadline can say


@dataclass(frozen=True, kw_only=True)
class Row:
    """One server and its question.

    `script` is what the server does with each connection; without one nothing is listening, or `server` says what is.
    `asked` holds properties of a virtual server as the store writes them; `host` is the third part of the binding.
    `ground` says where we stand when we ask; `setup` are the commands that prepare a namespace. `held` is the number
    of connections that are open to the server already.
    """

    name: str
    does: str
    protocol: Protocol
    reason: Reason
    stage: Stage | None
    script: Script | None = None
    server: Literal["script", "full backlog", "nobody"] = "script"
    address: str = "127.0.0.1"
    port: int = 0
    asked: Mapping[str, object] = field(default_factory=dict)
    secure: bool = False
    host: str = ""
    ground: Ground = "here"
    setup: tuple[str, ...] = ()
    held: int = 0

    @property
    def outcome(self) -> Outcome:
        """The verdict that is right."""
        return OUTCOME[self.reason]

    @property
    def waits(self) -> bool:
        """Whether the verdict needs the whole time-out."""
        return self.reason in DEADLINES

    @property
    def question(self) -> str:
        """Word the question for the page: the scheme, the host asked for, the properties."""
        scheme = self.protocol + ("s" if self.secure else "")
        words = [f"{name} {_worded(value)}" for name, value in self.asked.items()]
        return ", ".join([scheme + (f" for {self.host}" if self.host else ""), *words])

    @contextmanager
    def standing(self, kit: Kit) -> Iterator[tuple[Place, Peer | None]]:
        """Let the server stand and say where; called in the namespace where there is one."""
        if self.server == "full backlog":
            with FullBacklog() as full:
                yield ("127.0.0.1", full.port), None
        elif self.script is None:
            yield (self.address, self.port or _free_port()), None
        else:
            with Peer(plays(self.script, kit.contexts), host=self.address) as peer:
                yield (self.address, peer.port), peer


def _worded(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} {_worded(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and not value.replace("-", "").isalnum() else str(value)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port
