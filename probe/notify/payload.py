"""The message: what Alertmanager sends to its webhooks (version "4"), so that its receivers are ours as well.

It is signed as `X-Looksalive-Signature: t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 of `SECONDS.BODY` by the secret: a
receiver that compares SECONDS with its clock cannot be told an old message again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from probe.notify.alerts import Alert, Notice

ALERT_NAME = "LooksaliveResourceFailed"  # as in deploy/prometheus: a receiver need not tell the two ways apart
RECEIVER = "looksalive"
SIGNATURE_HEADER = "X-Looksalive-Signature"
NEVER = "0001-01-01T00:00:00Z"  # Alertmanager's way to say that it is not over


def encode(notices: Sequence[Notice], *, node: str, url: str, wall: float) -> bytes:
    """Write one message about alerts of one group; `url` is ours, `wall` when those that are over have ended."""
    alerts = [_alert(notice, node, url, wall) for notice in notices]
    labels = {"alertname": ALERT_NAME, "group": notices[0].alert.id.group}
    message = {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{labels["alertname"]}", group="{labels["group"]}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if any(notice.firing for notice in notices) else "resolved",
        "receiver": RECEIVER,
        "groupLabels": labels,
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": url,
        "alerts": alerts,
    }
    return msgspec.json.encode(message)


def sign(body: bytes, secret: bytes, wall: float) -> str:
    """Write the header's value for a body that is sent at `wall`."""
    seconds = str(int(wall))
    digest = hmac.new(secret, f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={digest.hexdigest()}"


def _alert(notice: Notice, node: str, url: str, wall: float) -> dict[str, Any]:
    alert, labels = notice.alert, _labels(notice.alert, node)
    return {
        "status": "firing" if notice.firing else "resolved",
        "labels": labels,
        "annotations": {"summary": f"{alert.id} is down", "description": _description(alert)},
        "startsAt": _time(alert.since),
        "endsAt": NEVER if notice.firing else _time(max(wall, alert.since)),
        "generatorURL": f"{url}api/v1/resources/{alert.id}",
        "fingerprint": hashlib.sha256(msgspec.json.encode(labels, order="sorted")).hexdigest()[:16],
    }


def _labels(alert: Alert, node: str) -> dict[str, str]:
    return {
        "alertname": ALERT_NAME,
        "severity": "critical",
        "instance": node,
        "group": alert.id.group,
        "resource": alert.id.name,
        "type": alert.type,
        "reason": alert.reason,
        "root_cause": str(alert.id),
    }


def _description(alert: Alert) -> str:
    why = f"{alert.reason} ({alert.evidence})" if alert.evidence else alert.reason
    text = f"The {alert.type} {alert.id} failed by itself: {why}."
    if not alert.dependents:
        return f"{text} Nothing else stands on it."
    more = alert.dependents - len(alert.named)
    return f"{text} On it stand {', '.join(alert.named)}{f' and {more} more' if more else ''}."


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    return {key: value for key, value in each[0].items() if all(one.get(key) == value for one in each)}


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
