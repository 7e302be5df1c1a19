"""`looksalive check` against small servers in a thread, through real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bindings.model import VirtualServer
from bindings.properties import PROPERTIES
from probe.cli import main
from probe.cli.arguments import COMMANDS, EXIT_OK, EXIT_PROBE_FAILED, EXIT_PROBE_UNKNOWN, command_parser
from probe.cli.check import BEYOND_THE_STORE, add_arguments
from probe.cli.properties import FROM_URL, OPTIONS, WITHOUT_EFFECT, key_of, place_of, said_properties

Talk = Callable[[socket.socket], object]
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def greet(*lines: bytes) -> Talk:
    """A server that greets and then says goodbye to whatever it hears."""

    def talk(client: socket.socket) -> None:
        client.sendall(b"".join(lines))
        client.recv(1000)

    return talk


def answer_http(heard: list[bytes], response: bytes = HTTP_OK) -> Talk:
    """A server that keeps the request and answers."""

    def talk(client: socket.socket) -> None:
        heard.append(client.recv(10_000))
        client.sendall(response)

    return talk


@contextmanager
def listening(talk: Talk, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve clients one after the other until the block ends; give the port."""
    with _listener(host) as listener:
        thread = threading.Thread(target=_accept, args=(listener, talk))
        thread.start()
        try:
            yield 0 if host.startswith("/") else listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _listener(host: str) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(host)
    listener.listen()
    return listener


def _accept(listener: socket.socket, talk: Talk) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client:
            client.settimeout(5.0)
            try:
                talk(client)
            except OSError:
                continue


def check(*words: str) -> int:
    """Run `check` with a short time-out."""
    return main(["check", "--probe-timeout", "2", *words])


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port


def test_alive_is_exit_0_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """S31: a matching greeting is alive; the line has URL, verdict, reason, evidence and stage timings."""
    with listening(greet(b"220 mx.example ESMTP\r\n")) as port:
        assert check(f"smtp://127.0.0.1:{port}") == EXIT_OK
    line = capsys.readouterr().out
    assert line.startswith(f'smtp://127.0.0.1:{port} alive matched "220 mx.example ESMTP')
    assert " connect " in line
    assert " banner " in line
    assert line.count("\n") == 1


def test_refused_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """S32: nobody listening is failed, connect_refused."""
    port = free_port()
    assert check(f"pop3://127.0.0.1:{port}") == EXIT_PROBE_FAILED
    assert f"pop3://127.0.0.1:{port} failed connect_refused" in capsys.readouterr().out


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """--json: target, verdict, reason, evidence, stages in seconds and tls, one object per URL in their order."""
    dead = free_port()
    with listening(greet(b"* OK ready\r\n")) as port:
        urls = [f"imap://127.0.0.1:{port}", f"imap://127.0.0.1:{dead}"]
        assert check("--json", *urls) == EXIT_PROBE_FAILED
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["target"] for answer in answers] == urls
    assert [answer["verdict"] for answer in answers] == ["alive", "failed"]
    assert [answer["reason"] for answer in answers] == ["matched", "connect_refused"]
    assert set(answers[0]) == {"target", "verdict", "reason", "evidence", "stages", "tls"}
    assert answers[0]["evidence"].startswith("* OK ready")
    assert answers[0]["tls"] is None
    assert 0 <= answers[0]["stages"]["connect_s"] < 2
    assert 0 <= answers[0]["stages"]["banner_s"] < 2


def test_a_name_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """A name without an address is not alive; whose fault it is decides between failed and unknown."""
    code = check("--json", "smtp://no-such-host.invalid")
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"] != "alive"
    assert code == {"failed": EXIT_PROBE_FAILED, "unknown": EXIT_PROBE_UNKNOWN}[answer["verdict"]]
    assert answer["reason"].startswith("dns_")


def test_ipv6(capsys: pytest.CaptureFixture[str]) -> None:
    """An IPv6 literal stands in brackets."""
    with listening(greet(b"+OK ready\r\n"), "::1") as port:
        assert check(f"pop3://[::1]:{port}") == EXIT_OK
        assert f"pop3://[::1]:{port} alive" in capsys.readouterr().out


def test_the_s_of_a_scheme_is_tls_on_connect(capsys: pytest.CaptureFixture[str]) -> None:
    """smtps:// begins with TLS: a server that speaks plain text there is told as that."""
    with listening(greet(b"220 plain\r\n")) as port:
        assert check("--json", f"smtps://127.0.0.1:{port}") == EXIT_PROBE_FAILED
    answer = json.loads(capsys.readouterr().out)
    assert answer["reason"] == "tls_protocol"
    assert "220 plain" in answer["evidence"]


def test_a_name_shows_the_address_that_answered(capsys: pytest.CaptureFixture[str]) -> None:
    """A name is resolved; the line shows each numeric address."""
    with listening(greet(b"220 a\r\n")) as port:
        check(f"smtp://localhost:{port}")
    assert f"smtp://localhost:{port} (127.0.0.1:{port}) alive" in capsys.readouterr().out


def test_http_options_reach_the_request() -> None:
    """S35: path, Host, method and headers are asked for as said; a header's secret is read from its file."""
    heard: list[bytes] = []
    with listening(answer_http(heard)) as port:
        url = f"http://127.0.0.1:{port}/health?a=1"
        assert check(url, "--host", "www.example.org", "--method", "HEAD", "--header", "X-Ask: a b") == EXIT_OK
    lines = heard[0].decode().split("\r\n")
    assert lines[0] == "HEAD /health?a=1 HTTP/1.1"
    assert "Host: www.example.org" in lines
    assert "X-Ask: a b" in lines


def test_a_secret_header_comes_from_its_file(tmp_path: Path) -> None:
    """A secret is named by its file, and neither file name nor option holds it."""
    heard: list[bytes] = []
    (tmp_path / "secret").write_text("Bearer s3cret\n")
    with listening(answer_http(heard)) as port:
        assert check(f"http://127.0.0.1:{port}", "--header", f"Authorization:@{tmp_path}/secret") == EXIT_OK
    assert b"\r\nAuthorization: Bearer s3cret\r\n" in heard[0]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ((), EXIT_OK, "matched"),
        (("--expect-status", "204,300-399"), EXIT_PROBE_FAILED, "http_status"),
        (("--body-match", "^hel+o$"), EXIT_OK, "matched"),
        (("--body-match", "bye"), EXIT_PROBE_FAILED, "body_mismatch"),
    ],
)
def test_http_expectations(options: Sequence[str], code: int, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S35: the expected statuses and the body's pattern decide."""
    with listening(answer_http([])) as port:
        assert check("--json", f"http://127.0.0.1:{port}", *options) == code
    assert json.loads(capsys.readouterr().out)["reason"] == reason


def test_expect_replaces_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """S31: --expect, also repeated, is what the greeting must begin with."""
    with listening(greet(b"220 a\r\n")) as port:
        url = f"smtp://127.0.0.1:{port}"
        assert check(url, "--expect", "221", "--expect", "220 b") == EXIT_PROBE_FAILED
        assert "banner_mismatch" in capsys.readouterr().out
        assert check(url, "--expect", "221", "--expect", "220 a") == EXIT_OK


def test_source_is_bound() -> None:
    """S34: --source is where the server sees the question come from."""
    seen: list[str] = []

    def talk(client: socket.socket) -> None:
        seen.append(client.getpeername()[0])
        client.sendall(b"220 a\r\n")

    with listening(talk) as port:
        assert check(f"smtp://127.0.0.1:{port}", "--source", "127.0.0.9") == EXIT_OK
    assert seen == ["127.0.0.9"]


def test_an_option_goes_to_the_urls_that_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    """With several protocols an option counts where the protocol has it."""
    with listening(greet(b"220 a\r\n")) as smtp, listening(answer_http([])) as http:
        words = (f"smtp://127.0.0.1:{smtp}", f"http://127.0.0.1:{http}", "--expect-status", "500-599")
        assert check("--json", *words) == EXIT_PROBE_FAILED
    reasons = [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()]
    assert reasons == ["matched", "http_status"]


def test_a_silent_server_times_out(capsys: pytest.CaptureFixture[str]) -> None:
    """S32: --probe-timeout bounds the whole dialogue."""
    with listening(lambda client: client.recv(1)) as port:
        words = ["check", "--json", f"smtp://127.0.0.1:{port}", "--probe-timeout", "0.2"]
        assert main(words) == EXIT_PROBE_FAILED
    assert json.loads(capsys.readouterr().out)["reason"] == "banner_timeout"


def test_evidence_cannot_move_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a server greets with, the output stays printable."""
    with listening(greet(b"500 \x1b[2J\x07\xff evil\r\n")) as port:
        assert check(f"smtp://127.0.0.1:{port}") == EXIT_PROBE_FAILED
    assert capsys.readouterr().out[:-1].isprintable()


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (("smtp://a", "--starttls", "reqired"), ("--starttls: must be one of", 'did you mean "required"?')),
        (("smtp://a", "--probe-timeout", "soon"), ("--probe-timeout: must be a number of seconds",)),
        (("smtp://a", "--tls.verify", "maybe"), ("--tls.verify: must be true or false",)),
        (("smtp://a", "--polite", "1"), ("--polite: must be true or false",)),
        (("smtp://a", "--rise", "x", "--fall", "0"), ("--rise: must be a whole number", "--fall: 0 is below 1")),
        (("http://a", "--header", "Host: b"), ("--header: ", 'set the property "host"')),
        (("http://a", "--expect-status", "99"), ("--expect-status: ",)),
        (("http://a", "--body-match", "("), ("--body-match: ", "is no RE2 pattern")),
        (("smtp://a", "--path", "/x"), ("--path: is for http; no URL given speaks that",)),
        (("smtp://a:0",), ("smtp://a:0: port 0 is below 1",)),
        (("smtp://a_b",), ("smtp://a_b: ", "nor a host name")),
        (("ftp://a",), ("ftp://a has none of the schemes",)),
        (("smtp://a\x1b[2J",), ("smtp://a\\x1b[2J is too long",)),
        (("smtp://a",) * 1001, ("1001 URLs are more than 1000",)),
    ],
)
def test_bad_usage_is_exit_3_and_names_the_option(
    words: Sequence[str], sentences: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake is told in the store's own words, with the option it came from, and exits as plugins do."""
    assert main(["check", *words]) == EXIT_PROBE_UNKNOWN
    captured = capsys.readouterr()
    assert captured.out == ""
    for sentence in sentences:
        assert sentence in captured.err
    assert all(line.isprintable() for line in captured.err.splitlines())


def test_every_property_of_the_store_is_an_option() -> None:
    """The options come from the store's table: none is missing, none is left over."""
    assert {option.row.name for option in OPTIONS} | set(FROM_URL) == {row.name for row in PROPERTIES}
    known = {*VirtualServer.__struct_fields__, "secure_bindings"} - {"key", "protocol", *BEYOND_THE_STORE}
    assert {row.name for row in PROPERTIES} == known
    assert set(WITHOUT_EFFECT) <= known
    assert len({option.flag for option in OPTIONS}) == len(OPTIONS)


def test_options_become_a_key_of_the_metabase() -> None:
    """Each value gets the JSON type that its property has in the store."""
    parser = command_parser(next(command for command in COMMANDS if command.name == "check"))
    add_arguments(parser)
    words = (
        "http://a --tls.verify false --tls.ca-file /ca --probe-timeout 2.5 --rise 3 --polite true --source 127.0.0.1 "
        "--header A:b --header C:@/f --expect-status any --ip-security.allow 10.0.0.0/8"
    )
    said = said_properties(parser.parse_args(words.split()))
    assert key_of(said, "http") == {
        "tls": {"verify": False, "ca_file": "/ca"},
        "probe_timeout_s": 2.5,
        "rise": 3,
        "polite": True,
        "source": "127.0.0.1",
        "headers": {"A": "b", "C": {"file": "/f"}},
        "expect_status": "any",
        "ip_security": {"allow": ["10.0.0.0/8"]},
    }
    assert "headers" not in key_of(said, "smtp")


def test_a_mistake_s_place_is_an_option() -> None:
    """The pointer of a mistake leads back to the option, or to none for what the URL brought."""
    assert place_of("/keys/~1smtp~1check/tls/verify") == "--tls.verify"
    assert place_of("/keys/~1http~1check/headers/a~1b") == "--header"
    assert place_of("/keys/~1http~1check/bindings/0") == ""


def test_a_unix_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCHEME+unix:///path asks a server on a unix socket."""
    path = str(tmp_path / "s")
    with listening(greet(b"220 a\r\n"), path):
        assert check(f"smtp+unix://{path}") == EXIT_OK
    assert capsys.readouterr().out.startswith(f'smtp+unix://{path} alive matched "220 a"')
