"""From a virtual server's bindings to targets: addresses, sources (S34), PROXY headers, terms of TLS, secrets.

What cannot be read or used does not stop the rest: that binding gets a target with an `obstacle`, and its probes say
`unknown`, with the reason, until the store or the file is mended.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace

from bindings.model import Binding, Secret, VirtualServer
from probe.checks import Check, Conversation, check_for
from probe.environment import Environment
from probe.monitor.mask import mask_of
from probe.monitor.target import Name, Target
from probe.monitor.tls_terms import TlsContexts
from probe.values import Reason, Verdict, evidence_of

SECRET_BYTES_MAX = 64 * 1024

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_ANY = {"": 4, "*": 4, "0.0.0.0": 4, "::": 6}  # noqa: S104 - names of "the group's own address", nothing is bound to them
_FAMILY = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_UNIX = int(socket.AF_UNIX)

# The header of a health check says that nobody is being relayed (PROXY protocol 2.1 and 2.2: UNKNOWN, LOCAL).
PREFACE = {
    "off": b"",
    "v1": b"PROXY UNKNOWN\r\n",
    "v2": b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
}


class _Unasked:
    """The check of a binding whose check cannot be built; its probes end at the obstacle."""

    speaks_first = False
    glances = False

    def begin(self) -> Conversation:
        raise AssertionError("a target with an obstacle is never asked")

    def glance(self, data: bytes) -> Verdict | None:
        del data
        return None


class Targets:
    """Make targets; it holds the TLS contexts that they share."""

    __slots__ = ("_contexts", "_environment")

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._contexts = TlsContexts(environment.files)

    def targets_for(self, server: VirtualServer, group_address: str | None = None) -> tuple[Target, ...]:
        """Build the targets of a virtual server, one for each binding, in their order; never raises for its files.

        `group_address` is the group's ip-address, with or without its prefix length.
        """
        own = group_address.partition("/")[0] if group_address else None
        return tuple(self._target(server, binding, own) for binding in server.bindings)

    def forget_files(self) -> None:
        """Read certificates anew for the targets made from now on."""
        self._contexts.forget()

    def _target(self, server: VirtualServer, binding: Binding, own: str | None) -> Target:
        target = Target(
            binding.text, server.protocol, _Unasked(), server.probe_timeout_s, text=binding.text, server=server
        )
        try:
            secrets = self._secrets(server)
            check = check_for(server, binding, secrets)
            target = replace(target, mask=mask_of(server.headers, secrets))
            return self._placed(self._asking(target, server, binding, check, own), server, binding, own)
        except (OSError, ValueError) as error:
            return replace(target, obstacle=_obstacle(str(error)))

    def _secrets(self, server: VirtualServer) -> dict[str, str]:
        read = self._environment.files.read
        return {
            name: read(value.file, SECRET_BYTES_MAX).decode("utf-8", "surrogateescape").strip()
            for name, value in server.headers
            if isinstance(value, Secret)
        }

    def _asking(self, target: Target, server: VirtualServer, binding: Binding, check: Check, own: str | None) -> Target:
        """Fill in what is asked: the check, the header before it, the terms of TLS."""
        terms = None
        if binding.secure or server.starttls == "required":
            address = own or LOOPBACK[_ANY[binding.address]] if binding.address in _ANY else binding.address
            name = "localhost" if binding.unix_path is not None else address.partition("%")[0]
            application = "h2" if server.protocol == "grpc" else ""
            terms = self._contexts.terms_for(server.tls, server.tls.server_name or binding.host or name, application)
        trial = check.begin()
        speaks = bool(trial.opened())
        preface = PREFACE[server.proxy_protocol]
        return replace(
            target,
            check=check,
            preface=preface,
            tls=terms if binding.secure else None,
            upgrade=None if binding.secure else terms,
            waits_for_connect=bool(preface) or speaks or binding.secure or trial.verdict is not None,
            near=binding.secure or trial.verdict is None,
        )

    def _placed(self, target: Target, server: VirtualServer, binding: Binding, own: str | None) -> Target:
        """Fill in where it is, or the name to look up."""
        if binding.unix_path is not None:
            return replace(target, family=_UNIX, address=binding.unix_path)
        source = server.source
        family = _FAMILY[ipaddress.ip_address(source).version] if source else 0

        def pin(family: int, address: str) -> Target:
            local = address == own or self._environment.network.is_local(address)
            bound = source or (address if local and address not in LOOPBACK.values() else None)
            text = f"[{address}]:{binding.port}" if ":" in address else f"{address}:{binding.port}"
            return replace(
                target,
                family=family,
                address=(address, binding.port),
                text=text,
                source=(bound, 0) if bound else None,
                near=target.near and local,
            )

        address = own or LOOPBACK[_ANY[binding.address]] if binding.address in _ANY else binding.address
        try:
            found = _FAMILY[ipaddress.ip_address(address).version]
        except ValueError:
            return replace(target, name=Name(address, pin, family, binding.port))
        if family not in (0, found):
            return replace(target, obstacle=_obstacle(f"source {source} and {address} are not of one family"))
        return pin(found, address)


def _obstacle(what: str) -> Verdict:
    return Verdict(Reason.PROBE_INTERNAL, evidence_of(what))
