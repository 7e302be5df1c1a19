"""The store in force: a good edit changes what it names, at any moment; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from probe.controllers import CONTROLLER_KINDS
from probe.lifecycle.events import Probed
from probe.runtime.loading import load_checked
from probe.values import Reason, State, Verdict
from tests.sim.loop import run_virtual
from tests.sim.service import (
    PORTS,
    SimService,
    cluster,
    edit,
    make_machine,
    metabase,
    pid_of,
    resource_id,
    running_names,
    serving,
    started,
)

SMTP = resource_id("smtp")


def edited(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """Describe the group with some resources changed, or gone where the change is None."""
    document: Any = cluster()
    resources = document["groups"]["evs1"]["resources"]
    for name, change in changes.items():
        if change is None:
            del resources[name]
        else:
            resources[name] = resources[name] | change
    return document  # type: ignore[no-any-return] # JSON


def test_command_that_changed_is_used_at_the_next_online() -> None:
    """S74: a service runs on as it was started; its next start is by the new command."""

    async def main() -> None:
        machine = make_machine()
        machine.recipes["/bin/smtp2"] = machine.recipes["/bin/smtp"]
        async with serving(machine) as service:
            before = pid_of(machine, "smtp")
            command = {"controller": {"kind": "process", "command": ["/bin/smtp2", "127.0.0.1:25"]}}
            edit(machine, "cluster.json", edited(smtp=command))
            await asyncio.sleep(5)
            assert pid_of(machine, "smtp") == before
            await service.reader.ask_resource("restart", resource_id("smtp"), "anna")
            await service.until(60)
            assert (started(machine, "smtp"), started(machine, "smtp2")) == (1, 1)

    run_virtual(main())


def test_events_on_their_way_meet_the_store_that_they_are_about() -> None:
    """An edge that is in the inbox when the edit comes is decided on by the old store; nothing stumbles."""

    async def main() -> None:
        machine = make_machine(restart_threshold=0)
        async with serving(machine) as service:
            runtime, inventory = service.runtime, service.inventory
            smtp = runtime.world.records[SMTP]
            plain = {"type": "service", "parameters": {}}
            edit(machine, "cluster.json", edited(smtp=plain, imap=None))
            loaded = load_checked(inventory.folder, CONTROLLER_KINDS)
            runtime.post(Probed(SMTP, smtp.incarnation, False, Verdict(Reason.CONNECT_REFUSED)))  # it will be asked on
            was = inventory.loaded
            telling = asyncio.get_running_loop().create_task(inventory._change(runtime, loaded))
            await asyncio.sleep(0)
            assert inventory.loaded is was, "the store was taken over before what was posted earlier"
            await telling
            assert inventory.loaded is loaded
            assert runtime.fault == ""
            await asyncio.sleep(30)
            assert service.reader.resource(resource_id("imap")) is None
            assert "imap" not in running_names(machine)

    run_virtual(main())


def test_type_that_loses_its_conversation_while_its_dependents_hold_it(caplog: pytest.LogCaptureFixture) -> None:
    """A resource becomes one that nobody converses with; until its dependents are down it is left as it is."""

    async def main() -> None:
        machine = make_machine()
        edit(machine, "cluster.json", edited(http={"depends_on": ["smtp"]}))
        async with serving(machine) as service:
            machine.recipes["/bin/http"].stop_delay_s = 1.5
            plain = {"type": "service", "parameters": {}}
            edit(machine, "cluster.json", edited(http={"depends_on": ["smtp"]}, smtp=plain))
            await service.until(10, http=State.OFFLINE_PENDING)
            await service.until(60)
            assert service.report("smtp").type == "service"
            assert service.runtime.fault == ""
            assert "a mistake" not in caplog.text

    run_virtual(main())


def test_removed_resource_leaves_nothing_behind() -> None:
    """S47: its service ends, its check and its series go; with the same name it comes back as a new one."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            edit(machine, "cluster.json", edited(smtp=None, imap=None, pop3=None, http=None, store=None))
            await asyncio.sleep(10)
            runtime = service.runtime
            implied = [f"default/{protocol}-1" for protocol in PORTS]  # the virtual servers are nobody's now
            assert [str(id) for id in runtime.services] == ["evs1/sa", *implied]
            assert running_names(machine) == []
            assert runtime.monitors.reading(resource_id("smtp")) is None
            edit(machine, "cluster.json", cluster())
            await service.until(60)
            assert started(machine, "smtp") == 2

    run_virtual(main())


def test_group_that_is_emptied_and_comes_back() -> None:
    """A group without resources is gone; with resources again it is ours again."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            edit(machine, "cluster.json", {"schema_version": 1, "groups": {}})
            await asyncio.sleep(10)
            assert [group.name for group in filter(None, service.reader.groups())] == ["default"]
            edit(machine, "cluster.json", cluster())
            await service.until(60)

    run_virtual(main())


def test_bad_edit_is_named_once_and_the_good_one_stays(caplog: pytest.LogCaptureFixture) -> None:
    """Every mistake is in the log, once and not once a second; what ran runs on, and a mended edit is taken."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            before = pid_of(machine, "smtp")
            with caplog.at_level(logging.ERROR):
                edit(machine, "metabase.json", {"schema_version": 1, "keys": {"/smtp/1": {"bindings": ["x:99999"]}}})
                await asyncio.sleep(5)
            assert len([line for line in caplog.messages if "99999" in line]) == 1
            assert pid_of(machine, "smtp") == before
            edit(machine, "metabase.json", metabase(comment="mended"))
            await asyncio.sleep(5)
            assert service.inventory.loaded.store.virtual_servers["/smtp/1"].comment == "mended"

    run_virtual(main())


def test_asking_often_reloads_once() -> None:
    """SIGHUP reads the store at once, changed or not; a hail of them is one."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            service.runtime.metrics.reloaded(False, 0.0)
            was = service.inventory.loaded
            for _ in range(1000):
                service.inventory.ask_reload()
            await asyncio.sleep(0.5)
            assert service.inventory.loaded is not was
            assert len(asyncio.all_tasks()) < 100

    run_virtual(main())


def test_wish_of_a_resource_that_is_gone_is_forgotten_at_start() -> None:
    """What is kept of operators' wishes does not outgrow the store."""

    async def main() -> None:
        machine = make_machine()
        machine.disk.put(
            "/var/lib/looksalive/desired.json",
            '{"schema_version": 1, "desired": {"evs1/gone": false, "evs1/smtp": false}}',
        )
        service = SimService(machine)
        assert service.inventory.desired.items() == ((resource_id("smtp"), False),)
        await service.until(60, imap=State.ONLINE)
        assert service.states["smtp"] is State.OFFLINE
        await service.end()

    run_virtual(main())


def addressed(address: str | None) -> dict[str, Any]:
    """Describe the group with an ip-address beside the rest, where smtp's binding is a wildcard."""
    document = edited()
    if address is not None:
        ip = {"type": "ip-address", "parameters": {"address": address}, "controller": {"kind": "none"}}
        document["groups"]["evs1"]["resources"]["ip"] = ip
    return document


def test_a_wildcard_binding_follows_the_groups_address() -> None:
    """S33, S43: a wildcard means the group's own ip-address, also when that comes, changes or goes at run time."""

    async def main() -> None:
        machine = make_machine()
        everywhere = metabase()
        everywhere["keys"]["/smtp/1"] = {"bindings": ["*:25"]}  # type: ignore[index] # JSON
        edit(machine, "metabase.json", everywhere)
        async with serving(machine) as service:
            asked = []
            for address in ("127.0.0.2/8", "127.0.0.3/8", None):
                edit(machine, "cluster.json", addressed(address))
                await asyncio.sleep(5)
                plan = service.runtime.monitors.plan(SMTP)
                assert plan is not None
                asked.append(plan.targets[0].text)
            assert asked == ["127.0.0.2:25", "127.0.0.3:25", "127.0.0.1:25"]

    run_virtual(main())
