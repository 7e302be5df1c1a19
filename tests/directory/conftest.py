"""The real server, once for all tests of a module that change it and leave it empty, or anew where it is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.directory.slapd import Slapd
from tests.e2e.servers.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority of the test's own."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def slapd(tmp_path: Path, authority: Authority) -> Iterator[Slapd]:
    """A slapd of the test's own, with TLS, killed at the end."""
    server = Slapd(tmp_path / "slapd", authority.good)
    try:
        yield server
    finally:
        server.close()
