"""The table of errnos: total, and ours never theirs."""

from __future__ import annotations

import errno

import pytest

from probe.monitor.errnos import verdict_of, verdict_of_bind
from probe.values import EVIDENCE_CHARS_MAX, Outcome, Reason, Stage

THEIRS = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ENOENT: Reason.CONNECT_REFUSED,
    errno.EHOSTUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
}
OURS = {
    errno.EMFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENOBUFS: Reason.PROBER_DESCRIPTORS,
    errno.ENOMEM: Reason.PROBER_DESCRIPTORS,
    errno.EADDRNOTAVAIL: Reason.PROBER_PORTS,
    errno.EADDRINUSE: Reason.PROBER_PORTS,
    errno.EPERM: Reason.PROBER_FORBIDDEN,
    errno.EACCES: Reason.PROBER_FORBIDDEN,
    errno.EINVAL: Reason.PROBE_INTERNAL,
    errno.EBADF: Reason.PROBE_INTERNAL,
}


@pytest.mark.parametrize(("code", "reason"), [*THEIRS.items(), *OURS.items()], ids=str)
def test_the_listed_errnos(code: int, reason: Reason) -> None:
    """Each errno of the issue has its reason, with its name in the evidence."""
    verdict = verdict_of(code, Stage.CONNECT)
    assert (verdict.reason, verdict.stage) == (reason, Stage.CONNECT)
    assert errno.errorcode[code] in verdict.evidence


def test_the_table_is_total() -> None:
    """Any errno, known or not, has a verdict, and what is not listed as theirs is unknown."""
    for code in [None, *range(-10, 600)]:
        verdict = verdict_of(code, Stage.RESPONSE)
        if verdict.outcome is not Outcome.UNKNOWN:
            assert verdict.reason in set(THEIRS.values())
        assert verdict.outcome is not Outcome.ALIVE
        assert 0 < len(verdict.evidence) <= EVIDENCE_CHARS_MAX


def test_a_source_that_is_not_here_is_a_failure() -> None:
    """S34: EADDRNOTAVAIL means something else where the source is bound; every other errno there is ours."""
    missing = verdict_of_bind(errno.EADDRNOTAVAIL, "10.0.0.5")
    assert (missing.reason, missing.definite) == (Reason.ADDRESS_MISSING, True)
    assert "10.0.0.5" in missing.evidence
    for code in [None, *range(1, 200)]:
        if code not in {errno.EADDRNOTAVAIL, errno.ENODEV}:
            assert verdict_of_bind(code, "10.0.0.5").outcome is Outcome.UNKNOWN
