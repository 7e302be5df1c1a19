"""The outside of `run`: the application and its server, as it was told to be."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

from bindings.parse import StoreError
from bindings.store import Files
from probe.api.app import ApiSettings, Server, make_app, serve
from probe.api.certificates import Certificates
from probe.api.limits import Limits, limits_for
from probe.cli.output import complain
from probe.cli.outside import CLIENTS_MAX, OutsideSettings
from probe.cli.settings import RunSettings
from probe.environment import Environment
from probe.history.journal import Journal
from probe.metrics import Metrics
from probe.runtime import Reader

DESCRIPTORS_KEPT = 1024  # however many clients were asked for


def complain_of_store(error: StoreError, store: Path, files: Files) -> None:
    """Print every mistake of a store that is not run, and how one is made where there is none."""
    for problem in error.problems:
        print(problem, file=sys.stderr)
    if files.stamp(str(store)) is None:
        make = f"looksalive init --store {store} makes one of what listens here"
        complain("run", f"there is no folder {store}; pass another --store DIR, or: {make}")


async def open_server(
    settings: RunSettings, environment: Environment, metrics: Metrics, reader: Reader, journal: Journal | None
) -> Server:
    """Begin to listen. Raises OSError where that is taken, and WebConfigError with every mistake of TLS."""
    path = settings.outside.web_config
    certificates = None if path is None else Certificates(environment.files, str(path))
    told = ApiSettings(
        allowed_hosts=settings.allowed_hosts,
        token_file=None if settings.token_file is None else str(settings.token_file),
        files=environment.files,
        limits=_limits(settings.outside),
        trusted_proxies=settings.outside.trusted_proxies,
        audit=None if journal is None else journal.audit,
        instance=f"{os.getpid()}-{environment.clock.wall():.0f}",
    )
    return await serve(make_app(reader, metrics, told), settings.listen_host, settings.listen_port, certificates)


def _limits(outside: OutsideSettings) -> Limits:
    """Make the limits; where nobody said how many, half of the descriptors are left to probes, else a few."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = soft // 2 if outside.clients_max == CLIENTS_MAX else soft - DESCRIPTORS_KEPT
    clients = max(1, min(outside.clients_max, left))
    return replace(limits_for(clients), per_address=outside.connections_per_address)
