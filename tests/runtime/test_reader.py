"""The API's view: reading costs nothing, a verb is answered at once and survives a restart."""

from __future__ import annotations

import asyncio
import errno
import json

import pytest

from probe.cluster import DesiredState
from probe.lifecycle.report import Refusal
from probe.values import ResourceId, State
from tests.sim.loop import run_virtual
from tests.sim.service import GROUP, STATE_DIR, SimService, make_machine, resource_id, running_names, serving


def test_reading_describes_resources_groups_and_events() -> None:
    """S7: everything is answered from memory; what does not exist is None."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            reader = service.reader
            assert [report.id.name for report in reader.resources()] == ["sa", "store", "smtp", "pop3", "imap", "http"]
            (group,) = filter(None, reader.groups())
            assert (group.name, group.state, group.resources) == (GROUP, "online", 6)
            assert list(reader.groups("other")) == []
            assert reader.resource(ResourceId(GROUP, "nobody")) is None
            assert reader.operation(99) is None
            assert reader.not_ready == ""
            assert len(reader.events_after(0, 3)) == 3

    run_virtual(main())


def test_not_ready_names_what_is_missing() -> None:
    """`/readyz` says why: the store, the first round, or a mistake of ours that lost something."""

    async def main() -> None:
        service = SimService(make_machine())
        assert service.reader.not_ready == "the store is not loaded yet"
        await service.until(60)
        assert service.reader.not_ready == ""
        service.runtime.fault = "a mistake"
        assert service.reader.not_ready == "a mistake"
        await service.end()

    run_virtual(main())


@pytest.mark.parametrize(
    ("verb", "name", "code", "status"),
    [("online", "nobody", "not_found", 404), ("terminate", "sa", "controller_cannot", 409)],
)
def test_refusal_has_a_code_and_a_status(verb: str, name: str, code: str, status: int) -> None:
    """A verb that cannot be is refused at once, with a stable word."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            with pytest.raises(Refusal) as caught:
                await service.reader.ask_resource(verb, resource_id(name), "anna")
            assert (caught.value.code, caught.value.status) == (code, status)

    run_virtual(main())


def test_verb_after_the_end_is_refused() -> None:
    """Who asks while we end is told so, and never left waiting."""

    async def main() -> None:
        service = SimService(make_machine())
        await service.until(60)
        await service.end()
        with pytest.raises(Refusal) as caught:
            await service.reader.ask_resource("online", resource_id("smtp"), "anna")
        assert (caught.value.code, caught.value.status) == ("draining", 503)

    run_virtual(main())


def desired(service: SimService) -> dict[str, bool]:
    """Read what is kept of the operators' wishes."""
    document: dict[str, dict[str, bool]] = json.loads(service.machine.disk.text(f"{STATE_DIR}/desired.json"))
    return document["desired"]


def test_wish_that_comes_true_at_once_is_kept_too() -> None:
    """An offline of a resource that only we watch is done in the same moment, and still an offline after a restart."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        await service.until(60)
        report = await service.reader.ask_resource("offline", resource_id("sa"), "anna")
        assert desired(service) == {"evs1/sa": False}
        assert report.verb == "offline"
        await service.end()
        again = SimService(machine)
        await asyncio.sleep(5)
        assert again.states["sa"] is State.OFFLINE
        await again.end()

    run_virtual(main())


def test_provider_that_an_online_brought_back_is_wanted_from_then_on() -> None:
    """The store was taken offline; an online of smtp brings it back, for good; nobody else's wish is made up."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        await service.until(60)
        await service.reader.ask_group("offline", GROUP, "anna")
        await service.until(60, store=State.OFFLINE, sa=State.OFFLINE)
        await service.reader.ask_resource("online", resource_id("smtp"), "anna")
        await service.until(60, smtp=State.ONLINE)
        kept = desired(service)
        assert {name for name, wanted in kept.items() if wanted} == {"evs1/sa", "evs1/store", "evs1/smtp"}
        await service.end()
        again = SimService(machine)
        await again.until(60, smtp=State.ONLINE, imap=State.OFFLINE)
        await again.end()

    run_virtual(main())


class FullDisk(DesiredState):
    """A state folder without room."""

    def save(self) -> None:
        """Fail as the disk does."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_disk_that_cannot_keep_a_wish_does_not_lose_the_verb(caplog: pytest.LogCaptureFixture) -> None:
    """The verb is carried out and answered; that it will be forgotten is in the log."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            service.inventory.desired = FullDisk(service.run.files, STATE_DIR)
            report = await service.reader.ask_resource("offline", resource_id("smtp"), "anna")
            assert report.state == "pending"
            await service.until(60, smtp=State.OFFLINE)
            assert "smtp" not in running_names(machine)
        assert "will be forgotten" in caplog.text

    run_virtual(main())


def test_many_verbs_at_once_are_all_kept() -> None:
    """Wishes that come together do not get into each other's way on the disk."""

    async def main() -> None:
        async with serving(make_machine()) as service:
            names = ["smtp", "pop3", "imap", "http"]
            await asyncio.gather(*(service.reader.ask_resource("offline", resource_id(n), "anna") for n in names))
            assert desired(service) == {f"{GROUP}/{name}": False for name in names}

    run_virtual(main())
