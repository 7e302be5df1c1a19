"""`/metrics` over HTTP: the type, compression, the bound on scrapes."""

from __future__ import annotations

import zlib

import pytest

from probe.api.scrape import CONTENT_TYPE
from probe.values import ResourceId
from tests.api.conftest import Opener
from tests.api.service import StaticService, report


async def test_a_scrape(opened: Opener) -> None:
    """The numbers and the reports come as the text format, version 0.0.4."""
    api = await opened(StaticService(report("smtp")))
    api.metrics.declare(ResourceId("evs1", "smtp"))
    api.metrics.attempt(ResourceId("evs1", "smtp"))
    code, headers, body = await api.get("/metrics")
    assert (code, headers["Content-Type"]) == (200, CONTENT_TYPE)
    lines = body.decode().splitlines()
    assert 'looksalive_resource_alive{group="evs1",resource="smtp"} 1' in lines
    assert 'looksalive_probe_attempts_total{group="evs1",resource="smtp"} 1' in lines
    assert body.endswith(b"\n")


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, *", False),
        ("br", False),
    ],
)
async def test_a_scrape_is_packed_where_that_is_accepted(opened: Opener, accepted: str, packed: bool) -> None:
    """gzip only for who takes it, and the text in it is the same."""
    api = await opened(StaticService(*(report(f"r{number}") for number in range(1000))))
    _, headers, body = await api.get("/metrics", Accept_Encoding=accepted)
    assert (headers.get("Content-Encoding") == "gzip") is packed
    assert "Accept-Encoding" in headers["Vary"]
    text = zlib.decompress(body, wbits=31) if packed else body
    assert text.count(b"looksalive_resource_alive{") == 1000
