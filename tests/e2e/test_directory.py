"""The whole service beside a real slapd: what another tool changed there is in the status and the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.directory.slapd import ADMIN, BASE, PASSWORD, Slapd
from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

EDIT = (
    f"dn: cn=a,ou=evs1,{BASE}\nchangetype: modify\n"
    'delete: description\ndescription: parameters.virtual_server: "/tcp/1"\n-\n'
    'add: description\ndescription: parameters.virtual_server: "/tcp/2"\n'
)
WITHIN_S = 30.0


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    """A slapd of the test's own."""
    server = Slapd(tmp_path / "slapd")
    yield server
    server.close()


def options(slapd: Slapd) -> tuple[str, ...]:
    """The flags that name it."""
    return ("--directory", slapd.url, "--directory-bind-dn", ADMIN, "--directory-password-file", slapd.password_file)


def directory_of(service: Service) -> Any:
    """What the status says of the directory, once it says anything."""
    return service.get("/api/v1/status").json["directory"]


def written(folder: Path) -> Path:
    """A store with one resource in cluster.json."""
    store = write_metabase(
        folder / "store", {f"/tcp/{number}": virtual_server(free_port()) for number in (1, 2)}
    ).parent
    write_cluster(store, "evs1", {"a": {"type": "tcp", "parameters": {"virtual_server": "/tcp/1"}}})
    return store


def test_drift_is_shown(slapd: Slapd, tmp_path: Path) -> None:
    """S73: an edit by ldapmodify is in the status with property and both values, and counted; no password is logged."""
    store = written(tmp_path)
    pushed = looksalive(
        "drift", "--store", str(store), "--state-dir", str(tmp_path / "state"), *options(slapd), "--policy", "push"
    )
    assert pushed.returncode == 0, pushed
    slapd.edit(EDIT)
    with Service(store, *options(slapd)) as service:
        found = wait_until(lambda: directory_of(service), "a look at the directory", WITHIN_S)
        (one,) = found["drift"]
        assert one.pop("since") > 0
        assert one == {
            "id": "evs1/a",
            "kind": "property",
            "property": "virtual_server",
            "store": "/tcp/1",
            "directory": "/tcp/2",
        }
        assert (found["pending"], found["differences"], found["error"]) == (False, 1, "")
        assert found["place"] == slapd.url
        labels = frozenset({("group", "evs1"), ("resource", "a")})
        assert service.metrics()["looksalive_directory_drift", labels] == 1
        log = service.log
    assert "the directory differs from the store in 1 places" in log
    assert PASSWORD not in log


def test_a_server_that_is_away(slapd: Slapd, tmp_path: Path) -> None:
    """S72: with slapd killed before the start the service serves as ever, and says why the directory is not asked."""
    slapd.kill()
    with Service(written(tmp_path), *options(slapd)) as service:
        found = wait_until(lambda: directory_of(service), "a look at the directory", WITHIN_S)
        assert "is the server up" in found["error"]
        assert service.get("/livez").status == 200
        assert service.metrics()["looksalive_directory_failing", frozenset()] == 1


def test_without_a_directory(tmp_path: Path) -> None:
    """A store without a directory has none in its status."""
    with Service(written(tmp_path)) as service:
        assert directory_of(service) is None
