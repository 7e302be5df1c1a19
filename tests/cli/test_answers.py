"""How `check` tells results."""

from __future__ import annotations

import io
from itertools import permutations

import pytest

from bindings.model import Binding, VirtualServer
from probe.checks import check_for
from probe.cli.answers import answer_lines, answer_object, worst
from probe.cli.output import Style
from probe.cli.urls import read_url
from probe.monitor.rounds import judge
from probe.monitor.target import Result, Target
from probe.monitor.tls import TlsFacts
from probe.values import Outcome, Reason, Stage, Verdict

BINDING = Binding("mail.example:993", "mail.example", 993, secure=True)
SERVER = VirtualServer(key="/imap/check", protocol="imap", bindings=(BINDING,))
ASKED = read_url("imaps://mail.example")
PLAIN = Style(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {})
FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", (1_800_000_000.0,), verified=True)


def result(address: str, reason: Reason, evidence: str = "", tls: TlsFacts | None = None) -> Result:
    """A result of one address."""
    target = Target(BINDING.text, "imap", check_for(SERVER, BINDING), 5.0, text=address)
    stages = ((Stage.RESOLVE, 0.002), (Stage.CONNECT, 0.0001234567))
    return Result(target, Verdict(reason, evidence, Stage.CONNECT), 1.0, 2.0, stages, tls)


GOOD = result("192.0.2.1:993", Reason.MATCHED, "* OK", FACTS)
BAD = result("[2001:db8::1]:993", Reason.TLS_EXPIRED, "expired", FACTS._replace(verified=False))


@pytest.mark.parametrize("several", list(permutations([Outcome.FAILED, Outcome.UNKNOWN, Outcome.ALIVE])))
def test_the_worst_is_failed_then_unknown(several: tuple[Outcome, ...]) -> None:
    """A failure decides whatever else there is, an unknown what is otherwise alive; nothing asked is unknown."""
    assert worst(several) is Outcome.FAILED
    assert worst(outcome for outcome in several if outcome is not Outcome.FAILED) is Outcome.UNKNOWN
    assert worst([Outcome.ALIVE, Outcome.ALIVE]) is Outcome.ALIVE
    assert worst([]) is Outcome.UNKNOWN


def test_the_object_of_one_address() -> None:
    """Seconds have microseconds, certificates their dates as RFC 3339, the leaf's first."""
    assert answer_object(ASKED, GOOD) == {
        "target": "imaps://mail.example",
        "verdict": "alive",
        "reason": "matched",
        "evidence": "* OK",
        "stages": {"resolve_s": 0.002, "connect_s": 0.000123},
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "verified": True,
            "not_after": ["2027-01-15T08:00:00Z"],
        },
    }


def test_several_addresses_are_listed_under_the_one_that_decides() -> None:
    """S33: the verdict of a name is the deciding address's, and each address is told."""
    answer = answer_object(ASKED, judge("all", [GOOD, BAD]))
    assert (answer["verdict"], answer["reason"]) == ("failed", "tls_expired")
    addresses = answer["addresses"]
    assert isinstance(addresses, list)
    assert [(one["address"], one["verdict"]) for one in addresses] == [
        ("192.0.2.1:993", "alive"),
        ("[2001:db8::1]:993", "failed"),
    ]


def test_a_line_for_each_address() -> None:
    """People get a line per address: where, verdict, evidence, stages, TLS."""
    stages = "resolve 2 ms connect 0.12 ms TLSv1.3 certificate until 2027-01-15"
    assert list(answer_lines(ASKED, judge("any", [GOOD, BAD]), PLAIN)) == [
        f'imaps://mail.example:993 (192.0.2.1:993) alive matched "* OK" {stages}',
        f'imaps://mail.example:993 ([2001:db8::1]:993) failed tls_expired "expired" {stages} unverified',
    ]
