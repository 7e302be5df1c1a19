"""The reference's group on real servers: cold start, the death and the freeze of its store, nothing else touched."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.processes import session_members, signal_all, stat_of
from tests.e2e.servers.mail_group import ABOVE, BELOW, GROUP, STORE, MailGroup
from tests.e2e.service import Service

BACK_WITHIN_S = 30.0
Event = dict[str, Any]


@pytest.fixture(params=["grpc", "http"])
def running(mail: MailGroup, request: pytest.FixtureRequest) -> Iterator[tuple[MailGroup, Service]]:
    """Both groups, made by one command each and all alive; the store is asked in both ways."""
    made = mail.create(getattr(mail.health, request.param))
    assert (made.returncode, made.stderr) == (0, "")
    other = mail.create_other()
    assert (other.returncode, other.stderr) == (0, "")
    with mail.service() as service:
        service.wait_all_alive(BACK_WITHIN_S)
        yield mail, service


def edges(service: Service, after: int = 0) -> list[Event]:
    """List every change of state behind an event, in order."""
    return [each for each in service.events() if each["kind"] == "state" and each["seq"] > after]


def last_seq(service: Service) -> int:
    """Number the last event."""
    seq: int = service.events()[-1]["seq"]
    return seq


def when(found: list[Event], id: str, to: str) -> int:
    """Number the only time that a resource came to a state."""
    [seq] = [each["seq"] for each in found if each["id"] == id and each["to"] == to]
    return int(seq)


def pids(service: Service) -> dict[str, int | None]:
    """Return every pid by id."""
    return {id: each["pid"] for id, each in service.resources().items()}


def restarts_left(service: Service) -> dict[str, int]:
    """Return every budget by id."""
    return {id: each["restarts_left"] for id, each in service.resources().items()}


def assert_only_the_store_failed(found: list[Event], reasons: tuple[str, ...]) -> None:
    """One cause, five that are down because of it, and not a word about anybody else."""
    failed = [each for each in found if each["to"] == "failed"]
    causes = [(each["id"], each["from"]) for each in failed if each["root_cause"] is None]
    assert causes == [(STORE, "online")], failed
    assert failed[0]["reason"] in reasons
    told = {each["id"]: (each["reason"], each["root_cause"]) for each in failed if each["id"] != STORE}
    assert set(told.values()) <= {("dependency_down", STORE)}
    down = {each["id"]: each["root_cause"] for each in found if each["from"] == "online" and each["id"] != STORE}
    assert down == dict.fromkeys(ABOVE, STORE)
    assert {each["id"] for each in found} == {STORE, *ABOVE}, "nobody else is touched"


def assert_back_in_order(found: list[Event]) -> None:
    """All above are down before the store begins again, and nobody above begins before it is online."""
    begun, online = when(found, STORE, "online-pending"), when(found, STORE, "online")
    stopped = [each["seq"] for each in found if each["id"] in ABOVE and each["to"] == "offline"]
    assert stopped
    assert max(stopped) < begun
    for id in ABOVE:
        assert when(found, id, "online-pending") > online, id
        assert when(found, id, "online") > online, id


@pytest.mark.parametrize("running", ["grpc"], indirect=True)
def test_a_cold_start_is_in_order(running: tuple[MailGroup, Service]) -> None:
    """S15, S16, S42: each begins only when all that it stands on is online, up from the address and the disk; two
    groups are served side by side; pop3 and imap are one Dovecot.
    """
    mail, service = running
    found = edges(service)
    for group, content in mail.document("cluster.json")["groups"].items():
        acting = {name: each for name, each in content["resources"].items() if each["controller"]["kind"] != "none"}
        for name, resource in acting.items():  # what is only watched is not started, and waits for nobody
            begun = when(found, f"{group}/{name}", "online-pending")
            for provider in resource["depends_on"]:
                assert when(found, f"{group}/{provider}", "online") < begun, (name, provider)
    begun_by = pids(service)
    assert begun_by[f"{GROUP}/pop3"] == begun_by[f"{GROUP}/imap"] is not None
    assert set(service.resources()) > {STORE, *ABOVE, *BELOW}
    assert [each for each in found if each["to"] == "failed"] == []
    assert f"127.0.0.1\tmail.example.org\t# looksalive {GROUP}/network" in mail.hosts.read_text()


def test_a_killed_store_takes_its_dependents_down_and_up(running: tuple[MailGroup, Service]) -> None:
    """S3, S16, S23, S54: kill -9 of Dovecot: one cause, five down because of it; it is back, then they are, as new
    processes and at no cost of theirs; whoever does not stand on it keeps its process and hears nothing.
    """
    _, service = running
    before, budget, seq = pids(service), restarts_left(service), last_seq(service)
    killed = before[STORE]
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    service.wait_for_another_process(STORE, killed, BACK_WITHIN_S)
    service.wait_all_alive(BACK_WITHIN_S)
    found = edges(service, seq)
    assert_only_the_store_failed(found, ("process_gone", "not_serving"))
    assert_back_in_order(found)
    after = pids(service)
    changed = {id for id in before if before[id] != after[id]}
    assert changed == {STORE, *ABOVE}
    assert restarts_left(service) == budget | {STORE: budget[STORE] - 1}
    assert session_members(killed) == [], "nothing of the old Dovecot is left"


def test_a_frozen_store_is_found_and_restarted(running: tuple[MailGroup, Service]) -> None:
    """S32, S56, S67: SIGSTOP of all of Dovecot: it accepts and is silent, so what stands beside it says that it is not
    serving; it is killed, since it does not end, and comes back; the five are down because of it and of nothing else.
    """
    _, service = running
    before, seq = pids(service), last_seq(service)
    frozen = before[STORE]
    assert frozen is not None
    signal_all(session_members(frozen), signal.SIGSTOP)
    service.wait_for_another_process(STORE, frozen, BACK_WITHIN_S)
    service.wait_all_alive(BACK_WITHIN_S)
    found = edges(service, seq)
    assert_only_the_store_failed(found, ("not_serving",))
    assert_back_in_order(found)
    after = pids(service)
    assert {id for id in before if before[id] != after[id]} == {STORE, *ABOVE}
    assert stat_of(frozen) is None
