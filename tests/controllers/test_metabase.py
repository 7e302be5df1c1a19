"""Virtual servers told by the store to start and stop: the command first, then the service, then the state (S58)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from bindings.errors import StoreReadOnly
from bindings.store import StoreFolder
from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.metabase import MetabaseController
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.below import A, B, Commune
from tests.controllers.surroundings import begin, in_virtual_time, refusal_of
from tests.sim.hooks import Deed

SERVICE = {"kind": "below", "name": "mail"}


class Office:
    """A store's volatile half, a service that obeys it while it `hears`, and the controller."""

    def __init__(self) -> None:
        self.commune = Commune()
        self.clock = self.commune.clock
        self.commune.around.environment.files.make_folder("/store")
        self.store = StoreFolder(self.commune.around.environment.files, "/store", "/state")
        self.order: list[str] = []
        self.hears = True
        self.answer: dict[str, str] = {"start": "running", "stop": "stopped"}
        self.controller = MetabaseController(self.clock, self, {"below": self.commune.sharing}, self.commune.hooks)

    def runtime(self, key: str) -> Mapping[str, str]:
        """Read; the service, where it runs, has written what it does."""
        entries = self.store.runtime(key)
        command = entries.get("command", "")
        if self.hears and self.commune.below.running and entries.get("state") != self.answer.get(command):
            self.store.write_runtime(key, {"state": self.answer.get(command)})
        return self.store.runtime(key)

    def write_runtime(self, key: str, entries: Mapping[str, str | None]) -> None:
        """Write, and note in which order."""
        self.order += [f"{key} {name} {word} ({len(self.commune.below.running)} run)" for name, word in entries.items()]
        self.store.write_runtime(key, entries)

    def state(self, key: str) -> tuple[str | None, str | None]:
        """Return the command and the state as they are."""
        entries = self.store.runtime(key)
        return entries.get("command"), entries.get("state")

    async def start(self, spec: ServiceSpec, incarnation: int = 1) -> None:
        """Start a virtual server."""
        await self.controller.start(spec, Incarnation(incarnation))


def server(id: ResourceId, key: str, *, whole: bool = False, **more: object) -> ServiceSpec:
    """Name a virtual server of the shared service."""
    return ServiceSpec(id, {"service": SERVICE, **more}, "below mail", whole, virtual_server=key)


ONE, TWO = server(A, "/imap/1"), server(B, "/imap/2")


def in_office(test: Callable[[Office], Awaitable[None]]) -> None:
    """Run a test in virtual time."""

    async def main() -> None:
        await test(Office())

    in_virtual_time(main)


def test_the_command_is_written_first() -> None:
    """S58: the command, then the service where it does not run, then its word that the virtual server runs."""

    async def test(office: Office) -> None:
        await office.start(ONE)
        assert office.order == ["/imap/1 command start (0 run)", "/imap/1 state None (0 run)"]
        assert office.state("/imap/1") == ("start", "running")
        await office.start(TWO)
        assert office.commune.below.done == [f"start {A}"], "the service runs already"
        await office.controller.stop(ONE)
        assert office.state("/imap/1") == ("stop", "stopped")
        assert (office.state("/imap/2"), set(office.commune.below.running)) == (("start", "running"), {A})
        await office.controller.stop(TWO)
        assert not office.commune.below.running

    in_office(test)


def test_a_word_of_yesterday_is_not_believed() -> None:
    """S58: a state from before the command counts for nothing, and online is when the service says it anew."""

    async def test(office: Office) -> None:
        office.store.write_runtime("/imap/1", {"state": "running"})
        office.hears = False
        start = begin(office.start(ONE))
        await office.commune.around.pass_time(60)
        assert not start.done()
        office.hears = True
        await start

    in_office(test)


def test_the_service_s_own_failure_is_the_start_s() -> None:
    """S58: a service that says that it failed is not waited for."""

    async def test(office: Office) -> None:
        office.answer["start"] = "failed"
        verdict = await refusal_of(office.start(ONE))
        assert (verdict.reason, verdict.evidence) == (Reason.NOT_SERVING, "/imap/1 says that it failed")

    in_office(test)


def test_smtp_ends_the_whole_service() -> None:
    """S36, S59, S60: its offline ends the service for all; the command keeps it down when another brings that back."""

    async def test(office: Office) -> None:
        first, second = server(A, "/smtp/1", whole=True), server(B, "/smtp/2", whole=True)
        await office.start(first)
        await office.start(second, 4)
        await office.controller.stop(first)
        assert not office.commune.below.running
        assert [(told[0], told[1], told[2].reason) for told in office.commune.told] == [(B, 4, Reason.COLLATERAL)]
        await office.start(second, 5)
        assert office.runtime("/smtp/1") == {"command": "stop", "state": "stopped"}
        assert office.state("/smtp/2") == ("start", "running")

    in_office(test)


def test_terminate_waits_a_little_and_ends_the_service() -> None:
    """S68: one that obeys leaves the service to the others; one that does not costs it."""

    async def test(office: Office) -> None:
        await office.start(ONE)
        await office.start(TWO)
        await office.controller.terminate(TWO)
        assert set(office.commune.below.running) == {A}
        await office.start(TWO, 2)
        office.hears = False
        begun = office.clock.now()
        await office.controller.terminate(ONE)
        assert office.clock.now() - begun < 3
        assert not office.commune.below.running
        assert [told[0] for told in office.commune.told] == [B]

    in_office(test)


def test_what_never_ran_is_stopped_at_once() -> None:
    """A stop, or a clearing, after a start that did not get so far waits for no service that is not there."""

    async def test(office: Office) -> None:
        office.commune.below.fails = lambda verb: verb == "start"
        assert (await refusal_of(office.start(ONE))).evidence == "start failed"
        await office.controller.terminate(ONE)
        await office.controller.stop(ONE)
        assert office.state("/imap/1") == ("stop", "stopped")

    in_office(test)


def test_without_a_service_it_is_expected_to_run() -> None:
    """S58: somebody else starts it; a terminate that is not obeyed has nobody to end, and says so."""

    async def test(office: Office) -> None:
        alone = ServiceSpec(A, {"virtual_server": "/pop3/1"}, virtual_server="/pop3/ignored")
        await office.commune.start(B)
        await office.start(alone)
        assert office.state("/pop3/1") == ("start", "running")
        await office.controller.stop(alone)
        office.hears = False
        office.store.write_runtime("/pop3/1", {"state": "running"})
        assert "not ours to end" in (await refusal_of(office.controller.terminate(alone))).evidence
        office.controller.kill(A)
        assert (office.controller.pid(A), office.controller.adopt(alone, Incarnation(1))) == (None, False)

    in_office(test)


def test_a_wait_can_be_called_off() -> None:
    """S51: a service that says nothing is waited for until the core has enough; the next stop goes on from there."""

    async def test(office: Office) -> None:
        office.hears = False
        start = begin(office.start(ONE))
        await office.commune.around.pass_time(1000)
        start.cancel()
        await asyncio.wait([start])
        office.hears = True
        await office.controller.stop(ONE)
        assert not office.commune.below.running

    in_office(test)


def test_the_service_below_is_looked_after() -> None:
    """S4, S56: pid, adoption and kill are those of the service; its end is told."""

    async def test(office: Office) -> None:
        office.commune.below.left.add(A)
        assert office.controller.adopt(ONE, Incarnation(0))
        await office.start(ONE, 3)
        assert office.controller.pid(A) == 42
        office.commune.below.die(A)
        assert [told[:2] for told in office.commune.told] == [(A, 3)]
        await office.start(ONE, 4)
        office.controller.kill(A)
        assert not office.commune.below.running
        office.controller.release()
        assert office.controller.pid(A) is None

    in_office(test)


@pytest.mark.parametrize("nested", [True, False])
def test_upgrade_runs_with_the_service_down(nested: bool) -> None:
    """S53: its own upgrade, under the turn of the service where there is one."""

    async def test(office: Office) -> None:
        office.commune.around.programs.table["/upgrade"] = lambda _call: Deed()
        spec = server(A, "/imap/1", upgrade=["/upgrade"])
        if not nested:
            spec = ServiceSpec(A, {"virtual_server": "/imap/1", "upgrade": ["/upgrade"]})
        await office.controller.upgrade(spec)
        assert [call.argv for call in office.commune.around.programs.calls] == [("/upgrade",)]
        if nested:
            await office.start(TWO)
            assert "evs2/store" in (await refusal_of(office.controller.upgrade(spec))).evidence

    in_office(test)


def test_what_cannot_be_written_is_said() -> None:
    """A read-only store, a key that nobody named, no store at all: each is a sentence, and no service is started."""

    async def test() -> None:
        read_only = Commune()
        clock, sharing, hooks = read_only.clock, {"below": read_only.sharing}, read_only.hooks
        refused = await refusal_of(MetabaseController(clock, Stone(), sharing, hooks).start(ONE, Incarnation(1)))
        assert refused.reason is Reason.PROBER_FORBIDDEN
        nowhere = await refusal_of(MetabaseController(clock, None, sharing, hooks).start(ONE, Incarnation(1)))
        assert "no store" in nowhere.evidence
        nameless = ServiceSpec(A, {"service": SERVICE})
        assert (
            "names no virtual_server"
            in (await refusal_of(MetabaseController(clock, Stone(), sharing, hooks).stop(nameless))).evidence
        )
        with pytest.raises(ControllerError, match="unknown key"):
            await MetabaseController(clock, Stone(), sharing, hooks).stop(ServiceSpec(A, {"servcie": {}}))
        assert not read_only.below.done

    in_virtual_time(test)


class Stone:
    """A store that nobody can write."""

    def runtime(self, key: str) -> Mapping[str, str]:
        """Hold nothing."""
        del key
        return {}

    def write_runtime(self, key: str, entries: Mapping[str, str | None]) -> None:
        """Refuse."""
        del key, entries
        raise StoreReadOnly("/store", "Read-only file system")
