"""The outside of a real `run`: TLS, client certificates and a crowd."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.bench.crowd import CrowdPlan, Window, measure
from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.servers.certificates import Authority, Certificate
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase

EXIT_USAGE = 2
CROWD = CrowdPlan(targets=200, streams=500, slow=500, seconds=8)
LOOP_LAG_S = 0.25  # on a machine that runs other tests as well; a stall of the whole crowd in one go is seconds


def _config(folder: Path, shown: Certificate, **more: str) -> Path:
    section = {"cert_file": str(shown.certificate_file), "key_file": str(shown.key_file), **more}
    path = folder / "web.json"
    path.write_text(json.dumps({"tls_server_config": section}), encoding="utf-8")
    return path


def _ask(url: str, context: ssl.SSLContext) -> int:
    with urllib.request.urlopen(url + "livez", context=context, timeout=10) as answer:
        status: int = answer.status
        return status


@pytest.fixture
def store(folder: Path) -> Path:
    """A store with one virtual server that nobody serves."""
    write_metabase(folder / "store", {"/smtp/1": virtual_server(free_port())})
    return folder / "store"


def test_run_serves_tls_to_our_clients_alone(store: Path, folder: Path, authority: Authority) -> None:
    """The ready line says https; who shows our certificate is answered, who shows none or an expired one is not."""
    config = _config(folder, authority.good, client_ca_file=str(authority.ca_file))
    with Service(store, "--web-config", str(config)) as service:
        assert service.url.startswith("https://127.0.0.1:")
        ours, none, expired = (ssl.create_default_context(cafile=str(authority.ca_file)) for _ in range(3))
        ours.load_cert_chain(authority.good.certificate_file, authority.good.key_file)
        expired.load_cert_chain(authority.expired.certificate_file, authority.expired.key_file)
        assert _ask(service.url, ours) == 200
        for context in (none, expired):
            with pytest.raises((urllib.error.URLError, OSError)):
                _ask(service.url, context)
        assert _ask(service.url, ours) == 200
    assert authority.good.key_file.read_text(encoding="ascii").split("\n")[1] not in service.log


def test_a_bad_web_config_ends_the_start(store: Path, folder: Path, authority: Authority) -> None:
    """`run` ends with bad usage and names every mistake, with its mend."""
    config = _config(folder, authority.good, min_version="TLS10", client_auth_type="Some")
    done = looksalive(
        "run", "--store", str(store), "--state-dir", str(folder / "s"), "--listen", "127.0.0.1:0",
        "--web-config", str(config),
    )  # fmt: skip
    assert done.returncode == EXIT_USAGE
    assert "client_auth_type must be one of" in done.stderr
    assert "min_version must be one of" in done.stderr


@pytest.fixture(scope="module")
def windows() -> tuple[Window, Window]:
    """One run of the benchmark, small: alone, then beside the crowd."""
    return measure(CROWD)


def test_a_crowd_starves_no_kubelet(windows: tuple[Window, Window]) -> None:
    """Beside 500 streams and 500 slow headers each /livez is answered, within a kubelet's second 99 times in 100."""
    _, beside = windows
    assert beside.crowd["streams"] == beside.crowd["served"] == CROWD.streams
    assert beside.crowd["events"] > CROWD.streams
    assert beside.livez > CROWD.seconds
    assert beside.livez_failed == 0
    assert beside.livez_p99_s < 1


def test_a_crowd_delays_no_probe(windows: tuple[Window, Window]) -> None:
    """Beside the crowd as many probes are made, none fails, they are no later than a busy machine makes them."""
    alone, beside = windows
    assert beside.probes > 0.9 * alone.probes
    assert alone.failures == beside.failures == 0
    assert beside.loop_lag_p99_s <= max(LOOP_LAG_S, 4 * alone.loop_lag_p99_s)
    assert beside.probe_lag_p99_s <= max(LOOP_LAG_S, 4 * alone.probe_lag_p99_s)


def test_a_crowd_costs_bounded_memory(windows: tuple[Window, Window]) -> None:
    """A client costs less than 100 KiB."""
    alone, beside = windows
    assert beside.rss_mb - alone.rss_mb < (CROWD.streams + CROWD.slow) * 0.1
