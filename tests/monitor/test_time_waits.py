"""Closing or resetting: ports are never used up, and where nothing is known nothing is left in TIME_WAIT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.environment.files import RealFiles
from probe.monitor.time_waits import (
    PORT_RANGE_FILE,
    PORT_SHARE,
    TABLE_SHARE,
    TABLE_SIZE_FILE,
    TIME_WAIT_S,
    TRACKED_FILE,
    TRACKED_MAX_FILE,
    TRACKED_S_FILE,
    TRACKED_SHARE,
    TimeWaits,
)

HERE = ("127.0.0.1", 25)


class Sysctls(RealFiles):
    """The files of the kernel, as a test wants them; `tracked` has a count, the most, and the seconds of an entry."""

    def __init__(self, ports: str, table: str, tracked: tuple[str, str, str] = ("", "", "")) -> None:
        self.content = {PORT_RANGE_FILE: ports.encode(), TABLE_SIZE_FILE: table.encode()}
        self.track(*tracked)

    def track(self, *tracked: str) -> None:
        """Have connections be tracked from now on."""
        files = (TRACKED_FILE, TRACKED_MAX_FILE, TRACKED_S_FILE)
        self.content |= {file: text.encode() for file, text in zip(files, tracked, strict=True)}

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


def left_of(waits: TimeWaits, connections: int, now: float = 1.0) -> int:
    """Count how many of so many connections, each to another address, may be left."""
    return sum(waits.take((f"127.0.{number >> 8}.{number & 255}", 25), now) for number in range(connections))


def test_the_kernel_s_table_is_shared() -> None:
    """All destinations together leave no more than a share of the kernel's table."""
    assert left_of(TimeWaits(Sysctls("1024\t65535\n", "1000\n")), 2000) == 1000 // TABLE_SHARE


def test_what_is_tracked_leaves_room_for_others() -> None:
    """Where connections are tracked, what we left in two minutes is a share of those that can be."""
    waits = TimeWaits(Sysctls("1024\t65535\n", "131072\n", ("17\n", "4096\n", "120\n")))
    assert left_of(waits, 2000) == 4096 // TRACKED_SHARE // 2
    assert left_of(waits, 2000, now=1.0 + TIME_WAIT_S) == 4096 // TRACKED_SHARE // 2


def test_tracking_that_begins_while_we_run() -> None:
    """A packet filter that is loaded later is found by the next minute."""
    files = Sysctls("1024\t65535\n", "131072\n", ("0", "4096", "120"))
    waits = TimeWaits(files)
    assert left_of(waits, 2000) == 2000
    files.track("17", "4096", "120")
    assert left_of(waits, 2000, now=1.0 + TIME_WAIT_S) < 2000


@pytest.mark.parametrize("tracked", [("0", "400", "120"), ("17", "0", "120"), ("", "", ""), ("17", "x", "120")])
def test_tracking_that_bounds_nothing(tracked: tuple[str, str, str]) -> None:
    """Where nothing is tracked, without a limit, or where nobody tells, the kernel's own table alone counts."""
    assert left_of(TimeWaits(Sysctls("1024\t65535\n", "1000\n", tracked)), 2000) == 1000 // TABLE_SHARE


def test_unknown_limits_leave_nothing() -> None:
    """Where the limits cannot be read, or are nonsense, every connection is reset."""
    for files in (Sysctls("", "1000"), Sysctls("1024 65535", ""), Sysctls("one two", "1000"), Sysctls("1", "1000")):
        assert not TimeWaits(files).take(HERE, 1.0)


def test_the_real_files_are_understood() -> None:
    """This kernel's limits are read."""
    assert TimeWaits(RealFiles()).take(HERE, 1.0)


TAKING = st.lists(st.tuples(st.floats(0, 40), st.lists(st.integers(0, 5), min_size=1, max_size=12)), max_size=12)
LIMITS = st.tuples(st.integers(0, 200), st.integers(0, 60), st.integers(0, 200))  # ports, the table, what is tracked


@given(LIMITS, TAKING)
def test_several_are_asked_about_as_one_by_one(
    limits: tuple[int, int, int], steps: list[tuple[float, list[int]]]
) -> None:
    """The same answers, in their order, whichever bound is met, also when a minute ends between two batches."""
    ports, table, tracked = limits
    files = Sysctls(f"32768\t{32767 + ports}\n", f"{table}\n", ("1" if tracked else "0", f"{tracked}", "60"))
    jointly, singly = TimeWaits(files), TimeWaits(files)
    now = 1.0
    for pause_s, numbers in steps:
        now += pause_s
        addresses = [("127.0.0.1", number) for number in numbers]
        assert jointly.take_each(addresses, now) == [singly.take(address, now) for address in addresses]
