"""What each error of a system call says about the service: a total table, so that ours never becomes theirs.

Only a few errors are evidence against a service. Everything else, an errno that nobody thought of included, is the
prober's own trouble and gives an `unknown` (DESIGN 2.3; FACTS, Truth).
"""

from __future__ import annotations

import errno
import os

from probe.values import OUTCOME, Outcome, Reason, Stage, Verdict, evidence_of

_CONNECTING = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ENOENT: Reason.CONNECT_REFUSED,  # a unix socket that is not there
    errno.EHOSTUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.EHOSTDOWN: Reason.CONNECT_UNREACHABLE,
    errno.ENETDOWN: Reason.CONNECT_UNREACHABLE,
    errno.ENONET: Reason.CONNECT_UNREACHABLE,
    errno.ENOPROTOOPT: Reason.CONNECT_UNREACHABLE,  # ICMP: no such protocol there
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.EMFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENOBUFS: Reason.PROBER_DESCRIPTORS,
    errno.ENOMEM: Reason.PROBER_DESCRIPTORS,
    errno.EADDRNOTAVAIL: Reason.PROBER_PORTS,
    errno.EADDRINUSE: Reason.PROBER_PORTS,
    errno.EPERM: Reason.PROBER_FORBIDDEN,  # our own packet filter
    errno.EACCES: Reason.PROBER_FORBIDDEN,
}
_THEIRS_OF_BINDING = {errno.EADDRNOTAVAIL, errno.ENODEV}


def verdict_of(code: int | None, stage: Stage) -> Verdict:
    """Judge the errno of connect, send or recv, met while waiting for `stage`; total."""
    return Verdict(_CONNECTING.get(code or 0, Reason.PROBE_INTERNAL), _evidence(code), stage)


def verdict_of_socket(code: int | None) -> Verdict:
    """Judge the errno of opening a socket: nobody was asked yet, so it is ours whatever it is."""
    return Verdict(_ours(code), _evidence(code), Stage.CONNECT)


def verdict_of_bind(code: int | None, source: str) -> Verdict:
    """Judge the errno of binding to the source address: that it is not here is `address_missing`, a failure (S34)."""
    evidence = evidence_of(f"binding to {source}: {_evidence(code)}")
    if code in _THEIRS_OF_BINDING:
        return Verdict(Reason.ADDRESS_MISSING, evidence, Stage.CONNECT)
    return Verdict(_ours(code), evidence, Stage.CONNECT)


def _ours(code: int | None) -> Reason:
    reason = _CONNECTING.get(code or 0, Reason.PROBE_INTERNAL)
    return reason if OUTCOME[reason] is Outcome.UNKNOWN else Reason.PROBE_INTERNAL


def _evidence(code: int | None) -> str:
    if not code:
        return "an error without a number"
    return evidence_of(f"{errno.errorcode.get(code, code)}: {os.strerror(code)}")
