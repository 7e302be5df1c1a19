"""Let a row's server stand and ask it with our own engine, as `looksalive check` does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from bindings.metabase import read_metabase
from bindings.mistakes import Mistakes
from bindings.model import VirtualServer
from probe.environment import Network
from probe.environment.network import RealNetwork
from probe.monitor.once import probe_once
from probe.monitor.rounds import judge
from probe.values import Reason, Stage
from tests.e2e.servers.misbehaving import Peer
from tests.monitor.rig import real_environment, with_network
from tests.truth.ground import Ground, Starved, ground_of
from tests.truth.kit import Kit
from tests.truth.rows import TIMEOUT_S, Place, Row

HOLD_S = 5.0


@dataclass(frozen=True)
class Standing:
    """A row's server at work, and the ground to ask it from."""

    row: Row
    kit: Kit
    ground: Ground
    place: Place
    peer: Peer | None

    @property
    def binding(self) -> str:
        """Write where it is, as the store does."""
        return f"{self.place[0]}:{self.place[1]}" + (f":{self.row.host}" if self.row.host else "")


@dataclass(frozen=True)
class Answer:
    """What our check said."""

    reason: Reason
    stage: Stage | None
    evidence: str
    took_s: float  # to the verdict; a goodbye may follow


@contextlib.contextmanager
def standing(row: Row, kit: Kit) -> Iterator[Standing]:
    """Make the ground, let the server stand on it, prepare the ground for the question."""
    with ground_of(row) as ground, contextlib.ExitStack() as stack:
        inside = ground if row.ground == "namespace" else Ground()  # the server is not the one in the sandbox
        server = row.standing(kit)
        place, peer = inside.call(server.__enter__)
        stack.callback(server.__exit__, None, None, None)
        ground.prepare([command.format(port=place[1]) for command in row.setup])
        for _ in range(row.held):
            stack.enter_context(inside.call(lambda: socket.create_connection(place, HOLD_S)))
        yield Standing(row, kit, ground, place, peer)


def ask(stood: Standing) -> Answer:
    """Ask once."""
    return stood.ground.call(lambda: asyncio.run(_ask(stood)))


async def _ask(stood: Standing) -> Answer:
    network = Starved() if stood.row.ground == "starved" else RealNetwork()
    server = virtual_server(stood)
    results = await probe_once(with_network(real_environment(), cast("Network", network)), server)
    result = judge(server.binding_policy, results)
    return Answer(result.verdict.reason, result.verdict.stage, result.verdict.evidence, result.ended - result.started)


def virtual_server(stood: Standing) -> VirtualServer:
    """Make the virtual server of the question: by the store's own parser, from what the row says."""
    row = stood.row
    key = f"/{row.protocol}/row"
    properties = cast("dict[str, Any]", placed(row.asked, stood.kit))
    properties = {"probe_timeout_s": TIMEOUT_S, **properties}
    properties["secure_bindings" if row.secure else "bindings"] = [stood.binding]
    mistakes = Mistakes("")
    document = {"schema_version": 1, "keys": {key: properties}}
    metabase = read_metabase(json.dumps(document).encode(), mistakes)
    assert metabase is not None
    assert not mistakes.summary(), mistakes.summary()
    return metabase.servers[key]


def placed(value: object, kit: Kit) -> object:
    """Write the files of the kit with their whole paths."""
    if isinstance(value, Mapping):
        return {name: placed(inner, kit) for name, inner in value.items()}
    if isinstance(value, str) and value.endswith((".pem", ".key")):
        return str(kit.file_named(value))
    return value
