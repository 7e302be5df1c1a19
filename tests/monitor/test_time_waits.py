"""Closing or resetting: ports are never used up, and where nothing is known nothing is left in TIME_WAIT."""

from __future__ import annotations

from probe.environment.files import RealFiles
from probe.monitor.time_waits import (
    PORT_RANGE_FILE,
    PORT_SHARE,
    TABLE_SHARE,
    TABLE_SIZE_FILE,
    TIME_WAIT_S,
    TimeWaits,
)

HERE = ("127.0.0.1", 25)


class Sysctls(RealFiles):
    """The two files of the kernel, as a test wants them."""

    def __init__(self, ports: str, table: str) -> None:
        self.content = {PORT_RANGE_FILE: ports.encode(), TABLE_SIZE_FILE: table.encode()}

    def read(self, path: str, bytes_max: int) -> bytes:
        content = self.content[path]
        if not content:
            raise FileNotFoundError(2, "No such file or directory", path)
        return content[:bytes_max]


def test_a_destination_gets_its_share_of_the_ports() -> None:
    """No more than a share of the ports waits for one destination; the next minute has as many again."""
    waits = TimeWaits(Sysctls("32768\t33567\n", "131072\n"))
    assert [waits.take(HERE, 10.0) for _ in range(200)].count(True) == 800 // PORT_SHARE
    assert waits.take(("127.0.0.1", 26), 10.0)
    assert not waits.take(HERE, 10.0 + TIME_WAIT_S - 0.1)
    assert waits.take(HERE, 10.0 + TIME_WAIT_S)


def test_ten_ports_are_too_few_to_spare() -> None:
    """With ten ports at most one may wait: the eleventh probe still finds one."""
    waits = TimeWaits(Sysctls("40000\t40009\n", "131072\n"))
    assert [waits.take(HERE, 1.0) for _ in range(11)].count(True) <= 1


def test_the_kernel_s_table_is_shared() -> None:
    """All destinations together leave no more than a share of the kernel's table."""
    waits = TimeWaits(Sysctls("1024\t65535\n", "1000\n"))
    taken = [waits.take((f"127.0.{number >> 8}.{number & 255}", 25), 1.0) for number in range(2000)]
    assert taken.count(True) == 1000 // TABLE_SHARE


def test_unknown_limits_leave_nothing() -> None:
    """Where the limits cannot be read, or are nonsense, every connection is reset."""
    for files in (Sysctls("", "1000"), Sysctls("1024 65535", ""), Sysctls("one two", "1000"), Sysctls("1", "1000")):
        assert not TimeWaits(files).take(HERE, 1.0)


def test_the_real_files_are_understood() -> None:
    """This kernel's limits are read."""
    assert TimeWaits(RealFiles()).take(HERE, 1.0)
