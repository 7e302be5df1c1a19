"""HAProxy: a backend with one server and its health check, read from the statistics socket."""

from __future__ import annotations

import csv
import re
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from probe.values import Outcome, Reason
from tests.truth.ask import Standing
from tests.truth.others.checker import Asked, Said, cannot_be_told, running, starve, wait_for
from tests.truth.rows import PEERS_TIMEOUT_S

READ_S = 2.0
OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"
_BUFFER = "  tune.bufsize 131072\n"  # for long bodies, as its documentation of `http-check expect` says


class HaProxy:
    """HAProxy's checks: smtpchk, httpchk, tcp-check expect. One answer is enough (`rise 1 fall 1`)."""

    name = "HAProxy"
    needs = "/usr/sbin/haproxy"
    package = "haproxy"

    def ask(self, stood: Standing) -> Said | None:
        """Ask with the check made for the protocol; STARTTLS and the name in a certificate's address are not known."""
        row, asked = stood.row, Asked(stood)
        nameless = row.reason is Reason.TLS_HOSTNAME and not asked.host
        if cannot_be_told(row) or asked.starttls or nameless:
            return None
        with TemporaryDirectory() as text:
            folder = Path(text)
            configuration = folder / "haproxy.cfg"
            configuration.write_text(_configuration(asked, folder))
            with running(stood, ["haproxy", "-db", "-f", str(configuration)]) as process:
                said = wait_for(process, lambda: _read(folder / "stats"))
                if row.ground != "starved":
                    return _said(said)
                with socket.socket(socket.AF_UNIX) as kept:
                    kept.connect(str(folder / "stats"))
                    _exchange(kept, b"prompt; show stat row 4 -1\n")
                    starve(process)
                    time.sleep(PEERS_TIMEOUT_S * 3)  # until it has checked again
                    return _said(_parse(_exchange(kept, b"show stat row 4 -1\n")))


def _configuration(asked: Asked, folder: Path) -> str:
    server = f"server peer {asked.address}:{asked.port} check inter {PEERS_TIMEOUT_S}s rise 1 fall 1"
    return f"""\
global
  stats socket {folder}/stats mode 600 level admin
{_BUFFER if asked.body else ""}defaults
  mode {"http" if asked.protocol == "http" else "tcp"}
  timeout connect {PEERS_TIMEOUT_S}s
  timeout server {PEERS_TIMEOUT_S}s
  timeout client {PEERS_TIMEOUT_S}s
  timeout check {PEERS_TIMEOUT_S}s
backend row
{_check(asked)}  {server}{_options(asked)}
"""


def _check(asked: Asked) -> str:
    if asked.protocol == "http":
        host = f" hdr Host {asked.host}" if asked.host else ""
        status = "rstatus ^[0-9]" if asked.status == "any" else f"status {asked.status}"
        body = f"  http-check expect rstring {_quoted(asked.body)}\n" if asked.body else ""
        send = f"  option httpchk\n  http-check send meth GET uri / ver HTTP/1.1{host}\n"
        return f"{send}  http-check expect {status}\n{body}"
    if asked.protocol == "smtp" and not asked.expect:
        return "  option smtpchk EHLO mail.example.org\n"
    greeting = asked.greeting(r"([ \r\n]|$)")
    return f"  option tcp-check\n  tcp-check expect rstring {_quoted('^' + greeting)}\n" if greeting else ""


def _options(asked: Asked) -> str:
    words = []
    if asked.secure:
        words.append("check-ssl ssl")
        words.append(f"verify required ca-file {asked.ca_file or '@system-ca'}" if asked.verify else "verify none")
        if asked.host:
            words.append(f"check-sni {asked.host} sni str({asked.host}) verifyhost {asked.host}")
        if asked.min_version:
            words.append(f"ssl-min-ver TLSv{asked.min_version}")
            words.append(f"ciphers {OLD_CIPHERS}" if asked.min_version < "1.2" else "")
        if asked.client_cert:
            words.append(f"crt {asked.client_both}")
    if asked.proxy != "off":
        words.append("check-send-proxy " + {"v1": "send-proxy", "v2": "send-proxy-v2"}[asked.proxy])
    if asked.source:
        words.append(f"source {asked.source}")
    return "".join(f" {word}" for word in words)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


def _exchange(connection: socket.socket, command: bytes) -> str:
    connection.settimeout(READ_S)
    connection.sendall(command)
    answer = b""
    while b"row,peer" not in answer or not re.search(rb"row,peer.*\n", answer):
        answer += connection.recv(65536) or b"\nrow,peer\n"
    return answer.decode()


def _read(path: Path) -> dict[str, str] | None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        found = _parse(_exchange(connection, b"show stat row 4 -1\n"))
    return found if found["check_status"] not in ("", "INI", "* INI", "* ") else None


def _parse(answer: str) -> dict[str, str]:
    lines = [line for line in answer.splitlines() if line.startswith(("# pxname", "row,peer"))]
    return next(csv.DictReader(lines))


def _said(found: dict[str, str]) -> Said:
    status = found["check_status"].removeprefix("* ")
    took_s = int(found["check_duration"] or 0) / 1000
    # With `rise 1 fall 1` the server's state is the check's; it only follows a moment later.
    return Said(Outcome.ALIVE if re.fullmatch("L[467]OKC?", status) else Outcome.FAILED, took_s, status)
