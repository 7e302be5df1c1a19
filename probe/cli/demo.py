"""`looksalive demo`: write the demo's store, then run it like any other."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from probe.cli.arguments import EXIT_FAILED, EXIT_STORE
from probe.cli.output import complain
from probe.cli.settings import add_run_flags, settings_of, state_home, told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `run`; here the store is written by the demo itself."""
    add_run_flags(parser, store_help="folder to write the demo's store into (store, in the state folder)")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Write the store where there is none yet, and run until told to end."""
    values = told(arguments, os.environ, parser)
    try:
        state_dir: Path = values["state_dir"] or _state_dir(os.environ)
    except RuntimeError:
        parser.error("this user has no home folder for state; pass --state-dir DIR (or set LOOKSALIVE_STATE_DIR)")
    from probe.demo.store import write_demo_store

    try:
        written = write_demo_store(str(values["store"] or state_dir / "store"), sys.executable)
    except OSError as error:
        complain("demo", f"cannot write the demo's store: {error.strerror}: {error.filename}; pass --state-dir DIR")
        return EXIT_FAILED
    except ValueError as error:
        complain("demo", str(error))
        return EXIT_STORE
    ports = written.ports

    def tell(url: str, pids: Mapping[str, int]) -> None:
        from probe.demo.text import demo_text

        print(demo_text(url, ports, pids), flush=True)

    settings = settings_of(
        values,
        store=Path(written.directory),
        state_dir=state_dir,
        on_terminal=sys.stderr.isatty(),
        on_ready=tell,
    )
    from probe.cli.run import run

    return run(settings)


def _state_dir(variables: Mapping[str, str]) -> Path:
    """The demo has a folder of its own, so that it never meets a real store's state. Raises RuntimeError."""
    given = variables.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else state_home(variables) / "demo"
