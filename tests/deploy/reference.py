"""Write the reference pages anew after the code has changed: `python -m tests.deploy.reference`.

`CLI.md` comes from the parsers, `METRICS.md` from the table of metrics, `REASONS.md` from the closed list, `API.md`
from the OpenAPI document, `STORE.md` from the JSON Schemas.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bindings.schema import cluster_schema, metabase_schema
from probe.api.openapi import document
from probe.api.routes import ROUTES
from probe.cli.arguments import COMMANDS, command_parser
from probe.cli.commands import Command
from probe.metrics import METRICS
from probe.values import DEFINITE, OUTCOME, Outcome, Reason
from tests.deploy.reasons import ABOUT
from tests.house import ROOT

FOLDER = ROOT / "deploy"
MADE = "This page is written from the code by `python -m tests.deploy.reference`."

Json = Mapping[str, Any]


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table; a bar in a cell stays one."""
    lines = [list(heads)]
    lines += [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(re.sub(r" {2,}", " ", f"| {' | '.join(line)} |") for line in lines) + "\n"


# --- CLI ---


def cli() -> str:
    """Write the page of commands."""
    head = f"# Commands\n\n{MADE}\n\nBad usage exits with 2 (`check`: 3) and says what to write instead.\n"
    return "\n".join([head, *map(_command, COMMANDS)])


def _command(command: Command) -> str:
    parser = command_parser(command)
    importlib.import_module(f"probe.cli.{command.module}").add_arguments(parser)
    parts = [f"## looksalive {command.name}\n", f"{command.summary}\n"]
    parts.append("```sh\n" + "\n".join(command.examples) + "\n```\n")
    rows = list(_options(parser))
    if rows:
        parts.append(table(("argument", "what"), rows))
    parts.append(table(("exit code", "meaning"), ((str(code), meaning) for code, meaning in command.exits)))
    return "\n".join(parts)


def _options(parser: argparse.ArgumentParser, before: str = "") -> Iterable[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.help is argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            for name, each in action.choices.items():
                yield from _options(each, f"{before}{name} ")
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else (action.dest or "").upper()
        takes = "" if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction) else metavar
        names = [" ".join(filter(None, (name, takes))) for name in action.option_strings] or [metavar]
        told = parser._get_formatter()._expand_help(action) if action.help else ""
        yield ", ".join(f"`{before}{name}`" for name in names), told


# --- metrics and reasons ---


def metrics() -> str:
    """Write the page of metrics."""
    head = f"""# Metrics

{MADE}

`GET /metrics`. Plain series are there from the start; those with `stage`, `reason`, `from` or `to` appear when they are
first counted; all vanish with their resource. What is not lean is left out with `--metrics=lean`. Beside them are
`process_*`, as every exporter names them. Rules are in [prometheus](prometheus), a dashboard in [grafana](grafana).
"""
    rows = []
    for each in METRICS:
        labels = " ".join(f"`{label}`" for label in each.labels)
        rows.append((f"`{each.full_name}`", each.kind, labels, "yes" if each.lean else "", each.help))
    return f"{head}\n{table(('name', 'kind', 'labels', 'lean', 'meaning'), rows)}"


def reasons() -> str:
    """Write the page of reasons."""
    head = f"""# Reasons

{MADE}

Every verdict has one of these, with the evidence beside it: a bounded, escaped piece of what was seen.
`looksalive status GROUP/NAME` shows both; the transcript of the last failures is at
`/api/v1/resources/GROUP/NAME/transcript`.
"""
    parts = [head]
    for outcome, text in (
        (Outcome.ALIVE, "The service answers as it should."),
        (Outcome.FAILED, "Only these count against a service. One that is definite needs no second look."),
        (
            Outcome.UNKNOWN,
            "These are ours, or the resolver's: they never change `alive`; a run of them makes us unhealthy.",
        ),
    ):
        rows = [
            (f"`{reason}`", ABOUT[reason][0], "yes" if reason in DEFINITE else "", ABOUT[reason][1])
            for reason in Reason
            if OUTCOME[reason] is outcome
        ]
        parts.append(
            f"## {outcome}\n\n{text}\n\n{table(('reason', 'what was seen', 'definite', 'where to look'), rows)}"
        )
    return "\n".join(parts)


# --- API ---


def api() -> str:
    """Write the page of the HTTP API."""
    described: Json = document(ROUTES)
    head = f"""# HTTP API

{MADE}

The machine's version is served at `/openapi.json`. Reading is open on the listening address. What needs a role is off
until `run` has a `--token-file`, and then takes `Authorization: Bearer TOKEN` and `Content-Type: application/json`.
An error is `{{"error": {{"code", "message"}}}}`; a foreign `Host` gets 421, a foreign `Origin` 403.
"""
    roles = {(route.method, route.path): route.role.name.lower() for route in ROUTES if route.role is not None}
    rows = []
    for path, item in described["paths"].items():
        for method, operation in item.items():
            asked = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
            role = roles.get((method.upper(), path), "")
            answers = " ".join(operation["responses"])
            query = " ".join(f"`{name}`" for name in asked)
            rows.append((f"`{method.upper()} {path}`", operation["summary"], query, role, answers))
    routes = table(("request", "what", "query", "role", "answers"), rows)
    shapes = "\n".join(_shape(name, each) for name, each in described["components"]["schemas"].items())
    return f"{head}\n{routes}\n## Shapes\n\n{shapes}"


def _shape(name: str, schema: Json) -> str:
    about = f"{schema['description'].splitlines()[0]}\n\n" if "description" in schema else ""
    if "properties" not in schema:
        return f"### {name}\n\n{about}{_type(schema)}\n"
    needed = set(schema.get("required", ()))
    rows = (
        (f"`{field}`", _type(each), "" if field in needed else "may be missing")
        for field, each in schema["properties"].items()
    )
    return f"### {name}\n\n{about}{table(('field', 'type', ''), rows)}"


def _type(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        return f"list of {_type(schema.get('items') or {})}"
    return kind


# --- store ---


def store() -> str:
    """Write the page of the store."""
    metabase, cluster = metabase_schema(), cluster_schema()
    head = f"""# The store

{MADE}

A folder with `metabase.json` and, if wanted, `cluster.json`; `looksalive validate --store DIR` names every mistake. The
schemas for editors are `bindings/metabase.schema.json` and `bindings/cluster.schema.json`. What a type takes as
`parameters` is in [TYPES.md](TYPES.md), what a controller takes in [CONTROLLERS.md](CONTROLLERS.md).

## metabase.json: virtual servers

A key is `/PROTOCOL/NAME`; `/` and `/PROTOCOL` hold defaults. `null` unsets what is inherited.
"""
    defined: Any = metabase["$defs"]
    properties = {
        name.removeprefix("property."): each for name, each in defined.items() if name.startswith("property.")
    }
    resource = _properties_below(cluster, "type")
    return (
        f"{head}\n{table(('property', 'what', 'default'), _properties(properties))}\n"
        "## cluster.json: resources\n\n"
        "Without the file each virtual server is the resource `default/PROTOCOL-NAME`.\n\n"
        f"{table(('property', 'what', 'default'), _properties(resource))}"
    )


def _properties(described: Json) -> Iterable[tuple[str, str, str]]:
    for name, schema in described.items():
        default = f"`{schema['default']}`" if schema.get("default") not in (None, "", {}, []) else ""
        yield f"`{name}`", str(schema.get("description", "")), default


def _properties_below(schema: Any, name: str) -> Json:
    """Find the properties that have that one among them, and `depends_on`: those of a resource."""
    if isinstance(schema, Mapping):
        own = schema.get("properties")
        if isinstance(own, Mapping) and name in own and "depends_on" in own:
            return own
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            if found := _properties_below(each, name):
                return found
    return {}


PAGES: dict[str, Callable[[], str]] = {
    "CLI.md": cli,
    "METRICS.md": metrics,
    "REASONS.md": reasons,
    "API.md": api,
    "STORE.md": store,
}

if __name__ == "__main__":
    for file, write in PAGES.items():
        (FOLDER / file).write_text(write(), encoding="utf-8")
