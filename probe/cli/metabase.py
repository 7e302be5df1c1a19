"""`looksalive metabase get | set`: one key of metabase.json on the store itself, `command` and `state` in place."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_FAILED, EXIT_OK
from probe.cli.changing import tell_problems
from probe.cli.output import complain, print_json, safe

if TYPE_CHECKING:
    from bindings.model import Store, StoreProblem
    from bindings.store import StoreFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, the key, and the words."""
    parser.add_argument("deed", choices=("get", "set"), help="show a key as written, or change it")
    parser.add_argument("path", metavar="PATH", help="a key: /smtp/1, or the defaults of a protocol: /smtp")
    parser.add_argument(
        "words", nargs="*", metavar="KEY=VALUE", help="with set; KEY=null: what is inherited holds again"
    )
    parser.add_argument("--merge", metavar="OBJECT", help="with set: a JSON object to merge in (RFC 7396)")
    parser.add_argument("--if-revision", type=int, metavar="N", help="with set: only if the store is still at that one")
    parser.add_argument("--store", metavar="DIR", help="folder with metabase.json and cluster.json  [LOOKSALIVE_STORE]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Show the key, or change it and show what it is then."""
    from bindings.errors import StoreError, WriteRefused
    from bindings.store import StoreFolder
    from probe.environment.files import RealFiles

    path = arguments.store or os.environ.get("LOOKSALIVE_STORE")
    if not path:
        parser.error("--store DIR is missing (or set LOOKSALIVE_STORE)")
    store_dir = str(Path(path).expanduser())
    files = RealFiles()
    if files.stamp(store_dir) is None:
        parser.error(f"--store: there is no folder {store_dir}; make it, or pass another")
    folder = StoreFolder(files, store_dir)
    patch = _patch(arguments, parser)
    try:
        if patch is not None:
            present = folder.documents()[0].revision
            based_on = present if arguments.if_revision is None else arguments.if_revision
            folder.patch_metabase(arguments.path, patch, based_on=based_on, check=_check)
        return _show(arguments, folder)
    except StoreError as error:
        return tell_problems(error.problems, as_json=arguments.json)
    except WriteRefused as error:
        return _refuse(arguments, error.code, str(error))


def _patch(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> dict[str, Any] | None:
    """Gather what is to be merged; None to show. Ends in a usage error."""
    from bindings.properties import DEFAULT_RULES, RULES
    from probe.cli.words import BadWord, read_value, split_word

    given = bool(arguments.words or arguments.merge)
    if arguments.deed == "get":
        if given or arguments.if_revision is not None:
            parser.error("get shows a key; to change it write set")
        return None
    if not given:
        parser.error("set what? Write KEY=VALUE, for example bindings=127.0.0.1:25, or --merge OBJECT")
    try:
        patch = json.loads(arguments.merge) if arguments.merge else {}
    except ValueError as error:
        parser.error(f"--merge: not JSON: {error}")
    if not isinstance(patch, dict):
        parser.error("--merge takes an object, for example '{\"rise\": 2}'")
    protocol = arguments.path.strip("/").partition("/")[0]
    rules = RULES.get(protocol, DEFAULT_RULES)
    for word in arguments.words:
        try:
            key, text = split_word(word)
            name, _, inner = key.partition(".")
            if text == "null":
                value: Any = None
            elif inner or name not in rules:  # the store's own check names what is wrong with it
                value = _json_or_text(text)
            else:
                value = read_value(rules[name], name, text)
            patch |= {name: {**patch.get(name, {}), inner: value}} if inner else {name: value}
        except BadWord as error:
            parser.error(str(error))
    return patch


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _check(store: Store) -> list[StoreProblem]:
    from probe.controllers import CONTROLLER_KINDS
    from probe.resources import check_store

    return check_store(store, CONTROLLER_KINDS)


def _show(arguments: argparse.Namespace, folder: StoreFolder) -> int:
    found = folder.metabase_key(arguments.path)
    if found is None:
        return _refuse(arguments, "no_such_key", f"metabase.json has no key {arguments.path}")
    revision, properties = found
    if arguments.json:
        print_json({"revision": revision, "key": arguments.path, "properties": properties})
        return EXIT_OK
    for name, value in properties.items():
        print(f"{safe(name)}={safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}")
    return EXIT_OK


def _refuse(arguments: argparse.Namespace, code: str, message: str) -> int:
    if arguments.json:
        print_json({"error": {"code": code, "message": message}})
    complain(arguments.command, message)
    return EXIT_FAILED
