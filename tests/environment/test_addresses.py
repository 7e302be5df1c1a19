"""The node's addresses by netlink: the kernel's messages taken apart, and the real kernel in a network namespace."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.environment.addresses import NetlinkAddresses, parse_address
from probe.environment.machine import LocalAddress
from tests.environment.namespace import INTERFACE, PEER, AddressesInside, inside, ip, name_of, network_namespace

NAMES = {7: "eth0"}
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
SECONDARY, OPTIMISTIC, DADFAILED, TENTATIVE = 0x01, 0x04, 0x08, 0x40
ETH_P_ALL = 3
WAIT_S = 10.0


def attribute(kind: int, value: bytes) -> bytes:
    """A struct rtattr, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def body(address: str, flags: int = 0, *attributes: bytes, prefix: int = 24, index: int = 7) -> bytes:
    """An RTM_NEWADDR without its header: struct ifaddrmsg and IFA_ADDRESS, then the other attributes."""
    own = ip_address(address)
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBI", family, prefix, flags, 0, index)
    return head + attribute(IFA_ADDRESS, own.packed) + b"".join(attributes)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (body("192.0.2.7"), LocalAddress("192.0.2.7", 24, "eth0")),
        (body("192.0.2.7", index=9), LocalAddress("192.0.2.7", 24, "9")),
        (body("192.0.2.7", SECONDARY), LocalAddress("192.0.2.7", 24, "eth0", secondary=True)),
        (body("2001:db8:0::7", prefix=64), LocalAddress("2001:db8::7", 64, "eth0")),
        (body("2001:db8::7", TENTATIVE), LocalAddress("2001:db8::7", 24, "eth0", doubt="tentative")),
        (body("2001:db8::7", TENTATIVE | OPTIMISTIC), LocalAddress("2001:db8::7", 24, "eth0")),
        (body("2001:db8::7", TENTATIVE | DADFAILED), LocalAddress("2001:db8::7", 24, "eth0", doubt="duplicate")),
    ],
)
def test_a_message_is_read(message: bytes, told: LocalAddress) -> None:
    """An address comes with its prefix, its interface, and why it may not be usable yet."""
    assert parse_address(message, NAMES) == told


def test_the_wide_flags_count() -> None:
    """What IFA_FLAGS says is taken before the eight bits of the header."""
    wide = attribute(IFA_FLAGS, struct.pack("=I", 0x800 | TENTATIVE))
    told = parse_address(body("2001:db8::7", 0, wide), NAMES)
    assert told is not None
    assert told.doubt == "tentative"


def test_on_a_point_to_point_link_the_own_end_counts() -> None:
    """IFA_LOCAL is ours where both are given; IFA_ADDRESS is the peer's then."""
    told = parse_address(body("192.0.2.1", 0, attribute(IFA_LOCAL, ip_address("192.0.2.9").packed)), NAMES)
    assert told is not None
    assert told.address == "192.0.2.9"


@given(st.binary(max_size=64))
def test_rubbish_is_left_out(data: bytes) -> None:
    """Whatever the bytes are, reading them raises nothing."""
    parse_address(data, NAMES)


def test_loopback_is_found_without_a_privilege() -> None:
    """The real kernel tells its addresses."""
    assert LocalAddress("127.0.0.1", 8, "lo") in NetlinkAddresses().all()


@pytest.fixture
def there() -> Iterator[AddressesInside]:
    """The addresses of a namespace with a pair of interfaces."""
    with network_namespace(name_of("addr")) as name:
        yield AddressesInside(name)


@pytest.mark.parametrize(("address", "prefix"), [("192.0.2.7", 24), ("2001:db8::7", 64)])
def test_an_address_comes_and_goes(there: AddressesInside, address: str, prefix: int) -> None:
    """S13: what is added is there for others, too, a second time is EEXIST; removed it is gone, then EADDRNOTAVAIL."""
    there.add(address, prefix, INTERFACE)
    assert [(one.address, one.prefix, one.interface) for one in there.all() if one.address == address] == [
        (address, prefix, INTERFACE)
    ]
    assert f"{address}/{prefix}" in ip("-n", name_of("addr"), "address", "show", "dev", INTERFACE)
    with pytest.raises(OSError, match="exists") as raised:
        there.add(address, prefix, INTERFACE)
    assert raised.value.errno == errno.EEXIST
    there.remove(address, prefix, INTERFACE)
    assert address not in [one.address for one in there.all()]
    with pytest.raises(OSError, match="assign") as raised:
        there.remove(address, prefix, INTERFACE)
    assert raised.value.errno == errno.EADDRNOTAVAIL


def test_an_interface_that_is_not_there_is_named(there: AddressesInside) -> None:
    """ENODEV says which."""
    with pytest.raises(OSError, match="there is no interface nonesuch"):
        there.add("192.0.2.7", 24, "nonesuch")


def test_a_new_ipv6_address_is_tried_out_first(there: AddressesInside) -> None:
    """Duplicate address detection shows as a doubt while it goes on."""
    there.add("2001:db8::7", 64, INTERFACE)
    assert [one.doubt for one in there.all() if one.address == "2001:db8::7"] in (["tentative"], [""])
    ip("-n", name_of("addr"), "link", "set", PEER, "down")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.7", bytes.fromhex("0806") + bytes.fromhex("0001080006040001")),
        ("2001:db8::7", bytes.fromhex("86dd")),
    ],
)
def test_the_neighbours_are_told(there: AddressesInside, address: str, shown: bytes) -> None:
    """The other end of the wire sees who has the address now: an ARP announcement, a neighbour advertisement."""
    ip("-n", name_of("addr"), "address", "add", f"{address}/64" if ":" in address else f"{address}/24",
       "dev", INTERFACE, *(("nodad",) if ":" in address else ()))  # fmt: skip

    def listen() -> socket.socket:
        listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        listening.bind((PEER, 0))
        listening.settimeout(WAIT_S)
        return listening

    with inside(name_of("addr"), listen) as wire:
        there.announce(address, INTERFACE)
        packed = ip_address(address).packed
        while True:
            frame = wire.recv(2048)
            if not frame[12:].startswith(shown):
                continue
            if ":" not in address:
                assert frame[:6] == b"\xff" * 6
                assert frame[28:32] == packed  # the sender's
                assert frame[38:42] == packed  # the target's: it announces itself
                return
            icmp = frame[54:]
            if icmp[:1] == b"\x88" and icmp[8:24] == packed:
                assert frame[21] == 255  # the hop limit
                assert icmp[4] & 0x20  # override
                assert icmp[24:26] == b"\x02\x01"  # the target's link address follows
                return
