"""The message and its signature, as a receiver of Alertmanager's reads them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from probe.notify.alerts import Alert, Notice
from probe.notify.payload import encode, sign
from probe.values import ResourceId

URL = "http://127.0.0.1:9810/"
WALL = 1_700_000_100.0
STORE = Alert(
    ResourceId("evs1", "store"),
    "information-store",
    "banner_timeout",
    "<b>&\\x00",
    1_700_000_000.25,
    2,
    ("evs1/a", "evs1/b"),
)
IMAP = Alert(ResourceId("evs1", "imap"), "imap", "eof", "", 1_700_000_050.0)

# What Alertmanager's documentation of `webhook_config` lists, in version 4.
MESSAGE_FIELDS = {
    "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels", "commonAnnotations",
    "externalURL", "alerts",
}  # fmt: skip
ALERT_FIELDS = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}


def message(*notices: Notice) -> dict[str, Any]:
    """Read what is sent."""
    read: dict[str, Any] = json.loads(encode(notices, node="node1", url=URL, wall=WALL))
    return read


def test_it_has_every_field_of_alertmanagers() -> None:
    """All fields of version 4 are there and no other; labels and annotations are text alone."""
    read = message(Notice(STORE, True), Notice(IMAP, False))
    assert set(read) == MESSAGE_FIELDS
    assert all(set(alert) == ALERT_FIELDS for alert in read["alerts"])
    assert (read["version"], read["receiver"], read["externalURL"]) == ("4", "looksalive", URL)
    texts = [read["commonLabels"], read["commonAnnotations"], read["groupLabels"]]
    texts += [alert[part] for alert in read["alerts"] for part in ("labels", "annotations")]
    assert all(isinstance(value, str) for each in texts for value in each.values())


def test_a_firing_alert() -> None:
    """It names the resource, why, that it is the root cause, since when, and what stands on it."""
    read = message(Notice(STORE, True))
    (alert,) = read["alerts"]
    assert (read["status"], alert["status"]) == ("firing", "firing")
    assert alert["labels"] == {
        "alertname": "LooksaliveResourceFailed",
        "severity": "critical",
        "instance": "node1",
        "group": "evs1",
        "resource": "store",
        "type": "information-store",
        "reason": "banner_timeout",
        "root_cause": "evs1/store",
    }
    assert alert["startsAt"] == "2023-11-14T22:13:20.250000Z"
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    assert alert["generatorURL"] == f"{URL}api/v1/resources/evs1/store"
    assert alert["annotations"] == {
        "summary": "evs1/store is down",
        "description": "The information-store evs1/store failed by itself: banner_timeout (<b>&\\x00). "
        "On it stand evs1/a, evs1/b.",
    }


def test_its_end_is_told_of_the_same_alert() -> None:
    """Resolved, it has the same labels and fingerprint, the same beginning, and an end."""
    fires, over = (message(Notice(IMAP, firing)) for firing in (True, False))
    before, after = fires["alerts"][0], over["alerts"][0]
    assert (over["status"], after["status"]) == ("resolved", "resolved")
    assert {key for key in ALERT_FIELDS if before[key] != after[key]} == {"status", "endsAt"}
    assert after["endsAt"] == "2023-11-14T22:15:00.000000Z"
    assert fires["groupKey"] == over["groupKey"]


def test_one_that_fires_among_others() -> None:
    """The whole message fires as long as one of its alerts does; common is what all of them say alike."""
    read = message(Notice(STORE, False), Notice(IMAP, True))
    assert read["status"] == "firing"
    assert read["commonLabels"] == {
        "alertname": "LooksaliveResourceFailed",
        "severity": "critical",
        "instance": "node1",
        "group": "evs1",
    }
    assert read["commonAnnotations"] == {}
    assert len({alert["fingerprint"] for alert in read["alerts"]}) == 2


def test_more_than_are_named() -> None:
    """Of many dependents the first are named, the rest counted."""
    many = Alert(STORE.id, "x", "eof", "", 0.0, 12, ("evs1/a", "evs1/b"))
    text = message(Notice(many, True))["alerts"][0]["annotations"]["description"]
    assert text.endswith("On it stand evs1/a, evs1/b and 10 more.")
    text = message(Notice(IMAP, True))["alerts"][0]["annotations"]["description"]
    assert text == "The imap evs1/imap failed by itself: eof. Nothing else stands on it."


def test_a_receiver_can_check_the_signature() -> None:
    """The header's time and the body together are what is signed, by HMAC-SHA256 of the secret."""
    body, secret = b'{"version":"4"}', b"correct horse battery"
    stamp, digest = (part.partition("=")[2] for part in sign(body, secret, 1_700_000_000.9).split(","))
    assert stamp == "1700000000"
    assert digest == hmac.new(secret, b"1700000000." + body, hashlib.sha256).hexdigest()
    assert sign(body, secret, 1_700_000_001.0) != sign(body, secret, 1_700_000_000.0)
