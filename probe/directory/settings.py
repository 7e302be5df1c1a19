"""What one can be told about the directory; light enough for a command line that only prints its help."""

from __future__ import annotations

from dataclasses import dataclass

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """Where the directory is and who we are there; files are paths."""

    url: str | None = None  # None: the embedded one, if there is any
    bind_dn: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    starttls: bool = False


NO_DIRECTORY = DirectorySettings()
