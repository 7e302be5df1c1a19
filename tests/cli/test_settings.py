"""The flags of `run`, their variables, and where state is kept."""

from __future__ import annotations

import argparse
import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main
from probe.cli.arguments import COMMANDS, EXIT_USAGE, command_parser
from probe.cli.flags import Flag, parse_listen
from probe.cli.settings import (
    FLAGS,
    RunSettings,
    add_run_flags,
    default_state_dir,
    settings_of,
    told,
)

SAMPLES: dict[str, tuple[str, Any, str]] = {  # flag: (a good text, its value, a bad text)
    "--store": ("/etc/looksalive", Path("/etc/looksalive"), "a\0b"),
    "--listen": ("[::1]:0", ("::1", 0), "::1:0"),
    "--state-dir": ("/var/lib/x", Path("/var/lib/x"), "a\0b"),
    "--log-format": ("json", "json", "xml"),
    "--log-level": ("WARNING", "warning", "loud"),
    "--leave-running": ("yes", True, "maybe"),
    "--token-file": ("/etc/tokens", Path("/etc/tokens"), "a\0b"),
    "--allowed-host": ("Mail.Example.org", ["mail.example.org"], "http://mail"),
    "--max-in-flight": ("500", 500, "0"),
    "--workers": ("4", 4, "0"),
    "--metrics": ("lean", "lean", "none"),
    "--kernel-events": ("OFF", "off", "on"),
    "--watchdog-s": ("0", 0, "-1"),
    "--history": ("Off", "off", "yes"),
    "--history-max-bytes": ("64m", 64 * 1024 * 1024, "0"),
    "--history-max-age": ("12h", 43_200.0, "d"),
    "--directory": ("ldap://[::1]/dc=example", "ldap://[::1]/dc=example", "a\0b"),
    "--directory-bind-dn": ("cn=us,dc=example", "cn=us,dc=example", "a\0b"),
    "--directory-password-file": ("/etc/pw", Path("/etc/pw"), "a\0b"),
    "--directory-ca-file": ("/etc/ca.pem", Path("/etc/ca.pem"), "a\0b"),
    "--directory-starttls": ("Required", "required", "yes"),
    "--webhook-url": ("https://hooks.example.org/x?y", "https://hooks.example.org/x?y", "hooks.example.org"),
    "--webhook-secret-file": ("/etc/secret", Path("/etc/secret"), "a\0b"),
    "--webhook-after-s": ("60", 60, "1m"),
    "--web-config": ("/etc/web.json", Path("/etc/web.json"), "a\0b"),
    "--trusted-proxy": ("10.0.0.0/8", [ipaddress.ip_network("10.0.0.0/8")], "10.0.0.1/8"),
    "--max-clients": ("9000", 9000, "none"),
    "--max-per-address": ("100", 100, "0"),
}

each_flag = pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)


def run_parser() -> argparse.ArgumentParser:
    """The parser of `run`."""
    parser = command_parser(COMMANDS[0])
    add_run_flags(parser)
    return parser


def values(words: list[str], **variables: str) -> dict[str, Any]:
    """What `run` was told by these words and variables."""
    parser = run_parser()
    return told(parser.parse_args(words), variables, parser)


def settings(words: list[str], *, on_terminal: bool = False, **variables: str) -> RunSettings:
    """The settings that these words and variables make."""
    return settings_of(values(words, **variables), store=Path("/s"), state_dir=Path("/d"), on_terminal=on_terminal)


def said(flag: Flag, text: str) -> list[str]:
    """The flag as words."""
    return [flag.name] if flag.kind == "switch" else [f"{flag.name}={text}"]


def test_workers_for_every_core() -> None:
    """`--workers auto` is one for each core that we may use; without a word there is no worker but ourselves."""
    assert settings(["--workers", "auto"]).workers == len(os.sched_getaffinity(0))
    assert settings([], LOOKSALIVE_WORKERS="3").workers == 3
    assert settings([]).workers == 1


def test_every_flag_has_a_sample() -> None:
    """The tests below reach every flag there is."""
    assert set(SAMPLES) == {flag.name for flag in FLAGS}


@each_flag
def test_a_flag_and_its_variable_say_the_same(flag: Flag) -> None:
    """Every flag of `run` can be said as LOOKSALIVE_…, with the same result."""
    good, value, _ = SAMPLES[flag.name]
    assert flag.variable == "LOOKSALIVE_" + flag.name[2:].upper().replace("-", "_")
    assert values(said(flag, good))[flag.dest] == value
    assert values([], **{flag.variable: good})[flag.dest] == value


@each_flag
def test_the_flag_wins_over_its_variable(flag: Flag) -> None:
    """A flag is obeyed even where its variable holds something unusable."""
    good, value, bad = SAMPLES[flag.name]
    assert values(said(flag, good), **{flag.variable: bad})[flag.dest] == value


@each_flag
def test_a_bad_variable_is_named(flag: Flag, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad value in a variable is bad usage that names the variable, not the flag."""
    with pytest.raises(SystemExit) as ending:
        values([], **{flag.variable: SAMPLES[flag.name][2]})
    assert ending.value.code == EXIT_USAGE
    assert capsys.readouterr().err.startswith(f"looksalive run: {flag.variable}: ")


@each_flag
def test_help_names_the_variable(flag: Flag) -> None:
    """`run --help` tells the variable of every flag."""
    assert f"[{flag.variable}]" in run_parser().format_help()


def test_an_empty_variable_is_unset() -> None:
    """A compose file cannot unset a variable: an empty one says nothing."""
    assert values([], LOOKSALIVE_MAX_IN_FLIGHT="")["max_in_flight"] is None


def test_a_switch_can_be_taken_back() -> None:
    """--no-leave-running wins over a variable that says yes."""
    assert settings(["--no-leave-running"], LOOKSALIVE_LEAVE_RUNNING="1").leave_running is False
    assert settings([], LOOKSALIVE_LEAVE_RUNNING="1").leave_running is True


def test_several_allowed_hosts() -> None:
    """The flag repeats, the variable takes commas."""
    expected = ("a.example", "b.example")
    assert settings(["--allowed-host", "a.example", "--allowed-host", "B.example"]).allowed_hosts == expected
    assert settings([], LOOKSALIVE_ALLOWED_HOST="a.example, b.example").allowed_hosts == expected


def test_defaults() -> None:
    """What nobody said: loopback, port 9810, full metrics, control off, our services stopped with us."""
    assert settings([]) == RunSettings(
        store=Path("/s"),
        listen_host="127.0.0.1",
        listen_port=9810,
        state_dir=Path("/d"),
        log_format="json",
        log_level="info",
    )


def test_logs_are_text_on_a_terminal_only() -> None:
    """The default format follows the terminal, a word said wins, --json is a word too."""
    assert settings([], on_terminal=True).log_format == "text"
    assert settings(["--json"], on_terminal=True).log_format == "json"
    assert settings(["--log-format", "text"]).log_format == "text"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9810", ("127.0.0.1", 9810)),
        ("[::]:0", ("::", 0)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_listen(text: str, expected: tuple[str, int]) -> None:
    """An address, a colon and a port; IPv6 in brackets; port 0 is any free one."""
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("127.0.0.1", "write 127.0.0.1:9810"),
        ("[::1]", "write [::1]:9810"),
        ("::1:9810", "[::1]:9810"),
        (":9810", "0.0.0.0:9810 for every one"),
        ("127.0.0.1:65536", "from 0 to 65535"),
        ("127.0.0.1:", "from 0 to 65535"),
        ("127.0.0.1:٣", "from 0 to 65535"),
        ("http://127.0.0.1:80", "brackets"),
        ("a b:80", "names no address"),
    ],
)
def test_a_bad_listen_says_what_to_write(text: str, mend: str) -> None:
    """Every mistake in --listen comes with its mend."""
    with pytest.raises(argparse.ArgumentTypeError) as error:
        parse_listen(text)
    assert mend in str(error.value)


def test_run_needs_a_store(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --store `run` says how to give one, and what makes one."""
    assert main(["run"]) == EXIT_USAGE
    told = capsys.readouterr().err
    assert "--store DIR is missing (or set LOOKSALIVE_STORE)" in told
    assert "looksalive init" in told


def test_state_belongs_to_the_unit_under_systemd() -> None:
    """$STATE_DIRECTORY wins; of several the first is ours."""
    assert default_state_dir(Path("/s"), {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}) == Path("/var/lib/a")


def test_two_stores_do_not_share_state(tmp_path: Path) -> None:
    """Below a home the folder is keyed by the store's real path: another name of one store finds the same state."""
    variables = {"XDG_STATE_HOME": "/state"}
    (tmp_path / "a" / "store").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "store")
    first = default_state_dir(tmp_path / "a" / "store", variables)
    assert first.parent == Path("/state/looksalive")
    assert first.name.startswith("store-")
    assert default_state_dir(tmp_path / "b" / "store", variables) != first
    assert default_state_dir(tmp_path / "link", variables) == first


def test_a_relative_state_home_is_ignored(tmp_path: Path) -> None:
    """The XDG specification: a relative path counts as unset."""
    found = default_state_dir(Path("/s"), {"XDG_STATE_HOME": "state"})
    assert found.parent == tmp_path / "home/.local/state/looksalive"
