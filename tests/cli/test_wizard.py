"""Asking for everything: the questions are the tables, each answer is judged at once (S10)."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bindings.cluster import RESOURCE_PROPERTIES
from bindings.properties import RULES, VOLATILE
from probe.cli.wizard import Wizard
from probe.controllers import CONTROLLER_KINDS, PARAMETERS
from probe.resources.changes import Change
from probe.resources.types import TYPES
from tests.e2e.command import COMMAND, surroundings
from tests.resources.stores import Bench


class Talk:
    """A person who answers by the first words of a question; what was asked and told is kept."""

    def __init__(self, answers: dict[str, str | list[str]]) -> None:
        self.asked: list[str] = []
        self.told: list[str] = []
        self._answers = {name: [each] if isinstance(each, str) else list(each) for name, each in answers.items()}

    def answer(self, question: str) -> str:
        self.asked.append(question)
        name = next((name for name in self._answers if question.startswith(name)), None)
        if name is None:
            return ""
        rest = self._answers[name]
        return rest.pop(0) if len(rest) > 1 else rest[0]

    def create(self, bench: Bench, type: str, target: str) -> Change:
        arguments = argparse.Namespace(type=type, target=target, without=[], owner=[])
        return Wizard(self.answer, self.told.append).ask(bench.read(), arguments)


NEEDED: dict[str, str | list[str]] = {
    "address:": "192.0.2.7/24",
    "name:": "mail.example.org",
    "mount_point:": "/srv/mail",
    "health:": "http://127.0.0.1:9200/",
    "index:": "evs1",
    "bindings:": "127.0.0.1:2525",
    "target:": "127.0.0.1:9090",
    "argv:": "/usr/bin/true --quick",
}


@pytest.mark.parametrize("type", sorted(set(TYPES) - {"system-attendant"}))
def test_every_property_of_a_type_is_asked_for(type: str) -> None:
    """S10: each parameter of the type, each property of its virtual server and of a resource is a question."""
    bench = Bench()
    bench.group("evs1") if type != "mta" else None
    talk = Talk({**NEEDED, "More about": "y"})
    if type == "mta":
        bench.group("evs1")
        bench.delete("evs1/mta")
    bench.make(talk.create(bench, type, "evs1/new"))
    questions = [question.partition(":")[0] for question in talk.asked]
    protocol = TYPES[type].virtual_server
    wanted = {parameter.name for parameter in TYPES[type].parameters} - {"virtual_server"} | {"controller"}
    wanted |= {row.name for row in RESOURCE_PROPERTIES} - {"type", "parameters"}
    wanted |= set(RULES[protocol]) - set(VOLATILE) if protocol else set()
    assert wanted <= set(questions)
    assert "evs1/new" in bench.ids()


def test_a_bad_answer_is_asked_again() -> None:
    """S10: what is wrong is told at once, with the mend, and the question comes again."""
    bench = Bench()
    answers: dict[str, str | list[str]] = {"bindings:": "", "secure_bindings:": ["", ":99999", "127.0.0.1:5432"]}
    answers |= {"controller:": ["sytemd", "systemd"], "systemd unit": ["", "x", "x.service"]}
    talk = Talk(answers)
    bench.make(talk.create(bench, "tcp", "g/db"))
    told = "\n".join(talk.told)
    assert "port 99999 is above 65535" in told
    assert "there is no kind 'sytemd'" in told
    assert len([question for question in talk.asked if question.startswith("systemd unit")]) == 3
    own = bench.read().group("g").resources["db"]
    assert (own.controller.kind, own.controller.parameters) == ("systemd", {"unit": "x.service"})


@pytest.mark.parametrize("kind", sorted(CONTROLLER_KINDS))
def test_every_parameter_of_a_controller_is_asked_for(kind: str) -> None:
    """S10: the kind that is chosen asks for what it takes, and takes what its own check takes."""
    answers: dict[str, str | list[str]] = {
        "controller:": kind,
        f"{kind} unit": "x.service",
        f"{kind} command": "/bin/x",
    }
    answers |= {f"{kind} container": "x", f"{kind} program": "x", f"{kind} agent": "ocf:heartbeat:Dummy"}
    answers |= {f"{kind} start:": "/bin/x", f"{kind} stop:": "/bin/x", f"{kind} status:": "/bin/x"}
    bench = Bench()
    talk = Talk(answers)
    talk.create(bench, "service", "g/x")
    questions = {question.partition(":")[0] for question in talk.asked}
    assert {f"{kind} {parameter.name}" for parameter in PARAMETERS[kind]} <= questions


def test_a_whole_group() -> None:
    """S10, S17: member by member; what a group need not have is asked for, and nothing is written before the end."""
    bench = Bench()
    talk = Talk({**NEEDED, "Does evs1 have a ip-address": "y", "Make the http": "n", "name:": ""})
    change = talk.create(bench, "system-attendant", "evs1")
    assert not bench.files.files
    bench.make(change)
    assert "evs1/ip" in bench.ids()
    assert "evs1/http" not in bench.ids()
    assert {"evs1/sa", "evs1/store", "evs1/mta", "evs1/routing", "evs1/search", "evs1/smtp"} < set(bench.ids())
    talk = Talk(NEEDED)
    talk.create(bench, "system-attendant", "evs2")
    assert not [question for question in talk.asked if "mta" in question], "the cluster has its one (S25)"


def test_a_person_who_is_none() -> None:
    """Questions end after many bad answers instead of going on for ever."""
    with pytest.raises(EOFError):
        Talk({"bindings:": ":0"}).create(Bench(), "tcp", "g/db")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal of the test's own."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


@pytest.mark.parametrize(("confirmed", "code"), [("y", 0), ("n", 1)])
def test_on_a_real_terminal(tmp_path: Path, terminal: tuple[int, int], confirmed: str, code: int) -> None:
    """S10: without words it asks, shows what would be written, and writes only after a yes."""
    ours, theirs = terminal
    words = [*COMMAND, "create", "tcp", "g/db", "--store", str(tmp_path), "--state-dir", str(tmp_path / "state")]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings())
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break  # the other end is closed
        if not piece:
            break
        seen += piece
        last = seen.rpartition(b"\n")[2]
        if b"Write this? [y/N] " in last:
            os.write(ours, f"{confirmed}\n".encode())
        elif last.endswith(b": ") and b"bindings:" in last and b"secure" not in last:
            os.write(ours, b"127.0.0.1:5432\n")
        elif last.endswith((b": ", b"] ")):
            os.write(ours, b"\n")
    assert process.wait(30) == code, seen.decode()
    assert (b'"bindings":["127.0.0.1:5432"]' in seen) is True
    assert (tmp_path / "metabase.json").exists() is (confirmed == "y")
