"""monit: one `check host` with one connection test, validated once."""

from __future__ import annotations

from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

from probe.values import Outcome, Reason
from tests.truth.ask import Standing
from tests.truth.others.checker import ASKED_S, Asked, Said, cannot_be_told, run
from tests.truth.rows import PEERS_TIMEOUT_S

_VERSIONS = {"1.1": "tlsv11 tlsv12 tlsv13", "1.3": "tlsv13"}
_PROTOCOLS = {"smtp": "smtp", "lmtp": "lmtp", "pop3": "pop", "imap": "imap", "http": "http"}


class Monit:
    """monit, by what `monit validate` prints; its exit code is always 1.

    It cannot ask for STARTTLS or for a list of statuses, and `verify` is about trust and dates, says its manual.
    """

    name = "monit"
    needs = "/usr/bin/monit"
    package = "monit"

    def ask(self, stood: Standing) -> Said | None:
        """Ask with the protocol test of that name."""
        asked = Asked(stood)
        if cannot_be_told(stood.row) or stood.row.ground == "starved" or asked.proxy != "off":
            return None
        unknown_words = asked.starttls or asked.status not in ("200-399", "any")
        if unknown_words or stood.row.reason is Reason.TLS_HOSTNAME:
            return None
        with TemporaryDirectory() as text:
            folder = Path(text)
            control = folder / "monitrc"
            control.write_text(_control(asked, folder))
            control.chmod(0o600)
            try:
                done, took_s = run(stood, ["monit", "-c", str(control), "-vI", "validate"])
            except TimeoutExpired:
                return Said(Outcome.UNKNOWN, ASKED_S, hung=True)
        failed, succeeded = "'row' failed " in done.stderr, "'row' connection succeeded" in done.stdout
        words = done.stderr.strip().rpartition(" -- ")[2]
        if failed is succeeded:
            raise RuntimeError(f"monit: {words or done.stdout}")
        return Said(Outcome.FAILED if failed else Outcome.ALIVE, took_s, words)


def _control(asked: Asked, folder: Path) -> str:
    # monit has no name beside the address: a server that is asked by name is asked as localhost.
    address = "localhost" if asked.host and asked.address == "127.0.0.1" else asked.address
    source = f" address {asked.source}" if asked.source else ""
    return f"""\
set daemon 1
set idfile {folder}/id
set statefile {folder}/state
set pidfile {folder}/pid
check host row with address {address}
  if failed port {asked.port}{source} ipv4{_tls(asked)}{_test(asked)}
    with timeout {PEERS_TIMEOUT_S} seconds then alert
"""


def _tls(asked: Asked) -> str:
    if not asked.secure:
        return ""
    options = {
        "verify": "enable" if asked.verify else "disable",
        "selfsigned": None if asked.verify else "allow",
        "cacertificatefile": f'"{asked.ca_file}"' if asked.ca_file else None,
        "clientpemfile": f'"{asked.client_both}"' if asked.client_cert else None,
        "ciphers": '"DEFAULT:@SECLEVEL=0"' if asked.min_version == "1.1" else None,
        "version": _VERSIONS[asked.min_version] if asked.min_version else None,
    }
    lines = ", ".join(f"{name}: {value}" for name, value in options.items() if value)
    return f" using ssl with options {{{lines}}}"


def _test(asked: Asked) -> str:
    if asked.expect or asked.protocol == "tcp":
        return f' expect "^{asked.greeting("")}"' if asked.expect else ""
    if asked.protocol != "http":
        return f" protocol {_PROTOCOLS[asked.protocol]}"
    status = {"any": " status > 0"}.get(asked.status, "")
    body = f' content = "{asked.body}"' if asked.body else ""
    return f' protocol http request "/"{status}{body}'
