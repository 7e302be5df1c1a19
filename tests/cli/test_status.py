"""`looksalive status` against a real HTTP server."""

from __future__ import annotations

import gzip
import json

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from probe.cli.client import RESPONSE_BYTES_MAX
from tests.cli.service import TOKEN, FakeService, refusal, resource, serving, status_of

STORE = resource("evs1/store", evidence="* OK")
SMTP = resource(
    "evs1/smtp",
    state="failed",
    alive=False,
    verdict="failed",
    reason="dependency_down",
    evidence="",
    root_cause="evs1/store",
    depends_on=["evs1/store"],
    restarts=2,
)
IMAP = resource("evs1/imap", depends_on=["evs1/store", "evs1/sa"])
OTHER = resource("default/http-1", evidence="HTTP/1.1 200 OK", age_s=0.034)


def test_a_tree_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    """Resources stand under what they depend on, with shape, word, reason, age and root cause; 1 when one is down."""
    with serving(FakeService(status_of(7, STORE, SMTP, IMAP, OTHER))) as service:
        assert main(["status", "--url", service.url]) == EXIT_FAILED
    assert capsys.readouterr().out.splitlines() == [
        "evs1  on node-1",
        '└─ ● evs1/store    online           matched  "* OK"  3.2 s ago',
        "   ├─ ✖ evs1/smtp  failed           dependency_down  3.2 s ago  because of evs1/store  2 restarts",
        '   └─ ● evs1/imap  online           matched  "220 mx ESMTP"  3.2 s ago  needs also evs1/sa',
        "default  on node-1",
        '└─ ● default/http-1  online           matched  "HTTP/1.1 200 OK"  34 ms ago',
        "smtp is down because of store",
        "3 of 4 resources alive",
    ]


def test_all_alive_is_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 says that everything is alive."""
    with serving(FakeService(status_of(7, STORE, OTHER))) as service:
        assert main(["status", "--url", service.url]) == EXIT_OK
    assert "2 of 2 resources alive" in capsys.readouterr().out


def test_online_and_not_alive_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """An online resource whose level is dead, and a stale unknown one, are not shown like a healthy one."""
    dead = resource("g/a", alive=False, verdict="failed", reason="banner_timeout", evidence="")
    blind = resource("g/b", verdict="unknown", reason="prober_stalled", evidence="", stale=True, age_s=70.0)
    with serving(FakeService(status_of(7, dead, blind))) as service:
        assert main(["status", "--url", service.url]) == EXIT_FAILED
    out = capsys.readouterr().out
    assert "◐ g/a  online, not alive  banner_timeout" in out
    assert "● g/b  online           prober_stalled (unknown)  1 min ago, stale" in out


def test_json_is_the_api_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the document of the API, unchanged."""
    document = status_of(7, STORE, SMTP)
    with serving(FakeService(document)) as service:
        assert main(["status", "--json", "--url", service.url]) == EXIT_FAILED
    assert json.loads(capsys.readouterr().out) == document


def test_one_resource(capsys: pytest.CaptureFixture[str]) -> None:
    """GROUP/NAME asks for that resource alone and judges it alone."""
    with serving(FakeService(status_of(7, STORE, SMTP))) as service:
        assert main(["status", "evs1/store", "--json", "--url", service.url]) == EXIT_OK
        assert json.loads(capsys.readouterr().out) == STORE
        assert main(["status", "evs1/smtp", "--url", service.url]) == EXIT_FAILED
        assert service.asked == ["GET /api/v1/resources/evs1/store", "GET /api/v1/resources/evs1/smtp"]
    assert "✖ evs1/smtp" in capsys.readouterr().out


def test_one_group(capsys: pytest.CaptureFixture[str]) -> None:
    """GROUP shows that group alone."""
    with serving(FakeService(status_of(7, STORE, SMTP, OTHER))) as service:
        assert main(["status", "default", "--url", service.url]) == EXIT_OK
    out = capsys.readouterr().out
    assert "http-1" in out
    assert "store" not in out


def test_an_unknown_group_is_mended(capsys: pytest.CaptureFixture[str]) -> None:
    """A group nobody knows cannot be asked about; the nearest name is offered."""
    with serving(FakeService(status_of(7, STORE))) as service:
        assert main(["status", "evs2", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "there is no resource in evs2; did you mean evs1?" in capsys.readouterr().err


def test_an_unknown_resource_is_mended(capsys: pytest.CaptureFixture[str]) -> None:
    """The service's own sentence is told, with where to look."""
    with serving(FakeService(status_of(7, STORE))) as service:
        assert main(["status", "evs1/nosuch", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "there is no resource evs1/nosuch; looksalive status lists what there is" in capsys.readouterr().err


def test_a_service_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listening is exit 3, with the address asked."""
    with serving(FakeService(status_of(7))) as service:
        url = service.url
    assert main(["status", "--url", url]) == EXIT_CANNOT_ASK
    err = capsys.readouterr().err
    assert err.startswith(f"looksalive status: cannot reach {url}: ")
    assert "is looksalive running there?" in err


def test_json_has_the_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the reason is also an object on stdout."""
    with serving(FakeService(status_of(7))) as service:
        url = service.url
    assert main(["status", "--json", "--url", url]) == EXIT_CANNOT_ASK
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "cannot_ask"
    assert "cannot reach" in error["message"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: web.Response(text="<html>"), "answered 200 without JSON"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "answered 302 without JSON"),
        (lambda: web.json_response({}, status=500), "answered 500 without a reason"),
        (lambda: refusal(421, "misdirected", "this Host is not ours"), "--allowed-host"),
        (lambda: web.Response(text="[" * 100_000, content_type="application/json"), "without JSON"),
    ],
    ids=["html", "redirect", "bare error", "421", "deep"],
)
def test_something_else_that_answers(answer: object, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not our API, or refuses, is exit 3 with a sentence; nothing is followed, nothing crashes."""
    service = FakeService(status_of(7))
    assert callable(answer)
    service.raw = lambda _: answer()
    with serving(service):
        assert main(["status", "--url", service.url]) == EXIT_CANNOT_ASK
    assert words in capsys.readouterr().err
    assert len(service.asked) == 1


def test_an_answer_has_a_bound(capsys: pytest.CaptureFixture[str]) -> None:
    """Few bytes that unpack to more than any status is are refused, not kept."""
    bomb = gzip.compress(bytes(RESPONSE_BYTES_MAX + 1), compresslevel=1)
    service = FakeService(status_of(7))
    service.raw = lambda _: web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
    with serving(service):
        assert main(["status", "--url", service.url]) == EXIT_CANNOT_ASK
    assert f"an answer of more than {RESPONSE_BYTES_MAX} bytes" in capsys.readouterr().err


def test_nothing_from_the_service_moves_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Evidence, names and messages come out escaped."""
    nasty = "\x1b[2J\nforged\u202e"
    with serving(FakeService(status_of(7, resource("g/a", evidence=nasty, state=nasty, root_cause=nasty)))) as service:
        main(["status", "--url", service.url])
        service.raw = lambda _: refusal(503, "busy", nasty)
        main(["status", "--url", service.url])
    captured = capsys.readouterr()
    assert all(line.isprintable() for line in (captured.out + captured.err).split("\n"))


def test_a_circle_of_dependencies_is_still_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the service claims, every resource is on the screen once."""
    a, b = resource("g/aa", depends_on=["g/bb"]), resource("g/bb", depends_on=["g/aa"])
    with serving(FakeService(status_of(7, a, b, resource("g/cc"), resource("g/cc", depends_on=["g/cc"])))) as service:
        assert main(["status", "--url", service.url]) == EXIT_OK
    out = capsys.readouterr().out
    assert [out.count(f"● g/{name}") for name in ("aa", "bb", "cc")] == [1, 1, 1]


def test_url_from_the_variable(variables: pytest.MonkeyPatch) -> None:
    """LOOKSALIVE_URL is the address; a path below it stays in front."""
    with serving(FakeService(status_of(7, STORE))) as service:
        variables.setenv("LOOKSALIVE_URL", service.url + "/")
        assert main(["status"]) == EXIT_OK


@pytest.mark.parametrize("url", ["127.0.0.1:9810", "ftp://x", "http://user:pw@x", "http://x:99999", "http://x/?a=b"])
def test_a_bad_url_is_bad_usage(url: str, variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad URL is named by where it was written."""
    assert main(["status", "--url", url]) == EXIT_USAGE
    assert "looksalive status: --url: " in capsys.readouterr().err
    variables.setenv("LOOKSALIVE_URL", url)
    assert main(["status"]) == EXIT_USAGE
    assert "looksalive status: LOOKSALIVE_URL: " in capsys.readouterr().err


def test_reading_needs_no_token(variables: pytest.MonkeyPatch, token_file: str) -> None:
    """Reading sends a token only when the flag says so; a variable meant for the service does not matter."""
    with serving(FakeService(status_of(7, STORE))) as service:
        variables.setenv("LOOKSALIVE_TOKEN_FILE", "/nonexistent")
        assert main(["status", "--url", service.url]) == EXIT_OK
        assert main(["status", "--url", service.url, "--token-file", token_file]) == EXIT_OK
    assert service.authorizations == ["", f"Bearer {TOKEN}"]
