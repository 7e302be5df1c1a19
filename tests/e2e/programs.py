"""Programs that a test cannot do without: absent they skip it with a reason, and in CI they fail it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/postfix/sbin:/usr/libexec/postfix"


def in_ci() -> bool:
    """Tell whether an absent tool is a failure: `CI=true`."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def absent(reason: str) -> None:
    """Skip the test with its reason, or fail it in CI."""
    if in_ci():
        pytest.fail(f"{reason} (CI=true: what is absent is a failure)")
    pytest.skip(reason)


def need(program: str, package: str) -> str:
    """Return the path of a program; its Debian package is named where it is absent."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":" + SYSTEM_PATH)
    if path is None:
        absent(f"{program} is not installed: apt-get install {package} (tests/run.sh does as root on Debian)")
    return str(path)


def of_tests(program: str) -> str:
    """Return the path of a program that a package of the tests' own environment brings."""
    path = Path(sys.executable).parent / program
    assert path.exists(), f"{program} comes with tests/requirements.lock: run tests/run.sh"
    return str(path)


def need_root(what: str) -> None:
    """Ask for root: some servers refuse to start without."""
    if os.geteuid() != 0:
        absent(f"{what} starts only as root")
