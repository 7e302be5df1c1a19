"""Services that say by themselves how they are: real gRPC health and HTTP JSON, asked once and all the time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import COMMAND, looksalive
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.health import HealthServer
from tests.e2e.service import Service
from tests.e2e.stores import write_cluster, write_metabase

ALIVE, FAILED = 0, 2
QUICK = {"poll_interval_s": 0.3, "fast_interval_s": 0.1, "controller": {"kind": "none"}}


@pytest.fixture
def server(folder: Path, authority: Authority) -> Iterator[HealthServer]:
    """A store of this test's own."""
    with HealthServer(folder / "health", authority.good) as made:
        yield made


def test_check_asks_a_real_grpc_server(server: HealthServer, authority: Authority) -> None:
    """S23: grpc:// and grpcs:// ask grpcio's own health service, about a name or about the whole server."""
    plain, secure = f"grpc://127.0.0.1:{server.grpc_port}", f"grpcs://127.0.0.1:{server.grpcs_port}"
    server.activate("evs1")
    for url, status, reason, evidence in (
        (f"{plain}/evs1", ALIVE, "matched", "evs1 is SERVING"),
        (plain, ALIVE, "matched", "the server is SERVING"),
        (f"{secure}/evs1", ALIVE, "matched", "evs1 is SERVING"),
        (f"{plain}/evs2", FAILED, "not_serving", "evs2 is NOT_SERVING"),
        (f"{plain}/evs3", FAILED, "not_serving", "evs3 is NOT_FOUND"),
        (f"grpc://127.0.0.1:{server.http_port}", FAILED, "http_malformed", "no HTTP/2: "),
    ):
        done = looksalive("check", "--json", "--tls.ca-file", str(authority.ca_file), url)
        said = json.loads(done.stdout)
        assert (done.returncode, said["reason"]) == (status, reason), said
        assert said["evidence"].startswith(evidence)
        assert bool(said.get("tls")) is url.startswith("grpcs")


def test_what_was_said_is_judged_again(server: HealthServer, tmp_path: Path) -> None:
    """A gRPC dialogue is kept and replayed like any other, with the service that it was about."""
    done = looksalive("check", "--json", "--explain", f"grpc://127.0.0.1:{server.grpc_port}/evs3")
    (tmp_path / "said.json").write_text(done.stdout)
    again = looksalive("check", "--json", "--replay", str(tmp_path / "said.json"))
    assert again.returncode == FAILED, again.stderr
    said = json.loads(again.stdout)
    assert said["now"] == said["then"]
    assert said["now"]["evidence"] == "evs3 is NOT_FOUND"


def test_a_group_follows_what_its_store_says(folder: Path, server: HealthServer) -> None:
    """S23, S40: stores by gRPC and by JSON, a search and a grpc resource go down and come back by their own word."""
    at = f"127.0.0.1:{server.http_port}"
    resources = {
        "by-grpc": {"type": "information-store",
                    "parameters": {"name": "evs1", "health": f"grpc://127.0.0.1:{server.grpc_port}"}},
        "by-json": {"type": "information-store", "parameters": {"name": "evs1", "health": f"http://{at}/active"}},
        "search": {"type": "search", "parameters": {"index": "evs1", "health": f"http://{at}/index"}},
        "whole": {"type": "grpc", "parameters": {"target": f"127.0.0.1:{server.grpc_port}", "service": "evs2"}},
    }  # fmt: skip
    store = folder / "store"
    write_metabase(store, {})
    write_cluster(store, "evs1", {name: resource | QUICK for name, resource in resources.items()})
    with Service(store) as service:
        assert set(service.wait_all_alive()) == {f"evs1/{name}" for name in resources}
        server.activate("evs2")
        for name, reason in (("by-grpc", "not_serving"), ("by-json", "not_serving"), ("search", "index_invalid")):
            said = service.wait_for(f"evs1/{name}", alive=False, reason=reason)
            assert "evs1" in said["evidence"]
        assert service.resource("evs1/whole")["alive"]
        server.activate("evs1", "evs2")
        service.wait_all_alive()
        server.stop()
        service.wait_for("evs1/by-grpc", alive=False)
        server.start()
        service.wait_all_alive(20.0)


def test_a_broken_module_is_told_once_and_takes_nothing_with_it(folder: Path) -> None:
    """S1: a package whose types do not load is one line in the log; what is there is watched."""
    package = folder / "package"
    metadata = package / "broken-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[looksalive.types]\nqueue = no_such_module:TYPES\n")
    store = folder / "store"
    write_metabase(store, {})
    write_cluster(store, "g", {"r": {"type": "service", "controller": {"kind": "none"}}})
    program = ("env", f"PYTHONPATH={package}:{Path(__file__).parents[2]}", *COMMAND)
    with Service(store, program=program) as service:
        service.wait_all_alive()
        line = service.wait_for_log("no_such_module:TYPES")
        assert "the resource types of the module" in line
        assert "No module named 'no_such_module'" in line
        assert service.log.count("no_such_module:TYPES") == 1
