"""The webhook: one receiver, one message at a time, tried until it is taken.

1. `note` is all that the loop does for it: it brings the level of alerts up to date and wakes the one task.
2. Only a 2xx is an answer. Whatever else comes (no connection, a time-out, a redirect, an error) is tried again, at
   first after a second, at last once a minute, spread by chance; what changes meanwhile goes into the next try.
3. The address may hold a secret of the receiver's and is in no log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from probe.environment import Environment, HttpError
from probe.lifecycle.events import Event
from probe.lifecycle.world import Decision, World
from probe.metrics import Metrics
from probe.notify.alerts import Alerts, Notice
from probe.notify.payload import SIGNATURE_HEADER, encode, sign
from probe.notify.settings import WebhookSettings
from probe.notify.told import ToldFile
from probe.secret import Secret

SEND_TIMEOUT_S = 10.0
KEEP_TIMEOUT_S = 5.0
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
ANSWER_BYTES_MAX = 64 * 1024
SECRET_BYTES_MAX = 4096
SECRET_BYTES_MIN = 16

_log = logging.getLogger("looksalive.webhook")


class WebhookError(Exception):
    """The webhook cannot be had as it is asked for; the text says what to do."""


class Webhook:
    """Tells the receiver of every alert that begins and ends."""

    def __init__(
        self, settings: WebhookSettings, environment: Environment, metrics: Metrics, state_dir: str, node: str
    ) -> None:
        """Take up what an earlier run told. Raises WebhookError."""
        if settings.url is None:
            raise WebhookError("--webhook-secret-file signs what --webhook-url sends; pass that, too")
        self._url = settings.url
        self._place = urlsplit(settings.url).netloc.rpartition("@")[2]
        self._settings = settings
        self._environment = environment
        self._metrics = metrics
        self._node = node
        self._file = ToldFile(environment.files, state_dir)
        self._wake = asyncio.Event()
        self._failing = False
        try:
            self._secret = self._read_secret()
            self._alerts = Alerts(self._file.load(), after_s=settings.after_s)
        except OSError as error:
            raise WebhookError(f"cannot read {error.filename or settings.secret_file}: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"<Webhook {self._place} {self._alerts!r}{' failing' * self._failing}>"

    def note(self, world: World, event: Event, now: float, decision: Decision) -> None:
        """Take a decision that `world` has taken over already. Never raises: what follows from it must happen."""
        try:
            self._alerts.note(world, event, decision, now=now, wall=self._environment.clock.wall())
        except Exception:  # noqa: BLE001 - a mistake of ours about an alert must not cost a restart
            _log.exception("a mistake in looksalive: the webhook may lack an alert")
        self._metrics.webhook_dropped_total = self._alerts.dropped_total
        if self._alerts.waiting:
            self._wake.set()

    async def follow(self, own_url: str) -> None:
        """Tell for ever. `own_url` is where the receiver's reader finds more, with a slash at its end."""
        clock, retry_s = self._environment.clock, RETRY_FIRST_S
        while True:
            await self._wait_until_due()
            notices = self._alerts.take(clock.now())
            if not notices:
                continue
            await self._keep()
            trouble = await self._send(notices, own_url)
            self._count(trouble)
            if not trouble:
                self._alerts.delivered(notices, clock.now())
                retry_s = RETRY_FIRST_S
                await self._keep()
                continue
            self._alerts.undelivered(notices, clock.now())
            await clock.sleep(self._environment.randomness.uniform(retry_s / 2, retry_s))
            retry_s = min(retry_s * 2, RETRY_MAX_S)

    async def _wait_until_due(self) -> None:
        clock = self._environment.clock
        self._wake.clear()
        due = self._alerts.next_due()
        if due is not None and due <= clock.now():
            return
        timer = None if due is None else clock.call_at(due, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _send(self, notices: Sequence[Notice], own_url: str) -> str:
        """Send one message. Returns what went wrong, or nothing."""
        wall = self._environment.clock.wall()
        body = encode(notices, node=self._node, url=own_url, wall=wall)
        headers = {"Content-Type": "application/json", "User-Agent": "looksalive"}
        with contextlib.suppress(OSError, WebhookError):  # the last good secret stays in force
            self._secret = self._read_secret()
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = sign(body, self._secret.reveal(), wall)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                answer = await self._environment.http.ask(
                    "POST", self._url, body=body, headers=headers, bytes_max=ANSWER_BYTES_MAX
                )
        except TimeoutError:
            return f"no answer within {SEND_TIMEOUT_S:g} s"
        except (OSError, HttpError) as error:
            return getattr(error, "strerror", None) or type(error).__name__
        except Exception:  # noqa: BLE001 - whatever a receiver makes a client stumble over, the service goes on
            _log.exception("a mistake in looksalive: a message to the webhook could not be sent")
            return "a mistake of ours; the log has it"
        return "" if 200 <= answer.status < 300 else f"it answers {answer.status}"

    def _count(self, trouble: str) -> None:
        if not trouble:
            self._metrics.webhook_sent_total += 1
            if self._failing:
                _log.info("the webhook at %s takes messages again", self._place)
        else:
            self._metrics.webhook_errors_total += 1
            if not self._failing:
                _log.warning("the webhook at %s cannot be told: %s; tried again until it is", self._place, trouble)
        self._failing = bool(trouble)

    async def _keep(self) -> None:
        """Keep what is told; a disk that fails must not keep anybody from being told."""
        told = list(self._alerts.told.values())
        try:
            async with asyncio.timeout(KEEP_TIMEOUT_S):
                await self._environment.threads.run("webhook", lambda: self._file.save(told))
        except OSError as error:  # a TimeoutError is one
            _log.warning("what the webhook was told cannot be kept: %s", error.strerror or "the disk does not answer")

    def _read_secret(self) -> Secret[bytes] | None:
        """Read the secret, which may be changed at any time. Raises OSError, WebhookError."""
        path = self._settings.secret_file
        if path is None:
            return None
        secret = self._environment.files.read(path, SECRET_BYTES_MAX).partition(b"\n")[0].strip()
        if len(secret) < SECRET_BYTES_MIN:
            raise WebhookError(f"the secret in {path} is shorter than {SECRET_BYTES_MIN} bytes; `openssl rand -hex 32`")
        return Secret(secret)


def open_webhook(
    settings: WebhookSettings, environment: Environment, metrics: Metrics, state_dir: str, node: str
) -> Webhook | None:
    """Open the webhook that the settings ask for, or None. Raises WebhookError."""
    if settings.url is None and settings.secret_file is None:
        return None
    return Webhook(settings, environment, metrics, state_dir, node)
