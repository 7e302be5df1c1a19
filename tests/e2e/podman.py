"""Podman with storage and settings of a test's own: containers whose root is this machine's `/usr`, read-only.

No image is needed and none is fetched: a container starts in a tenth of a second. They share the host's network, unless
told otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.programs import absent, need, need_root
from tests.e2e.waiting import wait_until

ENDS_WITHIN_S = 60.0
SERVES_WITHIN_S = 10.0
MERGED = ("bin", "sbin", "lib", "lib64")

SETTINGS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{folder}/state"
[network]
network_config_dir = "{folder}/networks"
"""
STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


class Podman:
    """Used by `with`: whatever it made is gone afterwards."""

    def __init__(self, folder: Path, driver: str = "vfs") -> None:
        self._program = need("podman", "podman")
        need("runc", "runc")
        need_root("podman")
        if any(Path("/", name).exists() and not Path("/", name).is_symlink() for name in MERGED):
            absent("this machine's /bin and /lib are no links into /usr")
        folder.mkdir()
        (folder / "containers.conf").write_text(SETTINGS.format(folder=folder))
        (folder / "storage.conf").write_text(STORAGE.format(folder=folder, driver=driver))
        self.folder = folder
        self.socket = folder / "podman.sock"
        self.variables = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        self._service: subprocess.Popen[bytes] | None = None

    def __call__(
        self, *arguments: str, check: bool = True, within_s: float = ENDS_WITHIN_S, directory: Path | None = None
    ) -> str:
        """Run a command and return what it says. Raises AssertionError with what it complains of."""
        done = self._run(arguments, within_s, subprocess.PIPE, directory)
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    def output(self, *arguments: str) -> str:
        """Run a command and return what it says, on either stream."""
        return self._run(arguments, ENDS_WITHIN_S, subprocess.STDOUT).stdout

    def _run(
        self, arguments: tuple[str, ...], within_s: float, stderr: int, directory: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments],
            env=os.environ | self.variables,
            cwd=directory or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            timeout=within_s,
            check=False,
        )

    def root(self, name: str) -> Path:
        """Make the root of a container: this machine's users, links into `/usr`, and folders to mount on."""
        root = self.folder / f"{name}.root"
        for part in ("etc/systemd/system", "usr", "tmp", "proc", "sys", "dev", "run", "root", "var/log"):
            (root / part).mkdir(parents=True)
        for part in MERGED:
            if Path("/", part).is_symlink():
                (root / part).symlink_to(f"usr/{part}")
        for part in ("passwd", "group", "ld.so.cache"):
            shutil.copy(f"/etc/{part}", root / "etc" / part)
        (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
        (root / "etc/machine-id").touch()
        return root

    def create(
        self, name: str, command: list[str], *mounts: Path, options: tuple[str, ...] = (), network: str = "host"
    ) -> None:
        """Create a container that runs a program of this machine; `mounts` are folders that it sees at their place."""
        seen = [f"--volume={mount}:{mount}" for mount in mounts]
        root = ("--volume=/usr:/usr:ro", "--rootfs", str(self.root(name)))
        self("create", f"--name={name}", f"--network={network}", *options, *seen, *root, *command)

    def serve(self) -> None:
        """Serve the API on the socket."""
        self.socket.unlink(missing_ok=True)
        self._service = subprocess.Popen(
            [self._program, "system", "service", "--time=0", f"unix://{self.socket}"],
            env=os.environ | self.variables,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self.socket.exists, "podman to serve", SERVES_WITHIN_S)

    def end_service(self) -> None:
        """End the API; the containers run on."""
        if self._service is not None:
            self._service.kill()
            self._service.wait()
            self._service = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_service()
        remove = ("rm", "--all", "--force", "--time=0")
        self(*remove, check=False)  # whose namespace others share stays in the first turn
        self(*remove)
