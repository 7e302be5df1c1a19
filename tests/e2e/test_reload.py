"""Edits of a live store: a bad one changes nothing and names every mistake, a good one changes what it names."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.servers import misbehaving
from tests.e2e.servers.misbehaving import Peer
from tests.e2e.service import Service
from tests.e2e.stores import Keys, virtual_server, write_metabase, write_whole

GREETING = misbehaving.says(b"220 hello\r\n")
RELOADS_WITHIN_S = 5.0
EXIT_BAD_STORE = 78

MISTAKES: Keys = {
    "/smtp/1": {"bindings": ["127.0.0.1:99999"]},
    "/smtp/2": {"bindngs": ["127.0.0.1:25"]},
    "/gopher/1": {"bindings": ["127.0.0.1:70"]},
    "/http/1": {"bindings": ["127.0.0.1:80"], "expect_status": "lots"},
}
NAMED = ("99999", "/keys/~1smtp~11/bindings/0", 'did you mean "bindings"', "/gopher", "expect_status")


def counted(service: Service, resource: str) -> float:
    """Return how many probes of a resource were started."""
    return service.metric("probe_attempts_total", group="default", resource=resource)


@pytest.mark.parametrize("told", ["polled", "SIGHUP"])
def test_a_broken_edit_is_refused_whole_and_a_good_one_applied(told: str, folder: Path) -> None:
    """Every mistake of an edit is logged, the old store stays in force, and the next good edit is taken."""
    store = folder / "store"
    with Peer(GREETING) as first, Peer(GREETING) as second:
        write_metabase(store, {"/smtp/1": virtual_server(first.port)})
        with Service(store) as service:
            service.wait_all_alive()
            assert service.metric("config_last_reload_successful") == 1
            write_metabase(store, MISTAKES, revision=2)
            if told == "SIGHUP":
                service.signal(signal.SIGHUP)
            service.wait(
                lambda _: service.metric("config_last_reload_successful") == 0, "the refusal", RELOADS_WITHIN_S
            )
            for words in NAMED:
                service.wait_for_log(words.replace('"', r'\\?"'))
            assert list(service.wait_all_alive()) == ["default/smtp-1"]
            probes = counted(service, "smtp-1")
            service.wait(lambda _: counted(service, "smtp-1") > probes, "the old store's checks to go on")
            write_metabase(
                store, {"/smtp/1": virtual_server(first.port), "/smtp/2": virtual_server(second.port)}, revision=3
            )
            if told == "SIGHUP":
                service.signal(signal.SIGHUP)
            service.wait_for("default/smtp-2", alive=True)
            assert service.metric("config_last_reload_successful") == 1


def test_a_good_edit_changes_only_what_it_names(folder: Path) -> None:
    """An unchanged resource keeps state, counters, cache and due time; the changed one follows, the removed is gone."""
    store = folder / "store"
    with Peer(GREETING) as kept, Peer(GREETING) as before, Peer(GREETING) as after:
        keys: Keys = {
            "/smtp/kept": virtual_server(kept.port, poll_interval_s=3600),
            "/smtp/moved": virtual_server(before.port),
            "/smtp/gone": virtual_server(before.port),
        }
        write_metabase(store, keys)
        with Service(store) as service:
            service.wait_all_alive()
            probes, since = counted(service, "smtp-kept"), service.resource("default/smtp-kept")["since"]
            events = [each for each in service.events() if each["id"] == "default/smtp-kept"]
            assert (probes, after.served) == (1, 0)
            del keys["/smtp/gone"]
            keys["/smtp/moved"] = virtual_server(after.port)
            keys["/smtp/added"] = virtual_server(before.port)
            write_metabase(store, keys, revision=2)
            service.wait_for("default/smtp-added", alive=True)
            service.wait(lambda _: after.served > 0, "the moved binding to be asked")
            assert "default/smtp-gone" not in service.resources()
            assert not [labels for _, labels in service.metrics() if ("resource", "smtp-gone") in labels]
            assert (counted(service, "smtp-kept"), kept.served) == (probes, 1)
            assert service.resource("default/smtp-kept")["since"] == pytest.approx(since, abs=0.001)
            assert [each for each in service.events() if each["id"] == "default/smtp-kept"] == events


def test_a_binding_is_read_at_check_time(folder: Path) -> None:
    """S30: a binding that was edited to a dead port fails by it, and edited back it is alive, without any restart."""
    store = folder / "store"
    with Peer(GREETING) as peer:
        write_metabase(store, {"/smtp/1": virtual_server(peer.port)})
        with Service(store) as service:
            service.wait_all_alive()
            write_metabase(store, {"/smtp/1": virtual_server(free_port())}, revision=2)
            service.wait_for("default/smtp-1", alive=False, reason="connect_refused")
            write_metabase(store, {"/smtp/1": virtual_server(peer.port)}, revision=3)
            service.wait_for("default/smtp-1", alive=True)


def test_a_half_written_file_is_not_the_end(folder: Path) -> None:
    """A file that is no JSON at all is refused like any mistake; so is one that vanished."""
    store = folder / "store"
    with Peer(GREETING) as peer:
        metabase = write_metabase(store, {"/smtp/1": virtual_server(peer.port)})
        with Service(store) as service:
            service.wait_all_alive()
            good = metabase.read_text()
            write_whole(metabase, good[: len(good) // 2])
            service.wait(
                lambda _: service.metric("config_last_reload_successful") == 0, "the refusal", RELOADS_WITHIN_S
            )
            write_whole(metabase, good)
            service.wait(
                lambda _: service.metric("config_last_reload_successful") == 1, "the acceptance", RELOADS_WITHIN_S
            )
            metabase.unlink()
            service.wait(
                lambda _: service.metric("config_last_reload_successful") == 0, "the refusal", RELOADS_WITHIN_S
            )
            assert service.wait_all_alive()


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_bad_store_ends_with_every_mistake_named(command: str, folder: Path) -> None:
    """`validate` and `run` both refuse a bad store: every mistake by file, place and pointer, and `run` exits 78."""
    store = folder / "store"
    write_metabase(store, MISTAKES)
    extra: tuple[Any, ...] = ("--listen", "127.0.0.1:0", "--state-dir", str(folder)) if command == "run" else ()
    done = looksalive(command, "--store", str(store), *extra)
    assert done.returncode == EXIT_BAD_STORE if command == "run" else done.returncode != 0
    said = done.stdout + done.stderr
    for words in NAMED:
        assert words in said
    assert "Traceback" not in said
    assert "metabase.json: /smtp/1: bindings[0]: port 99999 is above 65535" in said


def test_a_store_that_is_not_there_is_named_with_what_makes_one(folder: Path) -> None:
    """`run` on a folder that does not exist names the folder, the option and the command that makes a store."""
    store = folder / "none"
    done = looksalive("run", "--store", str(store), "--listen", "127.0.0.1:0", "--state-dir", str(folder / "state"))
    assert done.returncode == EXIT_BAD_STORE
    assert f"there is no folder {store}; pass another --store DIR" in done.stderr
    assert f"looksalive init --store {store}" in done.stderr


def test_a_good_store_validates(folder: Path) -> None:
    """`validate` is quiet and exits 0 for a good store, without asking any server."""
    with Peer(GREETING) as peer:
        write_metabase(folder / "store", {"/smtp/1": virtual_server(peer.port)})
        assert looksalive("validate", "--store", str(folder / "store")).returncode == 0
        assert peer.served == 0
