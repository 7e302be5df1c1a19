"""From files to what can be run: one list of mistakes of both kinds, or everything the core needs."""

from __future__ import annotations

import json

import pytest

from bindings.parse import StoreError
from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.runtime.loading import load_checked
from probe.values import ResourceId
from tests.sim.files import MemoryFiles
from tests.sim.service import cluster, metabase


def folder(**files: object) -> StoreFolder:
    """Make a store folder in memory."""
    return StoreFolder(
        MemoryFiles.holding({f"/store/{name}.json": json.dumps(content) for name, content in files.items()}), "/store"
    )


def test_good_store_gives_specs_and_servers() -> None:
    """Every resource has its spec; those that converse know whom to ask."""
    loaded = load_checked(folder(metabase=metabase(), cluster=cluster()), CONTROLLER_KINDS)
    smtp = loaded.resource(ResourceId("evs1", "smtp"))
    store = loaded.resource(ResourceId("evs1", "store"))
    assert smtp is not None
    assert store is not None
    server = loaded.virtual_server(smtp)
    assert server is not None
    assert server.key == "/smtp/1"
    assert loaded.virtual_server(store) is None
    assert loaded.spec(ResourceId("evs1", "smtp")).depends_on == (ResourceId("evs1", "store"),)
    assert loaded.resource(ResourceId("evs1", "nobody")) is None
    assert loaded.resource(ResourceId("nowhere", "smtp")) is None


def test_mistake_that_needs_types_is_a_store_error() -> None:
    """What only types and controllers can judge is refused like any other mistake."""
    bad = cluster()
    bad["groups"]["evs1"]["resources"]["smtp"]["type"] = "stmp"  # type: ignore[index] # JSON
    with pytest.raises(StoreError) as caught:
        load_checked(folder(metabase=metabase(), cluster=bad), CONTROLLER_KINDS)
    assert "there is no type 'stmp'" in str(caught.value.problems[0])


def test_a_health_address_is_whom_a_store_asks() -> None:
    """S23, S40: a resource that says where its health is asked for has its virtual server without the metabase."""
    resources = {
        "store": {"type": "information-store", "parameters": {"name": "evs1", "health": "grpc://127.0.0.1:9090"}},
        "search": {"type": "search", "parameters": {"index": "evs1", "health": "http://127.0.0.1:8983"}},
        "sa": {"type": "system-attendant"},
        "disk": {"type": "physical-disk", "parameters": {"mount_point": "/srv"}},
    }
    document = {"schema_version": 1, "groups": {"g": {"resources": resources}}}
    loaded = load_checked(folder(cluster=document), CONTROLLER_KINDS)
    asked = {name: loaded.virtual_server(each) for name, each in loaded.store.groups["g"].resources.items()}
    assert {name: server and (server.protocol, server.subject) for name, server in asked.items()} == {
        "store": ("grpc", "evs1"), "search": ("http", "evs1"), "sa": None, "disk": None
    }  # fmt: skip
    assert [loaded.spec(ResourceId("g", name)).checked for name in resources] == [True, True, False, True]
