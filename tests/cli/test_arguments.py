"""The table of commands, what every command's help says, and how mistakes are answered."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from probe.cli import main
from probe.cli.arguments import COMMANDS, EXIT_FAILED, EXIT_PROBE_UNKNOWN, EXIT_USAGE, Command
from probe.version import __version__

HEAVY = ("aiohttp", "uvloop", "msgspec", "asyncio", "logging", "probe.values", "bindings.model")
BY_NAME = {command.name: command for command in COMMANDS}

each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


@each_command
def test_help_has_an_example_every_exit_code_and_json(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command's --help has an example, all its exit codes with their meaning, and --json."""
    assert main([command.name, "--help"]) == 0
    text = capsys.readouterr().out
    assert command.summary in " ".join(text.split())
    assert any(f"  {example}\n" in text for example in command.examples)
    assert command.examples
    assert all(f"looksalive {command.name}" in example for example in command.examples)
    listed = {int(line.split()[0]) for line in text.partition("exit codes:\n")[2].splitlines()}
    assert listed == {code for code, _ in command.exits}
    assert 0 in listed
    assert "--json" in text


@each_command
def test_an_unknown_option_is_bad_usage(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """An option nobody knows is named, help is pointed at, and the exit code is the command's own for bad usage."""
    assert (
        main([command.name, "--no-such-option"])
        == (EXIT_PROBE_UNKNOWN if command.name == "check" else EXIT_USAGE)
        == command.usage_exit
    )
    text = capsys.readouterr().err
    assert text.startswith(f"looksalive {command.name}: ")
    assert f"Try: looksalive {command.name} --help" in text


def test_the_commands_are_those_of_the_contract() -> None:
    """The table names exactly the commands that exist."""
    expected = """run check validate status watch events report wait online offline restart terminate upgrade
        maintenance move drain drift plan replay create delete set metabase health init completion demo"""
    assert [command.name for command in COMMANDS] == expected.split()


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`looksalive --help` is made from the same table."""
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS:
        assert any(line.split() == [command.name, *command.summary.split()] for line in lines)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints name and version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"looksalive {__version__}\n"


def test_nothing_said_prints_help_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help goes to stderr and the exit code says bad usage."""
    assert main([]) == EXIT_USAGE
    captured = capsys.readouterr()
    assert "commands:" in captured.err
    assert captured.out == ""


def test_a_mistyped_command_is_mended(capsys: pytest.CaptureFixture[str]) -> None:
    """A command nearly right is answered with the right one."""
    assert main(["statsu"]) == EXIT_USAGE
    assert "there is no command 'statsu'; did you mean 'status'?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["status", "--help"], ["wait", "--help"], ["run", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """Help is there at once: no event loop, no HTTP, no store model is imported for it."""
    script = f"import sys; from probe.cli import main; main({words!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert not set(done.stderr.split()) & set(HEAVY)


def test_the_module_runs_as_a_program() -> None:
    """`python -m probe.cli` is the command and exits with its code."""
    done = subprocess.run(
        [sys.executable, "-m", "probe.cli", "validate"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == EXIT_USAGE
    assert "--store" in done.stderr


def test_a_reader_who_leaves_is_no_error() -> None:
    """A closed pipe (`looksalive run --help | head -1`) ends quietly, without a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "probe.cli", "run", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        text=True,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == EXIT_FAILED
