"""Completion: the scripts, sourced in a real bash, zsh and fish."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import COMMANDS, EXIT_OK
from probe.cli.completion import shapes
from tests.cli.service import FakeService, resource, serving, status_of
from tests.cli.tmux import terminal
from tests.e2e.command import COMMAND, surroundings
from tests.e2e.programs import need

ENDS_WITHIN_S = 60.0
Complete = Callable[[str], list[str]]
SERVICE = (resource("evs1/store"), resource("evs1/smtp"), resource("evs2/$(touch x)"))


def script(shell: str, folder: Path) -> Path:
    """Write a shell's script, and a program of our name that it can call."""
    made = subprocess.run(
        [*COMMAND, "completion", shell], capture_output=True, check=True, env=surroundings(), timeout=ENDS_WITHIN_S
    )
    path = folder / f"looksalive.{shell}"
    path.write_bytes(made.stdout)
    ours = folder / "looksalive"
    ours.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    ours.chmod(0o755)
    (folder / "store").mkdir()
    return path


def environment(folder: Path, url: str) -> dict[str, str]:
    """What the shells find: our program first, and the service."""
    path = f"{folder}:{surroundings()['PATH']}"
    return surroundings(PATH=path, LOOKSALIVE_URL=url, HOME=str(folder), TERM="xterm", LANG="C.UTF-8")


def in_bash(folder: Path, url: str) -> Complete:
    """Complete as bash does: the function is called with the line so far."""
    path = script("bash", folder)

    def complete(line: str) -> list[str]:
        text = (
            f'source {path}; COMP_LINE=$1; COMP_POINT=${{#1}}; read -ra COMP_WORDS <<<"$1";'
            " COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _looksalive 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        return _lines(["bash", "--norc", "-c", text, "bash", line], folder, url)

    return complete


def in_fish(folder: Path, url: str) -> Complete:
    """Complete as fish does, by its own `complete -C`."""
    path = script("fish", folder)

    def complete(line: str) -> list[str]:
        told = _lines(["fish", "--no-config", "-c", f"source {path}; complete -C $argv[1]", line], folder, url)
        return [each.partition("\t")[0].rstrip("/") for each in told]

    return complete


def _lines(command: list[str], folder: Path, url: str) -> list[str]:
    need(command[0], command[0])
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=environment(folder, url),
        cwd=folder,
        timeout=ENDS_WITHIN_S,
        stdin=subprocess.DEVNULL,
    )
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if line]


NOBODY = "http://127.0.0.1:1"
CASES = [
    ("looksalive val", ["validate"]),
    ("looksalive wait --for o", ["offline", "online"]),
    ("looksalive status --colo", ["--color"]),
    ("looksalive run --metrics le", ["lean"]),
    ("looksalive validate --store st", ["store"]),
    ("looksalive status evs1/", ["evs1/smtp", "evs1/store"]),
    ("looksalive plan kill evs1/sm", ["evs1/smtp"]),
    ("looksalive wait --for alive evs1/sm", ["evs1/smtp"]),
    ("looksalive wait --for alive evs1/smtp evs1/st", ["evs1/store"]),
]


@pytest.mark.parametrize("shell", [in_bash, in_fish])
def test_completes(shell: Callable[[Path, str], Complete], tmp_path: Path) -> None:
    """Commands, options, their words, folders, and the resources of the running service."""
    with serving(FakeService(status_of(1, *SERVICE))) as service:
        complete = shell(tmp_path, service.url)
        assert {line: sorted(complete(line)) for line, _ in CASES} == dict(CASES)
        assert set(complete("looksalive ")) >= {command.name for command in COMMANDS}


@pytest.mark.parametrize("shell", [in_bash, in_fish])
def test_resources_are_asked_for_as_the_line_says(shell: Callable[[Path, str], Complete], tmp_path: Path) -> None:
    """The URL and whom to trust are taken from the line that is being typed."""
    with serving(FakeService(status_of(1, *SERVICE))) as service:
        complete = shell(tmp_path, NOBODY)
        assert complete("looksalive status evs1/sm") == []
        assert complete(f"looksalive status --ca-file x --url {service.url} evs1/sm") == ["evs1/smtp"]


def test_completes_in_zsh(tmp_path: Path) -> None:
    """The same at zsh's own prompt, with the Tab key."""
    zsh = need("zsh", "zsh")
    path = script("zsh", tmp_path)
    with serving(FakeService(status_of(1, *SERVICE))) as service:
        variables = {**environment(tmp_path, service.url), "PS1": "ready> "}
        with terminal(tmp_path, ["sh", "-c", f"cd {tmp_path} && exec {zsh} -f"], variables) as screen:
            screen.wait("ready>")
            screen.type(f"autoload -U compinit; compinit -u -D; source {path}; clear")
            screen.press("Enter")
            screen.wait_for(lambda seen: "compinit" not in seen, "a clear screen")
            for line, whole in (
                ("looksalive val", "looksalive validate"),
                ("looksalive wait --for al", "looksalive wait --for alive"),
                ("looksalive status --colo", "looksalive status --color"),
                ("looksalive validate --store st", "looksalive validate --store store"),
                ("looksalive status evs1/st", "looksalive status evs1/store"),
                ("looksalive plan kill evs1/sm", "looksalive plan kill evs1/smtp"),
                ("looksalive drain --ca-file ./s", "looksalive drain --ca-file ./store"),
            ):
                screen.type(line)
                screen.press("Tab")
                screen.wait(f"ready> {whole}")
                screen.press("C-u")
                screen.wait("ready>", gone=whole)


def test_what_is_completed_is_what_is_there() -> None:
    """Every command, and every option of its parser; no text in a script can end its quotes."""
    listed = {shape.name: shape for shape in shapes()}
    assert set(listed) == {command.name for command in COMMANDS}
    assert {name for option in listed["run"].options for name in option.names} >= {"--store", "--listen", "--help"}
    texts = [shape.summary for shape in listed.values()]
    texts += [option.help for shape in listed.values() for option in shape.options]
    assert not [text for text in texts if set(text) & set("'\"`$\\[]{}<>*")]


def test_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """Groups, then resources; a name that could do something in a shell is left out; nobody there is nothing."""
    with serving(FakeService(status_of(1, *SERVICE))) as service:
        assert main(["completion", "ids", "--url", service.url]) == EXIT_OK
    assert capsys.readouterr().out.split() == ["evs1", "evs1/store", "evs1/smtp"]
    assert main(["completion", "ids", "--url", service.url]) == EXIT_OK
    assert main(["completion", "ids", "--json", "--url", "nonsense"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == []
