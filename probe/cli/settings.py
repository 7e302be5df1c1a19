"""What `run` (and `demo`) can be told: the table of flags, each also a `LOOKSALIVE_…` variable, and what they become.

A flag wins over its variable, a variable over the default; a bad value is named by where it was written.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from probe.directory.settings import NO_DIRECTORY, DirectorySettings
from probe.notify.settings import NO_WEBHOOK, WebhookSettings

DEFAULT_LISTEN = "127.0.0.1:9810"
WATCHDOG_S = 60
HISTORY_BYTES_MAX = 256 * 1024 * 1024
HISTORY_AGE_MAX_S = 30 * 86_400.0
LOG_LEVELS = ("debug", "info", "warning", "error")
_TRUE = ("1", "true", "yes", "on")
_BYTE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_AGE_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_FALSE = ("0", "false", "no", "off")


OnReady = Callable[[str, Mapping[str, int]], None]  # the URL, and the pids by resource once the first start is done


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything `run` was told, checked and with every default filled in."""

    store: Path
    listen_host: str  # numeric address or name, without brackets
    listen_port: int  # 0: any free port
    state_dir: Path
    log_format: Literal["json", "text"]
    log_level: str  # one of LOG_LEVELS
    leave_running: bool = False
    token_file: Path | None = None  # None: control verbs are off
    allowed_hosts: tuple[str, ...] = ()  # lower case, without a port
    max_in_flight: int | None = None  # None: the descriptor limit - 256
    metrics: Literal["full", "lean"] = "full"
    kernel_events: Literal["auto", "off"] = "auto"
    watchdog_s: int = WATCHDOG_S  # 0: a loop that is stuck is only told of
    history: Literal["on", "off"] = "on"
    history_bytes_max: int = HISTORY_BYTES_MAX
    history_age_max_s: float = HISTORY_AGE_MAX_S
    directory: DirectorySettings = NO_DIRECTORY
    webhook: WebhookSettings = NO_WEBHOOK
    on_ready: OnReady | None = None  # `demo` prints there


class Flag(NamedTuple):
    """One flag of `run`; `parse` turns its text into its value or raises ArgumentTypeError saying what to write."""

    name: str  # "--log-format"
    metavar: str
    parse: Callable[[str], Any]
    help: str
    kind: Literal["value", "switch", "repeat"] = "value"

    @property
    def variable(self) -> str:
        """The environment variable of the flag: `--log-format` is LOOKSALIVE_LOG_FORMAT."""
        return f"LOOKSALIVE_{self.dest.upper()}"

    @property
    def dest(self) -> str:
        """Name the flag's value in the parsed arguments."""
        return self.name.removeprefix("--").replace("-", "_")


def _folder(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _text(text: str) -> str:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("is empty" if not text else "holds a NUL character")
    return text


def _word(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a yes or no; write 1 or 0")
    return text.lower() in _TRUE


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0 and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 999999999")
    return int(text)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds from 0 to 999999")
    return int(text)


def _bytes(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].upper() in _BYTE_UNITS else (text, "")
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 15 and int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 64M or 2G")
    return int(number) * _BYTE_UNITS[unit]


def _age(text: str) -> float:
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in _AGE_UNITS_S else (text, "s")
    if not (number.isascii() and number.isdigit() and 0 < len(number) <= 9 and int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not an age; write 30d, 12h or 90m")
    return int(number) * _AGE_UNITS_S[unit]


def parse_listen(text: str) -> tuple[str, int]:
    """Read `ADDRESS:PORT`, IPv6 in brackets, port 0 for any free one. Raises ArgumentTypeError with the mend."""
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        raise argparse.ArgumentTypeError(f"{text!r} has no port; write {text}:9810")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise argparse.ArgumentTypeError(f"{text!r}: put the IPv6 address in brackets, [{host}]:{port}")
    if not host or any(char in host for char in "[]/ \0"):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no address; write 127.0.0.1:{port or 9810}, or 0.0.0.0:{port or 9810} for every one"
        )
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"port {port!r} is not a number from 0 to 65535")
    return host, int(port)


def _host(text: str) -> str:
    if not text or not all(char.isalnum() or char in ".-_:[]" for char in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name; write it as in the Host header, without a port")
    if text.count(":") == 1:
        raise argparse.ArgumentTypeError(f"{text!r} has a port; write {text.partition(':')[0]}")
    return text.strip("[]").lower()


def _web_address(text: str) -> str:
    if not (text.isascii() and text.isprintable() and re.fullmatch(r"https?://[^/?#\s]\S*", text)):
        raise argparse.ArgumentTypeError("is no address; write it as https://HOST[:PORT]/PATH")  # it may hold a secret
    return text


DIRECTORY_FLAGS: tuple[Flag, ...] = (
    Flag(
        "--directory",
        "URL",
        _text,
        "where other tools find our objects: ldap[s]://HOST[:PORT]/BASE-DN, or embedded (directory.json in the store)",
    ),
    Flag("--directory-bind-dn", "DN", _text, "who we are at the LDAP server (nobody)"),
    Flag("--directory-password-file", "FILE", _folder, "file whose first line is the password of the bind DN"),
    Flag("--directory-ca-file", "FILE", _folder, "authorities that may vouch for the LDAP server (the system's)"),
    Flag("--directory-starttls", "off|required", _word("off", "required"), "TLS on an ldap:// connection (off)"),
)

WEBHOOK_FLAGS: tuple[Flag, ...] = (
    Flag("--webhook-url", "URL", _web_address, "tell every root cause there, as Alertmanager tells its webhooks"),
    Flag("--webhook-secret-file", "FILE", _folder, "sign what is told with the first line of this file"),
    Flag("--webhook-after-s", "SECONDS", _seconds, "tell only what has lasted so long (0)"),
)

FLAGS: tuple[Flag, ...] = (
    Flag("--store", "DIR", _folder, "folder with metabase.json and, if wanted, cluster.json"),
    Flag(
        "--listen",
        "ADDRESS:PORT",
        parse_listen,
        f"where to serve; IPv6 in brackets, port 0: any free ({DEFAULT_LISTEN})",
    ),
    Flag(
        "--state-dir",
        "DIR",
        _folder,
        "what must survive a restart ($STATE_DIRECTORY, else below ~/.local/state/looksalive)",
    ),
    Flag("--log-format", "json|text", _word("json", "text"), "how to log on stderr (text on a terminal, else json)"),
    Flag("--log-level", "LEVEL", _word(*LOG_LEVELS), "debug, info, warning or error (info)"),
    Flag("--leave-running", "", _switch, "at SIGTERM leave the services of the process controller running", "switch"),
    Flag("--token-file", "FILE", _folder, "who may control: lines name:role:sha256; without it control is off"),
    Flag(
        "--allowed-host",
        "HOST",
        _host,
        "a name for us in a request's Host; repeat it, or commas in the variable",
        "repeat",
    ),
    Flag("--max-in-flight", "N", _count, "probes under way at once (the descriptor limit - 256)"),
    Flag("--metrics", "full|lean", _word("full", "lean"), "lean leaves out the histograms of every resource (full)"),
    Flag(
        "--kernel-events",
        "auto|off",
        _word("auto", "off"),
        "auto: where the kernel tells that a listener died, check at once; off: poll alone (auto)",
    ),
    Flag(
        "--watchdog-s",
        "SECONDS",
        _seconds,
        f"exit with status 70 when our event loop is stuck for so long; services run on; 0: never ({WATCHDOG_S})",
    ),
    Flag("--history", "on|off", _word("on", "off"), "keep every decision in history.sqlite3 of the state folder (on)"),
    Flag("--history-max-bytes", "SIZE", _bytes, "drop the oldest of the history beyond that, as in 64M or 2G (256M)"),
    Flag("--history-max-age", "AGE", _age, "drop what is older from the history, as in 12h or 30d (30d)"),
    *DIRECTORY_FLAGS,
    *WEBHOOK_FLAGS,
)


def add_run_flags(parser: argparse.ArgumentParser, *, store_help: str = "") -> None:
    """Add every flag of `run`; none has a default here, so that a variable can be told from a flag."""
    add_flags(parser, FLAGS, store_help=store_help)
    parser.add_argument("--json", action="store_true", help="the same as --log-format json")


def add_flags(parser: argparse.ArgumentParser, flags: Sequence[Flag], *, store_help: str = "") -> None:
    """Add some of the flags."""
    for flag in flags:
        note = f"{(flag.name == '--store' and store_help) or flag.help}  [{flag.variable}]"
        if flag.kind == "switch":
            parser.add_argument(flag.name, action=argparse.BooleanOptionalAction, default=None, help=note)
        else:
            action = "append" if flag.kind == "repeat" else "store"
            parser.add_argument(flag.name, metavar=flag.metavar, type=flag.parse, action=action, help=note)


def told(
    arguments: argparse.Namespace,
    variables: Mapping[str, str],
    parser: argparse.ArgumentParser,
    flags: Sequence[Flag] = FLAGS,
) -> dict[str, Any]:
    """Give each flag's value from the command line, else from its variable, else None. Ends in a usage error."""
    values: dict[str, Any] = {}
    for flag in flags:
        value = getattr(arguments, flag.dest)
        text = variables.get(flag.variable, "")
        if value is None and text:  # an empty variable is an unset one: compose files cannot unset
            try:
                value = _parse_variable(flag, text)
            except argparse.ArgumentTypeError as error:
                parser.error(f"{flag.variable}: {error}")
        values[flag.dest] = value
    if arguments.json:
        values["log_format"] = "json"
    return values


def _parse_variable(flag: Flag, text: str) -> Any:
    if flag.kind == "repeat":
        return [flag.parse(part.strip()) for part in text.split(",") if part.strip()]
    return flag.parse(text)


def settings_of(
    values: Mapping[str, Any],
    *,
    store: Path,
    state_dir: Path,
    on_terminal: bool,
    on_ready: OnReady | None = None,
) -> RunSettings:
    """Fill in the defaults; `values` is what `told` gave, the two folders are settled by the command."""
    host, port = values["listen"] or parse_listen(DEFAULT_LISTEN)
    return RunSettings(
        store=store,
        listen_host=host,
        listen_port=port,
        state_dir=state_dir,
        log_format=values["log_format"] or ("text" if on_terminal else "json"),
        log_level=values["log_level"] or "info",
        leave_running=bool(values["leave_running"]),
        token_file=values["token_file"],
        allowed_hosts=tuple(values["allowed_host"] or ()),
        max_in_flight=values["max_in_flight"],
        metrics=values["metrics"] or "full",
        kernel_events=values["kernel_events"] or "auto",
        watchdog_s=WATCHDOG_S if values["watchdog_s"] is None else values["watchdog_s"],
        history=values["history"] or "on",
        history_bytes_max=values["history_max_bytes"] or HISTORY_BYTES_MAX,
        history_age_max_s=values["history_max_age"] or HISTORY_AGE_MAX_S,
        directory=directory_of(values),
        webhook=_webhook_of(values),
        on_ready=on_ready,
    )


def _webhook_of(values: Mapping[str, Any]) -> WebhookSettings:
    secret_file = values["webhook_secret_file"]
    after_s = values["webhook_after_s"] or 0
    return WebhookSettings(values["webhook_url"], None if secret_file is None else str(secret_file), after_s)


def directory_of(values: Mapping[str, Any]) -> DirectorySettings:
    """Gather what `told` gave about the directory."""
    files = (values[f"directory_{name}_file"] for name in ("password", "ca"))
    password_file, ca_file = (None if path is None else str(path) for path in files)
    starttls = values["directory_starttls"] == "required"
    return DirectorySettings(values["directory"], values["directory_bind_dn"], password_file, ca_file, starttls)


def state_home(variables: Mapping[str, str]) -> Path:
    """Find where state belongs: `$XDG_STATE_HOME/looksalive`, else `~/.local/state/looksalive`.

    A relative XDG_STATE_HOME is ignored, as the XDG Base Directory Specification demands. Raises RuntimeError without a
    home folder.
    """
    xdg = variables.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".local" / "state"
    return base / "looksalive"


def default_state_dir(store: Path, variables: Mapping[str, str]) -> Path:
    """Choose the state folder of a store: systemd's own, else one below `state_home` keyed by the store's real path.

    A unit has one StateDirectory and one store; below a home two stores must not meet in one folder. Raises
    RuntimeError when there is no home folder.
    """
    given = variables.get("STATE_DIRECTORY", "").split(":")[0]  # systemd joins several with colons; the first is ours
    if given:
        return Path(given)
    real = os.path.realpath(store)
    key = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    return state_home(variables) / f"{Path(real).name or 'root'}-{key}"
