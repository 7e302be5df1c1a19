"""The machine that we run on, as far as it is looked at: its mounts, its addresses, and calls that block for that."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn, Protocol, TypeVar

T = TypeVar("T")


class Threads(Protocol):
    """Calls that block, perhaps for ever, kept away from the loop."""

    async def run(self, key: object, call: Callable[[], T]) -> T:
        """Make the call in a thread of its own and return what it returns, or raise what it raises.

        While an earlier call of the same key has not returned, that one is waited for and its answer is this one's: a
        call that hangs for ever uses up one thread, never a second one. A cancel ends the waiting, not the call.
        Raises OSError(EAGAIN) when too many calls hang.
        """


class AtOnce:
    """`Threads` of a surrounding in which nothing blocks: every call is made where it stands."""

    async def run(self, key: object, call: Callable[[], T]) -> T:
        """Make the call."""
        del key
        return call()


class Disk(NamedTuple):
    """What was found at a mount point; without `source` nothing is mounted there and nothing more was tried."""

    source: str = ""
    kind: str = ""  # of the file system
    read_only: bool = False
    free_bytes: int = 0  # for us, who may not be root
    step: str = ""  # what failed: `write`, `fsync`, `read` ...; empty when everything went well
    error: OSError | None = None


class Disks(Protocol):
    """Mounted file systems."""

    def look(self, mount_point: str, name: str) -> Disk:
        """Try a file system out with a small file of ours (`name`). Blocks, perhaps for ever. Raises OSError."""


class LocalAddress(NamedTuple):
    """An address of this node."""

    address: str  # numeric, in its shortest form
    prefix: int
    interface: str
    secondary: bool = False  # it goes with the first of its network on that interface
    doubt: str = ""  # why it cannot be used yet: `tentative` or `duplicate`


class Addresses(Protocol):
    """The addresses of this node's interfaces. Each call blocks for as long as the kernel does; all raise OSError."""

    def all(self) -> Sequence[LocalAddress]:
        """List them."""

    def add(self, address: str, prefix: int, interface: str) -> None:
        """Add one. Raises OSError: EEXIST, EPERM, ENODEV when there is no such interface."""

    def remove(self, address: str, prefix: int, interface: str) -> None:
        """Remove one. Raises OSError: EADDRNOTAVAIL, EPERM, ENODEV."""

    def announce(self, address: str, interface: str) -> None:
        """Tell the neighbours that the address is here now (gratuitous ARP, unsolicited neighbour advertisement)."""


class Nowhere:
    """`Disks` and `Addresses` of a surrounding without them: every call is refused with OSError(ENOSYS)."""

    def _refuse(self, *_arguments: object) -> NoReturn:
        raise OSError(errno.ENOSYS, "this cannot be looked at here")

    look = all = add = remove = announce = _refuse
