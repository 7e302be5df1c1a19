"""The images of deploy/, built by Podman from bases and wheels that this machine has; one store for a test run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.e2e.bases import DEBIAN, DISTROLESS, PACKAGES, write_base
from tests.e2e.command import PROJECT
from tests.e2e.podman import Podman
from tests.e2e.programs import absent

BUILDS_WITHIN_S = 300.0
LOCKS = ("deploy/requirements.lock", "tests/build.lock")
BASES = {"docker.io/library/debian:12-slim": DEBIAN, "gcr.io/distroless/python3-debian12:latest": DISTROLESS}
OFFLINE = ("--change=ENV PIP_NO_INDEX=1", f"--change=ENV PIP_FIND_LINKS={PACKAGES}")
FILES = {"looksalive": "deploy/Containerfile", "looksalive-mail": "deploy/all-in-one/Containerfile"}
BUILD = ("build", "--quiet", "--format=docker")


def tell(figure: str) -> None:
    """Print a figure that was measured past pytest, which shows what a test prints only when it fails."""
    assert sys.__stderr__ is not None
    sys.__stderr__.write(f"\n{figure}\n")


class Images:
    """Bases, wheels and images, each made when it is first asked for."""

    def __init__(self, podman: Podman) -> None:
        self.podman = podman
        podman.variables |= {"BUILDAH_ISOLATION": "chroot", "BUILDAH_LAYERS": "false"}
        self._made: set[str] = set()

    def bases(self) -> None:
        """Put images under the names that the Containerfiles begin with, so that nobody is asked for those."""
        if self._new("bases"):
            for name, base in BASES.items():
                archive = write_base(base, self.podman.folder / "base.tar", self.wheels() if base is DEBIAN else None)
                self.podman("import", "--quiet", *OFFLINE, str(archive), name, within_s=BUILDS_WITHIN_S)
                archive.unlink()

    def wheels(self) -> Path:
        """Return the folder of what the locks name, fetched once; hash by hash, from wherever pip has its packages."""
        folder = self.podman.folder / "wheels"
        if self._new("wheels"):
            for lock in LOCKS:
                fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
                into = [
                    "--only-binary=:all:",
                    "--require-hashes",
                    f"--dest={folder}",
                    f"--requirement={PROJECT / lock}",
                ]
                done = subprocess.run([*fetch, *into], capture_output=True, text=True, check=False)
                if done.returncode:
                    absent(f"pip finds no packages for the image: {done.stderr}")
        return folder

    def image(self, name: str) -> str:
        """Build one of FILES if that has not been done; return its name."""
        if self._new(name):
            self.bases()
            if name != "looksalive":
                self.image("looksalive")
            began = time.monotonic()
            build = (*BUILD, f"--tag={name}", f"--file={PROJECT / FILES[name]}", str(PROJECT))
            self.podman(*build, within_s=BUILDS_WITHIN_S)
            tell(f"image {name}: {self.size_bytes(name) / 1e6:.1f} MB, built in {time.monotonic() - began:.0f} s")
        return name

    def remove_containers(self) -> None:
        """Remove every container, and the volumes that they had."""
        self.podman("rm", "--all", "--force", "--time=0", check=False)  # whose namespace others share stays at first
        self.podman("rm", "--all", "--force", "--time=0")
        self.podman("volume", "rm", "--all", "--force")

    def size_bytes(self, name: str) -> int:
        """How large an image is, uncompressed."""
        return int(self.podman("image", "inspect", "--format={{.Size}}", name))

    def _new(self, name: str) -> bool:
        new = name not in self._made
        self._made.add(name)
        return new
