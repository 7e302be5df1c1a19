"""What `run` can be told about the webhook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where alerts go, and how they are signed; without a URL nobody is told."""

    url: str | None = None
    secret_file: str | None = None  # None: messages are not signed
    after_s: int = 0  # tell only what has lasted so long


NO_WEBHOOK = WebhookSettings()
