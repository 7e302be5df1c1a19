"""`looksalive online | offline | restart | terminate` against a real HTTP server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.cli.service import TOKEN, FakeService, operation_of, refusal, resource, serving, status_of

VERBS = ("online", "offline", "restart", "terminate")


def a_service() -> FakeService:
    """A service with one resource."""
    return FakeService(status_of(1, resource("evs1/smtp")))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_posted_with_the_token(verb: str, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb goes to the resource as JSON with the bearer token; the operation is printed."""
    with serving(a_service()) as service:
        assert main([verb, "evs1/smtp", "--url", service.url, "--token-file", token_file]) == EXIT_OK
    assert service.asked == [f"POST /api/v1/resources/evs1/smtp/{verb}"]
    assert service.authorizations == [f"Bearer {TOKEN}"]
    assert service.bodies == [("application/json", {})]
    assert capsys.readouterr().out == f"operation 12: {verb} evs1/smtp pending\n"


@pytest.mark.parametrize("verb", ["online", "offline"])
def test_a_whole_group(verb: str, token_file: str, variables: pytest.MonkeyPatch) -> None:
    """A bare GROUP asks for the whole group; the token file's name may come from the variable."""
    variables.setenv("LOOKSALIVE_TOKEN_FILE", token_file)
    with serving(a_service()) as service:
        assert main([verb, "evs1", "--url", service.url]) == EXIT_OK
    assert service.asked == [f"POST /api/v1/groups/evs1/{verb}"]


@pytest.mark.parametrize("verb", ["restart", "terminate"])
def test_what_only_a_resource_can(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Restart and terminate take one resource; the sentence says what to write."""
    assert main([verb, "evs1"]) == EXIT_USAGE
    assert "write evs1/NAME" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["", "a/b/c", "a/", "/b", "a b", "a?x", "a/b\n", "a%2fb"])
def test_a_bad_target_is_bad_usage(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no GROUP/NAME never reaches a URL."""
    assert main(["online", target]) == EXIT_USAGE
    assert "is not GROUP or GROUP/NAME" in capsys.readouterr().err


def test_json(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints the operation as the API tells it."""
    with serving(a_service()) as service:
        main(["online", "evs1/smtp", "--json", "--url", service.url, "--token-file", token_file])
    assert json.loads(capsys.readouterr().out) == operation_of("online", "evs1/smtp")


@pytest.mark.parametrize(("state", "code"), [("done", EXIT_OK), ("failed", EXIT_FAILED)])
def test_wait_follows_the_operation(state: str, code: int, token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--wait returns when the operation has ended, and its end decides the exit code."""
    service = a_service()
    service.operations = [operation_of("online", "g/a"), operation_of("online", "g/a", state, "why not")]
    with serving(service):
        assert main(["online", "g/a", "--wait", "--url", service.url, "--token-file", token_file]) == code
    assert service.asked[1:] == ["GET /api/v1/operations/12"] * 2
    assert capsys.readouterr().out.startswith(f"operation 12: online g/a {state}: why not after ")


def test_wait_gives_up(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The time-out ends the waiting, not the operation, and says so."""
    service = a_service()
    service.operations = [operation_of("online", "g/a")]
    with serving(service):
        words = ["online", "g/a", "--wait", "--timeout", "0.05", "--url", service.url, "--token-file", token_file]
        assert main(words) == EXIT_FAILED
    assert "operation 12 is still pending after 50 ms; it goes on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "code", "mend"),
    [
        (401, "unauthorized", "--token-file FILE"),
        (403, "role_too_low", "a token of that role"),
        (404, "not_found", "looksalive status lists"),
        (409, "busy", "an operation is in flight"),
        (503, "draining", "an operation is in flight"),
    ],
)
def test_a_refusal_is_a_sentence_with_its_mend(
    status: int, code: str, mend: str, token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service's own words come first, then what to do about it; exit 1."""
    service = a_service()
    service.raw = lambda _: refusal(status, code, "an operation is in flight")
    with serving(service):
        assert main(["online", "g/a", "--url", service.url, "--token-file", token_file]) == EXIT_FAILED
    err = capsys.readouterr().err
    assert err.startswith("looksalive online: an operation is in flight")
    assert mend in err


def test_without_a_token_the_refusal_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    """No token at all: the service refuses, and the sentence names the flag."""
    with serving(a_service()) as service:
        assert main(["online", "evs1/smtp", "--url", service.url]) == EXIT_FAILED
    assert "control needs a token; pass --token-file FILE" in capsys.readouterr().err


def test_a_service_that_is_not_there(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listening is exit 3."""
    with serving(a_service()) as service:
        url = service.url
    assert main(["online", "g/a", "--url", url, "--token-file", token_file]) == EXIT_CANNOT_ASK
    assert "cannot reach" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ops:operator:" + "a1" * 32 + "\n", "the service's own file of hashes"),
        ("", "must hold one token"),
        ("one\ntwo\n", "must hold one token"),
        ("x" * 5000, "cannot read"),
    ],
    ids=["hashes", "empty", "lines", "huge"],
)
def test_a_token_file_that_holds_something_else(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A token file must hold one token; its content is never printed."""
    path = tmp_path / "file"
    path.write_text(content)
    assert main(["online", "g/a", "--token-file", str(path)]) == EXIT_USAGE
    err = capsys.readouterr().err
    assert err.startswith("looksalive online: --token-file: ")
    assert words in err
    assert not content.strip() or content.strip()[:20] not in err


def test_a_token_file_that_is_not_there(variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file is named with the variable that names it."""
    variables.setenv("LOOKSALIVE_TOKEN_FILE", "/nonexistent/token")
    assert main(["online", "g/a"]) == EXIT_USAGE
    assert "LOOKSALIVE_TOKEN_FILE: cannot read /nonexistent/token: No such file" in capsys.readouterr().err
