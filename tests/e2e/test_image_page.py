"""The commands of deploy/README.md about containers, executed as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.command import PROJECT
from tests.e2e.images import PAGE, Images, build_commands
from tests.e2e.programs import need

WITHIN_S = 300.0
ALONE = "ip link set lo up\n"  # in a network namespace of its own, where every port of the page is free


def section_of(page: str, title: str) -> str:
    """Take a section of the second level out of a page."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return str(found)


def blocks_of(text: str) -> list[str]:
    """Take the command blocks out of a text."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_command_of_the_page_works(containers: Images) -> None:
    """Image, sidecar, compose, all-in-one: each block of the page in turn, in one shell that ends at a failure.

    Images are built by the page's own commands, once for all tests.
    """
    need("ip", "iproute2")
    need("iptables", "iptables")
    unshare = need("unshare", "util-linux")
    compose = Path(sys.executable).parent / "podman-compose"
    assert compose.exists(), "podman-compose is one of the tests' packages"
    blocks = blocks_of(section_of(PAGE.read_text(), "Containers"))
    assert len(blocks) >= 4
    lines = "\n".join(blocks).splitlines()
    builds = build_commands()
    assert len(builds) >= 3
    for name in builds:
        containers.image(name)
    script = "\n".join(line for line in lines if line not in builds.values())
    path = f"{compose.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [unshare, "--net", "/bin/sh", "-euxc", ALONE + script],
        env=os.environ | containers.podman.variables | {"PATH": path},
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("is alive") >= 1
    assert "3 of 3 resources alive" in done.stdout
