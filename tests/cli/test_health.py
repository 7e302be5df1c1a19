"""`looksalive health`: what a container's HEALTHCHECK asks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.cli.service import FakeService, serving

HEAVY = ("aiohttp", "asyncio", "msgspec", "prometheus_client", "uvloop", "probe.runtime", "probe.environment")


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of somebody who accepts and says nothing, as a frozen service does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_who_answers_200_is_alive(capsys: pytest.CaptureFixture[str]) -> None:
    """`/livez` is asked once, and nothing else."""
    with serving(FakeService()) as service:
        service.raw = lambda request: web.json_response({"path": request.path})
        assert main(["health", "--url", service.url]) == EXIT_OK
        assert capsys.readouterr().out == f"{service.url} is alive\n"
        assert main(["health", "--url", service.url + "/", "--json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == {"url": service.url, "alive": True, "status": 200, "reason": ""}
    assert service.asked == ["GET /livez", "GET /livez"]


def test_another_answer_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is not 200 is named by its number."""
    with serving(FakeService()) as service:
        service.raw = lambda _: web.json_response({}, status=503)
        assert main(["health", "--url", service.url]) == EXIT_FAILED
    assert capsys.readouterr().err == f"looksalive health: {service.url} answered 503\n"


def test_a_frozen_service_fails_in_time(silent: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who accepts and is silent has failed when the time-out is over."""
    assert main(["health", "--url", silent, "--timeout", "0.2"]) == EXIT_FAILED
    assert capsys.readouterr().err == f"looksalive health: {silent} did not answer within 0.2 s\n"


def test_a_trickle_does_not_stretch_the_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    """The deadline is one for the whole dialogue: a byte now and then buys nobody time."""
    ended = threading.Event()

    def trickle(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not ended.wait(0.05):
                peer.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert main(["health", "--url", url, "--timeout", "0.5"]) == EXIT_FAILED
        ended.set()
        thread.join()
    assert "did not answer within 0.5 s" in capsys.readouterr().err


def test_a_scheme_in_capitals_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """HTTPS:// is never asked in the clear: of a service without TLS it says so."""
    with serving(FakeService()) as service:
        service.raw = lambda _: web.json_response({})
        assert main(["health", "--url", service.url.replace("http:", "HTTPS:")]) == EXIT_FAILED
    assert "it does not speak TLS there; write http://" in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is a failure, also as JSON."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main(["health", "--url", f"http://127.0.0.1:{port}", "--json"]) == EXIT_FAILED
    assert json.loads(capsys.readouterr().out)["reason"] == "cannot be reached: Connection refused"


def test_the_service_is_found_where_it_was_told_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOOKSALIVE_LISTEN names it too, every address being ours; LOOKSALIVE_URL goes before it."""
    with serving(FakeService()) as service:
        service.raw = lambda _: web.json_response({})
        port = service.url.rpartition(":")[2]
        monkeypatch.setenv("LOOKSALIVE_LISTEN", f"0.0.0.0:{port}")
        assert main(["health"]) == EXIT_OK
        monkeypatch.setenv("LOOKSALIVE_LISTEN", "127.0.0.1:1")
        assert main(["health"]) == EXIT_FAILED
        monkeypatch.setenv("LOOKSALIVE_URL", service.url)
        assert main(["health"]) == EXIT_OK


@pytest.mark.parametrize(
    ("words", "listen", "mend"),
    [
        (["--url", "ftp://127.0.0.1:9810"], "", "write http://"),
        (["--insecure"], "", "--ca-file FILE"),
        (["--ca-file", "ca.pem"], "", "write https:// in --url"),
        (["--url", "127.0.0.1:9810"], "", "write http://127.0.0.1:9810"),
        (["--timeout", "0"], "", "above 0"),
        ([], "127.0.0.1:0", "pass --url"),
    ],
)
def test_bad_usage(
    words: list[str], listen: str, mend: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be asked is a usage error that says what to write."""
    monkeypatch.setenv("LOOKSALIVE_LISTEN", listen)
    assert main(["health", *words]) == EXIT_USAGE
    assert mend in capsys.readouterr().err


def test_it_loads_little(silent: str) -> None:
    """An interpreter is started for each look: neither the service nor an event loop is imported."""
    code = (
        "import sys; from probe.cli import main; main(sys.argv[1:]); "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    arguments = [sys.executable, "-c", code, "health", "--url", silent, "--timeout", "0.1"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "\n"
