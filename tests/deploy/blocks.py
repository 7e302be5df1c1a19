"""The command blocks of the documents, and what is said of each: what it needs, and which test runs it.

A block is ```` ```sh ````. The comment right above it may say `<!-- needs: PROGRAM ... -->`; or, of a block that wants
more than a shell in an empty folder, `<!-- run by: TEST -->`, a file of tests that takes it from here by `run_by`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.house import ROOT

DOCUMENTS = ("README.md", "deploy/README.md")


@dataclass(frozen=True)
class Block:
    """One block: where it stands, what it says, what it needs, and the test that runs it where it is not just run."""

    document: str
    line: int
    text: str
    needs: tuple[str, ...] = ()
    run_by: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(document: str, text: str) -> list[Block]:
    """Read the blocks of a document. Raises ValueError at a fence that does not end."""
    found, comment = [], ""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if not line.startswith("```sh"):
            comment = line if line.startswith("<!--") else ""
            continue
        said: list[str] = []
        for _, inner in lines:
            if inner == "```":
                break
            said.append(inner)
        else:
            raise ValueError(f"{document}:{number}: the block does not end")
        needs = re.fullmatch(r"<!-- needs: (.+) -->", comment)
        elsewhere = re.fullmatch(r"<!-- run by: (\S+) -->", comment)
        if comment and not needs and not elsewhere:
            raise ValueError(f"{document}:{number}: what does {comment} mean?")
        found.append(
            Block(
                document,
                number,
                "\n".join(said) + "\n",
                tuple(needs[1].split()) if needs else (),
                elsewhere[1] if elsewhere else "",
            )
        )
        comment = ""
    return found


def all_blocks() -> list[Block]:
    """Read all documents."""
    return [block for name in DOCUMENTS for block in blocks_of(name, (ROOT / name).read_text(encoding="utf-8"))]


def run_by(test: str) -> list[Block]:
    """Return the blocks that a file of tests has to run, in the documents' order."""
    return [block for block in all_blocks() if block.run_by == test]
