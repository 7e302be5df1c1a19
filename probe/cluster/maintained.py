"""Which groups are in maintenance, kept in the state folder: a restart of ours must not begin to act on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from bindings.files import replace_file
from bindings.store import Files

MAINTAINED_BYTES_MAX = 1024 * 1024
FILE = "maintenance.json"

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One group's maintenance: by whom, and until when (wall clock seconds; None: until it is ended)."""

    owner: str
    until: float | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema_version: int
    groups: dict[str, Kept]


class MaintenanceFile:
    """The maintenance of groups as it outlives us."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder
        self.groups: dict[str, Kept] = {}

    def load(self, wall: float) -> None:
        """Read what is in force at `wall`; a file that makes no sense is set aside and told. Raises OSError."""
        path = f"{self._folder}/{FILE}"
        try:
            groups = msgspec.json.decode(self._files.read(path, MAINTAINED_BYTES_MAX), type=_Document).groups
        except FileNotFoundError:
            return
        except msgspec.MsgspecError as error:
            self._files.rename(path, f"{path}.unreadable")
            _log.error("%s cannot be read (%s); set aside as %s.unreadable", FILE, error, FILE)
            return
        self.groups = {name: kept for name, kept in groups.items() if kept.until is None or kept.until > wall}

    def save(self, groups: Mapping[str, Kept]) -> None:
        """Make it durable. Blocks; raises OSError."""
        self.groups = dict(groups)
        self._files.make_folder(self._folder)
        text = msgspec.json.format(msgspec.json.encode(_Document(1, self.groups)))
        replace_file(self._files, self._folder, FILE, text)
