"""What is written down of control requests: the refused ones at a bounded rate, and every change of the store."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from probe.api.app import ApiSettings
from probe.api.limits import Limits
from probe.history.attempt import Attempt
from probe.history.storage import Retention, Storage
from tests.api.conftest import TOKENS, Opener, Outside, token_lines
from tests.api.service import StaticService, present_of, report

VERB = "/api/v1/resources/evs1/smtp/offline"
JSON = {"Content-Type": "application/json"}


async def _opened(opened: Opener, told: list[Attempt], limits: Limits | None = None) -> Outside:
    service = StaticService(report("smtp"))
    first = await opened(service, tokens=token_lines())
    return await opened(
        service,
        settings=ApiSettings(
            token_file="tokens", files=first.files, audit=told.append, limits=limits or Limits(refusals_per_s=0)
        ),
    )


async def test_refused_verbs_are_written_down(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """Who, from where, what and why: for no token, a low role, a foreign Origin and a foreign Host; never a secret."""
    told: list[Attempt] = []
    api = await _opened(opened, told)
    viewer = {"Authorization": f"Bearer {TOKENS['viewer']}"}
    with caplog.at_level(logging.DEBUG):
        await api.ask("POST", VERB, JSON)
        await api.ask("POST", VERB, {**JSON, "Authorization": "Bearer guessed-secret"})
        await api.ask("POST", VERB, {**JSON, **viewer})
        await api.ask("DELETE", "/api/v1/groups/evs1", {**JSON, **viewer, "Origin": "https://evil.example"})
        await api.ask("POST", VERB, {**JSON, "Host": "evil.example"})
    route = "POST /api/v1/resources/{group}/{resource}/offline"
    assert [(each.who, each.verb, each.target, each.granted, each.answer) for each in told] == [
        ("nobody at 127.0.0.1", route, "evs1/smtp", False, "401 unauthorized"),
        ("nobody at 127.0.0.1", route, "evs1/smtp", False, "401 unauthorized"),
        ("viewer-1 at 127.0.0.1", route, "evs1/smtp", False, "403 role_too_low"),
        ("viewer-1 at 127.0.0.1", "DELETE /api/v1/groups/{group}", "evs1", False, "403 foreign_origin"),
        ("nobody at 127.0.0.1", route, "evs1/smtp", False, "421 misdirected_request"),
    ]
    assert "secret" not in caplog.text


async def test_reading_and_mistakes_are_no_audit(opened: Opener) -> None:
    """A read with a foreign Host, a body that is none and a verb that the core itself tells leave no row here."""
    told: list[Attempt] = []
    api = await _opened(opened, told)
    await api.get("/api/v1/status", Host="evil.example")
    await api.order(VERB, body=b"{")
    assert (await api.order(VERB))[0] == 202
    assert told == []


async def test_changes_of_the_store_are_written_down(opened: Opener) -> None:
    """No decision of the core tells a change of the store: granted, it has a row here."""
    told: list[Attempt] = []
    api = await _opened(opened, told)
    api.service.present = present_of({"evs1": {"resources": {"smtp": {"type": "service"}}}}, {})
    headers = {**JSON, "Authorization": f"Bearer {TOKENS['admin']}"}
    code, _, _ = await api.ask("DELETE", "/api/v1/resources/evs1/smtp", headers, b"{}")
    assert code == 200
    assert [(each.who, each.target, each.granted, each.answer) for each in told] == [
        ("admin-1 at 127.0.0.1", "evs1/smtp", True, "200")
    ]


async def test_a_flood_leaves_few_rows(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond a burst, refusals are counted, not written down; the path's hostile text is bounded and escaped."""
    told: list[Attempt] = []
    api = await _opened(opened, told, Limits(refusals_burst=3, refusals_per_s=0))
    hostile = "/api/v1/resources/evs1/" + "%0a%1b%5b31m" + "x" * 3000 + "/offline"
    for _ in range(20):
        assert (await api.ask("POST", hostile, JSON))[0] == 401
    assert len(told) == 3
    assert all(len(each.target) < 400 and each.target.isprintable() for each in told)
    assert len([record for record in caplog.records if "refused" in record.message]) == 3


def test_an_attempt_is_a_row_of_the_journal(tmp_path: Path) -> None:
    """It stands in the table of the verbs that the core was asked."""
    path = tmp_path / "history.sqlite3"
    storage = Storage(str(path), "test", 0.0, first=True)
    storage.write([Attempt("nobody at 192.0.2.1", "POST /x", "evs1/smtp", False, "401 unauthorized", 5.0)])
    storage.prune(Retention(2**30, 1e9), 6.0)
    storage.close()
    database = sqlite3.connect(path)
    rows = database.execute("SELECT time, who, verb, target, granted, answer FROM audit").fetchall()
    database.close()
    assert rows == [(5.0, "nobody at 192.0.2.1", "POST /x", "evs1/smtp", 0, "401 unauthorized")]
