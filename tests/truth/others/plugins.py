"""monitoring-plugins: check_smtp, check_tcp under its names for the protocols, check_http."""

from __future__ import annotations

from subprocess import TimeoutExpired

from probe.values import Outcome, Reason
from tests.truth.ask import Standing
from tests.truth.others.checker import ASKED_S, Asked, Said, cannot_be_told, pairs, run
from tests.truth.rows import PEERS_TIMEOUT_S

FOLDER = "/usr/lib/nagios/plugins"
_EXITS = {0: Outcome.ALIVE, 1: Outcome.FAILED, 2: Outcome.FAILED, 3: Outcome.UNKNOWN}
_NAMES = {("pop3", False): "check_pop", ("pop3", True): "check_spop", ("imap", False): "check_imap",
          ("imap", True): "check_simap", ("smtp", True): "check_ssmtp"}  # fmt: skip


class Plugins:
    """The plugins, by exit code: OK is alive, WARNING and CRITICAL are failed, UNKNOWN is unknown.

    They neither verify who signed a certificate nor for whom (as check_http's help says), so that they are not asked;
    the days left are asked with -D or -C where the date is what a row is about.
    """

    name = "monitoring-plugins"
    needs = f"{FOLDER}/check_smtp"
    package = "monitoring-plugins-basic"

    def ask(self, stood: Standing) -> Said | None:
        """Ask with the plugin made for the protocol."""
        row, asked = stood.row, Asked(stood)
        unasked = row.reason in (Reason.TLS_UNTRUSTED, Reason.TLS_HOSTNAME) or row.ground == "starved"
        if unasked or cannot_be_told(row) or asked.proxy != "off" or asked.source or asked.min_version:
            return None
        dated = row.reason is Reason.TLS_EXPIRED
        argv = _http(asked, dated=dated) if asked.protocol == "http" else _lines(asked, dated=dated)
        if argv is None:
            return None
        try:
            done, took_s = run(stood, [f"{FOLDER}/{argv[0]}", "-t", str(PEERS_TIMEOUT_S), *argv[1:]])
        except TimeoutExpired:
            return Said(Outcome.UNKNOWN, ASKED_S, hung=True)
        return Said(_EXITS.get(done.returncode, Outcome.UNKNOWN), took_s, done.stdout.partition("|")[0].strip())


def _lines(asked: Asked, *, dated: bool) -> list[str] | None:
    where = ["-H", asked.address, "-p", str(asked.port)]
    date = ["-D", "1"] if dated else []
    if asked.client_cert:
        return None
    if asked.protocol in ("smtp", "lmtp") and not asked.secure:
        flags = [*(["-S"] if asked.starttls else []), *(["-L"] if asked.protocol == "lmtp" else [])]
        return ["check_smtp", *where, "-F", "mail.example.org", *flags, *date, *pairs({"-e": asked.expect})]
    if asked.starttls:
        return None
    name = _NAMES.get((asked.protocol, asked.secure), "check_tcp")
    tls = ["-S", *date, *([f"--sni={asked.host}"] if asked.host else [])] if asked.secure else []
    return [name, *where, *tls, *pairs({"-e": asked.expect})]


def _http(asked: Asked, *, dated: bool) -> list[str]:
    where = {"-I": asked.address, "-H": asked.host or None, "-p": asked.port, "-u": "/", "-f": "ok"}
    tls = ["-S", "--sni"] if asked.secure else []
    date = ["-C", "1", "--continue-after-certificate"] if dated else []
    status = {"200-399": None, "any": "HTTP/1."}.get(asked.status, "HTTP/1.1 2,HTTP/1.1 3,HTTP/1.1 401")
    more = pairs({"-e": status, "-r": asked.body, "-J": asked.client_cert, "-K": asked.client_key})
    return ["check_http", *pairs(where), *tls, *date, *more]
