"""What the page draws of the past: the charts, whose library comes only when one is opened, and the timeline."""

from __future__ import annotations

import os
import signal

from tests.e2e.chromium import Page
from tests.e2e.service import Service

CHARTS = "[...document.querySelectorAll('button')].find((one) => one.textContent === 'Charts')"
LOADED = "performance.getEntriesByType('resource').map((one) => one.name).filter((name) => name.includes('uplot'))"
PATIENT_MS = 60_000


async def test_charts_come_when_they_are_opened(service: Service, page: Page) -> None:
    """Nothing of the charts' library is asked for before; then minutes and stages are drawn under the strict policy."""
    await page.go(f"{service.url}#/resource/evs1/smtp")
    await page.until(f"document.querySelectorAll('.bars li').length > 1 && {CHARTS}")
    assert await page.look(LOADED) == []
    await page.look(f"{CHARTS}.click()")
    await page.until("document.querySelectorAll('.chart canvas').length === 2", PATIENT_MS)
    assert len(await page.look(LOADED)) == 2
    told = await page.look("[...document.querySelectorAll('.chart')].map((one) => one.ariaLabel)")
    assert told[0].startswith("mean: ")
    assert "connect: " in told[1]
    assert " ms" in told[1]
    await page.until("document.querySelectorAll('.chart')[1].innerText.includes('banner')")
    drawn = "(([canvas]) => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size)"
    assert await page.until(f"{drawn}(document.querySelectorAll('.chart canvas')) > 3")
    await page.appear("dark", 390, 844)
    await page.until("document.querySelectorAll('.chart canvas').length === 2")
    await page.until("document.documentElement.scrollWidth <= innerWidth")
    await page.go(f"{service.url}#/")
    await page.until("document.querySelectorAll('.resource').length === 6")
    assert await page.look("document.querySelectorAll('canvas').length") == 0
    assert await page.reports() == []


async def test_the_timeline_outlives_a_restart_of_ours(service: Service, page: Page) -> None:
    """It is read from the journal: after a restart of ours the failure before it is still there, with its reason."""
    pid = service.resource("evs1/smtp")["pid"]
    os.kill(pid, signal.SIGKILL)
    service.wait_for_another_process("evs1/smtp", pid)
    assert service.stop() == 0
    service.start()
    service.wait_all_alive()
    await page.go(f"{service.url}#/resource/evs1/smtp")
    listed = await page.until(
        "document.querySelector('.events .badge[data-state=failed]') && document.querySelector('.events').innerText",
        PATIENT_MS,
    )
    assert any(reason in listed for reason in ("process gone", "listener gone", "connect refused")), "who told first"
    assert "until now" in listed
    assert listed.count("nobody looked") == 1, "between the two runs"
    kinds = await page.look("[...document.querySelectorAll('.axis rect')].map((one) => one.className.baseVal)")
    assert {"band failed", "band online", "band unknown"} <= set(kinds)
    await page.look("document.querySelector('.range select').selectedIndex = 0")
    await page.look("document.querySelector('.range select').dispatchEvent(new Event('change'))")
    await page.until("performance.getEntriesByType('resource').some((one) => one.name.endsWith('since=1h'))")
    assert await page.reports() == []


async def test_strips_of_a_page_are_one_question(service: Service, page: Page) -> None:
    """Six strips that come into sight together are asked for together."""
    await page.go(service.url)
    await page.until("document.querySelectorAll('.resource .strip svg').length === 6")
    asked = "performance.getEntriesByType('resource').filter((one) => one.name.includes('/api/v1/strips'))"
    first = await page.look(f"{asked}.map((one) => one.name)[0]")
    assert first.count("evs1/") == 6
    assert await page.look("performance.getEntriesByType('resource').every((one) => !one.name.includes('/history'))")
    assert await page.reports() == []


async def test_a_wall_screen_shows_what_can_be_read_from_afar(service: Service, page: Page) -> None:
    """At 1920 the state, the name and the sentence of each are large, all on one screen, and nothing else is there."""
    await page.appear("dark", 1920, 1080)
    await page.go(f"{service.url}#/wall")
    await page.until("document.querySelectorAll('.resource[data-state=online]').length === 6")
    size = "parseFloat(getComputedStyle(document.querySelector('.resource .word')).fontSize)"
    assert await page.look(size) >= 32
    assert await page.look("document.querySelector('.resources').getBoundingClientRect().bottom <= innerHeight")
    assert await page.look(
        "[...document.querySelectorAll('button')].every((one) => !one.closest('.verbs')?.offsetHeight)"
    )
    await page.look("document.getElementById('wall').click()")
    await page.until("!document.documentElement.classList.contains('wall') && location.hash === '#/'")
    assert await page.reports() == []
