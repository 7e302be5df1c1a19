"""Bases of images, made on the spot out of this machine's own Debian packages: no registry is asked.

A base is the files that `dpkg` lists for some packages and for what they depend on, with the few files that are written
when packages are configured.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.e2e.podman import MERGED
from tests.e2e.programs import absent, need

FORMAT = "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\t${db:Status-Status}\n"
LEFT_OUT = tuple(
    f"/usr/share/{name}/" for name in ("doc", "man", "locale", "info", "lintian", "bash-completion", "perl", "i18n")
)
CONFIGURED = ("/etc/ld.so.cache", "/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf", "/etc/services")
LINKS = ("/usr/bin/awk", "/etc/alternatives/awk")
MINIMAL = {
    "/etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    "/etc/group": "root:x:0:\nnonroot:x:65532:\n",
}
ORDINARY = MINIMAL | {name: Path(name).read_text() for name in MINIMAL}
PACKAGES = "/packages"
FOLDERS = {
    "tmp": 0o1777,
    "var/tmp": 0o1777,
    "proc": 0o755,
    "sys": 0o755,
    "dev": 0o755,
    "run": 0o755,
    "root": 0o700,
    "var/lib": 0o755,
}


class Base(NamedTuple):
    """What is in a base."""

    packages: tuple[str, ...]
    without: frozenset[str] = frozenset()  # packages that are depended on and not needed
    files: dict[str, str] = ORDINARY


DISTROLESS = Base(
    ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "netbase"),
    frozenset(["dpkg", "tar", "debconf", "readline-common", "libreadline8", "libnsl2", "libtirpc3", "libtirpc-common"]),
    MINIMAL,
)
SHELL = ("dash", "bash", "coreutils", "sed", "grep", "findutils", "diffutils", "hostname", "mawk", "procps")
DEBIAN = Base(
    ("python3-minimal", "python3.11-venv", "binutils", "postfix", "dovecot-imapd", "dovecot-pop3d", *SHELL),
)


class Packages:
    """What is installed here."""

    def __init__(self) -> None:
        query = need("dpkg-query", "dpkg")
        lines = subprocess.run([query, "-W", "-f", FORMAT], capture_output=True, text=True, check=True).stdout
        rows = [line.split("\t") for line in lines.splitlines()]
        self._needs = {name: needs for name, needs, _, status in rows if status == "installed"}
        self._providers = {
            provided: name
            for name, _, provides, _ in rows
            for provided in re.findall(r"[a-z0-9][a-z0-9.+-]+", provides)
        }

    def closure(self, base: Base) -> list[str]:
        """List the packages of a base and those they depend on. Skips the test when one is not installed."""
        found: set[str] = set()
        left = list(base.packages)
        if missing := set(left) - self._needs.keys():
            absent(
                f"these packages are not installed: {' '.join(sorted(missing))} (tests/run.sh does as root on Debian)"
            )
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += set(self._depended(name)) - base.without
        return sorted(found)

    def _depended(self, name: str) -> Iterator[str]:
        for clause in self._needs[name].split(","):
            choices = [choice.split()[0].partition(":")[0] for choice in clause.split("|") if choice.strip()]
            here = [choice if choice in self._needs else self._providers.get(choice, "") for choice in choices]
            yield from [choice for choice in here if choice in self._needs][:1]

    def files(self, base: Base) -> list[str]:
        """List the files of a base (some are gone), each where it really lies (`/usr/bin/sh`, never `/bin/sh`)."""
        listed = subprocess.run(["dpkg", "-L", *self.closure(base)], capture_output=True, text=True, check=True).stdout
        places = {_real_place(line) for line in listed.splitlines() if line.startswith("/")}
        return [place for place in places if not place.startswith(LEFT_OUT)]


def _real_place(path: str) -> str:
    top, _, rest = path.lstrip("/").partition("/")
    return f"/usr/{top}/{rest}" if top in MERGED and rest else path


def write_base(base: Base, archive: Path, packages: Path | None = None) -> Path:
    """Write the base as an archive that `podman import` takes, with a folder of wheels at PACKAGES."""
    with tarfile.open(archive, "w") as made:
        for name, mode in FOLDERS.items():
            made.addfile(_folder(name, mode))
        for name in MERGED:
            made.addfile(_link(name, f"usr/{name}"))
        for name, text in base.files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        taken = {"/.", *base.files, *(f"/{name}" for name in (*FOLDERS, *MERGED))}
        found = {path for path in (*Packages().files(base), *CONFIGURED, *LINKS) if os.path.lexists(path)}
        for path in sorted(found - taken):
            made.add(path, path.lstrip("/"), recursive=False)
        if packages is not None:
            made.add(packages, PACKAGES.lstrip("/"))
    return archive


def _folder(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry
