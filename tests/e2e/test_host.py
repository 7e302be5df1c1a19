"""README's recipe for a host with systemd, executed as it stands there, on a machine with a real systemd."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.deploy.blocks import run_by
from tests.e2e.command import PROJECT
from tests.e2e.images import Images
from tests.e2e.machine import NAME, Machine
from tests.e2e.podman import Podman
from tests.e2e.waiting import wait_until

WITHIN_S = 120.0
BLOCKS = run_by("tests/e2e/test_host.py")
UNITS = "etc/systemd/system/looksalive.service.d"
NOT_IN_A_CHECKOUT = shutil.ignore_patterns("__pycache__", ".*", "tests")
WRITABLE = """\
mkdir /run/over
mount -t tmpfs tmpfs /run/over
mkdir /run/over/usr /run/over/work
mount -t overlay -o lowerdir=/usr,upperdir=/run/over/usr,workdir=/run/over/work overlay /usr
"""


@pytest.fixture
def host(folder: Path, podman: Podman, images: Images) -> Machine:
    """A machine whose `/usr` may be written to, with nothing of ours but a checkout and a folder of packages."""
    made = Machine(podman, folder)
    drop_in = made.root / UNITS
    drop_in.mkdir()
    (drop_in / "test.conf").write_text("[Unit]\nDefaultDependencies=no\n")  # nothing else of a whole boot is here
    shutil.copytree(PROJECT, folder / "checkout", ignore=NOT_IN_A_CHECKOUT)
    (made.root / "wheels").mkdir()
    made.boot("--privileged", f"--volume={images.wheels()}:/wheels:ro", network="none")
    podman("exec", NAME, "sh", "-euc", WRITABLE)
    return made


def test_every_command_of_the_recipe_works(host: Machine, folder: Path) -> None:
    """From a checkout to a unit that is enabled, active and answers; the store as shipped is watched."""
    (block,) = BLOCKS
    packages = ("--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/wheels", "--env=PIP_DISABLE_PIP_VERSION_CHECK=1")
    run = ("exec", *packages, f"--workdir={folder}/checkout", NAME, "sh", "-euxc", block.text)
    said = host.podman.output(*run)  # a status in which not all are alive exits with 1, and it is the last command
    assert "+ looksalive status" in said, said
    assert "default/smtp-1" in said, said
    assert host.systemctl("is-enabled", "looksalive.service") == "enabled"
    assert host.systemctl("is-active", "looksalive.service") == "active"

    def reasons() -> set[str]:
        told = json.loads(host.podman("exec", NAME, "looksalive", "status", "--json", check=False))
        return {each["reason"] for each in told["resources"]}

    wait_until(lambda: reasons() == {"connect_refused"}, "it to have asked: nobody listens here", WITHIN_S)
    host.systemctl("stop", "looksalive.service")
    assert host.systemctl("show", "--property=Result", "--value", "looksalive.service") == "success"
