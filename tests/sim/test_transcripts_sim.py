"""Transcripts of the whole service, in virtual time: there after a failure, gone with the resource."""

from __future__ import annotations

from typing import Any

from probe.values import Reason, State
from tests.sim.loop import run_virtual
from tests.sim.servers import Fault
from tests.sim.service import cluster, edit, make_machine, resource_id, serving

SMTP = ("127.0.0.1", 25)


def test_a_failure_s_dialogue_can_be_read_until_its_resource_goes() -> None:
    """None while all is well; what was said in the failure, also after the restart; nothing once it is deleted."""

    async def main() -> None:
        machine = make_machine()
        async with serving(machine) as service:
            id = resource_id("smtp")
            await service.run.clock.sleep(60)
            since = service.events[-1].seq
            kept = {told.reason for told in service.reader.transcripts(id)}
            assert kept <= {Reason.CONNECT_REFUSED}, "while it was starting nobody listened; since then all is well"
            machine.server("smtp", SMTP).fault = Fault.DECLINE
            await service.until_edge("smtp", State.FAILED, 60, since)
            machine.server("smtp", SMTP).fault = Fault.NONE
            await service.until(60)
            (told,) = (one for one in service.reader.transcripts(id) if one.reason is Reason.REFUSED_BY_SERVER)
            assert told.pieces[1].text.startswith("554 ")
            assert told.pieces[1].text.endswith("\\x0d\\x0a")
            document: Any = cluster()
            del document["groups"][id.group]["resources"]["smtp"]
            edit(machine, "cluster.json", document)
            await service.run.clock.sleep(60)
            assert service.reader.resource(id) is None
            assert service.reader.transcripts(id) == ()

    run_virtual(main(), until_s=3600.0)
