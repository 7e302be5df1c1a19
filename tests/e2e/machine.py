"""A machine with a real systemd, booted in a container: its bus is seen from here, its services are on our ports."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.podman import Podman
from tests.e2e.programs import need
from tests.e2e.waiting import wait_until

BOOTS_WITHIN_S = 20.0
STOPS_WITHIN_S = 2
NAME = "machine"
PROGRAM = "/usr/lib/systemd/systemd"

# Without their default dependencies units pull in nothing of what an installed system starts at boot.
UNITS = {
    "boot.target": "[Unit]\nDefaultDependencies=no\nRequires=dbus.service\nAfter=dbus.service\n",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": """\
[Unit]
DefaultDependencies=no
Requires=dbus.socket
After=dbus.socket
[Service]
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
""",
}


class Machine:
    """One machine; `folder` is seen at its place from inside."""

    def __init__(self, podman: Podman, folder: Path) -> None:
        need(PROGRAM, "systemd")
        need("dbus-daemon", "dbus")
        self.podman = podman
        self._folder = folder
        self._bus = podman.folder / "bus"
        self._bus.mkdir()
        self.bus = f"unix:path={self._bus}/system_bus_socket"
        self._units = podman.root(NAME) / "etc/systemd/system"
        for name, text in UNITS.items():
            (self._units / name).write_text(text)

    def add(self, name: str, service: str, unit: str = "") -> None:
        """Add a unit before the boot.

        A systemd in a container is not always told that the last process of a unit has gone (with cgroups of the first
        version), and waits until its time-out: that is short here.
        """
        stopping = f"TimeoutStopSec={STOPS_WITHIN_S}"
        (self._units / name).write_text(f"[Unit]\nDefaultDependencies=no\n{unit}\n[Service]\n{stopping}\n{service}\n")

    @property
    def root(self) -> Path:
        """Its root folder, to be filled before the boot."""
        return self._units.parents[2]

    def boot(self, *options: str, network: str = "host") -> None:
        """Start it, with podman's `options`, and return when its systemd answers on its bus."""
        mounts = ("/usr:/usr:ro", f"{self._folder}:{self._folder}", f"{self._bus}:/run/dbus")
        self.podman(
            "run",
            "--detach",
            f"--name={NAME}",
            "--systemd=always",
            f"--network={network}",
            *(f"--volume={mount}" for mount in mounts),
            *options,
            "--rootfs",
            str(self.root),
            PROGRAM,
            "--unit=boot.target",
        )
        wait_until(lambda: self.systemctl("is-active", "boot.target") == "active", "systemd to boot", BOOTS_WITHIN_S)

    def systemctl(self, *arguments: str) -> str:
        """Do as an administrator of the machine does."""
        return self.podman("exec", NAME, "systemctl", *arguments, check=False)
