"""Write `deploy/CONTROLLERS.md` anew after a controller has changed: `python -m tests.controllers.documentation`.

A row comes from the kind's own table of parameters, the text above it from the beginning of its module.
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

SHARED = {"One service for several resources": "sharing", "Instances and storage groups": "instances"}


def page() -> str:
    """Write the page as it should be."""
    shared = [f"## {title}\n\n{about(module)}\n" for title, module in SHARED.items()]
    return "\n".join([HEAD, *shared, *(section(kind, PARAMETERS[kind]) for kind in CONTROLLER_KINDS)])


def section(kind: str, parameters: tuple[Parameter, ...]) -> str:
    """Write what is said of one kind."""
    lines = [f"## {kind}", "", about(kind), ""]
    if parameters:
        lines += ["| parameter | what | default | for |", "|---|---|---|---|", *map(row, parameters), ""]
    return "\n".join(lines)


def about(module: str) -> str:
    """Take what a module says of itself: what it is, and how it behaves."""
    text = (importlib.import_module(f"probe.controllers.{module}").__doc__ or "").strip()
    summary, *rest = text.split("\n\n")
    behaviour = [part for part in rest if part.startswith("How it behaves:")]
    return "\n\n".join([summary.replace("\n", " "), *(part.replace(":\n1.", ":\n\n1.", 1) for part in behaviour)])


def row(parameter: Parameter) -> str:
    """Write one parameter as a row of the table."""
    default = "needed" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    cells = (f"`{parameter.name}`", parameter.value, default, parameter.about)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
