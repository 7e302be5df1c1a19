"""`/isalive` and its kin: exact fields, exact codes, and who is to blame."""

from __future__ import annotations

import itertools
import json

import pytest

from probe.api.isalive import blameless
from probe.lifecycle.report import ResourceReport
from probe.values import Outcome, Reason, ResourceId, State
from tests.api.conftest import Opener
from tests.api.service import StaticService, failed, report

STORE = ResourceId("evs1", "store")
SMTP = ResourceId("evs1", "smtp")


@pytest.mark.parametrize("path", ["/isalive", "/looksalive"])
async def test_alive_is_200_with_the_exact_fields(opened: Opener, path: str) -> None:
    """S7, S8: an alive resource is 200 with the contract's fields and no others, by both names."""
    api = await opened(StaticService(report("smtp", age_s=0.12345)))
    status, headers, body = await api.get(f"{path}/evs1/smtp")
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "id": "evs1/smtp",
        "alive": True,
        "verdict": "alive",
        "stale": False,
        "state": "online",
        "reason": "matched",
        "evidence": "220 mail.example.org ESMTP",
        "age_s": 0.123,
        "root_cause": None,
    }


@pytest.mark.parametrize("path", ["/isalive", "/looksalive"])
async def test_not_alive_is_503_with_the_root_cause(opened: Opener, path: str) -> None:
    """A resource that is not alive is 503 and names the one to blame; the body has the same shape."""
    down = failed("smtp", Reason.DEPENDENCY_DOWN, root_cause=STORE, age_s=None)
    api = await opened(StaticService(down))
    status, _, body = await api.get(f"{path}/evs1/smtp")
    assert status == 503
    told = json.loads(body)
    assert (told["alive"], told["verdict"], told["root_cause"], told["age_s"]) == (False, "failed", "evs1/store", None)


@pytest.mark.parametrize("path", ["/isalive", "/looksalive", "/livez", "/readyz", "/api/v1/resources"])
async def test_no_such_resource_is_404(opened: Opener, path: str) -> None:
    """A resource that there is not is a 404 in the shape of every error, its name quoted safely."""
    api = await opened()
    status, _, body = await api.get(f"{path}/evs1/%1b%5b31m")
    assert status == 404
    error = json.loads(body)["error"]
    assert error == {"code": "no_such_resource", "message": "there is no resource evs1/\\x1b[31m"}


def _online_pending() -> ResourceReport:
    return report("smtp", state=State.ONLINE_PENDING, alive=False, verdict=Outcome.UNKNOWN, reason=Reason.NOT_YET)


@pytest.mark.parametrize(
    ("one", "livez", "readyz"),
    [
        pytest.param(report("smtp"), 200, 200, id="alive"),
        pytest.param(failed("smtp"), 503, 503, id="failed by itself"),
        pytest.param(failed("smtp", root_cause=ResourceId("evs1", "smtp")), 503, 503, id="named as its own cause"),
        pytest.param(failed("smtp", Reason.DEPENDENCY_DOWN, root_cause=STORE), 200, 503, id="its provider is down"),
        pytest.param(failed("smtp", verdict=Outcome.UNKNOWN), 200, 503, id="we cannot tell any more"),
        pytest.param(_online_pending(), 200, 503, id="on its way"),
        pytest.param(report("smtp", state=State.OFFLINE, alive=False), 200, 503, id="taken offline"),
        pytest.param(report("smtp", alive=False, verdict=Outcome.FAILED), 200, 503, id="failing, not yet verified"),
    ],
)
async def test_a_kubelet_restarts_only_the_root_cause(
    opened: Opener, one: ResourceReport, livez: int, readyz: int
) -> None:
    """livez fails only for the resource that is to blame; readyz for whatever cannot serve."""
    api = await opened(StaticService(one))
    assert (await api.get("/livez/evs1/smtp"))[0] == livez
    status, _, body = await api.get("/readyz/evs1/smtp")
    assert status == readyz
    assert json.loads(body)["id"] == "evs1/smtp"


# The whole of it: only these, of every (state, whose fault, last verdict), are a kubelet's to restart.
TO_RESTART = {
    (State.FAILED, None, Outcome.FAILED),
    (State.FAILED, None, Outcome.ALIVE),  # a good answer, and `rise` not reached yet
    (State.FAILED, SMTP, Outcome.FAILED),
    (State.FAILED, SMTP, Outcome.ALIVE),
}


@pytest.mark.parametrize("desired", [State.ONLINE, State.OFFLINE])
@pytest.mark.parametrize("draining", [False, True])
async def test_every_state_cause_and_verdict(opened: Opener, desired: State, draining: bool) -> None:
    """livez is 503 for the four combinations of a root cause and for nothing else; readyz is 503 unless alive."""
    service = StaticService()
    service.draining = draining
    api = await opened(service)
    for state, cause, verdict in itertools.product(State, (None, SMTP, STORE), Outcome):
        for alive in {False, state is State.ONLINE}:
            one = report("smtp", state=state, root_cause=cause, verdict=verdict, alive=alive, desired=desired)
            service.by_id[one.id] = one
            to_restart = (state, cause, verdict) in TO_RESTART and desired is State.ONLINE and not draining
            assert (await api.get("/livez/evs1/smtp"))[0] == (503 if to_restart else 200), one
            assert (await api.get("/readyz/evs1/smtp"))[0] == (200 if alive else 503), one


def test_unknown_never_blames() -> None:
    """Whatever else a report says, a verdict of unknown never makes livez fail."""
    for state in State:
        for alive in (True, False):
            for cause in (None, STORE):
                assert blameless(report("smtp", state=state, alive=alive, verdict=Outcome.UNKNOWN, root_cause=cause))


async def test_our_own_health_is_apart_from_theirs(opened: Opener) -> None:
    """/livez answers for looksalive whatever its resources do; /readyz says what is missing."""
    service = StaticService(failed("smtp"))
    api = await opened(service)
    assert (await api.get("/livez"))[::2] == (200, b'{"ok":true}')
    assert (await api.get("/readyz"))[::2] == (200, b'{"ok":true}')
    service.not_ready = "the first round is not done: 3 resources to go"
    status, _, body = await api.get("/readyz")
    assert (status, json.loads(body)["error"]) == (503, {"code": "not_ready", "message": service.not_ready})
    assert (await api.get("/livez"))[0] == 200
    service.serving = False
    assert (await api.get("/livez"))[0] == 503
