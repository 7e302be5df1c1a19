"""`looksalive check --explain` and `--replay`: what was said, to a file and back, without any secret."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from probe.cli.arguments import EXIT_OK, EXIT_PROBE_FAILED, EXIT_PROBE_UNKNOWN, main
from tests.cli.test_check import answer_http, check, greet, listening

SECRET = "Bearer s3cret-t0ken"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Carry out a `check` and return its code and what it printed; it complains of nothing."""
    code = check(*words)
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Explain as JSON."""
    return json.loads(run(capsys, "--explain", "--json", *words)[1])


def test_a_dialogue_is_shown_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Also when all is well: seconds, who spoke, one line each, escapes for what is not printable, the goodbye."""
    with listening(greet(b"220-\x1b[2J hi\r\n220 a\xff\r\n")) as port:
        code, out = run(capsys, "--explain", f"smtp://127.0.0.1:{port}")
    assert code == EXIT_OK
    first, *lines = out.splitlines()
    assert " alive matched " in first
    assert [line[13:] for line in lines][:5] == [
        "* connected",
        "< 220-\\x1b[2J hi\\x0d\\x0a",
        "< 220 a\\xff\\x0d\\x0a",
        "* verdict: alive matched",
        "> QUIT\\x0d\\x0a",
    ]
    assert 0 <= float(lines[0][:13]) <= float(lines[1][:13]) < 5
    assert lines[2][:13].isspace()
    assert out.isascii()
    assert all(line.isprintable() for line in out.splitlines())


def test_without_explain_there_is_no_dialogue(capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is what it was: one line, and the same keys."""
    with listening(greet(b"554 no\r\n")) as port:
        assert run(capsys, f"smtp://127.0.0.1:{port}")[1].count("\n") == 1
        assert "transcript" not in json.loads(run(capsys, "--json", f"smtp://127.0.0.1:{port}")[1])


def test_the_object_has_the_dialogue(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the pieces are the array `transcript` beside how it was asked and the answer's own keys."""
    with listening(greet(b"554 no\r\n")) as port:
        answer = explained(capsys, f"smtp://127.0.0.1:{port}", "--polite", "false", "--expect", "220")
    assert (answer["target"], answer["verdict"], answer["reason"]) == (
        f"smtp://127.0.0.1:{port}", "failed", "refused_by_server"
    )  # fmt: skip
    assert answer["asked"] == {"polite": False, "expect": ["220"], "probe_timeout_s": 2.0}
    assert answer["address"] == f"127.0.0.1:{port}"
    assert [(piece["direction"], piece["text"]) for piece in answer["transcript"]] == [
        ("event", "connected"),
        ("received", "554 no\\x0d\\x0a"),
        ("event", "verdict"),
    ]


@pytest.mark.parametrize(
    ("talk", "events"),
    [
        (lambda client: client.recv(1), ["connected", "deadline passed", "verdict"]),
        (lambda client: client.shutdown(socket.SHUT_WR), ["connected", "peer closed", "verdict"]),
    ],
)
def test_what_happened_is_told(talk: Any, events: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A silence and an end of stream are events of the dialogue."""
    with listening(talk) as port:
        answer = explained(capsys, f"smtp://127.0.0.1:{port}", "--probe-timeout", "0.2")
    assert [piece["text"] for piece in answer["transcript"]] == events


def test_a_secret_is_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A header's secret is `***`, and a server that repeats it, even as its status, does not bring it out."""
    heard: list[bytes] = []
    (tmp_path / "secret").write_text(SECRET + "\n")
    echo = f"HTTP/1.1 500 {SECRET}\r\nX: s3cret-t0ken\r\n\r\n".encode()
    printed = []
    with listening(answer_http(heard, echo)) as port:
        url, header = f"http://127.0.0.1:{port}", f"X-Key:@{tmp_path}/secret"
        for words in (
            ("--explain", "--header", header),
            ("--explain", "--json", "--header", header),
            ("--explain", "--header", f"authorization: {SECRET}"),
            ("--explain", "--json", "--header", f"authorization: {SECRET}"),
            ("--header", header),
            ("--expect-status", "any", "--header", header),
        ):
            printed += [run(capsys, url, *words)[1]]
    assert [SECRET.encode() in request for request in heard] == [True] * 6
    for out in printed:
        assert "s3cret" not in out
    assert "X-Key: ***" in printed[0]
    assert "(secrets are masked)" in printed[0]
    assert "authorization: ***" in printed[2]
    assert json.loads(printed[1])["asked"]["headers"] == {"X-Key": "***"}
    (tmp_path / "t.json").write_text(printed[1])
    code, replayed = run(capsys, "--replay", str(tmp_path / "t.json"))
    assert code == EXIT_PROBE_FAILED
    assert "s3cret" not in replayed
    assert replayed.endswith("(secrets are masked)\n")


def test_a_replay_judges_by_what_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict of then and now, without the server; the options change the check, the exit code is now's."""
    with listening(greet(b"554 no\r\n")) as port:
        answer = explained(capsys, f"smtp://127.0.0.1:{port}")
    file = tmp_path / "t.json"
    file.write_text(json.dumps(answer))
    code, out = run(capsys, "--replay", str(file))
    assert code == EXIT_PROBE_FAILED
    failed = 'failed refused_by_server "554 no"'
    assert out == f"smtp 127.0.0.1:{port} then {failed} now {failed}\n"
    code, out = run(capsys, "--replay", str(file), "--expect", "554")
    assert code == EXIT_OK
    assert out == f'smtp 127.0.0.1:{port} then {failed} now alive matched "554 no"\n'
    code, out = run(capsys, "--replay", str(file), "--expect", "554", "--starttls", "required", "--json")
    assert code == EXIT_PROBE_UNKNOWN
    told = json.loads(out)
    assert told["then"] == {
        "verdict": "failed", "reason": "refused_by_server", "stage": "banner", "evidence": "554 no"
    }  # fmt: skip
    assert (told["now"]["verdict"], told["now"]["reason"]) == ("unknown", "not_yet")
    assert "EHLO" in told["now"]["evidence"]


def test_a_replay_takes_what_the_api_answers_and_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The API's list, an object a line, and several addresses of one name are all read."""
    with listening(greet(b"220 a\r\n")) as port:
        answer = explained(capsys, f"smtp://127.0.0.1:{port}")
    file = tmp_path / "t.json"
    several = {"target": "smtp://x", "addresses": [answer, answer]}
    for document, count in (
        (json.dumps({"id": "default/smtp-1", "transcripts": [answer, answer, answer]}), 3),
        (f"{json.dumps(answer)}\n\n{json.dumps(several)}\n", 3),
        (json.dumps(several, indent=1), 2),
    ):
        file.write_text(document)
        code, out = run(capsys, "--replay", str(file))
        assert (code, out.count(" now alive matched ")) == (EXIT_OK, count)


def test_a_replay_reads_standard_input() -> None:
    """`-` is standard input, so that a check and its replay can be one pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "probe.cli", "check", "--replay", "-"],
        input=json.dumps({**GOOD, "transcript": [{"direction": "event", "at_s": 0, "text": "connected"}, PIECE]}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert "now alive matched" in done.stdout


def test_a_cut_transcript_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are missing before the verdict make it unknown, and how many is told."""
    with listening(greet(b"220 a\r\n")) as port:
        answer = explained(capsys, f"smtp://127.0.0.1:{port}")
    answer["transcript"][1] |= {"text": "220", "cut_bytes": 4}
    file = tmp_path / "t.json"
    file.write_text(json.dumps(answer))
    code, out = run(capsys, "--replay", str(file))
    assert code == EXIT_PROBE_UNKNOWN
    assert 'now unknown not_yet "no verdict from what is here: 4 bytes were not kept" (4 bytes were not kept)' in out


PIECE = {"direction": "received", "at_s": 0.1, "text": "220 a\\x0a"}
GOOD: dict[str, Any] = {
    "time": 1.0, "times": 1, "protocol": "smtp", "binding": "127.0.0.1:25", "secure": False, "address": "",
    "stage": None, "source": None, "asked": {}, "verdict": "alive", "reason": "matched", "evidence": "", "stages": {},
    "masked": False, "transcript": [PIECE],
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "has 0 transcripts"),
        ("{", "is not JSON"),
        ("[]", "holds something else"),
        ('{"verdict": "alive"}', "cannot be read"),
        (json.dumps({**GOOD, "transcript": [{**PIECE, "text": "\\x0"}]}), "backslash"),
        (json.dumps({**GOOD, "transcript": [{**PIECE, "text": "\x1b[2J"}]}), "printable"),
        (json.dumps({**GOOD, "transcript": [{**PIECE, "direction": "event", "text": "\x1b[2J"}]}), "\\x1b[2J"),
        (json.dumps({**GOOD, "transcript": [{**PIECE, "cut_bytes": "many"}]}), "cannot be read"),
        (json.dumps({**GOOD, "protocol": "smtp/1"}), "cannot be read"),
        (json.dumps({**GOOD, "reason": "because"}), "cannot be read"),
        (json.dumps({**GOOD, "binding": "127.0.0.1:99999"}), "port 99999 is above 65535"),
        (json.dumps({**GOOD, "asked": {"expect": 5}}), "--expect: "),
        (json.dumps({"transcripts": [GOOD] * 1001}), "1001 transcripts"),
    ],
)
def test_a_file_that_is_none_is_bad_usage(
    content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in the file: one sentence with its name, printable, exit 3, never a traceback."""
    file = tmp_path / "t.json"
    file.write_text(content)
    assert main(["check", "--replay", str(file)]) == EXIT_PROBE_UNKNOWN
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert all(line.isprintable() for line in captured.err.splitlines())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--replay", "f", "smtp://a"), "leave out the URLs"),
        (("--replay", "f", "--explain"), "leave out the URLs and --explain"),
        (("--replay", "/no/such/file"), "No such file"),
        ((), "required: URL"),
    ],
)
def test_how_not_to_ask(words: Sequence[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A replay asks nobody, a check asks somebody."""
    assert main(["check", *words]) == EXIT_PROBE_UNKNOWN
    assert sentence in capsys.readouterr().err


def test_an_option_must_be_of_use_to_a_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option for another protocol than the file's is refused, as with URLs."""
    file = tmp_path / "t.json"
    file.write_text(json.dumps(GOOD))
    assert main(["check", "--replay", str(file), "--path", "/x"]) == EXIT_PROBE_UNKNOWN
    assert "--path: is for http; no transcript speaks that" in capsys.readouterr().err
