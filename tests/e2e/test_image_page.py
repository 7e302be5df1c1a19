"""The commands of README.md and deploy/README.md about containers, executed as they stand there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.blocks import DOCUMENTS, run_by
from tests.e2e.command import PROJECT
from tests.e2e.images import Images, build_commands
from tests.e2e.programs import need, of_tests

WITHIN_S = 300.0
ALONE = "ip link set lo up\n"  # in a network namespace of its own, where every port of the page is free
BLOCKS = run_by("tests/e2e/test_image_page.py")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_the_page_works(containers: Images, document: str) -> None:
    """Image, sidecar, compose, all-in-one: each block of the page in turn, in one shell that ends at a failure.

    Images are built by the page's own commands, once for all tests.
    """
    need("ip", "iproute2")
    need("iptables", "iptables")
    unshare = need("unshare", "util-linux")
    compose = Path(of_tests("podman-compose"))
    lines = "".join(block.text for block in BLOCKS if block.document == document).splitlines()
    builds = build_commands()
    assert len(builds) >= 3
    for name in builds:
        containers.image(name)
    script = "\n".join(line for line in lines if line not in builds.values())
    assert "podman build" not in script, "what one page builds the other builds by the same command"
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
    assert "3 of 3 resources alive" in done.stdout
    assert done.stdout.count("is alive") >= script.count("looksalive health")
