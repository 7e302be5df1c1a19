"""Every command block of README.md and deploy/README.md is executed; one that is not says why, and is read instead."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from probe.api.tokens import parse_tokens
from probe.cli.arguments import COMMANDS, command_parser
from tests.deploy.blocks import DOCUMENTS, ELSEWHERE, Block, all_blocks, blocks_of
from tests.e2e.command import PROJECT
from tests.e2e.processes import sessions_mentioning
from tests.e2e.programs import need, of_tests

PACKAGES = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "openssl": "openssl",
    "curl": "curl",
}
OF_TESTS = ("kubectl",)
ENDS_WITHIN_S = 90.0
RUN = [each for each in all_blocks() if not each.not_run and (each.document, each.section) not in ELSEWHERE]
READ = [each for each in all_blocks() if each.not_run]


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Path]:
    """A folder that looks like the top of the sources and may be written to, with `looksalive` on the PATH."""
    top = tmp_path / "sources"
    top.mkdir()
    for name in ("deploy", "probe", "pyproject.toml"):
        (top / name).symlink_to(PROJECT / name)
    program = tmp_path / "bin" / "looksalive"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m probe.cli "$@"\n')
    program.chmod(0o755)
    yield top
    for session in sessions_mentioning(tmp_path):
        os.killpg(session, signal.SIGKILL)


def execute(block: Block, top: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as somebody at a shell does, in a network of its own where we may make one; end what it leaves."""
    for program in block.needs:
        if program in OF_TESTS:
            of_tests(program)
        else:
            need(program, PACKAGES[program])
    script = top.parent / "block.sh"
    script.write_text(block.text)
    command = ["sh", "-eu", str(script)]
    if os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
        command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
    environment = os.environ | {
        "PATH": f"{top.parent}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(top.parent),
    }
    for name in [name for name in environment if name.startswith("LOOKSALIVE_")]:
        del environment[name]
    output = top.parent / "output"
    with output.open("w") as written:
        process = subprocess.Popen(
            command, cwd=top, env=environment, stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(ENDS_WITHIN_S)
        finally:
            with suppress(ProcessLookupError):  # what it left in the background, or itself where it does not end
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return subprocess.CompletedProcess(command, status, output.read_text())


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_does_what_it_says(block: Block, sources: Path) -> None:
    """Every command of the block succeeds, one after the other, in a fresh folder."""
    done = execute(block, sources)
    assert done.returncode == 0, done.stdout


def test_a_command_that_fails_is_found(sources: Path) -> None:
    """A block in whose middle something fails is a failure, although its last command succeeds."""
    assert execute(Block("x", 1, "", "false\ntrue\n"), sources).returncode != 0


def test_the_token_of_the_sidecar_recipe_is_one(sources: Path) -> None:
    """The secret that the recipe makes holds a token, and the line by which we know it."""
    (block,) = (each for each in RUN if "create secret" in each.text)
    assert execute(block, sources).returncode == 0
    data = yaml.safe_load((sources / "token.yaml").read_text())["data"]
    token, lines = (base64.b64decode(data[name]) for name in ("token", "tokens"))
    (owner,), bad = parse_tokens(lines)
    assert (owner.role.name, owner.digest, bad) == ("OPERATOR", hashlib.sha256(token).digest(), ())


@pytest.mark.parametrize("block", READ, ids=str)
def test_a_block_that_is_not_run_is_right_as_far_as_can_be_read(block: Block) -> None:
    """It says why; the files that it names are there, our command lines are understood, and the shell reads it."""
    assert len(block.not_run.split()) > 3
    for path in re.findall(r"\b(?:deploy|tests)/[\w./-]+\w", block.text + block.not_run):
        assert (PROJECT / path).exists(), path
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.partition(" #")[0])
        if "looksalive" in words[:1]:
            command = next(each for each in COMMANDS if each.name == words[1])
            parser = command_parser(command)
            import_module(f"probe.cli.{command.module}").add_arguments(parser)
            parser.parse_args(words[2:])
    assert subprocess.run(["sh", "-n"], input=block.text, text=True, check=False).returncode == 0


def test_what_is_executed_elsewhere_is() -> None:
    """For a section that another test executes there is one that reads the page."""
    for (document, _), folder in ELSEWHERE.items():
        name = Path(document).name
        readers = [path for path in (PROJECT / folder).glob("test_*.py") if name in path.read_text()]
        assert readers, f"no test in {folder} reads {document}"


def test_blocks_are_found() -> None:
    """Sections, comments above a block and what they say are read; a fence that does not end is an error."""
    text = "## A\n<!-- needs: x y -->\n```sh\none\n```\n\n<!-- not run: because it is so -->\n```sh\ntwo\n```\n"
    assert blocks_of("d", text) == [
        Block("d", 3, "A", "one\n", ("x", "y")),
        Block("d", 8, "A", "two\n", (), "because it is so"),
    ]
    with pytest.raises(ValueError, match="does not end"):
        blocks_of("d", "```sh\none\n")
    assert {block.document for block in RUN} == set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Every link into the sources is to a file that is there."""
    text = (PROJECT / document).read_text(encoding="utf-8")
    links = [each for each in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in each]
    assert links
    assert [each for each in links if not ((PROJECT / document).parent / each).exists()] == []
