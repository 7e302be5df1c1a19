"""Folders that server users can enter, and servers that tests share as long as they only ask them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.chromium import Page, browsing
from tests.e2e.images import Images, can_overlay
from tests.e2e.mounts import tmpfs
from tests.e2e.podman import Podman
from tests.e2e.processes import kill_session, sessions_mentioning
from tests.e2e.programs import need
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.mail_group import MailGroup
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.service import Service

TOKEN = "an-operator-s-word"


def open_folder() -> Iterator[Path]:
    """Make a short path that others may enter (pytest's own is closed to them), and end what still uses it."""
    made = Path(tempfile.mkdtemp(prefix="lae2e-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        for session in sessions_mentioning(made):
            kill_session(session)
        shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of this test's own."""
    yield from open_folder()


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    """A demo that has everything online and knows one operator, by `TOKEN`."""
    tokens = folder / "tokens"
    tokens.write_text(f"alice:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    with Service(folder / "store", "--token-file", str(tokens), command="demo") as demo:
        demo.wait_all_alive()
        yield demo


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A browser's tab."""
    need("chromium", "chromium")
    async with browsing() as tab:
        await tab.appear("light", 1440, 900)
        yield tab


@pytest.fixture
def podman(folder: Path) -> Iterator[Podman]:
    """A Podman of this test's own."""
    with Podman(folder / "podman") as made:
        yield made


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """The folder of what all tests share."""
    yield from open_folder()


@pytest.fixture(scope="session")
def images(shared_folder: Path) -> Iterator[Images]:
    """The images of deploy/, built once for all tests."""
    driver = "overlay" if can_overlay(shared_folder) else "vfs"  # which copies the whole image for each container
    with Podman(shared_folder / "podman", driver) as made:
        yield Images(made)


@pytest.fixture
def containers(images: Images) -> Iterator[Images]:
    """The images; what a test makes of them is removed."""
    yield images
    images.remove_containers()


@pytest.fixture(scope="session")
def authority(shared_folder: Path) -> Authority:
    """The test run's certificate authority."""
    return Authority(shared_folder)


@pytest.fixture(scope="session")
def postfix(shared_folder: Path, authority: Authority) -> Iterator[Postfix]:
    """A Postfix to be asked only; who wants to hurt one makes one of their own."""
    with Postfix(shared_folder / "postfix", authority.good) as server:
        yield server


@pytest.fixture(scope="session")
def dovecot(shared_folder: Path, authority: Authority) -> Iterator[Dovecot]:
    """A Dovecot to be asked only."""
    with Dovecot(shared_folder / "dovecot", authority.good) as server:
        yield server


@pytest.fixture(scope="session")
def nginx(shared_folder: Path, authority: Authority) -> Iterator[Nginx]:
    """An nginx to be asked only."""
    with Nginx(shared_folder / "nginx", authority.good) as server:
        yield server


@pytest.fixture
def mail(folder: Path, authority: Authority) -> Iterator[MailGroup]:
    """The reference's group and another one, of which nothing runs yet but what says how the store is."""
    with tmpfs(folder / "disk", "8m", name="la-mail") as disk:
        made = MailGroup(folder, disk, authority)
        with made.health:
            yield made
