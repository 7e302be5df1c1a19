"""Reading everything is measured, in miniature; its figures are for people."""

from __future__ import annotations

import pytest

from tests.bench.scrape import PAGES, Page, ScrapePlan, Slices, measure, table
from tests.e2e.command import PROJECT

GROUND = PROJECT.parent / "shared" / "bench"


def test_the_ratio_is_of_a_series() -> None:
    """1,000 series for 1 ms beside 500 for 5 ms are a tenth."""
    slices = Slices(100, 1000, 3, 0.001, 0.0005, 0.001, 1000, 0.005, 500)
    assert slices.ratio == pytest.approx(0.1)
    pages = [Page(100, "/metrics", "identity", 10_000, 0.001, 0.002, 0.016)]
    shown = table(pages, [slices])
    assert "stall of a scrape, ms: 16, at most 15: DOES NOT HOLD" in shown
    assert "generate_latest's: 0.1, at most 0.1: holds" in shown


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_service_is_read() -> None:
    """Every page of two hundred resources is read, and its series are counted inside and outside."""
    pages, (inside,) = measure(ScrapePlan(sizes=(200,), period_s=5.0, reads=2), GROUND, lambda _: None)
    assert [(page.path, page.encoding) for page in pages] == list(PAGES)
    assert all(page.sent_bytes > 1000 and page.took_s > 0 for page in pages), pages
    assert inside.series > 200 * 5
    assert inside.served_series > 200 * 5
    assert min(inside.longest_s, inside.cpu_s, inside.generate_cpu_s) > 0
    assert inside.generated_series == inside.served_series
