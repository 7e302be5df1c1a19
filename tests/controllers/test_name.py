"""The name controller and its look: a real hosts file, an environment's resolver."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.files import Files
from probe.controllers import CONTROLLER_KINDS
from probe.controllers.contract import ServiceSpec
from probe.controllers.name import HOSTS_BYTES_MAX, NameController, NameObserver
from probe.environment.files import RealFiles
from probe.environment.threads import DaemonThreads
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.actual import Actual
from tests.controllers.surroundings import Surroundings, in_virtual_time, refusal_of
from tests.sim.network import SimNetwork
from tests.sim.storage import RunFiles

ID = ResourceId("evs1", "name")
NAME = "mail.example.org"
FIRST = Incarnation(1)
HOSTS = b"127.0.0.1\tlocalhost\n# \xff comment  \r\n\n192.0.2.1 gw gw.example.org # the router"


def own(path: Path | str | None, *addresses: str) -> dict[str, object]:
    """What the resource says, with the addresses of what it depends on."""
    hosts = {} if path is None else {"hosts_file": str(path)}
    return {"name": NAME, "addresses": addresses, **hosts}


def spec(path: Path, *addresses: str, name: str = "name") -> ServiceSpec:
    """Describe the resource."""
    return ServiceSpec(ResourceId("evs1", name), {}, resource=own(path, *addresses))


def read(path: Path) -> bytes:
    """What the file holds."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Write the file as an administrator does."""
    path.write_bytes(content)


def mode(path: Path) -> int:
    """Who may do what with the file."""
    return path.stat().st_mode & 0o777


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """A hosts file as people leave it: no newline at its end."""
    path = tmp_path / "hosts"
    path.write_bytes(HOSTS)
    path.chmod(0o640)
    return path


async def test_a_name_comes_and_goes(hosts: Path) -> None:
    """S13: one marked line is written and removed; every other line, and the file's mode, stay as they were."""
    controller = NameController(Actual().environment)
    service = spec(hosts, "192.0.2.7")
    assert not controller.adopt(service, FIRST)
    await controller.start(service, FIRST)
    line = b"192.0.2.7\tmail.example.org\t# looksalive evs1/name\n"
    assert read(hosts) == HOSTS + b"\n" + line
    await controller.start(service, FIRST)
    assert read(hosts) == HOSTS + b"\n" + line
    assert controller.adopt(service, FIRST)
    assert mode(hosts) == 0o640
    await controller.stop(service)
    await controller.terminate(service)
    assert read(hosts) == HOSTS + b"\n"
    assert sorted(each.name for each in hosts.parent.iterdir()) == ["hosts", "hosts.lock"]


async def test_another_address_takes_the_old_one_s_place(hosts: Path) -> None:
    """A start after the address has changed leaves one line of ours; another resource's line is not ours."""
    controller = NameController(Actual().environment)
    await controller.start(spec(hosts, "192.0.2.7"), FIRST)
    other = ServiceSpec(ResourceId("evs1", "name2"), {}, resource={**own(hosts, "192.0.2.9"), "name": "www"})
    await controller.start(other, FIRST)
    await controller.start(spec(hosts, "192.0.2.8", "2001:db8::8"), FIRST)
    text = read(hosts).decode("latin-1")
    assert "192.0.2.7" not in text
    assert "192.0.2.9\twww\t# looksalive evs1/name2\n" in text
    assert text.endswith(
        "192.0.2.8\tmail.example.org\t# looksalive evs1/name\n2001:db8::8\tmail.example.org\t# looksalive evs1/name\n"
    )


async def test_somebody_else_s_line_is_never_changed(hosts: Path) -> None:
    """A line that leads the name elsewhere is named in the refusal; one that leads it right leaves nothing to write."""
    controller = NameController(Actual().environment)
    write(hosts, b"# x\n192.0.2.9 www MAIL.example.org.\n")
    verdict = await refusal_of(controller.start(spec(hosts, "192.0.2.7"), FIRST))
    assert verdict.reason is Reason.NAME_MISMATCH
    assert f"line 2 of {hosts} leads {NAME} to 192.0.2.9" in verdict.evidence
    await controller.start(spec(hosts, "192.0.2.9"), FIRST)
    assert read(hosts) == b"# x\n192.0.2.9 www MAIL.example.org.\n"


async def test_refusals_say_why(tmp_path: Path, hosts: Path) -> None:
    """Nothing to write, nowhere to write, too much to read, a lock that stays held: each in its sentence."""
    controller = NameController(Actual().environment)
    assert "depends on no ip-address" in (await refusal_of(controller.start(spec(hosts), FIRST))).evidence
    nowhere = ServiceSpec(ID, {}, resource=own(None, "192.0.2.7"))
    assert "nothing to write" in (await refusal_of(controller.start(nowhere, FIRST))).evidence
    missing = tmp_path / "no" / "hosts"
    assert "cannot write" in (await refusal_of(controller.start(spec(missing, "192.0.2.7"), FIRST))).evidence
    write(hosts, b"#" * (HOSTS_BYTES_MAX + 1))
    assert "is larger than" in (await refusal_of(controller.start(spec(hosts, "192.0.2.7"), FIRST))).evidence
    write(hosts, HOSTS)
    impatient = replace(Actual().environment, files=RealFiles(0.0))
    with RealFiles().lock(f"{hosts}.lock"):
        refusal = await refusal_of(NameController(impatient).start(spec(hosts, "192.0.2.7"), FIRST))
    assert "locked by another program" in refusal.evidence
    assert read(hosts) == HOSTS


async def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    """The first name makes the file."""
    path = tmp_path / "hosts"
    controller = NameController(Actual().environment)
    await controller.start(spec(path, "192.0.2.7"), FIRST)
    assert path.read_bytes() == b"192.0.2.7\tmail.example.org\t# looksalive evs1/name\n"


class Slow:
    """`Files` whose first reading waits, as a file server's does."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.may_read = threading.Event()
        self.readings = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._files, name)

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read once it may."""
        self.readings += 1
        self.may_read.wait()
        return self._files.read(path, bytes_max)


@given(st.binary(max_size=300))
def test_any_other_content_survives(content: bytes) -> None:
    """Start then stop gives every byte back, but for a newline that was missing at the end."""

    async def body() -> None:
        surroundings = Surroundings()
        files = surroundings.environment.files
        assert isinstance(files, RunFiles)
        files.make_folder("/etc")
        files.write("/etc/hosts", content)
        controller = NameController(surroundings.environment)
        service = ServiceSpec(ID, {}, resource=own("/etc/hosts", "192.0.2.7"))
        if b"# looksalive" in content:
            return
        await controller.start(service, FIRST)
        assert files.read("/etc/hosts", HOSTS_BYTES_MAX).startswith(content)
        await controller.stop(service)
        added = files.read("/etc/hosts", HOSTS_BYTES_MAX)[len(content) :]
        assert added in (b"", b"\n")

    in_virtual_time(body)


# --- the look ---


@pytest.mark.parametrize(
    ("content", "addresses", "reason", "words"),
    [
        (b"192.0.2.7 mail.example.org\n", ("192.0.2.7",), Reason.MATCHED, "mail.example.org is 192.0.2.7"),
        (b"192.0.2.9 mail.example.org\n", ("192.0.2.7",), Reason.NAME_MISMATCH, "is 192.0.2.9, not 192.0.2.7"),
        (
            b"192.0.2.7 mail.example.org\n192.0.2.9 mail.example.org\n",
            ("192.0.2.7",),
            Reason.NAME_MISMATCH,
            "192.0.2.9",
        ),
        (b"192.0.2.7 mail.example.org\n::9 mail.example.org\n", ("192.0.2.7",), Reason.MATCHED, "192.0.2.7"),
        (b"::9 mail.example.org\n", ("192.0.2.7",), Reason.NAME_MISMATCH, "is ::9, not 192.0.2.7"),
        (b"192.0.2.7 other # mail.example.org\n", ("192.0.2.7",), Reason.DNS_NXDOMAIN, "does not know"),
        (b"rubbish mail.example.org\n", ("192.0.2.7",), Reason.DNS_NXDOMAIN, "does not know"),
        (b"127.0.0.9 mail.example.org\n", (), Reason.MATCHED, "127.0.0.9"),
        (b"203.0.113.9 mail.example.org\n", (), Reason.NAME_MISMATCH, "not an address of this node"),
        (None, ("192.0.2.7",), Reason.DNS_NXDOMAIN, "does not know"),
    ],
)
async def test_the_look_through_a_file(
    tmp_path: Path, content: bytes | None, addresses: tuple[str, ...], reason: Reason, words: str
) -> None:
    """S13: the name must lead to the group's address, in a family of which it has one to no other."""
    path = tmp_path / "hosts"
    if content is not None:
        path.write_bytes(content)
    verdict = await NameObserver(Actual().environment).look(ID, own(path, *addresses))
    assert verdict.reason is reason
    assert words in verdict.evidence


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (["192.0.2.7"], Reason.MATCHED),
        (["192.0.2.9"], Reason.NAME_MISMATCH),
        (None, Reason.DNS_NXDOMAIN),
    ],
)
def test_the_look_through_the_resolver(answer: list[str] | None, reason: Reason) -> None:
    """S13: without a file the environment's resolver decides; that the name does not exist is a failure."""

    async def body() -> None:
        surroundings = Surroundings()
        if answer is not None:
            network = cast("SimNetwork", surroundings.environment.network)
            network.host.names[NAME] = [(socket.AF_INET, one) for one in answer]
        verdict = await NameObserver(surroundings.environment).look(ID, own(None, "192.0.2.7"))
        assert verdict.reason is reason

    in_virtual_time(body)


async def test_a_file_that_hangs_is_read_once(hosts: Path) -> None:
    """S51, S65: looks at a name whose file hangs wait for the one reading that is under way."""
    environment = Actual().environment
    slow = Slow(environment.files)
    files = cast("Files", slow)  # __getattr__ has the rest
    observer = NameObserver(replace(environment, files=files, threads=DaemonThreads()))
    looks = [observer.look(ID, own(hosts, "192.0.2.7")) for _ in range(5)]
    tasks = [asyncio.ensure_future(look) for look in looks]
    await asyncio.sleep(0)
    slow.may_read.set()
    assert {(await task).reason for task in tasks} == {Reason.DNS_NXDOMAIN}
    assert slow.readings == 1


def test_what_is_missing_is_found_at_validation() -> None:
    """The kind is for network-names alone; without a file there is nothing to write to, without an address nothing."""
    kind = CONTROLLER_KINDS["name"]
    assert kind.types == ("network-name",)
    assert kind.resource_problems is not None
    problems = list(kind.resource_problems({"name": NAME, "addresses": ()}))
    assert [problem.key for problem in problems] == ["hosts_file", "name"]
    assert "nothing to write" in problems[0].message
    assert not list(kind.resource_problems(own("/etc/hosts", "192.0.2.7")))
