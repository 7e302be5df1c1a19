"""The table of errnos: total, and ours never theirs."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.model import VirtualServer
from probe.monitor.engine import Engine
from probe.monitor.errnos import verdict_of, verdict_of_bind
from probe.monitor.target import Result
from probe.values import EVIDENCE_CHARS_MAX, OUTCOME, Outcome, Reason, Stage
from tests.monitor.rig import PLACE, ask, targets_of, virtual_server, with_network
from tests.sim.environment import make_environment
from tests.sim.loop import current_loop, run_virtual
from tests.sim.network import SimNetwork
from tests.sim.sockets import SimSocket

THEIRS = {
    errno.ECONNREFUSED: Reason.CONNECT_REFUSED,
    errno.ENOENT: Reason.CONNECT_REFUSED,
    errno.EHOSTUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ENETUNREACH: Reason.CONNECT_UNREACHABLE,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.CONNECT_TIMEOUT,
}
THEIRS_AT_CONNECTION = set(THEIRS) | {
    errno.EHOSTDOWN, errno.ENETDOWN, errno.ENONET, errno.ENOPROTOOPT, errno.ECONNABORTED,
}  # fmt: skip
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


# --- every errno at every call ---

CALLS = ("socket", "bind", "connect_ex", "error", "send", "recv_into")
SPEAKING_FIRST = frozenset({"send", "error"})  # the calls that only a check that speaks first makes
IN_PROGRESS = {  # what these calls say when nothing is wrong
    "connect_ex": {0, errno.EINPROGRESS, errno.EISCONN},
    "error": {0},
    "send": {errno.EAGAIN, errno.EALREADY, errno.EINPROGRESS},  # not yet: the deadline ends those
    "recv_into": {errno.EAGAIN, errno.EALREADY, errno.EINPROGRESS},
}
MAY_BE_THEIRS = {  # at which call which errno may count against a service
    "socket": set[int](),
    "bind": {errno.EADDRNOTAVAIL, errno.ENODEV},
}
codes = st.integers(1, 4095) | st.integers(4096, 2**31 - 1)


class Spoiled(SimSocket):
    """A socket one of whose calls gives an errno, always."""

    call = ""
    code = 0

    def _meet(self, call: str) -> None:
        if self.call == call:
            raise OSError(self.code, "planted")

    def bind(self, address: Any, /) -> None:
        self._meet("bind")
        super().bind(address)

    def connect_ex(self, address: Any, /) -> int:
        return self.code if self.call == "connect_ex" else super().connect_ex(address)

    def send(self, data: Any, flags: int = 0, /) -> int:
        self._meet("send")
        return super().send(data, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        self._meet("recv_into")
        return super().recv_into(buffer, nbytes, flags)

    def getsockopt(self, level: int, option: int, size: int = 0, /) -> Any:
        if self.call == "error" and size == 0:
            return self.code
        return super().getsockopt(level, option, size)


class SpoiledNetwork(SimNetwork):
    """A network all of whose sockets are spoiled alike."""

    call = ""
    code = 0

    def socket(self, family: int) -> SimSocket:
        if self.call == "socket":
            raise OSError(self.code, "planted")
        opened = super().socket(family)
        opened.__class__ = Spoiled
        opened.call, opened.code = self.call, self.code  # type: ignore[attr-defined]  # it has just become a Spoiled
        return opened


def server_for(call: str) -> VirtualServer:
    """Describe the server whose probe makes the call."""
    if call in SPEAKING_FIRST:
        return virtual_server("10.0.0.9:80", protocol="http", key="/http/1", probe_timeout_s=1.0)
    return virtual_server("127.0.0.1:25", source="127.0.0.1", probe_timeout_s=1.0)


def ask_spoiled(call: str, code: int) -> Result:
    """Probe a healthy server over a network one of whose calls fails."""
    results: list[Result] = []

    async def main() -> None:
        environment, machine = make_environment(seed=1)
        machine.serve("smtp", PLACE)
        machine.serve("http", ("10.0.0.9", 80))
        network = SpoiledNetwork(machine.wire, current_loop(), machine.host)
        network.call, network.code = call, code
        engine = Engine(with_network(environment, network), max_in_flight=1)
        (target,) = targets_of(environment, server_for(call))
        results.append(await ask(engine, target))
        assert engine.in_flight == 0
        engine.close()
        assert not network.sockets

    run_virtual(main(), until_s=60.0)
    return results[0]


@pytest.mark.parametrize("call", CALLS)
def test_every_errno_at_every_call_is_judged(call: str) -> None:
    """Each errno of the system from any call ends in one verdict."""
    for code in sorted(errno.errorcode):
        judge_spoiled(call, code)


@given(call=st.sampled_from(CALLS), code=codes)
def test_every_number_at_every_call_is_judged(call: str, code: int) -> None:
    """So does any number that is none."""
    judge_spoiled(call, code)


def judge_spoiled(call: str, code: int) -> None:
    """Have it judged: only what is evidence against a service counts as failure."""
    if code in IN_PROGRESS.get(call, ()):
        return
    verdict = ask_spoiled(call, code).verdict
    assert verdict.outcome is not Outcome.ALIVE
    if verdict.outcome is Outcome.FAILED:
        assert code in MAY_BE_THEIRS.get(call, THEIRS_AT_CONNECTION), (call, errno.errorcode.get(code, code), verdict)
    assert OUTCOME[verdict.reason] is verdict.outcome
