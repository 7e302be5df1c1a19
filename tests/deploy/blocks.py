"""The command blocks of the documents, and what is said of each: who runs it, or why nobody does.

A block is ```` ```sh ````. The comment right above it may say `<!-- needs: PROGRAM ... -->`, or
`<!-- not run: REASON -->`; where a whole section is executed by another test, `ELSEWHERE` names that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.house import ROOT

DOCUMENTS = ("README.md", "deploy/README.md")
ELSEWHERE = {("deploy/README.md", "Containers"): "tests/e2e"}  # builds images, and takes its commands from the page


@dataclass(frozen=True)
class Block:
    """One block: where it stands, what it says, what it needs, and why it is not run where it is not."""

    document: str
    line: int
    section: str
    text: str
    needs: tuple[str, ...] = ()
    not_run: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks_of(document: str, text: str) -> list[Block]:
    """Read the blocks of a document. Raises ValueError at a fence that does not end."""
    found, section, comment = [], "", ""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.startswith("## "):
            section = line.removeprefix("## ")
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
        not_run = re.fullmatch(r"<!-- not run: (.+) -->", comment)
        found.append(
            Block(
                document,
                number,
                section,
                "\n".join(said) + "\n",
                tuple(needs[1].split()) if needs else (),
                not_run[1] if not_run else "",
            )
        )
        comment = ""
    return found


def all_blocks() -> list[Block]:
    """Read all documents."""
    return [block for name in DOCUMENTS for block in blocks_of(name, (ROOT / name).read_text(encoding="utf-8"))]
