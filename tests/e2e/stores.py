"""Write store folders as a user would, in the published format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QUICK = {"probe_timeout_s": 1.0, "poll_interval_s": 0.5, "fast_interval_s": 0.2}  # for tests that wait for an edge

Keys = dict[str, dict[str, Any]]


def virtual_server(*bindings: int, secure: tuple[int, ...] = (), **properties: Any) -> dict[str, Any]:
    """Write a key of the metabase from loopback ports."""
    made: dict[str, Any] = {}
    if bindings:
        made["bindings"] = [f"127.0.0.1:{port}" for port in bindings]
    if secure:
        made["secure_bindings"] = [f"127.0.0.1:{port}" for port in secure]
    return made | properties


def write_metabase(store: Path, keys: Keys, *, revision: int = 1, **defaults: Any) -> Path:
    """Write `metabase.json` in one step; `defaults` go to the root key on top of QUICK."""
    store.mkdir(exist_ok=True)
    return write_whole(
        store / "metabase.json",
        json.dumps({"schema_version": 1, "revision": revision, "keys": {"/": QUICK | defaults, **keys}}, indent=1),
    )


def write_cluster(store: Path, group: str, resources: dict[str, dict[str, Any]], *, revision: int = 1) -> Path:
    """Write `cluster.json` with one group."""
    document = {"schema_version": 1, "revision": revision, "groups": {group: {"resources": resources}}}
    return write_whole(store / "cluster.json", json.dumps(document, indent=1))


def write_whole(path: Path, text: str) -> Path:
    """Replace a file in one step, so that no reader sees half of it."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(path)
    return path


def process(command: list[str], **parameters: Any) -> dict[str, Any]:
    """Write the process controller of a resource."""
    return {"kind": "process", "command": command, **parameters}
