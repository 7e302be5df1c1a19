"""What the store may say of a controller, and every mistake in it."""

from __future__ import annotations

import pytest

from bindings.model import Controller, Group, Resource, Store
from probe.controllers import CONTROLLER_KINDS
from probe.controllers.contract import ParametersError
from probe.controllers.parameters import ProcessParameters, process_parameters
from probe.resources.checking import check_store


def test_only_the_command_is_needed() -> None:
    """The defaults are those of the published store format."""
    assert process_parameters({"command": ["postfix", "start-fg"]}) == ProcessParameters(
        command=("postfix", "start-fg"), kill_after_s=10.0, output="file", environment=None, directory=None
    )


def test_every_parameter_is_read() -> None:
    """Each key arrives where it belongs."""
    assert process_parameters(
        {
            "command": ["/bin/served", ""],
            "kill_after_s": 3,
            "output": "inherit",
            "environment": {"LANG": ""},
            "directory": "/srv",
        }
    ) == ProcessParameters(("/bin/served", ""), 3.0, "inherit", {"LANG": ""}, "/srv")


def test_all_problems_are_told_at_once() -> None:
    """Several mistakes give several problems, each under its key."""
    with pytest.raises(ParametersError) as caught:
        process_parameters({"comand": ["x"], "kill_after_s": -1, "output": "syslog", "directory": "srv"})
    assert [problem.key for problem in caught.value.problems] == [
        "comand",
        "command",
        "kill_after_s",
        "output",
        "directory",
    ]
    assert caught.value.problems[0].hint == 'did you mean "command"?'


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({}, "command", "is missing"),
        ({"command": "postfix start-fg"}, "command", "no shell reads it"),
        ({"command": []}, "command", "list of words"),
        ({"command": ["x", 1]}, "command", "word 1 is not a string"),
        ({"command": [1]}, "command", "word 0 is not a string"),
        ({"command": ["x", "a\0b"]}, "command", "NUL"),
        ({"command": [""]}, "command", "empty"),
        ({"command": ["bin/served"]}, "command", "is relative"),
        ({"command": ["x"] * 1025}, "command", "more than 1024"),
        ({"command": ["x"], "kill_after_s": True}, "kill_after_s", "number"),
        ({"command": ["x"], "kill_after_s": "10"}, "kill_after_s", "number"),
        ({"command": ["x"], "kill_after_s": float("nan")}, "kill_after_s", "number"),
        ({"command": ["x"], "kill_after_s": 3601}, "kill_after_s", "not between 0 and 3600"),
        ({"command": ["x"], "output": None}, "output", '"file" or "inherit"'),
        ({"command": ["x"], "environment": ["A=1"]}, "environment", "object"),
        ({"command": ["x"], "environment": {"A=B": "1"}}, "environment", "'A=B'"),
        ({"command": ["x"], "environment": {"A": 1}}, "environment", "'A' must be a string"),
        ({"command": ["x"], "directory": "."}, "directory", "absolute"),
        ({"command": ["x"], "user": "mail"}, "user", 'unknown key "user"'),
    ],
)
def test_each_mistake_is_named(parameters: dict[str, object], key: str, words: str) -> None:
    """One mistake gives one problem that says what is wrong."""
    problems = CONTROLLER_KINDS["process"].problems(parameters)
    assert [(problem.key, words in problem.message) for problem in problems] == [(key, True)]


def test_none_takes_no_parameters() -> None:
    """A parameter of controller none is a mistake; none at all is right."""
    problems = CONTROLLER_KINDS["none"].problems
    assert [problem.key for problem in problems({"command": ["x"]})] == ["command"]
    assert list(problems({})) == []


def test_only_what_the_process_controller_runs_ends_with_us() -> None:
    """The table tells the core who can act and whose services end with us."""
    rows = CONTROLLER_KINDS.values()
    assert [row.kind for row in rows if not row.acts] == ["none"]
    assert [row.kind for row in rows if row.ours_to_stop] == ["process"]


def test_the_store_s_checker_points_at_the_parameter() -> None:
    """S10: a controller's mistake is reported at its place in cluster.json."""
    resource = Resource(
        group="g", name="r", type="service", controller=Controller("process", {"command": ["x"], "outptu": "file"})
    )
    store = Store(1, 1, {}, {"g": Group("g", (), {"r": resource})})
    (problem,) = check_store(store, CONTROLLER_KINDS)
    assert (problem.pointer, problem.hint) == ("/groups/g/resources/r/controller/outptu", 'did you mean "output"?')
