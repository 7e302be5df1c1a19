"""What was told and not yet taken back, kept in the state folder: a restart of ours leaves no alert open for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from bindings.files import replace_file
from bindings.store import Files
from probe.notify.alerts import Alert
from probe.values import ResourceId

FILE = "webhook.json"
TOLD_BYTES_MAX = 16 * 1024 * 1024

_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    type: str
    reason: str
    evidence: str
    since: float


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    alerts: list[_Kept]


class ToldFile:
    """The open alerts as they outlive us. Both calls block."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def load(self) -> list[Alert]:
        """Read what is open; a file that makes no sense is set aside and told. Raises OSError."""
        path = f"{self._folder}/{FILE}"
        try:
            kept = msgspec.json.decode(self._files.read(path, TOLD_BYTES_MAX), type=_Document).alerts
            return [Alert(ResourceId.parse(one.id), one.type, one.reason, one.evidence, one.since) for one in kept]
        except FileNotFoundError:
            return []
        except ValueError as error:  # msgspec's own are some, too
            self._files.rename(path, f"{path}.unreadable")
            _log.error("%s cannot be read (%s); set aside as %s.unreadable", FILE, error, FILE)
            return []

    def save(self, alerts: Iterable[Alert]) -> None:
        """Make it durable. Raises OSError."""
        kept = [_Kept(str(one.id), one.type, one.reason, one.evidence, one.since) for one in alerts]
        content = msgspec.json.format(msgspec.json.encode(_Document(1, kept)))
        replace_file(self._files, self._folder, FILE, content)
