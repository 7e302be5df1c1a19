"""A network namespace of a test's own, with a pair of interfaces, and calls made inside of it by a thread."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from probe.environment.addresses import NetlinkAddresses
from probe.environment.machine import LocalAddress
from tests.e2e.programs import absent, need, need_root

INTERFACE, PEER = "la0", "la1"
CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def ip(*words: str) -> str:
    """Run `ip` and return what it says."""
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=10).stdout


@contextmanager
def network_namespace(name: str) -> Iterator[str]:
    """Make a namespace with loopback and a pair of interfaces that are up; skips the test where none can be made."""
    need("ip", "iproute2")
    need_root("a network namespace")
    try:
        ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        absent(f"no network namespace can be made here: {error.stderr}")
    try:
        ip("-n", name, "link", "add", INTERFACE, "type", "veth", "peer", "name", PEER)
        for interface in ("lo", INTERFACE, PEER):
            ip("-n", name, "link", "set", interface, "up")
        yield name
    finally:
        ip("netns", "delete", name)


def inside(name: str, call: Callable[[], T]) -> T:
    """Make a call by a thread that has entered the namespace."""
    answers: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(fd)
            answers.append((call(), None))
        except Exception as error:  # noqa: BLE001 - the test's own thread raises it
            answers.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    ((answer, error),) = answers
    if error is not None:
        raise error
    found: T = answer
    return found


class AddressesInside:
    """`Addresses` of a namespace, by the real netlink."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._real = NetlinkAddresses()

    def all(self) -> list[LocalAddress]:
        """List them."""
        return inside(self._name, self._real.all)

    def add(self, address: str, prefix: int, interface: str) -> None:
        """Add one."""
        inside(self._name, lambda: self._real.add(address, prefix, interface))

    def remove(self, address: str, prefix: int, interface: str) -> None:
        """Remove one."""
        inside(self._name, lambda: self._real.remove(address, prefix, interface))

    def announce(self, address: str, interface: str) -> None:
        """Tell the neighbours."""
        inside(self._name, lambda: self._real.announce(address, interface))


def name_of(what: str) -> str:
    """Name a namespace of this run of the tests."""
    return f"la-{what}-{os.getpid()}"
