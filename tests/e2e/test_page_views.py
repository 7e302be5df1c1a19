"""What the page makes of every kind of picture, in a real Chromium: causes, hostile text, crowds, sizes, themes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from probe.api.app import make_app, serve
from probe.directory.report import DirectoryReport
from probe.lifecycle.report import GroupReport, MaintenanceReport, ResourceReport
from probe.metrics import Metrics
from probe.values import Outcome, Reason, ResourceId, State
from tests.api.service import WALL, StaticService, failed, report
from tests.e2e.chromium import Page, browsing
from tests.e2e.programs import need

STORE = ResourceId("evs1", "store")
SA = ResourceId("evs1", "sa")
HOSTILE = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg onload=window.hit=1>",
    '"><iframe srcdoc="<script>top.hit = 1</script>">',
    "javascript:window.hit=1",
    "</li></ul><style>body { display: none }</style>",
    "{{constructor.constructor('window.hit = 1')()}}",
    "\u202egnp.exe \x1b[2J\x07 \x00",
    "<a href='javascript:window.hit=1' id=link>x</a>",
    "${window.hit = 1}`+window.hit+`",
)
PATIENT_MS = 60_000
SIZES = ((390, 844), (1440, 900))
READY = {
    "#/": "document.querySelectorAll('.box[data-state]').length === 6",
    "#/plan/kill/evs1/store": "document.querySelector('.plan')",
}
HOLD_THE_NEXT_STATUS = """
const ask = window.fetch;
window.held = 0;
window.answered = new Promise((answered) => {
  const released = new Promise((resolve) => { window.release = resolve; });
  window.fetch = async (path, options) => {
    if (!path.includes("/api/v1/status") || window.held++ > 0) return ask(path, options);
    await released;
    const answer = await ask(path, options);
    const read = answer.json.bind(answer);
    answer.json = async () => { const told = await read(); setTimeout(answered); return told; };
    return answer;
  };
});
true
"""
VIEWS = ("#/", "#/resource/evs1/smtp", "#/events", "#/plan/kill/evs1/store", "#/create", "#/wall")


class Kept(StaticService):
    """A service whose first group is let alone, with room for one more storage group."""

    @property
    def storage_groups(self) -> tuple[int, int]:
        """Three of four."""
        return 3, 4

    def groups(self, name: str | None = None) -> Iterator[GroupReport]:
        """Put the first group in maintenance."""
        first, *others = filter(None, super().groups(name))
        yield replace(first, maintenance=MaintenanceReport("alice", WALL, None), storage_groups=3)
        yield from others


class Crowd(StaticService):
    """A service of a hundred thousand resources, a hundred in each group."""

    def groups(self, name: str | None = None) -> Iterator[GroupReport]:
        """Name the groups without a walk over everything for each."""
        for number in range(1000) if name is None else (int(name.removeprefix("g")),):
            yield GroupReport(f"g{number}", self.node, "failed" if number == 777 else "online", 100)


def a_bad_day() -> tuple[ResourceReport, ...]:
    """One group whose store is down with everything on it, and one of everything else."""
    down: dict[str, Any] = {"reason": Reason.DEPENDENCY_DOWN, "root_cause": STORE, "depends_on": (STORE,)}
    quiet: dict[str, Any] = {"evidence": "", "age_s": None}
    offline: dict[str, Any] = {"state": State.OFFLINE, "desired": State.OFFLINE, "alive": False, **quiet}
    return (
        report("sa", type="system-attendant", controller="none", **quiet),
        failed("store", Reason.NOT_SERVING, type="information-store", evidence="NOT_SERVING", depends_on=(SA,),
               restarts=2, restarts_left=0),
        failed("smtp", **down),
        failed("pop3", type="pop3", **down),
        report("imap", type="imap", state=State.ONLINE_PENDING, alive=False, verdict=Outcome.UNKNOWN,
               reason=Reason.NOT_YET, waiting_for=(STORE,), depends_on=(STORE,), **quiet),
        report("http", type="http", depends_on=(STORE,), **offline),
        report("smtp-1", "default", evidence="220 mail.example.org ESMTP Postfix (Debian)"),
        report("imap-1", "default", type="imap", verdict=Outcome.UNKNOWN, reason=Reason.PROBER_DESCRIPTORS),
        report("a-name-as-long-as-people-have-them", "default", type="pop3", stale=True, age_s=94.2),
        report("lmtp-1", "default", type="lmtp", state=State.OFFLINE_PENDING, alive=False),
    )  # fmt: skip


@asynccontextmanager
async def shown(service: StaticService) -> AsyncIterator[tuple[Page, str]]:
    """Serve it and open a browser before it; yields the tab and the address."""
    need("chromium", "chromium")
    server = await serve(make_app(service, Metrics()), "127.0.0.1", 0)
    try:
        async with browsing() as page:
            await page.appear("light", 1440, 900)
            yield page, server.url
    finally:
        await server.close()


async def test_the_cause_is_said_in_a_sentence() -> None:
    """Who is down because of whom is one sentence; the graph, maintenance, room and drift are there."""
    service = Kept(*a_bad_day())
    service.directory = DirectoryReport("ldap", pending=True)
    async with shown(service) as (page, url):
        await page.go(url)
        blame = await page.until("document.querySelector('.blame')?.innerText")
        assert blame == "smtp, pop3 and imap are down because store is (not serving, restarts used up)."
        await page.until("document.querySelectorAll('.box').length === 6")
        states = await page.look("[...document.querySelectorAll('.box .word')].map((word) => word.textContent)")
        assert sorted(states) == ["failed", "failed", "failed", "offline", "online", "online-pending"]
        told = await page.look("document.body.innerText")
        for words in ("maintenance by alice", "3 of 4 storage groups", "not told everything yet", "waiting for store"):
            assert words in told
        await page.go(f"{url}#/resource/evs1/smtp")
        chain = await page.until("document.querySelectorAll('.why-chain li').length === 2 && view.innerText")
        assert "smtp is failed, because evs1/store is down." in chain
        assert "store is failed: not serving (NOT_SERVING); its restarts are used up." in chain
        assert await page.reports() == []


async def test_an_answer_that_comes_late_does_not_name_the_page() -> None:
    """What the overview had asked arrives when a resource is looked at: the title stays the resource's."""
    async with shown(StaticService(*a_bad_day())) as (page, url):
        await page.go(url)
        await page.until("document.title === '3 failed \u00b7 looksalive'")
        await page.look(HOLD_THE_NEXT_STATUS)
        await page.until("window.held > 0")
        await page.go(f"{url}#/resource/evs1/smtp")
        await page.until("document.querySelector('.why-chain li')")
        await page.look("window.release(), window.answered")
        assert await page.look("document.title") == "evs1/smtp \u00b7 looksalive"
        assert await page.reports() == []


async def test_hostile_banners_stay_text() -> None:
    """Two hundred banners that want to be markup or script are shown as they are: nothing runs, nothing is reported."""
    resources = [
        report(f"r{number}", evidence=f"220 {number} {HOSTILE[number % len(HOSTILE)]}") for number in range(200)
    ]
    service = StaticService(*resources)
    async with shown(service) as (page, url):
        await page.go(url)
        await page.until("document.querySelectorAll('.resource').length === 200")
        for one in resources[:20]:
            service.edge(replace(one, state=State.FAILED, alive=False, verdict=Outcome.FAILED, reason=Reason.EOF))
        await page.until("document.querySelectorAll('.resource[data-state=failed]').length === 20")
        told = await page.look("[...document.querySelectorAll('code')].map((each) => each.textContent)")
        assert {one.evidence for one in resources} <= set(told)
        for view in ("#/events", "#/resource/evs1/r3"):
            await page.go(url + view)
            await page.until("document.querySelectorAll('.events li').length > 0")
        assert await page.look("window.hit === undefined && !document.querySelector('iframe, img, body style')")
        assert await page.reports() == []


async def test_a_hundred_thousand_are_paged_and_filtered_by_the_server() -> None:
    """The page holds one page of them; a state is asked of the server; one group is its own address."""
    many = [report(f"r{number}", f"g{number // 100}") for number in range(100_000)]
    many[77_777] = failed("r77777", evidence="nobody", group="g777")
    service = Crowd(*many)
    async with shown(service) as (page, url):
        await page.go(url)
        await page.until("document.querySelectorAll('.resource').length === 200", PATIENT_MS)
        assert await page.look("!document.querySelector('.pager').hidden")
        await page.look("document.querySelector('[data-show=failed]').click()")
        await page.until("document.querySelectorAll('.resource').length === 1", PATIENT_MS)
        assert await page.look("document.querySelector('.resource .name a').textContent") == "r77777"
        await page.look("document.querySelector('[data-show=\"\"]').click()")
        await page.until("document.querySelectorAll('.resource').length === 200", PATIENT_MS)
        await page.look("[...document.querySelectorAll('.pager button')].at(-1).click()")
        await page.until("document.querySelector('.resource .name a').textContent === 'r200'", PATIENT_MS)
        await page.go(f"{url}#/group/g42")
        await page.until("document.querySelector('.resource .name a')?.textContent === 'r4200'", PATIENT_MS)
        assert await page.look("document.querySelectorAll('.resource').length") == 100
        await page.go(f"{url}#/wall")
        await page.until("document.querySelectorAll('.resource').length === 1", PATIENT_MS)
        assert await page.look("document.querySelector('.resource .name a').textContent") == "r77777"
        assert await page.look("document.querySelector('[data-show=failed]').ariaPressed") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_can_be_read(scheme: str, tmp_path: Path) -> None:
    """At phone and desk width no view is wider than the screen, and words have 4.5 times the ground's contrast."""
    service = Kept(*a_bad_day())
    for one in a_bad_day():
        service.edge(one)
    async with shown(service) as (page, url):
        for width, height in SIZES:
            await page.appear(scheme, width, height)
            for view in VIEWS:
                await page.go("about:blank")
                await page.go(url + view)
                await page.until("link.textContent === 'live'")
                await page.until(READY.get(view, "true"))
                name = f"{view.strip('#/').replace('/', '-') or 'overview'}-{scheme}-{width}.png"
                assert len(await page.shoot(tmp_path / name)) > 5_000
                assert await page.look("document.documentElement.scrollWidth <= innerWidth"), name
                assert await page.look(_FAINT) == [], name
        assert await page.reports() == []


_FAINT = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const words = ".word, .owner, .evidence, .reason, .cause, .quiet, .blame p, h2, h3, a, button, dt, dd";
  return [...document.querySelectorAll(words)]
    .filter((each) => each.innerText && !each.closest("svg, :disabled"))
    .map((each) => {
      const [one, other] = [light(parts(getComputedStyle(each).color)), light(ground(each))].sort((a, b) => b - a);
      return [(one + 0.05) / (other + 0.05), each.className, each.innerText];
    })
    .filter(([contrast]) => contrast < 4.5);
})()"""
