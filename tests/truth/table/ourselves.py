"""Healthy servers, and a prober that cannot ask them: what is ours is `unknown`, never the server's failure."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.rows import Ground, Row
from tests.truth.servers import http, response, smtp

PROHIBITED = ("ip link set lo up", "ip route add prohibit 192.0.2.1/32")
BLACKHOLE = ("ip link set lo up", "ip route add blackhole 192.0.2.1/32")
FEW_PORTS = ("ip link set lo up", "sysctl -qw net.ipv4.ip_local_port_range='40000 40001'")


def row(
    name: str,
    does: str,
    reason: Reason,
    stage: Stage | None,
    ground: Ground = "here",
    setup: tuple[str, ...] = (),
    **asked: object,
) -> Row:
    """Expect `reason` of a healthy SMTP server that we are in no state to ask."""
    return Row(
        name=f"ours: {name}",
        does=does,
        protocol="smtp",
        script=smtp(),
        reason=reason,
        stage=stage,
        ground=ground,
        setup=setup,
        asked=asked,
    )


def no_way(name: str, does: str, reason: Reason, setup: tuple[str, ...]) -> Row:
    """Expect `reason` where our own routes forbid to ask."""
    return Row(
        name=f"ours: {name}",
        does=does,
        protocol="smtp",
        address="192.0.2.1",
        port=25,
        reason=reason,
        stage=Stage.CONNECT,
        ground="namespace",
        setup=setup,
    )


ROWS = (
    row("no descriptors", "is healthy; the prober's own limit of open files is reached (EMFILE)",
        Reason.PROBER_DESCRIPTORS, Stage.CONNECT, "starved"),
    row("not permitted", "is healthy; the prober's sandbox forbids connect (EPERM)", Reason.PROBER_FORBIDDEN,
        Stage.CONNECT, "forbidden"),
    no_way("prohibited", "may be healthy; the prober's own routes prohibit to ask (EACCES)", Reason.PROBER_FORBIDDEN,
           PROHIBITED),
    no_way("blackhole", "may be healthy; the prober's own routes swallow what it says (EINVAL)", Reason.PROBE_INTERNAL,
           BLACKHOLE),
    Row(name="ours: no ports", does="is healthy; the prober's two local ports are both in use (EADDRNOTAVAIL)",
        protocol="smtp", script=smtp(), ground="namespace", setup=FEW_PORTS, held=2, reason=Reason.PROBER_PORTS,
        stage=Stage.CONNECT),
    row("no authority", "is healthy; the prober's `ca_file` is not there", Reason.PROBE_INTERNAL, None,
        starttls="required", tls={"ca_file": "missing.pem"}),
    row("bad authority", "is healthy; the prober's `ca_file` holds no certificate", Reason.PROBE_INTERNAL, None,
        starttls="required", tls={"ca_file": "client.key"}),
    row("two families", "is healthy; the prober is told to ask it from an IPv6 address", Reason.PROBE_INTERNAL, None,
        source="::1"),
    Row(name="ours: no secret", does="is healthy; the file with the prober's password is not there", protocol="http",
        script=http(response()), reason=Reason.PROBE_INTERNAL, stage=None,
        asked={"headers": {"Authorization": {"file": "missing.pem"}}}),
)  # fmt: skip
