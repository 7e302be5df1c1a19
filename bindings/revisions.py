"""The last revisions of a document, each a file `revisions/metabase.N.json` or `revisions/cluster.N.json`."""

from __future__ import annotations

import re
from contextlib import suppress

from bindings.files import Files, replace_file
from bindings.watch import METABASE_FILE

REVISIONS_KEPT = 10


class Revisions:
    """The kept revisions of one document of a store, named by its file (`metabase.json`)."""

    def __init__(self, files: Files, store_path: str, bytes_max: int, file: str = METABASE_FILE) -> None:
        self._files = files
        self._stem = file.removesuffix(".json")
        self._name = re.compile(rf"{self._stem}\.([0-9]{{1,15}})\.json")
        self._folder = f"{store_path}/revisions"
        self._bytes_max = bytes_max

    def numbers(self) -> list[int]:
        """List the kept revisions, rising."""
        try:
            names = self._files.names(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(match[1]) for match in map(self._name.fullmatch, names) if match)

    def read(self, number: int) -> bytes | None:
        """Return a kept revision's text, None if it is not kept."""
        try:
            return self._files.read(f"{self._folder}/{self._file_name(number)}", self._bytes_max)
        except FileNotFoundError:
            return None

    def number_for(self, declared: int, text: bytes) -> int:
        """Choose the number under which to keep a text that calls itself revision `declared`.

        A hand edit need not raise its revision; where another text has that number, it gets the next free one.
        """
        kept = self.read(declared)
        return declared if kept is None or kept == text else max(declared, *self.numbers()) + 1

    def keep(self, number: int, text: bytes) -> None:
        """Keep a text and drop the oldest beyond `REVISIONS_KEPT`. Raises OSError."""
        if self.read(number) == text:
            return
        self._files.make_folder(self._folder)
        replace_file(self._files, self._folder, self._file_name(number), text)
        for old in self.numbers()[:-REVISIONS_KEPT]:
            with suppress(FileNotFoundError):
                self._files.remove(f"{self._folder}/{self._file_name(old)}")

    def _file_name(self, number: int) -> str:
        return f"{self._stem}.{number}.json"
