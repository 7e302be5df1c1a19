"""The checks: how each protocol is asked whether it is alive. Sans-IO: bytes in, bytes out, a verdict in the end.

To add a protocol: one file with a `Check` and its `Conversation` (`conversation.py` has the rules), one row below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bindings.model import Binding, Protocol, VirtualServer
from probe.checks.conversation import Check, Conversation
from probe.checks.http import HttpCheck
from probe.checks.imap import ImapCheck
from probe.checks.json_body import JsonCheck
from probe.checks.pop3 import Pop3Check
from probe.checks.smtp import SmtpCheck
from probe.checks.tcp import TcpCheck

__all__ = ["Check", "Conversation", "check_for"]


def _http(server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None) -> Check:
    return (HttpCheck if server.body_json is None else JsonCheck)(server, binding, headers)


def _grpc(server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None) -> Check:
    """Build a check whose library is an extra, and costs who does not use it nothing."""
    try:
        from probe.checks.grpc import GrpcCheck  # noqa: PLC0415 - as said
    except ModuleNotFoundError:
        raise ValueError("gRPC cannot be spoken: the package h2 is missing; install looksalive[grpc]") from None
    return GrpcCheck(server, binding, headers)


_CHECKS: dict[Protocol, Callable[[VirtualServer, Binding, Mapping[str, str] | None], Check]] = {
    "smtp": SmtpCheck,
    "lmtp": SmtpCheck,
    "pop3": Pop3Check,
    "imap": ImapCheck,
    "http": _http,
    "tcp": TcpCheck,
    "grpc": _grpc,
}


def check_for(server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> Check:
    """Build the check of a virtual server at one of its bindings, to be shared by all its probes.

    `headers` holds the resolved value of every header that is a secret. Raises ValueError, worded for a person and
    without any secret, when a property cannot be used: a pattern, a status list, a path, a header, a helo name.
    """
    return _CHECKS[server.protocol](server, binding, headers)
