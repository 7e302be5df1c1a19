"""From a virtual server's bindings to targets: addresses, sources (S34), PROXY headers, terms of TLS, secrets.

What cannot be read or used does not stop the rest: that binding gets a target with an `obstacle`, and its probes say
`unknown`, with the reason, until the store or the file is mended.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace

from bindings.addresses import is_ipv4
from bindings.model import Binding, Secret, VirtualServer
from probe.checks import Check, Conversation, check_for
from probe.environment import Address, Environment, Network
from probe.monitor.mask import Mask, mask_of
from probe.monitor.target import Name, Target
from probe.monitor.tls import TlsTerms
from probe.monitor.tls_terms import TlsContexts
from probe.values import Reason, Verdict, evidence_of

SECRET_BYTES_MAX = 64 * 1024

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_LOOPBACKS = frozenset(LOOPBACK.values())
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
        mask: Mask | None = None
        try:
            secrets = self._secrets(server) if server.headers else {}
            check = check_for(server, binding, secrets)
            mask = mask_of(server.headers, secrets)
            terms = self._terms(server, binding, own)
            return _Making(self._environment.network, server, binding, own, check, terms, mask).placed()
        except (OSError, ValueError) as error:
            return _unaskable(server, binding, str(error), mask=mask)

    def _secrets(self, server: VirtualServer) -> dict[str, str]:
        read = self._environment.files.read
        return {
            name: read(value.file, SECRET_BYTES_MAX).decode("utf-8", "surrogateescape").strip()
            for name, value in server.headers
            if isinstance(value, Secret)
        }

    def _terms(self, server: VirtualServer, binding: Binding, own: str | None) -> TlsTerms | None:
        """Find the terms of TLS, where there is to be any."""
        if not binding.secure and server.starttls != "required":
            return None
        name = "localhost" if binding.unix_path is not None else _asked_address(binding, own).partition("%")[0]
        application = "h2" if server.protocol == "grpc" else ""
        return self._contexts.terms_for(server.tls, server.tls.server_name or binding.host or name, application)


class _Making:
    """What is known of a target before its address is: a large store has many, so each is built in one go."""

    __slots__ = ("_binding", "_check", "_mask", "_near", "_network", "_own", "_server", "_terms", "_waits")

    def __init__(
        self,
        network: Network,
        server: VirtualServer,
        binding: Binding,
        own: str | None,
        check: Check,
        terms: TlsTerms | None,
        mask: Mask | None,
    ) -> None:
        trial = check.begin()
        speaks, verdict = bool(trial.opened()), trial.verdict
        self._network, self._server, self._binding, self._own = network, server, binding, own
        self._check, self._terms, self._mask = check, terms, mask
        self._waits = bool(PREFACE[server.proxy_protocol]) or speaks or binding.secure or verdict is not None
        self._near = binding.secure or verdict is None

    def placed(self) -> Target:
        """Make the target where its address is known; else one that has a name to look up, or an obstacle."""
        binding, source = self._binding, self._server.source
        if binding.unix_path is not None:
            return self._target(_UNIX, binding.unix_path, binding.text, None, near=self._near)
        family = _FAMILY[ipaddress.ip_address(source).version] if source else 0
        address = _asked_address(binding, self._own)
        found = _family_of(address)
        if found is None:
            name = Name(address, self.pin, family, binding.port)
            return self._target(0, "", binding.text, None, near=self._near, name=name)
        if family not in (0, found):
            what = f"source {source} and {address} are not of one family"
            return replace(self._target(0, "", binding.text, None, near=self._near), obstacle=_obstacle(what))
        return self.pin(found, address)

    def pin(self, family: int, address: str) -> Target:
        """Make the target at one address."""
        port = self._binding.port
        local = address == self._own or self._network.is_local(address)
        bound = self._server.source or (address if local and address not in _LOOPBACKS else None)
        text = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        if text == self._binding.text:
            text = self._binding.text  # the same text once
        source = (bound, 0) if bound else None
        return self._target(family, (address, port), text, source, near=self._near and local)

    def _target(
        self,
        family: int,
        address: Address,
        text: str,
        source: tuple[str, int] | None,
        *,
        near: bool,
        name: Name | None = None,
    ) -> Target:
        server, secure = self._server, self._binding.secure
        return Target(
            self._binding.text,
            server.protocol,
            self._check,
            server.probe_timeout_s,
            family,
            address,
            text,
            source,
            PREFACE[server.proxy_protocol],
            self._terms if secure else None,
            None if secure else self._terms,
            self._waits,
            near,
            name,
            server=server,
            mask=self._mask,
        )


def _unaskable(server: VirtualServer, binding: Binding, why: str, mask: Mask | None) -> Target:
    """Make the target of a binding that cannot be asked, which is told in place of a probe."""
    return Target(
        binding.text,
        server.protocol,
        _Unasked(),
        server.probe_timeout_s,
        text=binding.text,
        obstacle=_obstacle(why),
        server=server,
        mask=mask,
    )


def _asked_address(binding: Binding, own: str | None) -> str:
    """Return what a binding's address means: a wildcard is the group's own address, loopback without one."""
    return own or LOOPBACK[_ANY[binding.address]] if binding.address in _ANY else binding.address


def _family_of(address: str) -> int | None:
    """Return the family of a numeric address; None for a name."""
    if is_ipv4(address):
        return _FAMILY[4]
    try:
        return _FAMILY[ipaddress.ip_address(address).version]
    except ValueError:
        return None


def _obstacle(what: str) -> Verdict:
    return Verdict(Reason.PROBE_INTERNAL, evidence_of(what))
