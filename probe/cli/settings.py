"""What `run` (and `demo`) can be told: the table of flags, each also a `LOOKSALIVE_…` variable, and what they become.

A flag wins over its variable, a variable over the default; a bad value is named by where it was written.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from probe.cli.flags import (
    Flag,
    one_of,
    parse_age,
    parse_bytes,
    parse_count,
    parse_host,
    parse_listen,
    parse_path,
    parse_seconds,
    parse_switch,
    parse_text,
    parse_web_address,
    parse_workers,
)
from probe.cli.outside import OUTSIDE_FLAGS, PLAIN, OutsideSettings, outside_of
from probe.directory.settings import NO_DIRECTORY, DirectorySettings
from probe.notify.settings import NO_WEBHOOK, WebhookSettings

DEFAULT_LISTEN = "127.0.0.1:9810"
DEFAULT_STORE = Path("store")
STORE_FILES = ("metabase.json", "cluster.json")
WATCHDOG_S = 60
HISTORY_BYTES_MAX = 256 * 1024 * 1024
HISTORY_AGE_MAX_S = 30 * 86_400.0
LOG_LEVELS = ("debug", "info", "warning", "error")


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
    max_in_flight: int | None = None  # None: the descriptor limit - 256, of each worker
    workers: int = 1  # processes that probe; with 1 the service does so itself
    metrics: Literal["full", "lean"] = "full"
    kernel_events: Literal["auto", "off"] = "auto"
    watchdog_s: int = WATCHDOG_S  # 0: a loop that is stuck is only told of
    history: Literal["on", "off"] = "on"
    history_bytes_max: int = HISTORY_BYTES_MAX
    history_age_max_s: float = HISTORY_AGE_MAX_S
    directory: DirectorySettings = NO_DIRECTORY
    webhook: WebhookSettings = NO_WEBHOOK
    outside: OutsideSettings = PLAIN
    on_ready: OnReady | None = None  # `demo` prints there


DIRECTORY_FLAGS: tuple[Flag, ...] = (
    Flag(
        "--directory",
        "URL",
        parse_text,
        "where other tools find our objects: ldap[s]://HOST[:PORT]/BASE-DN, or embedded (directory.json in the store)",
    ),
    Flag("--directory-bind-dn", "DN", parse_text, "who we are at the LDAP server (nobody)"),
    Flag("--directory-password-file", "FILE", parse_path, "file whose first line is the password of the bind DN"),
    Flag("--directory-ca-file", "FILE", parse_path, "authorities that may vouch for the LDAP server (the system's)"),
    Flag("--directory-starttls", "off|required", one_of("off", "required"), "TLS on an ldap:// connection (off)"),
)

WEBHOOK_FLAGS: tuple[Flag, ...] = (
    Flag("--webhook-url", "URL", parse_web_address, "tell every root cause there, as Alertmanager tells its webhooks"),
    Flag("--webhook-secret-file", "FILE", parse_path, "sign what is told with the first line of this file"),
    Flag("--webhook-after-s", "SECONDS", parse_seconds, "tell only what has lasted so long (0)"),
)

FLAGS: tuple[Flag, ...] = (
    Flag("--store", "DIR", parse_path, "folder with metabase.json and, if wanted, cluster.json"),
    Flag(
        "--listen",
        "ADDRESS:PORT",
        parse_listen,
        f"where to serve; IPv6 in brackets, port 0: any free ({DEFAULT_LISTEN})",
    ),
    Flag(
        "--state-dir",
        "DIR",
        parse_path,
        "what must survive a restart ($STATE_DIRECTORY, else below ~/.local/state/looksalive)",
    ),
    Flag("--log-format", "json|text", one_of("json", "text"), "how to log on stderr (text on a terminal, else json)"),
    Flag("--log-level", "LEVEL", one_of(*LOG_LEVELS), "debug, info, warning or error (info)"),
    Flag(
        "--leave-running", "", parse_switch, "at SIGTERM leave the services of the process controller running", "switch"
    ),
    Flag("--token-file", "FILE", parse_path, "who may control: lines name:role:sha256; without it control is off"),
    Flag(
        "--allowed-host",
        "HOST",
        parse_host,
        "a name for us in a request's Host; repeat it, or commas in the variable",
        "repeat",
    ),
    Flag("--max-in-flight", "N", parse_count, "probes under way at once (the descriptor limit - 256)"),
    Flag(
        "--workers",
        "N",
        parse_workers,
        "probe from so many processes, for stores of very many resources; auto: one for each core (1: from this one)",
    ),
    Flag("--metrics", "full|lean", one_of("full", "lean"), "lean leaves out the histograms of every resource (full)"),
    Flag(
        "--kernel-events",
        "auto|off",
        one_of("auto", "off"),
        "auto: where the kernel tells that a listener died, check at once; off: poll alone (auto)",
    ),
    Flag(
        "--watchdog-s",
        "SECONDS",
        parse_seconds,
        f"exit with status 70 when our event loop is stuck for so long; services run on; 0: never ({WATCHDOG_S})",
    ),
    Flag("--history", "on|off", one_of("on", "off"), "keep every decision in history.sqlite3 of the state folder (on)"),
    Flag(
        "--history-max-bytes", "SIZE", parse_bytes, "drop the oldest of the history beyond that, as in 64M or 2G (256M)"
    ),
    Flag("--history-max-age", "AGE", parse_age, "drop what is older from the history, as in 12h or 30d (30d)"),
    *DIRECTORY_FLAGS,
    *WEBHOOK_FLAGS,
    *OUTSIDE_FLAGS,
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
        workers=values["workers"] or 1,
        metrics=values["metrics"] or "full",
        kernel_events=values["kernel_events"] or "auto",
        watchdog_s=WATCHDOG_S if values["watchdog_s"] is None else values["watchdog_s"],
        history=values["history"] or "on",
        history_bytes_max=values["history_max_bytes"] or HISTORY_BYTES_MAX,
        history_age_max_s=values["history_max_age"] or HISTORY_AGE_MAX_S,
        directory=directory_of(values),
        webhook=_webhook_of(values),
        outside=outside_of(values),
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


def store_here() -> Path | None:
    """Find the store that `looksalive init` writes unless told otherwise; None when there is none."""
    return next((DEFAULT_STORE for name in STORE_FILES if (DEFAULT_STORE / name).is_file()), None)


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
