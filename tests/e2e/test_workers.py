"""`run --workers 2` as a whole: the same answers, and a worker's death is nobody's failure."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.listeners import Listeners, failures
from tests.e2e.processes import descendants, signal_all, stat_of
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.test_kernel import need_kernel_events
from tests.e2e.waiting import wait_until

COUNT = 40  # enough for each of two workers to have a share
SOON_S = 10.0


def started(folder: Path, listeners: Listeners, **timings: Any) -> Service:
    """A service with two workers that watches the listeners."""
    write_metabase(folder / "store", listeners.keys, **timings)
    return Service(folder / "store", "--workers", "2")


def workers_of(service: Service) -> list[int]:
    """Return the pids of its workers, once both have said that they live."""
    wait_until(lambda: service.metric("workers", state="running") == 2, "two workers", SOON_S)
    return descendants(service.pid)


def gone(pids: list[int]) -> bool:
    """Whether none of the processes is left."""
    return not any(stat_of(pid) for pid in pids)


def counters(service: Service) -> dict[Any, float]:
    """Return every counter and every count of a histogram."""
    names = ("_total", "_count", "_bucket")
    return {key: value for key, value in service.metrics().items() if key[0].endswith(names)}


def asked(service: Service) -> dict[str, float]:
    """Return how often each resource was asked."""
    return {
        dict(labels)["resource"]: value
        for (name, labels), value in service.metrics().items()
        if name == "looksalive_probe_attempts_total"
    }


def test_everything_is_asked_and_a_death_told_once(folder: Path) -> None:
    """All alive by two processes; a killed listener is told once, at once, by the kernel's word, with its dialogue."""
    with Listeners(COUNT) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        assert len(workers_of(service)) == 2
        wait_until(lambda: service.get("/readyz").status == 200, "ready", SOON_S)
        wait_until(lambda: min(asked(service).values()) >= 3, "three rounds of everything", SOON_S)
        assert service.metric("probe_lag_seconds_count") >= 3 * COUNT
        assert service.metric("probe_stage_duration_seconds_count", protocol="smtp", stage="banner") >= 3 * COUNT
        need_kernel_events(service)
        listeners.kill(5)
        found = service.wait_for("default/smtp-5", state="failed")
        assert found["verdict"] == "failed"
        wait_until(lambda: service.metric("probe_failures_total", resource="smtp-5") >= 3, "more rounds", SOON_S)
        assert {id: len(events) for id, events in failures(service).items()} == {"default/smtp-5": 1}
        (event,) = failures(service)["default/smtp-5"]
        assert (event["trigger"], event["reason"]) == ("kernel", "listener_gone")
        assert service.metric("detection_seconds_count", trigger="kernel") == 1
        assert service.metric("detection_seconds_bucket", trigger="kernel", le="1.0") == 1
        transcripts = service.get("/api/v1/resources/default/smtp-5/transcript").json
        assert "connect_refused" in str(transcripts)


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_worker_is_replaced_and_nothing_is_told(which: int, folder: Path) -> None:
    """SIGKILL of a worker: no failure, no answer lost, no counter falls; the next one goes on within seconds."""
    with Listeners(COUNT) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        pids = workers_of(service)
        wait_until(lambda: min(asked(service).values()) >= 3, "three rounds of everything", SOON_S)
        revision = service.get("/api/v1/status").json["revision"]
        before, rounds = counters(service), asked(service)
        os.kill(pids[which], signal.SIGKILL)
        for _ in range(20):  # all the while
            assert all((each["alive"], each["stale"]) == (True, False) for each in service.resources().values())
        wait_until(lambda: service.metric("worker_restarts_total") == 1, "its end", SOON_S)
        assert service.wait_for_log("worker [12] is gone").count("killed by SIGKILL") == 1
        fresh = workers_of(service)
        assert len(fresh) == 2
        assert len(set(fresh) - set(pids)) == 1
        wait_until(
            lambda: all(asked(service)[name] > rounds[name] for name in rounds), "everything asked again", SOON_S
        )
        after = counters(service)
        assert all(after[key] >= value for key, value in before.items())
        assert service.get("/api/v1/status").json["revision"] == revision
        assert failures(service) == {}
        assert service.get("/readyz").status == 200
        listeners.kill(0)
        listeners.kill(7)
        service.wait_for("default/smtp-0", state="failed")
        service.wait_for("default/smtp-7", state="failed")


def test_a_stopped_worker_is_killed_and_replaced(folder: Path) -> None:
    """SIGSTOP of a worker: it says nothing, is killed and replaced; no failure is told."""
    with Listeners(COUNT) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        pids = workers_of(service)
        os.kill(pids[0], signal.SIGSTOP)
        wait_until(lambda: gone(pids[:1]), "its end", 30.0)
        workers_of(service)
        assert service.wait_for_log("worker [12] is gone").count("no sign of life") == 1
        assert failures(service) == {}


def test_the_main_process_leaves_nobody(folder: Path) -> None:
    """SIGKILL of the main process: the workers end by themselves; the next run finds everything as it was."""
    with Listeners(COUNT) as listeners:
        service = started(folder, listeners)
        with service:
            service.wait_all_alive(SOON_S)
            pids = workers_of(service)
            service.kill()
            wait_until(lambda: gone(pids), "the workers' end", SOON_S)
        with service:
            service.wait_all_alive(SOON_S)


@pytest.mark.parametrize("to_all", [False, True])
def test_an_end_in_order_leaves_nobody(to_all: bool, folder: Path) -> None:
    """SIGTERM to the main process alone, or to all as a service manager does: exit 0, nobody left, no failure told."""
    with Listeners(COUNT) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        pids = workers_of(service)
        if to_all:
            signal_all(pids, signal.SIGTERM)
        assert service.stop() == 0
        assert gone(pids)
        assert "is gone" not in service.log


def test_an_edit_of_the_store_reaches_the_workers(folder: Path) -> None:
    """A changed binding is asked by its worker, a removed resource no more, a new one is; the rest goes on."""
    with Listeners(COUNT) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        workers_of(service)
        rounds = asked(service)["smtp-3"]
        keys = listeners.keys
        del keys["/smtp/1"]
        keys["/smtp/2"] = virtual_server(listeners.ports[1])
        keys["/smtp/new"] = virtual_server(listeners.ports[0])
        write_metabase(folder / "store", keys, revision=2)
        service.wait(lambda found: "default/smtp-1" not in found and "default/smtp-new" in found, "the edit")
        service.wait_all_alive(SOON_S)
        listeners.kill(2)
        os.kill(listeners.pids[1], signal.SIGKILL)
        service.wait_for("default/smtp-2", state="failed")
        wait_until(lambda: asked(service)["smtp-3"] > rounds, "the rest", SOON_S)
        assert set(failures(service)) == {"default/smtp-2"}


def test_a_few_are_asked_by_one_worker(folder: Path) -> None:
    """A small store needs one worker of several; it is found alive, and its death is told as ever."""
    with Listeners(3) as listeners, started(folder, listeners) as service:
        service.wait_all_alive(SOON_S)
        assert len(descendants(service.pid)) == 1
        listeners.kill(1)
        service.wait_for("default/smtp-1", state="failed")
        assert set(failures(service)) == {"default/smtp-1"}
