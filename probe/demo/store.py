"""The demo's store: one group in the reference's dependency shape (S15), its services being ours."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import probe
from bindings.model import Protocol

ADDRESS = "127.0.0.1"
GROUP = "evs1"
PORTS: dict[Protocol, int] = {"smtp": 2525, "pop3": 2110, "imap": 2143, "http": 2080}
STORE_BYTES_MAX = 1 << 20
SERVICE = ["-m", "probe.demo.service"]

_POLICY = {"restart_threshold": 20, "restart_period_s": 60, "pending_timeout_s": 15}  # a demo is killed often


@dataclass(frozen=True, slots=True)
class DemoStore:
    """A written store: its folder and on which port of 127.0.0.1 each service is."""

    directory: str
    ports: dict[str, int]  # by protocol


def write_demo_store(directory: str, python: str) -> DemoStore:
    """Write `metabase.json` and `cluster.json`; services are run by the interpreter `python`.

    A store that is there already stays as it is, so that services left running by `kill -9` are found again on their
    ports and edits survive; only services whose interpreter or sources have gone since (another checkout, a new
    environment) are run by `python` from now on. Raises OSError when the folder cannot be written, ValueError for a
    metabase that is no demo's.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    metabase, cluster = folder / "metabase.json", folder / "cluster.json"
    ports = _ports_of(metabase) if metabase.exists() else _free_ports()
    if not metabase.exists():
        _write(metabase, _metabase(ports))
    if not cluster.exists():
        _write(cluster, _cluster(ports, python))
    else:
        _revive(cluster, python)
    return DemoStore(directory, {str(protocol): port for protocol, port in ports.items()})


def _metabase(ports: dict[Protocol, int]) -> dict[str, object]:
    keys: dict[str, object] = {"/": {"probe_timeout_s": 1, "poll_interval_s": 1, "fast_interval_s": 0.2}}
    for protocol, port in ports.items():
        keys[f"/{protocol}/1"] = {"comment": f"Embedded {protocol} service", "bindings": [f"{ADDRESS}:{port}"]}
    return {"schema_version": 1, "revision": 1, "keys": keys}


def _cluster(ports: dict[Protocol, int], python: str) -> dict[str, object]:
    resources: dict[str, object] = {
        "sa": {"type": "system-attendant", "controller": {"kind": "none"}},
        "store": {
            "type": "information-store",
            "depends_on": ["sa"],
            "controller": _controller(python, "store"),
            "parameters": {"name": GROUP},
            **_POLICY,
        },
    }
    for protocol, port in ports.items():
        resources[protocol] = {
            "type": protocol,
            "depends_on": ["store"],
            "controller": _controller(python, protocol, "--port", str(port)),
            "parameters": {"virtual_server": f"/{protocol}/1"},
            **_POLICY,
        }
    return {"schema_version": 1, "revision": 1, "groups": {GROUP: {"resources": resources}}}


def _controller(python: str, *arguments: str) -> dict[str, object]:
    packages = str(Path(probe.__file__).resolve().parent.parent)  # the services need no installation of the project
    return {
        "kind": "process",
        "command": [python, *SERVICE, *arguments],
        "environment": {"PYTHONPATH": packages},
        "kill_after_s": 2,
    }


def _revive(cluster: Path, python: str) -> None:
    """Have services that can no longer be started run by `python`; what we cannot read is left to `run` to judge."""
    try:
        with cluster.open("rb") as file:
            content = json.loads(file.read(STORE_BYTES_MAX))
        controllers = [one["controller"] for one in content["groups"][GROUP]["resources"].values()]
        dead = [one for one in controllers if one.get("command", [])[1:3] == SERVICE and not _starts(one)]
    except (KeyError, TypeError, AttributeError, ValueError):
        return
    for one in dead:
        one.update(_controller(python, *one["command"][3:]))
    if dead:
        _write(cluster, content)


def _starts(controller: dict[str, Any]) -> bool:
    sources = Path(str(controller.get("environment", {}).get("PYTHONPATH", "")), "probe", "demo", "service.py")
    return Path(str(controller["command"][0])).exists() and sources.exists()


def _write(path: Path, content: dict[str, object]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)


def _ports_of(metabase: Path) -> dict[Protocol, int]:
    """Read back the ports of a demo's metabase. Raises ValueError when it is none."""
    try:
        with metabase.open("rb") as file:
            keys = json.loads(file.read(STORE_BYTES_MAX))["keys"]
        return {protocol: int(keys[f"/{protocol}/1"]["bindings"][0].rpartition(":")[2]) for protocol in PORTS}
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{metabase} is not the demo's; remove it or choose another folder") from error


def _free_ports() -> dict[Protocol, int]:
    """Take the usual port of each service, or any free one when that is taken."""
    chosen: dict[Protocol, int] = {}
    for protocol, usual in PORTS.items():
        chosen[protocol] = next(
            port for port in map(_free_port, (usual, 0, 0, 0, 0)) if port not in (0, *chosen.values())
        )
    return chosen


def _free_port(wanted: int) -> int:
    """Return the port if nobody has it (0: some free port above 1024), or 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probing:
        probing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probing.bind((ADDRESS, wanted))
            probing.listen(1)  # a bind alone succeeds beside a listener that shares its port
        except OSError:
            return 0
        port: int = probing.getsockname()[1]
    return port
