"""One container for everything, looksalive as its PID 1 in the place of supervisord: Postfix and Dovecot below it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.images import WITHIN_S, Container, Images
from tests.e2e.waiting import wait_until

NAME = "mail"
ALL = ("mail/imap", "mail/pop3", "mail/smtp")


class AllInOne(Container):
    """The all-in-one container, running, everything alive."""

    def __init__(self, images: Images) -> None:
        super().__init__(images, NAME, "looksalive-mail", "--network=none")
        self.start()
        wait_until(self.all_alive, "everything to be alive", WITHIN_S)

    def shell(self, script: str) -> str:
        """Run a script inside."""
        return self.podman("exec", self.name, "sh", "-c", script)

    def pids(self) -> dict[str, int]:
        """Return the pids of the services, as they are inside."""
        return {each["id"]: each["pid"] for each in self.ask("status")["resources"]}

    def position(self, id: str, state: str) -> int:
        """Return where in the log a resource last came to a state. Raises ValueError when it did not."""
        moves = [(each.get("id"), each.get("to")) for each in self.messages()]
        return len(moves) - 1 - moves[::-1].index((id, state))

    def wait_for_another(self, id: str, pid: int) -> None:
        """Return when everything is alive and the service is another process."""

        def back() -> bool:
            return self.pids()[id] not in (pid, None) and self.all_alive()

        wait_until(back, f"{id} to be another process than {pid}", WITHIN_S)


@pytest.fixture
def mail(containers: Images) -> Iterator[AllInOne]:
    """The container; its log is shown when the test fails."""
    made = AllInOne(containers)
    yield made
    os.write(1, made.log.encode())


def zombies_of(pid: int) -> list[str]:
    """List the ended children of a process that it has not reaped, by name."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            name, _, fields = Path(f"/proc/{child}/stat").read_text().partition(" (")[2].rpartition(") ")
            if fields.startswith("Z"):
                found.append(name)
    return found


def test_it_starts_and_stops_everything_in_order(mail: AllInOne) -> None:
    """S16: Dovecot answers before Postfix is started; SIGTERM stops Postfix before Dovecot, and PID 1 ends with 0."""
    command = Path(f"/proc/{mail.pid}/cmdline").read_bytes().split(b"\0")
    assert b"/opt/looksalive/bin/looksalive" in command
    assert mail.position("mail/imap", "online") < mail.position("mail/smtp", "online-pending")
    pids = mail.pids()
    assert pids["mail/imap"] == pids["mail/pop3"] != pids["mail/smtp"]
    mail.podman("healthcheck", "run", mail.name)
    children = Path(f"/proc/{mail.pid}/task/{mail.pid}/children").read_text().split()
    assert len(children) == 2
    mail.podman("stop", "--time=20", mail.name)
    assert mail.inspect(".State.ExitCode") == "0"
    assert mail.position("mail/smtp", "offline") < mail.position("mail/imap", "offline-pending")
    assert mail.position("mail/imap", "offline")


def test_it_reaps_what_others_leave_behind(mail: AllInOne) -> None:
    """An orphan falls to PID 1 when its parent ends, and is no zombie when it ends itself; our own are reaped, too."""
    orphan = int(mail.shell("sleep 100000 >/dev/null 2>&1 & echo $!"))
    parent = mail.shell(f"cat /proc/{orphan}/stat").rpartition(") ")[2].split()[1]
    assert parent == "1"
    mail.shell(f"kill -9 {orphan}")
    wait_until(lambda: not mail.shell(f"ls /proc | grep -x {orphan} || true"), "the orphan to be gone", WITHIN_S)
    for _ in range(3):
        mail.shell("sh -c 'sleep 0.1; exit 3' >/dev/null 2>&1 &")
    wait_until(lambda: not zombies_of(mail.pid), "no zombie to be left", WITHIN_S)
    assert mail.all_alive()


@pytest.mark.parametrize("id", ["mail/smtp", "mail/imap"])
def test_it_restarts_what_is_killed(mail: AllInOne, id: str) -> None:
    """S6: a killed service is told once, by its process or by its listener, and comes back with what stands on it."""
    before: dict[str, Any] = mail.pids()
    mail.shell(f"kill -9 {before[id]}")
    mail.wait_for_another(id, before[id])
    told = [each for each in mail.messages() if each.get("to") == "failed" and each["id"] == id]
    assert len(told) == 1
    assert told[0]["reason"] in ("process_gone", "listener_gone")  # whoever tells first
    after = mail.pids()
    assert (after["mail/imap"] == before["mail/imap"]) is (id == "mail/smtp")
    wait_until(lambda: not zombies_of(mail.pid), "no zombie to be left", WITHIN_S)
