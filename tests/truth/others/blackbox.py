"""blackbox_exporter: one module a row, asked over HTTP as Prometheus does."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from probe.values import Outcome
from tests.truth.ask import Standing
from tests.truth.others.checker import ASKED_S, Asked, Said, cannot_be_told, running, starve, wait_for
from tests.truth.rows import PEERS_TIMEOUT_S

LISTEN_PORT, ASK_PORT = 19115, 19116  # inside a namespace, outside its few ports
_SMTP_STARTTLS = [
    {"expect": "^220 ([^ ]+) ESMTP (.+)$"},
    {"send": "EHLO prober\r"},
    {"expect": "^250-STARTTLS"},
    {"send": "STARTTLS\r"},
    {"expect": "^220"},
    {"starttls": True},
    {"send": "EHLO prober\r"},
    {"expect": "^250-AUTH"},
    {"send": "QUIT\r"},
]  # its documentation's example
_IMAP_STARTTLS = [
    {"expect": "OK.*STARTTLS"},
    {"send": ". STARTTLS"},
    {"expect": "OK"},
    {"starttls": True},
    {"send": ". capability"},
    {"expect": "CAPABILITY IMAP4rev1"},
]  # likewise
_POP3_STARTTLS = [
    {"expect": r"^\+OK"},
    {"send": "STLS\r"},
    {"expect": r"^\+OK"},
    {"starttls": True},
    {"send": "CAPA\r"},
    {"expect": r"^\+OK"},
]  # no example; made like the others
_STARTTLS = {"smtp": _SMTP_STARTTLS, "imap": _IMAP_STARTTLS, "pop3": _POP3_STARTTLS}


class Blackbox:
    """blackbox_exporter, by `probe_success`.

    The shipped pattern for POP3, `^+OK`, is no pattern that could ever match; it is asked with the one that was meant.
    """

    name = "blackbox_exporter"
    needs = "/usr/bin/prometheus-blackbox-exporter"
    package = "prometheus-blackbox-exporter"

    def ask(self, stood: Standing) -> Said | None:
        """Ask with a module of the http or the tcp prober."""
        row, asked = stood.row, Asked(stood)
        if cannot_be_told(row) or asked.proxy != "off" or (asked.protocol == "http" and asked.source):
            return None
        port = LISTEN_PORT if row.ground == "namespace" else _free_port()
        with TemporaryDirectory() as text:
            configuration = Path(text) / "blackbox.yml"
            configuration.write_text(json.dumps({"modules": {"row": _module(asked)}}))  # JSON is YAML
            argv = [f"--config.file={configuration}", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
            with running(stood, [self.needs, *argv]) as process:
                if row.ground == "namespace":
                    return stood.ground.call(lambda: _ask(process, port, asked, ("127.0.0.1", ASK_PORT)))
                return _ask(process, port, asked, None, starved=row.ground == "starved")


def _ask(
    process: subprocess.Popen[bytes], port: int, asked: Asked, source: tuple[str, int] | None, *, starved: bool = False
) -> Said:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASKED_S, source_address=source)

    def ready() -> bool:
        connection.close()
        connection.request("GET", "/-/healthy")
        return bool(connection.getresponse().read())

    wait_for(process, ready)
    if starved:
        starve(process)
    connection.request("GET", f"/probe?module=row&target={quote(_target(asked), safe='')}")
    text = connection.getresponse().read().decode()
    connection.close()
    numbers = dict(re.findall(r"^(probe_\w+) ([0-9.e+-]+)$", text, re.MULTILINE))
    alive = float(numbers["probe_success"]) == 1
    return Said(Outcome.ALIVE if alive else Outcome.FAILED, float(numbers["probe_duration_seconds"]))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
        return port


def _target(asked: Asked) -> str:
    place = f"{asked.address}:{asked.port}"
    return f"http{'s' if asked.secure else ''}://{place}/" if asked.protocol == "http" else place


def _module(asked: Asked) -> dict[str, Any]:
    prober = "http" if asked.protocol == "http" else "tcp"
    options: dict[str, Any] = {"preferred_ip_protocol": "ip4"}
    if asked.secure or asked.starttls:
        tls = {
            "ca_file": asked.ca_file,
            "insecure_skip_verify": None if asked.verify else True,
            "server_name": asked.host or None,
            "min_version": "TLS" + asked.min_version.replace(".", "") if asked.min_version else None,
            "cert_file": asked.client_cert,
            "key_file": asked.client_key,
        }
        options["tls_config"] = {name: value for name, value in tls.items() if value is not None}
    options |= _http_options(asked) if prober == "http" else _tcp_options(asked)
    return {"prober": prober, "timeout": f"{PEERS_TIMEOUT_S}s", prober: options}


def _http_options(asked: Asked) -> dict[str, Any]:
    options: dict[str, Any] = {"valid_status_codes": _codes(asked.status), "follow_redirects": False}
    if asked.host:
        options["headers"] = {"Host": asked.host}
    if asked.body:
        options["fail_if_body_not_matches_regexp"] = [asked.body]
    return options


def _tcp_options(asked: Asked) -> dict[str, Any]:
    options: dict[str, Any] = {"tls": True} if asked.secure else {}
    if asked.source:
        options["source_ip_address"] = asked.source
    if asked.starttls:
        options["query_response"] = _STARTTLS[asked.protocol]
    elif greeting := asked.greeting("( |$)"):
        options["query_response"] = [{"expect": "^" + greeting}]
    return options


def _codes(status: str) -> list[int]:
    codes: list[int] = []
    for part in ("100-999" if status == "any" else status).split(","):
        low, _, high = part.partition("-")
        codes.extend(range(int(low), int(high or low) + 1))
    return codes
