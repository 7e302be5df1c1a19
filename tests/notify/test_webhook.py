"""The task that tells the receiver, in virtual time: retries, time-outs, signatures, and that it holds up nobody."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import hmac
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from probe.environment import Environment, HttpAnswer, HttpError
from probe.lifecycle.events import Configured
from probe.metrics import Metrics
from probe.notify.settings import WebhookSettings
from probe.notify.told import FILE
from probe.notify.webhook import RETRY_MAX_S, SECRET_BYTES_MIN, SEND_TIMEOUT_S, Webhook, WebhookError, open_webhook
from tests.notify.following import Followed, observed
from tests.sim.environment import SimClock
from tests.sim.files import MemoryFiles
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.network import SimNetwork
from tests.sim.processes import SimProcesses

URL = "https://hooks.example.org/services/T0/KEY-OF-THEIRS"
OURS = "http://127.0.0.1:9810/"
SECRET = b"0123456789abcdef0123456789abcdef"
HOUR_S = 3600.0

Answer = Callable[[], Awaitable[HttpAnswer]]


def taken(status: int = 200) -> Answer:
    """Answer with a status."""

    async def answer() -> HttpAnswer:
        return HttpAnswer(status, b"")

    return answer


def raising(error: Exception) -> Answer:
    """Answer with an error."""

    async def answer() -> HttpAnswer:
        raise error

    return answer


async def silence() -> HttpAnswer:
    """Answer never."""
    await asyncio.Event().wait()
    raise AssertionError


class Receiver:
    """`Http` to the one receiver: answers as told, in turn, then well; keeps what came, and when."""

    def __init__(self, clock: SimClock, *answers: Answer) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.came: list[tuple[float, bytes, Mapping[str, str]]] = []

    async def ask(
        self,
        method: str,
        url: str,
        *,
        socket: str | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        bytes_max: int,
    ) -> HttpAnswer:
        """Take one message."""
        assert (method, url, socket, bytes_max > 0) == ("POST", URL, None, True)
        self.came.append((self._clock.now(), body, headers or {}))
        return await (self._answers.pop(0) if self._answers else taken())()

    @property
    def alerts(self) -> list[list[tuple[str, str]]]:
        """What each message says: (status, resource) each."""
        return [
            [(alert["status"], alert["labels"]["resource"]) for alert in json.loads(body)["alerts"]]
            for _, body, _ in self.came
        ]


class Ground:
    """A webhook at work on a world of servers that are only watched."""

    def __init__(
        self, *answers: Answer, files: MemoryFiles | None = None, signed: bool = False, after_s: int = 0
    ) -> None:
        loop = current_loop()
        self.clock = SimClock(loop)
        self.files = MemoryFiles() if files is None else files
        self.receiver = Receiver(self.clock, *answers)
        self.metrics = Metrics()
        machine = Machine(1, loop.timeline)
        self.environment = Environment(
            self.clock,
            random.Random(1),
            self.files,
            SimNetwork(machine.wire, loop, machine.host),
            SimProcesses(machine, loop),
            http=self.receiver,
        )
        if signed:
            self.files.put("/secret", SECRET + b"\n")
        settings = WebhookSettings(URL, "/secret" if signed else None, after_s)
        self.webhook = Webhook(settings, self.environment, self.metrics, "/state", "node1")
        self.followed = Followed([], self.webhook._alerts)
        self.followed.alerts = self  # type: ignore[assignment] # it is the webhook that notes
        self.task = loop.create_task(self.webhook.follow(OURS))

    def note(self, world: Any, event: Any, decision: Any, *, now: float, wall: float) -> None:
        """Pass a decision on as the runtime does."""
        del wall
        self.webhook.note(world, event, now, decision)

    async def begin(self, *names: str) -> None:
        """Watch servers, all well."""
        self.followed.happen(Configured(tuple(observed(*names))))
        self.followed.well(*names)
        await self.passes(1.0)

    async def passes(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)
        self.followed.now = self.clock.now()

    async def end(self) -> None:
        """End the task as the service does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def simulate(scene: Callable[[], Awaitable[None]]) -> None:
    """Run a scene in virtual time."""

    async def main() -> None:
        await scene()

    run_virtual(main(), until_s=100 * HOUR_S)


def test_a_failure_and_its_end() -> None:
    """Both are told at once, with what is kept for a restart brought up to date each time."""

    async def scene() -> None:
        ground = Ground()
        await ground.begin("a")
        assert ground.receiver.came == []
        ground.followed.probed("a")
        await ground.passes(0.1)
        assert ground.receiver.alerts == [[("firing", "a")]]
        assert b'"evs1/a"' in ground.files.read(f"/state/{FILE}", 1000)
        ground.followed.well("a")
        await ground.passes(0.1)
        assert ground.receiver.alerts[1:] == [[("resolved", "a")]]
        assert b'"evs1/a"' not in ground.files.read(f"/state/{FILE}", 1000)
        assert (ground.metrics.webhook_sent_total, ground.metrics.webhook_errors_total) == (2, 0)
        await ground.end()

    simulate(scene)


def test_it_is_signed_by_a_secret_that_may_change() -> None:
    """Every message carries the signature of its body by the secret of now; a bad edit leaves the last good one."""

    async def scene() -> None:
        ground = Ground(signed=True)
        await ground.begin("a")
        for secret, content in ((SECRET, None), (SECRET[::-1], SECRET[::-1]), (SECRET[::-1], b"short")):
            if content is not None:
                ground.files.put("/secret", content)
            ground.followed.probed("a")
            await ground.passes(1.0)
            _, body, headers = ground.receiver.came[-1]
            stamp, digest = (part.partition("=")[2] for part in headers["X-Looksalive-Signature"].split(","))
            assert digest == hmac.new(secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            assert abs(int(stamp) - ground.clock.wall()) < 3
            ground.followed.well("a")
            await ground.passes(1.0)
        await ground.end()

    simulate(scene)


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (taken(500), "it answers 500"),
        (taken(302), "it answers 302"),
        (taken(401), "it answers 401"),
        (raising(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")), "Connection refused"),
        (raising(HttpError("the answer broke off")), "HttpError"),
        (raising(ValueError("not foreseen")), "a mistake of ours"),
        (silence, f"no answer within {SEND_TIMEOUT_S:g} s"),
    ],
)
def test_whatever_goes_wrong_it_is_told_again(trouble: Answer, word: str, caplog: pytest.LogCaptureFixture) -> None:
    """Only a 2xx is an answer; trouble is logged once, with no word of the address, and so is its end."""
    caplog.set_level(logging.INFO, "looksalive.webhook")

    async def scene() -> None:
        ground = Ground(trouble, trouble, trouble)
        await ground.begin("a")
        ground.followed.probed("a")
        await ground.passes(10 * SEND_TIMEOUT_S)
        assert ground.receiver.alerts == [[("firing", "a")]] * 4
        assert (ground.metrics.webhook_sent_total, ground.metrics.webhook_errors_total) == (1, 3)
        await ground.end()

    simulate(scene)
    assert caplog.text.count(word) == 1
    assert caplog.text.count("takes messages again") == 1
    assert "KEY-OF-THEIRS" not in caplog.text
    assert "hooks.example.org" in caplog.text


def test_retries_slow_down_and_are_spread() -> None:
    """Between two tries lie one second at first and a minute at last, less up to the half by chance."""

    async def scene() -> None:
        ground = Ground(*[taken(503)] * 20)
        await ground.begin("a")
        ground.followed.probed("a")
        await ground.passes(HOUR_S)
        times = [at for at, _, _ in ground.receiver.came]
        gaps = [after - before for before, after in pairwise(times)]
        for count, gap in enumerate(gaps):
            longest = min(2.0**count, RETRY_MAX_S)
            assert longest / 2 <= gap <= longest, gaps
        assert len({round(gap, 6) for gap in gaps[6:]}) > 5
        assert len(times) == 21
        await ground.end()

    simulate(scene)


def test_a_receiver_that_is_away_hears_how_it_is_then() -> None:
    """What came and went meanwhile is told to nobody, what is down is told in one message."""

    async def scene() -> None:
        ground = Ground(*[taken(503)] * 8)
        await ground.begin("a", "b", "c", "d")
        for name in "abc":
            ground.followed.probed(name)
            await ground.passes(3.0)
        ground.followed.probed("d")
        ground.followed.well("d")
        await ground.passes(HOUR_S)
        assert sorted(ground.receiver.alerts[-1]) == [("firing", "a"), ("firing", "b"), ("firing", "c")]
        assert ground.metrics.webhook_sent_total == 1
        await ground.end()

    simulate(scene)


def test_after_a_restart_what_was_told_is_taken_back() -> None:
    """An alert that an earlier run told is resolved by the next one, once the server is well."""

    async def scene() -> None:
        first = Ground()
        await first.begin("a")
        first.followed.probed("a")
        await first.passes(1.0)
        await first.end()
        second = Ground(files=first.files)
        await second.begin("a")
        await second.passes(1.0)
        assert (first.receiver.alerts, second.receiver.alerts) == ([[("firing", "a")]], [[("resolved", "a")]])
        await second.end()

    simulate(scene)


def test_a_disk_that_fails_keeps_nobody_from_being_told(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be kept is logged; the message is sent all the same."""

    async def scene() -> None:
        ground = Ground(files=MemoryFiles(read_only={"/state"}))
        await ground.begin("a")
        ground.followed.probed("a")
        await ground.passes(1.0)
        assert ground.receiver.alerts == [[("firing", "a")]]
        await ground.end()

    simulate(scene)
    assert "cannot be kept" in caplog.text


def test_patience_is_waited_for() -> None:
    """With `--webhook-after-s` the message comes when the time is over, although nothing happens then."""

    async def scene() -> None:
        ground = Ground(after_s=30)
        await ground.begin("a")
        ground.followed.now = began = ground.clock.now()
        ground.followed.probed("a")
        await ground.passes(60.0)
        ((at, _, _),) = ground.receiver.came
        assert at == pytest.approx(began + 30, abs=0.01)
        await ground.end()

    simulate(scene)


def test_a_mistake_of_ours_about_an_alert_costs_no_decision(caplog: pytest.LogCaptureFixture) -> None:
    """`note` never raises: the runtime goes on to act on what was decided."""

    async def scene() -> None:
        ground = Ground()
        ground.webhook.note(object(), object(), 0.0, object())  # type: ignore[arg-type] # that is the point
        await ground.end()

    simulate(scene)
    assert "a mistake in looksalive" in caplog.text


@pytest.mark.parametrize(
    ("settings", "content", "word"),
    [
        (WebhookSettings(None, "/secret"), SECRET, "--webhook-url"),
        (WebhookSettings(URL, "/secret"), None, "cannot read /secret"),
        (WebhookSettings(URL, "/secret"), b"x" * (SECRET_BYTES_MIN - 1), "openssl rand -hex 32"),
    ],
)
def test_what_cannot_be_had_is_refused_at_the_start(
    settings: WebhookSettings, content: bytes | None, word: str
) -> None:
    """A secret without an address, one that is not there and one that is too short are said with the mend."""

    async def scene() -> None:
        ground = Ground()
        if content is not None:
            ground.files.put("/secret", content)
        with pytest.raises(WebhookError, match=word):
            open_webhook(settings, ground.environment, ground.metrics, "/state", "node1")
        assert open_webhook(WebhookSettings(), ground.environment, ground.metrics, "/state", "node1") is None
        await ground.end()

    simulate(scene)
