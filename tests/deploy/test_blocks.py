"""Every command block of README.md and deploy/README.md is executed: here, or by the test that it names."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
import yaml

from probe.api.tokens import parse_tokens
from tests.deploy.blocks import DOCUMENTS, Block, all_blocks, blocks_of
from tests.deploy.shell import Shell
from tests.e2e.command import PROJECT
from tests.e2e.programs import need, of_tests

PACKAGES = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "openssl": "openssl",
    "curl": "curl",
}
OF_TESTS = ("kubectl",)
BLOCKS = all_blocks()
HERE = [each for each in BLOCKS if not each.run_by]


def execute(block: Block, shell: Shell) -> tuple[int, str]:
    """Run a block as somebody at a shell does."""
    for program in block.needs:
        if program in OF_TESTS:
            of_tests(program)
        else:
            need(program, PACKAGES[program])
    shell.link_sources()
    return shell.run(block.text)


@pytest.mark.parametrize("block", HERE, ids=str)
def test_a_block_does_what_it_says(block: Block, shell: Shell) -> None:
    """Every command of the block succeeds, one after the other, in a fresh folder."""
    status, output = execute(block, shell)
    assert status == 0, output


def test_a_command_that_fails_is_found(shell: Shell) -> None:
    """A block in whose middle something fails is a failure, although its last command succeeds."""
    assert execute(Block("x", 1, "false\ntrue\n"), shell)[0] != 0


def test_the_token_of_the_sidecar_recipe_is_one(shell: Shell) -> None:
    """The secret that the recipe makes holds a token, and the line by which we know it."""
    (block,) = (each for each in HERE if "create secret" in each.text)
    assert execute(block, shell)[0] == 0
    data = yaml.safe_load((shell.top / "token.yaml").read_text())["data"]
    token, lines = (base64.b64decode(data[name]) for name in ("token", "tokens"))
    (owner,), bad = parse_tokens(lines)
    assert (owner.role.name, owner.digest, bad) == ("OPERATOR", hashlib.sha256(token).digest(), ())


@pytest.mark.parametrize("test", sorted({block.run_by for block in BLOCKS} - {""}))
def test_who_is_named_runs_them(test: str) -> None:
    """A file of tests that a block names takes the blocks that name it, and is named by its own path."""
    assert f'run_by("{test}")' in (PROJECT / test).read_text(encoding="utf-8")


def test_blocks_are_found() -> None:
    """Comments above a block and what they say are read; another comment, and a fence without an end, are errors."""
    text = "## A\n<!-- needs: x y -->\n```sh\none\n```\n\n<!-- run by: tests/x.py -->\n```sh\ntwo\n```\n"
    assert blocks_of("d", text) == [Block("d", 3, "one\n", ("x", "y")), Block("d", 8, "two\n", (), "tests/x.py")]
    with pytest.raises(ValueError, match="does not end"):
        blocks_of("d", "```sh\none\n")
    with pytest.raises(ValueError, match="what does <!-- not run --> mean"):
        blocks_of("d", "<!-- not run -->\n```sh\none\n```\n")
    assert {block.document for block in HERE} == set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    """Every link into the sources is to a file that is there."""
    text = (PROJECT / document).read_text(encoding="utf-8")
    links = [each for each in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in each]
    assert links
    assert [each for each in links if not ((PROJECT / document).parent / each).exists()] == []
