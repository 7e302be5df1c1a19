"""The ocf controller with Debian's resource agents: Dummy, and IPaddr2 in a network namespace of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from probe.controllers.agents import AgentName, Agents
from probe.controllers.contract import ServiceSpec
from probe.controllers.ocf import OcfController, ocf_problems
from probe.environment import Finished, Programs
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.actual import Actual
from tests.controllers.surroundings import refusal_of
from tests.e2e.programs import absent, need, need_root
from tests.environment.until import until

ROOT = Path("/usr/lib/ocf")
ADDRESS = "192.0.2.7"
INTERFACE = "la0"
QUICK = {"monitor_interval_s": 0.2}


@pytest.fixture(autouse=True)
def _agents() -> None:
    if not (ROOT / "resource.d" / "heartbeat" / "Dummy").exists():
        absent("resource agents are not installed: apt-get install resource-agents")


class Bench(Actual):
    """A controller of one service."""

    def __init__(
        self, state_dir: Path, parameters: dict[str, object], wrap: Callable[[Programs], Programs] | None = None
    ) -> None:
        super().__init__(wrap or (lambda programs: programs))
        self.service = ServiceSpec(ResourceId("evs1", f"r{os.getpid()}"), parameters)
        self.controller = OcfController(self.environment, str(state_dir), self.tell, self.spawn)

    async def start(self) -> None:
        """Start the service."""
        await self.controller.start(self.service, Incarnation(1))


class InNamespace:
    """`Programs` that runs everything in the test's network namespace."""

    name = f"la-{os.getpid()}"

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    async def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, output: str | None = None
    ) -> Finished:
        """Run it there."""
        inside = ["ip", "netns", "exec", self.name, *argv]
        return await self._programs.run(inside, environment=environment, output=output)


def ip(*words: str) -> str:
    """Run `ip` and return what it says."""
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=10).stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with a pair of interfaces that are up."""
    need("ip", "iproute2")
    need_root("a network namespace")
    name = InNamespace.name
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        absent(f"no network namespace can be made here: {error.stderr}")
    try:
        ip("-n", name, "link", "add", INTERFACE, "type", "veth", "peer", "name", "la1")
        ip("-n", name, "link", "set", INTERFACE, "up")
        ip("-n", name, "link", "set", "la1", "up")
        yield name
    finally:
        ip("netns", "delete", name)


@pytest.fixture
async def dummy(tmp_path: Path) -> AsyncIterator[Bench]:
    """A Dummy: it runs while its state file is there."""
    parameters = {"state": str(tmp_path / "dummy.state")}
    bench = Bench(tmp_path, {"agent": "ocf:heartbeat:Dummy", "parameters": parameters, **QUICK})
    yield bench
    await bench.end(bench.controller)


async def test_dummy_from_start_to_external_stop(dummy: Bench, tmp_path: Path) -> None:
    """S3, S6, S57: started twice it is started once; stopped behind our back it is told; a second stop succeeds."""
    state = tmp_path / "dummy.state"
    await dummy.start()
    begun = state.stat().st_mtime_ns
    await dummy.start()
    assert state.stat().st_mtime_ns == begun
    state.unlink()
    await until(lambda: dummy.told, "the stop to be told")
    assert dummy.reasons == [Reason.EXTERNAL_STOP]
    assert "No process state file found" in dummy.told[0][2].evidence
    await dummy.start()
    await dummy.controller.stop(dummy.service)
    await dummy.controller.stop(dummy.service)
    assert not state.exists()
    assert len(dummy.told) == 1


async def test_an_agent_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A start by an agent that is not installed fails with its path."""
    bench = Bench(tmp_path, {"agent": "ocf:heartbeat:Nonesuch"})
    verdict = await refusal_of(bench.start())
    assert verdict.reason is Reason.SERVICE_STOPPED
    assert verdict.evidence.endswith("resource.d/heartbeat/Nonesuch: No such file or directory")
    await bench.end(bench.controller)


async def test_an_address_comes_goes_and_is_missed(tmp_path: Path, namespace: str) -> None:
    """S3, S6: IPaddr2 adds the address, its monitor misses it when somebody takes it away, its stop removes it."""
    parameters = {"ip": ADDRESS, "cidr_netmask": 24, "nic": INTERFACE, "arp_count": 1, "arp_interval": 1}
    bench = Bench(tmp_path, {"agent": "ocf:heartbeat:IPaddr2", "parameters": parameters, **QUICK}, InNamespace)
    assert ocf_problems(bench.service.parameters) == ()

    def addresses() -> str:
        return ip("-n", namespace, "-4", "address", "show", "dev", INTERFACE)

    await bench.start()
    assert f"inet {ADDRESS}/24" in addresses()
    ip("-n", namespace, "address", "delete", f"{ADDRESS}/24", "dev", INTERFACE)
    await until(lambda: bench.told, "the missing address to be told")
    assert bench.reasons == [Reason.EXTERNAL_STOP]
    await bench.start()
    assert f"inet {ADDRESS}/24" in addresses()
    await bench.controller.stop(bench.service)
    assert ADDRESS not in addresses()
    assert len(bench.told) == 1
    await bench.end(bench.controller)


async def test_why_an_agent_refuses_is_said(tmp_path: Path, namespace: str) -> None:
    """IPaddr2 on an interface that is not there: its exit reason and the code's name; all it wrote is kept."""
    parameters = {"ip": ADDRESS, "cidr_netmask": 24, "nic": "none0"}
    bench = Bench(tmp_path, {"agent": "ocf:heartbeat:IPaddr2", "parameters": parameters}, InNamespace)
    verdict = await refusal_of(bench.start())
    assert verdict.evidence == "start of IPaddr2: exit status 6 (not configured): [findif] failed"
    written = (tmp_path / "output" / "evs1" / f"{bench.service.id.name}.log").read_text()
    assert "Invalid interface name [none0]" in written
    await bench.end(bench.controller)


def test_real_meta_data_finds_mistakes() -> None:
    """S10: what IPaddr2 itself says of its parameters is what a store is checked against."""
    wrong = {"agent": "ocf:heartbeat:IPaddr2", "parameters": {"cidr_netmak": 24}}
    told = {(problem.message, problem.hint) for problem in ocf_problems(wrong, Agents())}
    assert told == {
        ('IPaddr2 has no parameter "cidr_netmak"', 'did you mean "cidr_netmask"?'),
        ('IPaddr2 needs "ip"', ""),
    }
    [problem] = ocf_problems({"agent": "ocf:heartbeat:IPaddr"}, Agents())
    assert problem.key in ("agent", "parameters")


def test_debian_s_agents_can_be_read() -> None:
    """No agent's meta-data is too long, too odd or too slow for us: one in five is tried."""
    agents = Agents()
    names = agents.names("heartbeat")
    unread = [name for name in names[::5] if agents.meta_data(AgentName("heartbeat", name)) is None]
    assert len(names) > 50
    assert unread == []
