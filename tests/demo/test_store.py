"""The demo's store: a right one, in the reference's shape, on ports that are free."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.demo.store import PORTS, write_demo_store
from probe.environment.files import RealFiles
from probe.resources.checking import check_store


def test_the_store_is_right_and_in_the_reference_s_shape(tmp_path: Path) -> None:
    """S15: smtp, pop3, imap and http depend on the store, that on the system attendant; nothing in it is a mistake."""
    written = write_demo_store(str(tmp_path / "demo"), sys.executable)
    store = StoreFolder(RealFiles(), written.directory).load()
    assert check_store(store, CONTROLLER_KINDS) == []
    resources = store.groups["evs1"].resources
    shape = {name: each.depends_on for name, each in resources.items()}
    assert (shape.pop("sa"), shape.pop("store")) == ((), ("sa",))
    assert shape == dict.fromkeys(("smtp", "pop3", "imap", "http"), ("store",))
    assert {name: each.controller.kind for name, each in resources.items() if name != "sa"} == dict.fromkeys(
        ["store", *PORTS], "process"
    )
    for name, port in written.ports.items():
        server = store.virtual_servers[f"/{name}/1"]
        assert [(each.address, each.port) for each in server.bindings] == [("127.0.0.1", port)]
        assert (server.poll_interval_s, server.probe_timeout_s) == (1, 1)
        assert str(port) in resources[name].controller.parameters["command"]  # type: ignore[operator] # checked above


def test_taken_ports_are_avoided(tmp_path: Path) -> None:
    """A usual port that somebody has is replaced by a free one above 1024; all differ."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", PORTS["smtp"]))
        except OSError:
            pass  # somebody else holds it: as good
        else:
            holder.listen()
        ports = write_demo_store(str(tmp_path), sys.executable).ports
    assert ports["smtp"] != PORTS["smtp"]
    assert len(set(ports.values())) == len(PORTS)
    assert min(ports.values()) > 1024


def test_a_store_that_is_there_is_kept(tmp_path: Path) -> None:
    """A second demo in the same folder finds the same ports, so that services left running are adopted; edits stay."""
    first = write_demo_store(str(tmp_path), sys.executable)
    metabase = tmp_path / "metabase.json"
    metabase.write_text(metabase.read_text().replace("Embedded smtp service", "Mine"))
    cluster = (tmp_path / "cluster.json").read_text()
    assert write_demo_store(str(tmp_path), "/other/python") == first
    assert "Mine" in metabase.read_text()
    assert (tmp_path / "cluster.json").read_text() == cluster


def test_services_of_an_environment_that_is_gone_are_started_by_this_one(tmp_path: Path) -> None:
    """A demo whose earlier checkout or environment was removed starts its services; edits of the store stay."""
    write_demo_store(str(tmp_path), str(tmp_path / "gone" / "python"))
    cluster = tmp_path / "cluster.json"
    edited = cluster.read_text().replace('"restart_threshold": 20', '"restart_threshold": 7')
    cluster.write_text(edited)
    write_demo_store(str(tmp_path), sys.executable)
    assert cluster.read_text() == edited.replace(str(tmp_path / "gone" / "python"), sys.executable)


@pytest.mark.parametrize("content", ["", "[]", '{"groups": {"evs1": {"resources": {"smtp": {"controller": 7}}}}}'])
def test_a_cluster_of_another_shape_is_left_to_be_judged(tmp_path: Path, content: str) -> None:
    """What is no demo's cluster is neither changed nor a crash; `run` names its mistakes."""
    write_demo_store(str(tmp_path), sys.executable)
    (tmp_path / "cluster.json").write_text(content)
    write_demo_store(str(tmp_path), sys.executable)
    assert (tmp_path / "cluster.json").read_text() == content


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": {"/smtp/1": {"bindings": ["[::1]:25"]}}}'])
def test_another_s_store_is_not_overwritten(tmp_path: Path, content: str) -> None:
    """A folder that holds a store of the user's own is refused, untouched."""
    (tmp_path / "metabase.json").write_text(content)
    with pytest.raises(ValueError, match="is not the demo's"):
        write_demo_store(str(tmp_path), sys.executable)
    assert (tmp_path / "metabase.json").read_text() == content
    assert not (tmp_path / "cluster.json").exists()
