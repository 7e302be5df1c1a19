"""Write `deploy/TYPES.md` anew after a type has changed: `python -m tests.resources.documentation`.

Everything in it comes from the table of types: traits, who asks, and the table of parameters.
"""

from __future__ import annotations

from pathlib import Path

from probe.resources import TYPES, ResourceType
from probe.resources.contract import always
from probe.resources.reading import Parameter

PAGE = Path(__file__).parents[2] / "deploy" / "TYPES.md"

HEAD = """\
# Resource types

What a resource is: `"type": "TYPE"` in `cluster.json`, beside it `"parameters": {...}`. Each is checked before anything
is done with it, and every mistake is told with its mend. An argv is a list of words; no shell reads it.

A type of your own: a module with a table `{name: ResourceType}` (`probe/resources/contract.py`), declared by the entry
point group `looksalive.types` of your package. A module that does not load disables itself only; `looksalive run` logs
which and why.

This page is written from the code by `python -m tests.resources.documentation`.
"""

OBSERVED = {
    "address": "looked at: the address is there, on its interface",
    "name": "looked at: the name leads to the group's address",
    "disk": "looked at: it is mounted, has room, and takes a small write",
    "argv": "asked by its own program: exit status 0 is alive",
}
RULES = {
    "online_waits_forever": "Going online has no time-out.",
    "kill_when_offline_hangs": "An offline that does not return in time ends in a kill of its process.",
    "dismounts_on_terminate": "Terminate runs the offline procedure first.",
    "stops_the_whole_service": "Its offline stops the whole service, for all who share it.",
    "one_per_cluster": "A cluster has one.",
}


def page() -> str:
    """Write the page as it should be."""
    return "\n".join([HEAD, *(section(name, row) for name, row in TYPES.items())])


def section(name: str, row: ResourceType) -> str:
    """Write what is said of one type."""
    lines = [f"## {name}", "", f"Its health: {health(row)}. {' '.join(rules(row))}".strip(), ""]
    if row.parameters:
        lines += ["| parameter | what | default | for |", "|---|---|---|---|", *map(parameter, row.parameters), ""]
    return "\n".join(lines)


def health(row: ResourceType) -> str:
    """Say how it is known whether it is alive."""
    if row.observer is not None:
        return OBSERVED[row.observer]
    if row.virtual_server is not None:
        return "asked by the conversation with its virtual server"
    if row.checked is always:
        return "asked over the network, where its parameters say"
    if "health" in [each.name for each in row.parameters]:
        return "asked at `health`; without that it is as alive as its controller says"
    return "as alive as its controller says"


def rules(row: ResourceType) -> list[str]:
    """Say what is odd about it."""
    said = [text for trait, text in RULES.items() if getattr(row.traits, trait)]
    if row.traits.recreated_with:
        said.append(f"Once deleted it comes back with its {row.traits.recreated_with} only.")
    return said


def parameter(each: Parameter) -> str:
    """Write one parameter as a row of the table."""
    default = "needed" if each.required else f"`{each.default}`" if each.default else ""
    cells = (f"`{each.name}`", each.value, default, each.about)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
