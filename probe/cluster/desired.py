"""What operators asked for last, kept in the state folder and obeyed at the next start: an offline stays offline."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from bindings.store import Files
from probe.values import ResourceId

DESIRED_BYTES_MAX = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    desired: dict[str, bool]


class DesiredState:
    """The desired state of the resources somebody has ever asked something of."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder
        self._path = f"{folder}/desired.json"
        self._desired: dict[str, bool] = {}

    def load(self) -> None:
        """Read what was wanted. A file that makes no sense is set aside, never lost, and said so.

        Raises OSError where it cannot be read at all: starting what an operator took offline would be worse.
        """
        try:
            raw = self._files.read(self._path, DESIRED_BYTES_MAX)
        except FileNotFoundError:
            return
        try:
            self._desired = msgspec.json.decode(raw, type=_Document).desired
            for id in self._desired:
                ResourceId.parse(id)
        except (msgspec.MsgspecError, ValueError) as error:
            self._desired = {}
            self._files.rename(self._path, f"{self._path}.unreadable")
            _log.error("desired.json cannot be read (%s); set aside as desired.json.unreadable", error)

    def items(self) -> tuple[tuple[ResourceId, bool], ...]:
        """List what is known, as `Configured` takes it."""
        return tuple((ResourceId.parse(id), wanted) for id, wanted in self._desired.items())

    def keep(self, ids: Iterable[ResourceId]) -> None:
        """Forget every other resource: at start, so that the file does not outgrow the store."""
        known = {str(id) for id in ids}
        self._desired = {id: wanted for id, wanted in self._desired.items() if id in known}

    def want(self, id: ResourceId, wanted: bool) -> None:
        """Note what an operator asked."""
        self._desired[str(id)] = wanted

    def save(self) -> None:
        """Make it durable: a new file, synced, renamed. Blocks; raises OSError."""
        document = _Document(1, dict(self._desired))
        self._files.make_folder(self._folder)
        self._files.write(f"{self._path}.new", msgspec.json.format(msgspec.json.encode(document)))
        self._files.sync(f"{self._path}.new")
        self._files.rename(f"{self._path}.new", self._path)
        self._files.sync(self._folder)
