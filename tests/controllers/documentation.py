"""Write `deploy/CONTROLLERS.md` anew after a controller has changed: `python -m tests.controllers.documentation`.

A row comes from the kind's own table of parameters, a paragraph from the first line of its module.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from probe.controllers import CONTROLLER_KINDS, PARAMETERS
from probe.controllers.reading import Parameter

PAGE = Path(__file__).parents[2] / "deploy" / "CONTROLLERS.md"

HEAD = """\
# Controllers

Who starts and stops a resource's service: `"controller": {"kind": "KIND", ...}` in `cluster.json`. Beside the kind
stand that kind's parameters, checked before anything is done with them. An argv is a list of words; no shell reads it.

This page is written from the code by `python -m tests.controllers.documentation`.
"""


def page() -> str:
    """Write the page as it should be."""
    return "\n".join([HEAD, *(section(kind, PARAMETERS[kind]) for kind in CONTROLLER_KINDS)])


def section(kind: str, parameters: tuple[Parameter, ...]) -> str:
    """Write what is said of one kind."""
    about = importlib.import_module(f"probe.controllers.{kind}").__doc__ or ""
    lines = [f"## {kind}", "", about.strip().partition("\n\n")[0].replace("\n", " "), ""]
    if parameters:
        lines += ["| parameter | what | default | for |", "|---|---|---|---|", *map(row, parameters), ""]
    return "\n".join(lines)


def row(parameter: Parameter) -> str:
    """Write one parameter as a row of the table."""
    default = "needed" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    cells = (f"`{parameter.name}`", parameter.value, default, parameter.about)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
