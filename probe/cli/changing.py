"""What the commands that change a store share: its flags, opening it, showing what would be written, and the end."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_STORE
from probe.cli.output import Style, complain, print_json, safe
from probe.cli.settings import DIRECTORY_FLAGS, FLAGS, add_flags, default_state_dir, directory_of, told

if TYPE_CHECKING:
    from bindings.model import StoreProblem
    from bindings.store import StoreFolder
    from probe.directory.changes import Changes, Done, Preview
    from probe.environment.files import RealFiles
    from probe.resources.changes import Change, Present
    from probe.values import ResourceId

_OWN = (*(flag for flag in FLAGS if flag.name in ("--store", "--state-dir")), *DIRECTORY_FLAGS)


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is about to be changed."""

    store_dir: str
    state_dir: str
    files: RealFiles
    folder: StoreFolder
    changes: Changes


Plan = Callable[["Present"], "Change"]
Guard = Callable[["Change", ExitStack], "int | None"]  # an exit code when it must not be made now


def add_change_flags(parser: argparse.ArgumentParser) -> None:
    """Add the folders, the directory's flags, and how to confirm."""
    add_flags(parser, _OWN)
    parser.add_argument("--dry-run", action="store_true", help="show what would be written, write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def open_store(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Opened:
    """Open the folder and its directory; a usage error ends here."""
    from bindings.store import StoreFolder
    from probe.controllers import CONTROLLER_KINDS
    from probe.directory.changes import Changes
    from probe.directory.contract import DirectoryError
    from probe.directory.opening import open_directory
    from probe.directory.pending import Pending
    from probe.environment.files import RealFiles
    from probe.environment.streams import RealStreams

    values = told(arguments, os.environ, parser, _OWN)
    if values["store"] is None:
        parser.error("--store DIR is missing (or set LOOKSALIVE_STORE)")
    files, store_dir = RealFiles(), str(values["store"])
    if files.stamp(store_dir) is None:
        parser.error(f"--store: there is no folder {store_dir}; make it, or pass another")
    try:
        state_dir = str(values["state_dir"] or default_state_dir(Path(store_dir), os.environ))
        directory = open_directory(directory_of(values), files, RealStreams(), store_dir, state_dir)
    except RuntimeError:
        parser.error("this user has no home folder for state; pass --state-dir DIR (or set LOOKSALIVE_STATE_DIR)")
    except DirectoryError as error:
        parser.error(str(error))
    folder = StoreFolder(files, store_dir, state_dir)
    changes = Changes(folder, directory, Pending(files, state_dir), CONTROLLER_KINDS)
    return Opened(store_dir, state_dir, files, folder, changes)


def change_store(
    arguments: argparse.Namespace, opened: Opened, plan: Plan, *, guard: Guard | None = None, must_ask: bool = False
) -> int:
    """Plan, show, ask, write, tell; every refusal becomes a sentence and an exit code.

    `must_ask`: without a terminal it is not done unless --yes says so.
    """
    from bindings.errors import StoreError, WriteRefused
    from probe.directory.contract import DirectoryError
    from probe.resources.changes import Refused

    finished: tuple[ResourceId, ...] = ()
    try:
        finished = () if arguments.dry_run else opened.changes.finish()
        change = plan(opened.changes.read())
        preview = opened.changes.preview(change)
        if arguments.dry_run:
            _tell(arguments, change, preview, None)
            return EXIT_OK
        if change.edit and not _confirmed(arguments, change, preview, must_ask=must_ask):
            return _refuse(arguments, "not_confirmed", "nothing was written; pass --yes to write without being asked")
        with ExitStack() as held:
            code = guard(change, held) if guard is not None else None
            if code is not None:
                return code
            done = opened.changes.carry_out(change)
    except Refused as refused:
        if refused.code == "no_such_resource" and any(_concerns(id, arguments) for id in finished):
            return _tell_finished(arguments, finished)
        return _refuse(arguments, refused.code, refused.message)
    except StoreError as error:
        return tell_problems(error.problems, as_json=arguments.json)
    except WriteRefused as error:
        return _refuse(arguments, error.code, str(error))
    except DirectoryError as error:
        return _refuse(arguments, "directory", str(error), EXIT_CANNOT_ASK)
    _tell(arguments, change, preview, done)
    return EXIT_OK


def tell_problems(problems: tuple[StoreProblem, ...], *, as_json: bool) -> int:
    """Print every mistake in the store as it is, or as it would be."""
    if as_json:
        names = ("file", "pointer", "place", "message", "hint")
        print_json({"problems": [{name: getattr(problem, name) for name in names} for problem in problems]})
    for problem in () if as_json else problems:
        print(safe(problem), file=sys.stderr)
    return EXIT_STORE


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _confirmed(arguments: argparse.Namespace, change: Change, preview: Preview, *, must_ask: bool) -> bool:
    if arguments.yes:
        return True
    if not on_terminal() or arguments.json:
        return not must_ask
    _show(change, preview)
    try:
        return input("Write this? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _refuse(arguments: argparse.Namespace, code: str, message: str, exit_code: int = EXIT_FAILED) -> int:
    if arguments.json:
        print_json({"error": {"code": code, "message": message}})
    complain(arguments.command, message)
    return exit_code


def _concerns(id: ResourceId, arguments: argparse.Namespace) -> bool:
    group, _, name = getattr(arguments, "target", "").partition("/")
    return id.group == group and name in ("", id.name)


def _tell_finished(arguments: argparse.Namespace, finished: tuple[ResourceId, ...]) -> int:
    """An earlier run broke off behind the store's part; the rest was done just now."""
    ids = [str(id) for id in finished]
    if arguments.json:
        print_json({"changed": False, "finished": ids})
    else:
        print(f"done: an earlier run had left {safe(', '.join(ids))} to be told to the directory")
    return EXIT_OK


def _tell(arguments: argparse.Namespace, change: Change, preview: Preview, done: Done | None) -> None:
    if arguments.json:
        print_json(_as_object(change, done))
        return
    if done is None:
        _show(change, preview)
    elif not done.changed:
        print("nothing to write: it is so already")
    else:
        for line in _summary(change):
            print(line)
    for note in change.notes:
        print(f"note: {safe(note)}")
    if done is not None and done.pending:
        ids = ", ".join(map(str, done.pending))
        complain(arguments.command, f"directory_pending: {ids} will be told to the directory later ({done.why})")


def _show(change: Change, preview: Preview) -> None:
    style = Style(sys.stdout)
    colours = {"+": "green", "-": "red", "@": "dim"}
    for file, before, after in preview.files:
        for line in _diff(file, before, after):
            print(style.paint(colours.get(line[:1], ""), safe(line)))
    if not change.edit:
        print("nothing to write: it is so already")


def _diff(file: str, before: bytes | None, after: bytes) -> Iterator[str]:
    old = [] if before is None else before.decode("utf-8", "replace").splitlines()
    new = after.decode("utf-8", "replace").splitlines()
    return difflib.unified_diff(old, new, f"{file} (now)", f"{file} (then)", lineterm="")


def _summary(change: Change) -> Iterator[str]:
    edit = change.edit
    gone = {group for group, properties in edit.groups.items() if properties is None}
    for id in change.ids:
        properties = edit.resources.get(id)
        if properties is not None:
            yield f"written: {safe(id)} ({safe(properties.get('type'))})"
        elif id in edit.resources or id.group in gone:
            yield f"deleted: {safe(id)}"
    for key, wanted in edit.keys.items():
        yield f"{'deleted' if wanted is None else 'written'}: the virtual server {safe(key)}"


def _as_object(change: Change, done: Done | None) -> dict[str, Any]:
    edit = change.edit
    gone = [group for group, properties in edit.groups.items() if properties is None]
    resources = {str(id): edit.resources.get(id) for id in change.ids if id in edit.resources or id.group in gone}
    answer: dict[str, Any] = {
        "changed": bool(edit),
        "dry_run": done is None,
        "resources": resources,
        "metabase": dict(edit.keys),
        "notes": list(change.notes),
        "directory_pending": [] if done is None else [str(id) for id in done.pending],
    }
    if done is not None:
        answer["revisions"] = {"metabase": done.revisions.metabase, "cluster": done.revisions.cluster}
    return answer
