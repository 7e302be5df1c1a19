"""The ocf controller in virtual time: which action is run when, with what, and what its exit code means."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from probe.controllers.agents import Agents
from probe.controllers.contract import ParametersError
from probe.controllers.ocf import OcfController, ocf_parameters, ocf_problems
from probe.values import Incarnation, Reason
from tests.controllers.surroundings import ID, STATE_DIR, Surroundings, in_virtual_time, refusal_of, service
from tests.sim.hooks import Daemon, Deed

ROOT = "/usr/lib/ocf"
AGENT = f"{ROOT}/resource.d/heartbeat/Dummy"
DUMMY: dict[str, object] = {"agent": "ocf:heartbeat:Dummy", "parameters": {"fake": "yes", "delay": 5, "on": True}}

META_DATA = b"""<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="Dummy"><parameters>
<parameter name="state" required="1"/><parameter name="fake"/>
</parameters></resource-agent>"""


class Bench(Surroundings):
    """A service with an agent, and its controller."""

    def __init__(self) -> None:
        super().__init__()
        self.daemon = Daemon(stopped_status=7)
        self.programs.table[AGENT] = self.daemon
        self.controller = OcfController(self.environment, STATE_DIR, self.tell, self.spawn, Agents(ROOT))

    async def start(self, incarnation: int = 1) -> None:
        """Start the service."""
        await self.controller.start(service(**DUMMY), Incarnation(incarnation))


def on_bench(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a bench, then end as a run of ours does."""

    async def main() -> None:
        bench = Bench()
        await test(bench)
        await bench.end(bench.controller)

    in_virtual_time(main)


def test_an_agent_is_told_what_the_standard_says() -> None:
    """Actions are argv, parameters are OCF_RESKEY_ variables, the instance is a name that can be a file's."""

    async def test(bench: Bench) -> None:
        await bench.start()
        await bench.pass_time(2)
        await bench.controller.stop(service(**DUMMY))
        assert [call.argv for call in bench.programs.calls] == [
            (AGENT, "monitor"),
            (AGENT, "start"),
            (AGENT, "monitor"),
            (AGENT, "stop"),
        ]
        probe, start, monitor, _ = bench.programs.calls
        assert start.environment == {
            "OCF_ROOT": ROOT,
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "0",
            "OCF_RESOURCE_PROVIDER": "heartbeat",
            "OCF_RESOURCE_TYPE": "Dummy",
            "OCF_RESOURCE_INSTANCE": "evs1@store",
            "OCF_RESKEY_CRM_meta_timeout": "180000",
            "OCF_RESKEY_fake": "yes",
            "OCF_RESKEY_delay": "5",
            "OCF_RESKEY_on": "true",
        }
        assert probe.environment["OCF_RESKEY_CRM_meta_interval"] == "0"
        assert monitor.environment["OCF_RESKEY_CRM_meta_interval"] == "10000"

    on_bench(test)


def test_a_running_service_is_gone_on_with() -> None:
    """S57: what the agent's monitor finds running is not started again, and is looked after from then on."""

    async def test(bench: Bench) -> None:
        bench.daemon.running = True
        await bench.start(incarnation=3)
        assert bench.programs.hooks() == ["monitor"]
        bench.daemon.running = False
        await bench.pass_time(2)
        assert [(told[0], told[1], told[2].reason) for told in bench.told] == [(ID, 3, Reason.EXTERNAL_STOP)]

    on_bench(test)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0, None),
        (8, None),
        (190, None),
        (191, None),
        (1, Reason.NOT_SERVING),
        (9, Reason.NOT_SERVING),
        (7, Reason.EXTERNAL_STOP),
        (2, None),
        (3, None),
        (4, None),
        (5, None),
        (6, None),
        (77, None),
        (-9, None),
    ],
)
def test_monitor_s_codes(code: int, reason: Reason | None) -> None:
    """S4, S6: only a code that speaks of the service is a failure; one that speaks of the agent changes nothing."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.daemon.deeds["monitor"] = Deed(code)
        await bench.pass_time(30)
        assert [told[2].reason for told in bench.told] == ([] if reason is None else [reason])

    on_bench(test)


@pytest.mark.parametrize(
    ("code", "reason", "name"),
    [
        (1, Reason.NOT_SERVING, "generic error"),
        (2, Reason.PROBE_INTERNAL, "wrong arguments"),
        (3, Reason.PROBE_INTERNAL, "not implemented"),
        (4, Reason.PROBER_FORBIDDEN, "insufficient privileges"),
        (5, Reason.SERVICE_STOPPED, "not installed"),
        (6, Reason.SERVICE_STOPPED, "not configured"),
        (7, Reason.SERVICE_STOPPED, "not running"),
        (99, Reason.NOT_SERVING, "a code of no meaning"),
    ],
)
@pytest.mark.parametrize("action", ["start", "stop"])
def test_codes_of_operations(action: str, code: int, reason: Reason, name: str) -> None:
    """Each exit code of the standard is said by its name, with what the agent calls its exit reason."""

    async def test(bench: Bench) -> None:
        bench.daemon.deeds[action] = Deed(code, b"INFO: x\nocf-exit-reason:no such interface\nERROR: failed\n")
        starting = action == "start"
        verdict = await refusal_of(bench.start() if starting else bench.controller.terminate(service(**DUMMY)))
        assert verdict.reason is reason
        assert verdict.evidence == f"{action} of Dummy: exit status {code} ({name}): no such interface"

    on_bench(test)


def test_a_kill_is_a_stop_without_anybody_waiting() -> None:
    """S56: agents know no harder end; what was never started is left alone."""

    async def test(bench: Bench) -> None:
        bench.controller.kill(ID)
        await bench.start()
        bench.controller.kill(ID)
        await bench.pass_time(60)
        assert (bench.daemon.running, bench.told) == (False, [])
        assert bench.programs.hooks() == ["monitor", "start", "stop"]

    on_bench(test)


def agents_of(tmp_path: Path, meta_data: bytes = META_DATA) -> Agents:
    """Make a folder of two agents that all have this meta-data."""
    folder = tmp_path / "resource.d" / "heartbeat"
    folder.mkdir(parents=True)
    for name in ("Dummy", "IPaddr2"):
        (folder / name).touch()

    def describe(path: str, variables: Mapping[str, str]) -> bytes:
        assert variables["OCF_ROOT"] == str(tmp_path)
        assert path.startswith(str(folder))
        return meta_data

    return Agents(str(tmp_path), describe=describe)


@pytest.mark.parametrize(
    ("parameters", "key", "message", "hint"),
    [
        ({}, "agent", "is missing", 'for example "ocf:heartbeat:IPaddr2"'),
        ({"agent": "lsb:postfix"}, "agent", "'lsb:postfix' is not ocf:PROVIDER:AGENT", "IPaddr2"),
        ({"agent": "ocf:heartbeat:../../../bin/sh"}, "agent", "is not ocf:PROVIDER:AGENT", "IPaddr2"),
        ({"agent": "ocf:hartbeat:Dummy"}, "agent", 'there is no provider "hartbeat"', 'did you mean "heartbeat"?'),
        ({"agent": "ocf:heartbeat:Dumy"}, "agent", 'has no agent "Dumy"', 'did you mean "Dummy"?'),
        ({"agent": "ocf:heartbeat:Dummy"}, "parameters", 'Dummy needs "state"', ""),
        (
            {"agent": "ocf:heartbeat:Dummy", "parameters": {"state": "x", "fak": "y"}},
            "parameters",
            'Dummy has no parameter "fak"',
            'did you mean "fake"?',
        ),
        ({"agent": "ocf:heartbeat:Dummy", "parameters": ["state"]}, "parameters", "must be an object", ""),
        ({"agent": "ocf:x:y", "parameters": {"a=b": "x"}}, "parameters", "'a=b' cannot be the name", ""),
        ({"agent": "ocf:x:y", "parameters": {"a": None}}, "parameters", 'the value of "a" must be a text', ""),
        ({"agent": "ocf:x:y", "parameters": {"a": "\0"}}, "parameters", 'the value of "a" must be a text', ""),
        ({"agent": "ocf:x:y", "monitor_interval_s": "10"}, "monitor_interval_s", "number of seconds", ""),
        ({"agent": "ocf:x:y", "monitor_intervall_s": 1}, "monitor_intervall_s", "unknown key", "monitor_interval_s"),
    ],
)
def test_each_mistake_is_named(
    parameters: dict[str, object], key: str, message: str, hint: str, tmp_path: Path
) -> None:
    """S10: what is wrong is said with its mend; the agent's meta-data says what it takes and needs."""
    problems = ocf_problems(parameters, agents_of(tmp_path))
    assert any(problem.key == key and message in problem.message and hint in problem.hint for problem in problems)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """The agent's own parameters are checked although something else is wrong."""
    wrong = {"agent": "ocf:heartbeat:Dummy", "parameters": {"fak": 1}, "interval": 5}
    assert [problem.key for problem in ocf_problems(wrong, agents_of(tmp_path))] == [
        "interval",
        "parameters",
        "parameters",
    ]


def test_where_no_agents_are_nothing_is_said_of_them(tmp_path: Path) -> None:
    """A store may be checked on another machine; an agent that cannot describe itself is taken at its word."""
    unknown = {"agent": "ocf:heartbeat:Dummy", "parameters": {"nonsense": 1}}
    assert ocf_problems(unknown, Agents(str(tmp_path / "nowhere"))) == ()
    assert ocf_problems(unknown, agents_of(tmp_path, b"command not found")) == ()


def test_a_good_agent_has_no_problem(tmp_path: Path) -> None:
    """What the agent needs and knows is right."""
    right = {"agent": "ocf:heartbeat:Dummy", "parameters": {"state": "/run/x", "fake": 1}, "monitor_interval_s": 1}
    assert ocf_problems(right, agents_of(tmp_path)) == ()


def test_a_parameter_that_cannot_be_read_is_raised() -> None:
    """The reader tells all mistakes that need no agent."""
    with pytest.raises(ParametersError, match="agent: is missing; monitor_interval_s: must be a number of seconds"):
        ocf_parameters({"monitor_interval_s": []})
