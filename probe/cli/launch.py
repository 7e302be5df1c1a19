"""`looksalive run`: read the flags and their variables, then hand over to the service."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from probe.cli.settings import add_run_flags, default_state_dir, settings_of, store_here, told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `run`, from the table in settings.py."""
    add_run_flags(
        parser, store_help="folder with metabase.json and, if wanted, cluster.json (store, where init writes it)"
    )


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Settle the folders, fill in the defaults and run until told to end."""
    values = told(arguments, os.environ, parser)
    store = values["store"] or store_here()
    if store is None:
        parser.error(
            "--store DIR is missing (or set LOOKSALIVE_STORE); "
            "looksalive init makes one of what listens here, looksalive demo needs none"
        )
    try:
        state_dir = values["state_dir"] or default_state_dir(store, os.environ)
    except RuntimeError:
        parser.error("this user has no home folder for state; pass --state-dir DIR (or set LOOKSALIVE_STATE_DIR)")
    settings = settings_of(values, store=store, state_dir=state_dir, on_terminal=sys.stderr.isatty())
    signal.signal(signal.SIGTERM, _end_at_once)  # until the service takes signals itself
    from probe.cli.run import run  # the whole service: only when it is really to run

    return run(settings)


def _end_at_once(number: int, frame: object) -> None:
    """End well: nothing has been started yet."""
    del number, frame
    sys.exit(0)
