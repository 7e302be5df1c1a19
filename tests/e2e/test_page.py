"""The page in a real Chromium, before a real service whose processes are killed and whose verbs are asked for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.chromium import Page
from tests.e2e.conftest import TOKEN
from tests.e2e.service import Service

SEEN_WITHIN_S = 5.0  # measured: below 0.2 s; a machine under load is given more
TABS_MAX = 60

ROW = "[...document.querySelectorAll('.resource')].find((row) => row.querySelector('.name a').textContent === %s)"
WATCH = """
window.seen = [];
new MutationObserver((changes) => changes.forEach(({target, oldValue}) => {
  const {state} = target.dataset;
  if (!target.matches(".resource") || state === oldValue) return;
  window.seen.push({name: target.querySelector(".name a").textContent, state, at: Date.now()});
})).observe(document.body, {subtree: true, attributes: true, attributeOldValue: true, attributeFilter: ["data-state"]});
"""


async def _overview(page: Page, service: Service) -> None:
    await page.go(service.url)
    await page.until("document.querySelectorAll('.resource[data-state=online]').length === 6")


async def _press(page: Page, text: str, within: str = "document") -> None:
    """Click the button that says this, once there is one that can be pressed."""
    button = f"[...{within}.querySelectorAll('button')].find((one) => one.textContent === {json.dumps(text)})"
    await page.until(f"{button} && !{button}.disabled")
    await page.look(f"{button}.click()")


async def test_a_kill_is_seen_at_once(
    service: Service, page: Page, record_property: Callable[[str, object], None]
) -> None:
    """A killed service is shown as failed within a second or so, without a reload, and online again when it is."""
    await _overview(page, service)
    await page.look(WATCH)
    pid = service.resource("evs1/smtp")["pid"]
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    seen = await page.until("window.seen.find(({name, state}) => name === 'smtp' && state === 'failed')")
    took_s = seen["at"] / 1000 - killed_at
    record_property("seen_after_s", round(took_s, 3))
    assert 0 <= took_s < SEEN_WITHIN_S
    await page.until(f"{ROW % json.dumps('smtp')}.dataset.state === 'online' && window.seen.at(-1).state === 'online'")
    assert await page.until(f"{ROW % json.dumps('smtp')}.textContent.includes('restarted 1\u00d7')")
    assert {one["name"] for one in await page.look("window.seen")} == {"smtp"}
    assert await page.reports() == []


async def test_when_nobody_answers_the_page_says_so(service: Service, page: Page) -> None:
    """A page that lost its service shows that what it knows is old, and is live again by itself."""
    await _overview(page, service)
    service.signal(signal.SIGSTOP)
    lost = await page.until("document.body.classList.contains('lost') && link.textContent", 30_000)
    assert "what you see is old" in lost
    service.signal(signal.SIGCONT)
    await page.until("!document.body.classList.contains('lost') && link.textContent === 'live'")


async def test_an_action_shows_its_plan_and_needs_a_token(service: Service, page: Page) -> None:
    """Nothing is done before the plan is shown and confirmed; a wrong token does nothing; a right one is kept."""
    await _overview(page, service)
    events, pid = service.events(), service.resource("evs1/pop3")["pid"]
    await page.go(f"{service.url}#/resource/evs1/pop3")
    await _press(page, "restart")
    steps = await page.until("document.querySelector('dialog .steps')?.innerText")
    assert "stop evs1/pop3" in steps
    assert "start evs1/pop3" in steps
    assert await page.look("document.activeElement.type") == "password"
    await page.type("a guess")
    await _press(page, "Do it", "document.querySelector('dialog')")
    assert "Bearer" in await page.until("document.querySelector('dialog .refused')?.innerText")
    assert (service.events(), service.resource("evs1/pop3")["pid"]) == (events, pid)
    await page.until("document.activeElement.type === 'password' && document.activeElement.value === ''")
    await page.type(TOKEN)
    await page.press("Enter")
    assert "done" in await page.until("document.querySelector('dialog .done')?.innerText")
    assert service.wait_for_another_process("evs1/pop3", pid)["restarts"] == 0
    await _press(page, "Close", "document.querySelector('dialog')")
    button = "[...document.querySelectorAll('.verbs button')].find((one) => one.textContent === 'offline')"
    assert await page.look(f"{button}.click() || document.querySelector('dialog .primary').disabled"), "no plan yet"
    await page.until("document.querySelector('dialog .steps')")
    assert await page.look("document.querySelector('dialog .token').hidden")
    await _press(page, "Do it", "document.querySelector('dialog')")
    service.wait_for("evs1/pop3", state="offline", desired="offline")
    await page.until("document.querySelector('.why-chain').innerText.includes('somebody took it offline')")
    assert not await page.look("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie]).length > 10")
    assert [one for one in await page.reports() if "401" not in one] == []


async def test_without_a_token_file_the_page_says_how_to_switch_control_on(folder: Path, page: Page) -> None:
    """Where control is off, the refusal says which option switches it on, and nothing happens."""
    with Service(folder / "store", command="demo") as demo:
        demo.wait_all_alive()
        events = demo.events()
        await page.go(f"{demo.url}#/resource/evs1/smtp")
        await _press(page, "terminate")
        await page.until("document.querySelector('dialog .steps')")
        await page.type("anything")
        await _press(page, "Do it", "document.querySelector('dialog')")
        assert "--token-file" in await page.until("document.querySelector('dialog .refused')?.innerText")
        assert demo.events() == events


async def test_making_a_resource(service: Service, page: Page) -> None:
    """The wizard shows what will be asked for; a program over the network is refused with the command line for it."""
    await page.go(f"{service.url}#/create")
    await page.until("document.querySelector('.wizard select')?.value === 'smtp'")
    binding = service.get("/api/v1/metabase/smtp/1").json["properties"]["bindings"][0]
    await page.look(_FILL % json.dumps(["evs1", "extra", binding]))
    await _press(page, "Show what will be asked for")
    body = json.loads(await page.until("document.querySelector('dialog pre')?.textContent"))
    assert body == {"type": "smtp", "parameters": {}, "server": {"bindings": [binding]}}
    assert "evs1/extra" not in service.resources()
    await page.type(TOKEN)
    await _press(page, "Do it", "document.querySelector('dialog')")
    assert "evs1/extra" in await page.until("document.querySelector('dialog .done')?.innerText")
    service.wait_for("evs1/extra", state="online")
    await _press(page, "Close", "document.querySelector('dialog')")
    await page.look(_FILL % json.dumps(["evs1", "another", binding]))
    await page.look("[...document.querySelectorAll('select')].at(-1).value = 'process'")
    await page.look("[...document.querySelectorAll('select')].at(-1).dispatchEvent(new Event('change'))")
    command = "[...document.querySelectorAll('.question')].find((one) => one.innerText.startsWith('command'))"
    await page.until(command)
    await page.look(f"{command}.querySelector('input').value = '[\"/bin/true\"]'")
    await _press(page, "Show what will be asked for")
    await page.until("document.querySelector('dialog pre')?.textContent.includes('/bin/true')")
    await _press(page, "Do it", "document.querySelector('dialog')")
    assert "looksalive create smtp evs1/another" in await page.until(
        "document.querySelector('dialog .refused')?.innerText"
    )
    assert "evs1/another" not in service.resources()


async def test_what_if(service: Service, page: Page) -> None:
    """The plan of a kill is told in ordered steps, with its one alert and everybody's fate; nothing is done."""
    events = service.events()
    await page.go(f"{service.url}#/plan/kill/evs1/store")
    steps = await page.until("document.querySelector('.steps')?.innerText")
    assert steps.index("evs1/store fails") < steps.index("start evs1/store again") < steps.index("start evs1/smtp")
    alert = await page.look("document.querySelector('.alert').innerText")
    assert alert == (
        "One alert: evs1/store (process gone); down because of it: evs1/smtp, evs1/pop3, evs1/imap and evs1/http."
    )
    assert await page.look("document.querySelectorAll('.fate').length") == 5
    await page.go(f"{service.url}#/plan/node-down")
    place = await page.until("document.querySelector('.fate a')?.hash === '#/group/evs1' && view.innerText")
    assert "no other node" in place
    assert service.events() == events
    assert await page.reports() == []


async def test_everything_can_be_reached_by_keyboard(service: Service, page: Page) -> None:
    """Tab goes through views, filters, verbs, the graph and every resource, each visibly; a dialog gives focus back."""
    await _overview(page, service)
    await page.until("document.querySelectorAll('.box').length === 6")
    walked = []
    for _ in range(TABS_MAX):
        await page.press("Tab")
        at = await page.look(_FOCUSED)
        if at is None or at["name"] == "OpenAPI":
            break
        walked.append(at)
    names = [one["name"] for one in walked]
    assert [name for name in names if name in ("Overview", "Events", "What if", "Create")] == names[:4]
    for wanted in ("failed", "Take offline", "Maintenance", "evs1", "smtp", "store"):
        assert any(wanted in name for name in names), (wanted, names)
    assert sum(one["box"] for one in walked) == 6
    assert all(one["shown"] for one in walked), [one for one in walked if not one["shown"]]
    await page.look(f"{ROW % json.dumps('imap')}.querySelector('.name a').focus()")
    await page.press("Enter")
    await page.until(
        "document.querySelector('h2')?.innerText === 'evs1 / imap' && document.activeElement.id === 'view'"
    )
    while await page.look("document.activeElement.textContent") != "restart":
        await page.press("Tab")
    await page.press("Enter")
    await page.until("document.querySelector('dialog .steps')")
    for _ in range(8):
        await page.press("Tab")
        assert await page.look("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    await page.press("Escape")
    await page.until("!document.querySelector('dialog') && document.activeElement.textContent === 'restart'")
    assert await page.reports() == []


_FOCUSED = """(() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const style = getComputedStyle(at.matches(".box") ? at.querySelector("rect") : at);
  return {
    name: (at.textContent || at.placeholder).trim(),
    box: at.matches(".box") ? 1 : 0,
    shown: at.matches(".box") ? parseFloat(style.strokeWidth) > 2 : style.outlineStyle !== "none",
  };
})()"""

_FILL = """%s.forEach((text, at) => {
  document.querySelectorAll(".wizard input:not([type=checkbox])")[at].value = text;
})"""
