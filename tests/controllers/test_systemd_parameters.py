"""What the store may say of the systemd controller, and every mistake in it."""

from __future__ import annotations

import os

import pytest

from probe.controllers import CONTROLLER_KINDS
from probe.controllers.dbus import is_library_there
from probe.controllers.systemd import SystemdParameters, systemd_parameters, systemd_problems


def test_only_the_unit_is_needed() -> None:
    """A unit of the system's own systemd is the default."""
    assert systemd_parameters({"unit": "dovecot.service"}) == SystemdParameters("dovecot.service", False, None)


def test_every_parameter_is_read() -> None:
    """Each key arrives where it belongs; instances and escaped names are units, too."""
    assert systemd_parameters({"unit": "a@b\\x2dc.socket", "user": True}) == SystemdParameters("a@b\\x2dc.socket", True)
    there = systemd_parameters({"unit": "x.target", "bus": "unix:abstract=here"})
    assert there.address == there.bus == "unix:abstract=here"


def test_the_usual_buses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's word on the buses is obeyed; else they are where they always are."""
    system, user = systemd_parameters({"unit": "x.service"}), systemd_parameters({"unit": "x.service", "user": True})
    for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert system.address == "unix:path=/run/dbus/system_bus_socket"
    assert user.address == f"unix:path=/run/user/{os.getuid()}/bus"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/mine")
    assert user.address == "unix:path=/run/mine/bus"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/s")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/u")
    assert (system.address, user.address) == ("unix:path=/s", "unix:path=/u")


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({}, "unit", "is missing"),
        ({"unit": 5}, "unit", "must be a text"),
        ({"unit": "dovecot"}, "unit", 'did you mean "dovecot.service"?'),
        ({"unit": "dovecot.conf"}, "unit", "no ending of a unit"),
        ({"unit": "dov ecot.service"}, "unit", "cannot be the name"),
        ({"unit": "../x.service"}, "unit", "cannot be the name"),
        ({"unit": "x" * 250 + ".service"}, "unit", "cannot be the name"),
        ({"unit": "dovecot@.service"}, "unit", 'name an instance of it: "dovecot@NAME.service"'),
        ({"unit": "user.slice"}, "unit", "a .slice is not started and stopped"),
        ({"unit": "x.service", "user": "yes"}, "user", "true or false"),
        ({"unit": "x.service", "bus": "/run/dbus/system_bus_socket"}, "bus", "unix:path="),
        ({"unit": "x.service", "bus": "tcp:host=example.org,port=1"}, "bus", "local bus"),
        ({"unit": "x.service", "bus": "unix:path=/x;tcp:host=y"}, "bus", "local bus"),
        ({"unit": "x.service", "bus": "unix:path=/x", "user": True}, "bus", "leave out one of the two"),
        ({"unit": "x.service", "units": "y"}, "units", 'did you mean "unit"?'),
    ],
)
def test_each_mistake_is_named(parameters: dict[str, object], key: str, words: str) -> None:
    """S10: one mistake gives one problem that says what is wrong and what would mend it."""
    problems = CONTROLLER_KINDS["systemd"].problems(parameters)
    assert [(problem.key, words in f"{problem.message} {problem.hint}") for problem in problems] == [(key, True)]


def test_a_missing_library_is_told_with_its_cure() -> None:
    """Without the optional dependency the kind itself is the problem, beside all the others."""
    assert is_library_there()
    assert not is_library_there("no_such_library_anywhere")
    problems = systemd_problems({"unit": "dovecot"}, library_there=False)
    assert [problem.key for problem in problems] == ["kind", "unit"]
    assert problems[0].hint == "pip install looksalive[systemd]"
    assert systemd_problems({"unit": "dovecot.service"}) == ()
