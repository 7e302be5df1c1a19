"""The images of deploy/, built by Podman from bases and wheels that this machine has; one store for a test run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.bases import DEBIAN, DISTROLESS, PACKAGES, write_base
from tests.e2e.command import PROJECT
from tests.e2e.podman import Podman
from tests.e2e.programs import absent
from tests.e2e.waiting import wait_until

BUILDS_WITHIN_S = 300.0
WITHIN_S = 30.0
LOCKS = ("deploy/requirements.lock", "tests/build.lock")
BASES = {"docker.io/library/debian:12-slim": DEBIAN, "gcr.io/distroless/python3-debian12:latest": DISTROLESS}
OFFLINE = ("--change=ENV PIP_NO_INDEX=1", f"--change=ENV PIP_FIND_LINKS={PACKAGES}")
PAGE = PROJECT / "deploy/README.md"


def can_overlay(folder: Path) -> bool:
    """Whether a file system can be laid over another in this folder; not where it is such a one already."""
    parts = [folder / name for name in ("lower", "upper", "work", "seen")]
    for part in parts:
        part.mkdir()
    lower, upper, work, seen = map(str, parts)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mounted = subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "overlay", seen], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        subprocess.run(["umount", seen], check=True)
    return mounted.returncode == 0


def build_commands() -> dict[str, str]:
    """Take the commands that build images out of deploy/README.md, by the images' names, in its order."""
    return {
        name: line for line, name in re.findall(r"^(podman build .*--tag (\S+) .*)$", PAGE.read_text(), re.MULTILINE)
    }


def fetch_wheels(folder: Path, *locks: str) -> Path:
    """Fill a folder with what locks name, hash by hash, from wherever pip has its packages; return the folder."""
    for lock in locks:
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        into = ["--only-binary=:all:", "--require-hashes", f"--dest={folder}", f"--requirement={PROJECT / lock}"]
        done = subprocess.run([*fetch, *into], capture_output=True, text=True, check=False)
        if done.returncode:
            absent(f"pip finds no packages for {lock}: {done.stderr}")
    return folder


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
        """Return the folder of what the locks name, fetched once."""
        folder = self.podman.folder / "wheels"
        if self._new("wheels"):
            fetch_wheels(folder, *LOCKS)
        return folder

    def image(self, name: str) -> str:
        """Build an image, as the page says, if that has not been done; return its name."""
        if self._new(name):
            self.bases()
            if name != "looksalive":  # the others take it from there
                self.image("looksalive")
            words = shlex.split(build_commands()[name])
            self.podman(*words[1:], within_s=BUILDS_WITHIN_S, directory=PROJECT)
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


class Container:
    """A container of one of the images, made and not yet started; what is asked of it is asked inside."""

    def __init__(self, images: Images, name: str, image: str, *options: str) -> None:
        self.podman, self.name = images.podman, name
        self.podman("create", f"--name={name}", *options, images.image(image))

    def start(self) -> None:
        """Start it and return when it serves."""
        self.podman("start", self.name)
        wait_until(lambda: "looksalive ready" in self.log, f"{self.name} to be ready", WITHIN_S)

    @property
    def log(self) -> str:
        """Everything that it wrote."""
        return self.podman.output("logs", self.name)

    def messages(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith('{"time"')]

    def inspect(self, field: str) -> str:
        """Return one field of what Podman knows of it."""
        return self.podman("inspect", f"--format={{{{{field}}}}}", self.name)

    @property
    def pid(self) -> int:
        """Its PID 1, as we see it."""
        return int(self.inspect(".State.Pid"))

    def proc_status(self) -> dict[str, str]:
        """Read /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def ask(self, *command: str) -> Any:
        """Run a command of looksalive inside, and return the JSON that it prints, whatever it exits with."""
        return json.loads(self.podman("exec", self.name, "looksalive", *command, "--json", check=False))

    def all_alive(self) -> bool:
        """Whether every resource is alive."""
        resources = self.ask("status")["resources"]
        return bool(resources) and all(each["alive"] for each in resources)
