"""`looksalive validate`: read a store as `run` would, and print every mistake or what is in it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.arguments import EXIT_OK, EXIT_STORE
from probe.cli.output import plural, print_json, safe

if TYPE_CHECKING:
    from bindings.model import Store, StoreProblem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the store and --json."""
    parser.add_argument("--store", metavar="DIR", help="folder with metabase.json and cluster.json  [LOOKSALIVE_STORE]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Read, check both ways (the closed part by bindings, types and controllers by resources), and tell."""
    path = arguments.store or os.environ.get("LOOKSALIVE_STORE")
    if not path:
        parser.error("--store DIR is missing (or set LOOKSALIVE_STORE)")
    problems, store = _read(str(Path(path).expanduser()))
    if arguments.json:
        print_json({"ok": not problems, "problems": [_as_object(problem) for problem in problems], **_counts(store)})
    elif store is None:
        for problem in problems:
            print(safe(problem), file=sys.stderr)
    else:
        counts = _counts(store)
        groups = plural(counts["groups"], "group")
        resources = plural(counts["resources"], "resource")
        print(f"ok: {plural(counts['virtual_servers'], 'virtual server')}, {resources} in {groups}")
    return EXIT_STORE if problems else EXIT_OK


def _read(path: str) -> tuple[tuple[StoreProblem, ...], Store | None]:
    from bindings.errors import StoreError
    from bindings.model import StoreProblem
    from bindings.store import StoreFolder
    from probe.controllers import CONTROLLER_KINDS
    from probe.environment.files import RealFiles
    from probe.resources import check_store

    files = RealFiles()
    if files.stamp(path) is None:
        return (StoreProblem(path, "", "", "there is no such folder", "make it, or pass another --store DIR"),), None
    try:
        store = StoreFolder(files, path).load()
    except StoreError as error:
        return error.problems, None
    problems = tuple(check_store(store, CONTROLLER_KINDS))
    return problems, None if problems else store


def _as_object(problem: StoreProblem) -> dict[str, str]:
    return {name: getattr(problem, name) for name in ("file", "pointer", "place", "message", "hint")}


def _counts(store: Store | None) -> dict[str, int]:
    if store is None:
        return {}
    return {
        "virtual_servers": len(store.virtual_servers),
        "groups": len(store.groups),
        "resources": sum(len(group.resources) for group in store.groups.values()),
    }
