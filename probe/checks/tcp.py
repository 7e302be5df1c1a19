"""Anything that listens: a connection is enough, unless `expect` says how its first line begins. Pure.

There is no goodbye that every peer would understand, so that the dialogue ends with its verdict, polite or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import Conversation
from probe.checks.dialogue import LineCheck, LineDialogue
from probe.values import Reason, Stage, Verdict


class TcpCheck(LineCheck):
    """Check a tcp virtual server at one binding."""

    __slots__ = ("connected",)

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        del headers
        super().__init__(server, binding)
        self.polite = False
        self.starttls = False
        self.connected: Verdict | None = None
        if not self.expectation.prefixes and binding.secure:
            self.connected = Verdict(Reason.MATCHED, "TLS stands", Stage.TLS)
        elif not self.expectation.prefixes:
            self.connected = Verdict(Reason.MATCHED, "connected", Stage.CONNECT)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return TcpConversation(self)

    def judge(self, line: bytes) -> Verdict:
        """Judge the first line, where one is awaited at all."""
        return self.connected or super().judge(line)


class TcpConversation(LineDialogue):
    """One connection, and at most one line."""

    __slots__ = ("_check",)

    def __init__(self, check: TcpCheck) -> None:
        super().__init__()
        self._check = check

    def opened(self) -> bytes:
        """Judge at once when nothing is expected."""
        if self._check.connected:
            self.stage = self._check.connected.stage or self.stage
            self.conclude(self._check.connected)
        return b""

    def hear(self, line: bytes) -> bytes:
        """Judge the first line."""
        return self.conclude(self._check.judge(line))

    def over_tls(self) -> bytes:
        """Say nothing: there is no STARTTLS without a protocol."""
        return b""
