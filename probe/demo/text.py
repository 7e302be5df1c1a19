"""What the demo says when it serves: where to look, what to break and what to see then."""

from __future__ import annotations

from collections.abc import Mapping

from probe.demo.store import ADDRESS, GROUP


def demo_text(url: str, ports: Mapping[str, int], pids: Mapping[str, int] | None = None) -> str:
    """Say what to try. `pids` by resource name, as far as known; without one the process is named by its command line.

    A pid holds until the service's first restart; the page and the status always show the present one.
    """
    pids = pids or {}
    url = url.rstrip("/")
    places = {"store": "no port", **{name: f"{ADDRESS}:{port}" for name, port in ports.items()}}
    rows = [f"{GROUP}/sa     no process: somebody else's, only looked at"]
    rows += [f"{GROUP}/{name:<6} {place:<16}{_process(name, pids)}" for name, place in places.items()]
    listed = "\n".join(f"    {row.rstrip()}" for row in rows)
    return f"""
One group, {GROUP}, in the order in which it comes up: sa, then store, then smtp, pop3, imap and http together.
{listed}

Look       {url}/
Ask        curl -s {url}/isalive/{GROUP}/smtp
Follow     curl -sN {url}/api/v1/stream

Kill one   {_signal("KILL", "smtp", pids)}
           smtp fails with process_gone at once and is back within two seconds; nothing else moves.
Freeze one {_signal("STOP", "pop3", pids)}
           It still accepts, and says nothing: banner_timeout within four seconds, then a restart.
Kill store {_signal("KILL", "store", pids)}
           The root cause is store; smtp, pop3, imap and http go down with it and come back after it.

Ctrl-C ends the demo and its services.
"""


def _process(name: str, pids: Mapping[str, int]) -> str:
    return f"pid {pids[name]}" if name in pids else ""


def _signal(signal: str, name: str, pids: Mapping[str, int]) -> str:
    short = "-9" if signal == "KILL" else f"-{signal}"
    return f"kill {short} {pids[name]}" if name in pids else f"pkill {short} -f 'probe.demo.service {name}'"
