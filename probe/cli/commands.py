"""The one table of commands: the README's table, every `--help` and the dispatch in `arguments.py` are made from it.

Nothing heavy is imported here: a row names its module.
"""

from __future__ import annotations

from typing import NamedTuple

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CANNOT_ASK = 3  # for the commands that ask a running service
EXIT_UNUSABLE = 2  # for `replay`: a file that cannot be replayed, or not without a gap
EXIT_STORE = 78  # EX_CONFIG of sysexits.h
EXIT_INTERRUPTED = 130

EXIT_PROBE_FAILED = 2  # `check` exits as monitoring plugins do
EXIT_PROBE_UNKNOWN = 3


class Command(NamedTuple):
    """One row of the table of commands; the README's table and every `--help` are made from it."""

    name: str
    summary: str  # one line, imperative
    module: str  # under probe.cli
    examples: tuple[str, ...]
    exits: tuple[tuple[int, str], ...]
    usage_exit: int = EXIT_USAGE


_ASKED = ((EXIT_USAGE, "bad usage"), (EXIT_CANNOT_ASK, "the service cannot be asked"))
_VERB_EXITS = ((EXIT_OK, "accepted; with --wait: done"), (EXIT_FAILED, "refused, failed, or --timeout passed"), *_ASKED)
_RUN_EXITS = (
    (EXIT_OK, "stopped by SIGTERM or SIGINT"),
    (EXIT_FAILED, "cannot serve (the address is taken, the state folder cannot be written ...)"),
    (EXIT_USAGE, "bad usage"),
    (EXIT_STORE, "the store has mistakes; every one is printed"),
)
_CHANGE_EXITS = (
    (EXIT_OK, "written, or so already; with --dry-run: shown"),
    (EXIT_FAILED, "refused, with what to do instead; nothing was written"),
    (EXIT_USAGE, "bad usage"),
    (EXIT_CANNOT_ASK, "the service, or the directory, cannot be asked"),
    (EXIT_STORE, "the store has mistakes, or would have; every one is printed"),
)

COMMANDS: tuple[Command, ...] = (
    Command(
        "run",
        "Watch what a store names and bring it back in dependency order.",
        "launch",
        ("looksalive run --store /etc/looksalive", "looksalive run --store ./store --listen [::1]:0 --log-format json"),
        _RUN_EXITS,
    ),
    Command(
        "check",
        "Ask servers once whether they are alive, with stage timings.",
        "check",
        (
            "looksalive check smtp://127.0.0.1 imaps://mail.example.org --probe-timeout 2",
            "looksalive check smtp://[::1]:587 --starttls required --tls.ca-file ca.pem --json",
            "looksalive check https://www.example.org/health --expect-status 200,204",
            "looksalive check smtp://127.0.0.1 --explain --json > said.json",
            "looksalive check --replay said.json --expect '220 mail.'",
        ),
        (
            (EXIT_OK, "all alive"),
            (EXIT_PROBE_FAILED, "at least one failed"),
            (EXIT_PROBE_UNKNOWN, "none failed, at least one is unknown; or bad usage"),
        ),
        EXIT_PROBE_UNKNOWN,
    ),
    Command(
        "validate",
        "Read a store and print every mistake in it.",
        "validate",
        ("looksalive validate --store /etc/looksalive",),
        ((EXIT_OK, "the store is good"), (EXIT_USAGE, "bad usage"), (EXIT_STORE, "the store has mistakes")),
    ),
    Command(
        "status",
        "Show the state of every resource of a running service.",
        "status",
        ("looksalive status", "looksalive status evs1/smtp --json"),
        ((EXIT_OK, "all alive"), (EXIT_FAILED, "something is not alive"), *_ASKED),
    ),
    Command(
        "watch",
        "Show the same live, with the last events; q ends. Without a terminal: a line for each event.",
        "watch",
        ("looksalive watch", "looksalive watch evs1 --url http://127.0.0.1:9810"),
        ((EXIT_OK, "ended by q"), *_ASKED, (EXIT_INTERRUPTED, "ended by Ctrl-C")),
    ),
    Command(
        "events",
        "Tell what happened, and with --follow what happens.",
        "events",
        (
            "looksalive events --since 2h",
            "looksalive events evs1/smtp --follow",
            "looksalive events --after 120 --json",
        ),
        ((EXIT_OK, "told"), *_ASKED, (EXIT_INTERRUPTED, "--follow, ended by Ctrl-C")),
    ),
    Command(
        "report",
        "Say how available each resource was: uptime, incidents, time to repair, from the recorded edges.",
        "report",
        (
            "looksalive report --since 30d",
            "looksalive report evs1 --since 2026-03-01 --json",
            "looksalive report --state-dir /var/lib/looksalive",
        ),
        (
            (EXIT_OK, "told"),
            (EXIT_USAGE, "bad usage"),
            (EXIT_CANNOT_ASK, "the service cannot be asked, or there is no history that can be read"),
        ),
    ),
    Command(
        "wait",
        "Wait until resources have reached a state; also for the service itself to come up.",
        "wait",
        (
            "looksalive wait --for online evs1 --timeout 60",
            "looksalive wait --for failed default/smtp-1 --timeout 10",
            'looksalive wait --for alive evs1/store --timeout 120 && exec "$@"  # as a container\'s entrypoint',
        ),
        ((EXIT_OK, "reached"), (EXIT_FAILED, "the time-out passed first"), *_ASKED),
    ),
    Command(
        "online",
        "Bring a resource or a group online, providers first.",
        "verbs",
        ("looksalive online evs1/smtp --token-file token --wait",),
        _VERB_EXITS,
    ),
    Command(
        "offline",
        "Take a resource or a group offline, dependents first, and keep it there.",
        "verbs",
        ("looksalive offline evs1 --token-file token --wait --timeout 120",),
        _VERB_EXITS,
    ),
    Command(
        "restart",
        "Take a resource offline and bring it online again.",
        "verbs",
        ("looksalive restart evs1/imap --token-file token",),
        _VERB_EXITS,
    ),
    Command(
        "terminate",
        "End a resource at once, whatever state it is in.",
        "verbs",
        ("looksalive terminate evs1/pop3 --token-file token",),
        _VERB_EXITS,
    ),
    Command(
        "upgrade",
        "Take a resource offline, run its controller's upgrade, and bring it back; without any time-out.",
        "verbs",
        ("looksalive upgrade evs1/store --token-file token --wait --timeout 3600",),
        _VERB_EXITS,
    ),
    Command(
        "maintenance",
        "Let a group alone: nothing is started, stopped or killed, whatever happens; watching goes on.",
        "maintenance",
        (
            "looksalive maintenance evs1 --for 2h --owner anna --token-file token",
            "looksalive maintenance evs1 --off --token-file token",
        ),
        ((EXIT_OK, "done"), (EXIT_FAILED, "refused"), *_ASKED),
    ),
    Command(
        "move",
        "Have another node take a group.",
        "move",
        ("looksalive move evs1 --to node2 --token-file token",),
        ((EXIT_OK, "it moves"), (EXIT_FAILED, "refused: there is no such node, or no room there"), *_ASKED),
    ),
    Command(
        "drain",
        "Say that the stops to come are planned: nothing is restarted, nobody is to blame; for a preStop hook.",
        "drain",
        (
            "looksalive drain --wait --token-file /run/secrets/token  # as a container's preStop hook",
            "looksalive drain --off --token-file token",
        ),
        (
            (EXIT_OK, "done; with --wait: and nothing is under way"),
            (EXIT_FAILED, "refused, or --timeout passed"),
            *_ASKED,
        ),
    ),
    Command(
        "drift",
        "Show what differs between the store and the directory that other tools share, and mend it on request.",
        "drift",
        (
            "looksalive drift --store /etc/looksalive",
            "looksalive drift --store /etc/looksalive --policy push --directory ldaps://ldap.example.org/ou=mail,dc=example",
            "looksalive drift --store ./store --policy pull --json",
        ),
        (
            (EXIT_OK, "nothing differs; with --policy pull or push: any more"),
            (EXIT_FAILED, "something differs, or the store refused the write"),
            (EXIT_USAGE, "bad usage"),
            (EXIT_CANNOT_ASK, "the directory cannot be asked, or refused"),
            (EXIT_STORE, "the store has mistakes, or the directory's values would be some; every one is printed"),
        ),
    ),
    Command(
        "plan",
        "Say what an event would lead to now, step by step; nothing is done.",
        "plan",
        (
            "looksalive plan kill evs1/store",
            "looksalive plan offline evs1 --json",
            "looksalive plan reload ./edited --store /etc/looksalive",
        ),
        (
            (EXIT_OK, "foreseen"),
            (EXIT_FAILED, "it cannot happen, or would be refused"),
            *_ASKED,
            (EXIT_STORE, "with --store: the store has mistakes; every one is printed"),
        ),
    ),
    Command(
        "replay",
        "Step recorded decisions again: the same, or the first one that is another now.",
        "replay",
        ("looksalive replay /var/lib/looksalive/history.sqlite3", "looksalive replay copy.sqlite3 --from 1200 --json"),
        (
            (EXIT_OK, "all the same"),
            (EXIT_FAILED, "a decision differs; the first one is printed"),
            (EXIT_UNUSABLE, "bad usage; the file cannot be used; or a gap kept some from being replayed"),
        ),
    ),
    Command(
        "create",
        "Make a resource, or by a system-attendant a whole group with its dependencies; asks on a terminal.",
        "create",
        (
            "looksalive create system-attendant evs1 --store /etc/looksalive",
            "looksalive create system-attendant evs1 --store-controller systemd:dovecot.service --dry-run",
            "looksalive create imap evs1/imap --binding 127.0.0.1:143 restart_threshold=3 --store ./store --yes",
        ),
        _CHANGE_EXITS,
    ),
    Command(
        "delete",
        "Delete a resource, or with its system-attendant a whole group, once it is offline.",
        "delete",
        (
            "looksalive delete evs1/pop3 --store /etc/looksalive --url http://127.0.0.1:9810",
            "looksalive delete evs1 --rehome-mta evs2 --force --url http://127.0.0.1:9810 --token-file token --yes",
        ),
        _CHANGE_EXITS,
    ),
    Command(
        "set",
        "Change properties of a resource; says when they take effect.",
        "alter",
        ("looksalive set evs1/smtp restart_threshold=5 controller=systemd:postfix.service --store /etc/looksalive",),
        _CHANGE_EXITS,
    ),
    Command(
        "metabase",
        "Show or change one key of metabase.json, its command and state in place.",
        "metabase",
        (
            "looksalive metabase get /smtp/1 --store /etc/looksalive",
            "looksalive metabase set /smtp/1 bindings=127.0.0.1:2525 probe_timeout_s=2 --store /etc/looksalive",
        ),
        (
            (EXIT_OK, "shown, or written"),
            (EXIT_FAILED, "there is no such key, or the write was refused"),
            (EXIT_USAGE, "bad usage"),
            (EXIT_STORE, "the store has mistakes, or would have; every one is printed"),
        ),
    ),
    Command(
        "health",
        "Ask once whether the service itself answers; for a container's HEALTHCHECK.",
        "health",
        ("looksalive health", "looksalive health --url http://127.0.0.1:9810 --timeout 1"),
        ((EXIT_OK, "it answers"), (EXIT_FAILED, "it does not, or not in time"), (EXIT_USAGE, "bad usage")),
    ),
    Command(
        "init",
        "Look at what listens on this machine, ask what it speaks, and write a store to begin with.",
        "init",
        ("looksalive init", "looksalive init --store /etc/looksalive", "looksalive init --dry-run"),
        (
            (EXIT_OK, "written; with --dry-run: shown"),
            (EXIT_FAILED, "there is a store already, nothing was found, or it cannot be written"),
            (EXIT_USAGE, "bad usage"),
        ),
    ),
    Command(
        "completion",
        "Print what makes bash, zsh or fish complete our commands, options and resources.",
        "completion",
        (
            'eval "$(looksalive completion bash)"  # in ~/.bashrc',
            "looksalive completion zsh > ~/.zfunc/_looksalive",
            "looksalive completion fish > ~/.config/fish/completions/looksalive.fish",
        ),
        ((EXIT_OK, "printed"), (EXIT_USAGE, "bad usage")),
    ),
    Command(
        "demo",
        "Run with four small embedded mail and web services to play with.",
        "demo",
        ("looksalive demo", "looksalive demo --listen 127.0.0.1:0"),
        _RUN_EXITS,
    ),
)
