"""`looksalive init` before small servers on this machine; `tests/e2e/test_init.py` has the real ones."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from probe.cli.init import PORTS_AT_ONCE
from probe.cli.settings import store_here


@contextmanager
def saying(greeting: bytes, answer: bytes = b"") -> Iterator[int]:
    """Serve on any free port: greet everybody, answer what is sent once, and close."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(5)
                    try:
                        client.sendall(greeting)
                        if client.recv(4096):
                            client.sendall(answer)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def init(store: Path, *ports: int, more: tuple[str, ...] = ()) -> int:
    """Run it on some ports alone."""
    wanted = [word for port in ports for word in ("--port", str(port))]
    return main(["init", "--store", str(store), *wanted, *more])


def written(store: Path) -> dict[str, Any]:
    """Read the keys of the store."""
    document = json.loads((store / "metabase.json").read_text())
    assert (document["schema_version"], document["revision"]) == (1, 1)
    keys: dict[str, Any] = document["keys"]
    return keys


def test_what_answers_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each port is found out by asking, wherever it is; the store is good, and the next command is told."""
    store = tmp_path / "new" / "store"
    with (
        saying(b"220 mx ESMTP\r\n", b"221 bye\r\n") as smtp,
        saying(b"+OK pop\r\n", b"+OK bye\r\n") as pop3,
        saying(b"* OK imap\r\n", b"* BYE\r\nA1 OK\r\n") as imap,
        saying(b"", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as http,
        saying(b"SSH-2.0-other\r\n") as other,
    ):
        assert init(store, smtp, pop3, imap, http, other) == EXIT_OK
    keys = written(store)
    assert {key: (one["bindings"], one.get("expect_status")) for key, one in keys.items()} == {
        "/http/1": ([f"127.0.0.1:{http}"], "200-399,404"),
        "/imap/1": ([f"127.0.0.1:{imap}"], None),
        "/pop3/1": ([f"127.0.0.1:{pop3}"], None),
        "/smtp/1": ([f"127.0.0.1:{smtp}"], None),
    }
    assert keys["/smtp/1"]["comment"] == "answered: 220 mx ESMTP"
    told = capsys.readouterr().out
    assert f"127.0.0.1:{smtp} speaks smtp: 220 mx ESMTP" in told
    assert f"no mail or web server answered on 1 other port: {other}" in told
    assert f"next:    looksalive run --store {store}" in told
    assert main(["validate", "--store", str(store)]) == EXIT_OK


@pytest.mark.parametrize("name", ["metabase.json", "cluster.json"])
def test_nothing_is_overwritten(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that is there, or half of one, stays byte for byte as it is."""
    (tmp_path / name).write_text("mine")
    assert init(tmp_path, 1) == EXIT_FAILED
    assert "is there already and stays as it is; pass another --store DIR" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {name: "mine"}


def test_nothing_found_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A machine without servers is told so, and what to do."""
    assert init(tmp_path / "store", 1) == EXIT_FAILED
    assert "looksalive demo brings some of its own" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_dry_run_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run writes nothing; --json has what was found and the store."""
    with saying(b"220 mx \x1b[31m\r\n", b"221 bye\r\n") as smtp:
        assert init(tmp_path / "store", smtp, more=("--dry-run", "--json")) == EXIT_OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["written"], [one["protocol"] for one in answer["found"]]) == (False, ["smtp"])
    assert answer["metabase"]["keys"]["/smtp/1"]["bindings"] == [f"127.0.0.1:{smtp}"]
    assert not (tmp_path / "store").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place where nothing can be written is named."""
    (tmp_path / "file").write_text("")
    with saying(b"220 mx\r\n", b"221 bye\r\n") as smtp:
        assert init(tmp_path / "file" / "store", smtp) == EXIT_FAILED
    assert "pass another --store DIR" in capsys.readouterr().err


def test_several_of_one_kind(tmp_path: Path) -> None:
    """More servers than are asked at once: each is a virtual server of its own, in the order of its port."""
    with ExitStack() as stack:
        ports = sorted(stack.enter_context(saying(b"+OK\r\n", b"+OK\r\n")) for _ in range(PORTS_AT_ONCE + 2))
        assert init(tmp_path / "store", *ports) == EXIT_OK
    keys = written(tmp_path / "store")
    assert [keys[f"/pop3/{at}"]["bindings"] for at in range(1, len(ports) + 1)] == [[f"127.0.0.1:{p}"] for p in ports]


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1"])
def test_bad_usage(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no port is named."""
    assert main(["init", "--port", port]) == EXIT_USAGE
    assert "looksalive init: --port: " in capsys.readouterr().err


def test_run_needs_no_word_about_the_store_of_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What init writes unless told otherwise is what run takes unless told otherwise, from the same folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOOKSALIVE_STORE", raising=False)
    assert store_here() is None
    assert main(["run"]) == EXIT_USAGE
    assert "looksalive init makes one" in capsys.readouterr().err
    with saying(b"220 here\r\n") as port:
        assert main(["init", "--port", str(port)]) == EXIT_OK
    assert capsys.readouterr().out.endswith("next:    looksalive run\n")
    assert store_here() == Path("store")
