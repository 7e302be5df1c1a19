"""The real `Addresses`: the kernel's routing netlink (NETLINK_ROUTE), one short-lived socket a call.

Layouts: `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_addr.h`; ARP: RFC 826, its announcement: RFC 5227 section 3;
the unsolicited neighbour advertisement: RFC 4861 section 7.2.6.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from probe.environment.machine import LocalAddress

ANSWER_TIMEOUT_S = 5.0  # the kernel answers at once; this is for a sandbox that swallows the question
DATAGRAM_BYTES_MAX = 256 * 1024
DATAGRAMS_MAX = 4096  # of one answer: more addresses than any node has

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_ERROR = struct.Struct("=i")
_ALIGNMENT = 4
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_REQUEST, _ACK, _DUMP, _CREATE_NEW = 0x1, 0x4, 0x300, 0x600  # NLM_F_CREATE | NLM_F_EXCL
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_SECONDARY, _IFA_F_OPTIMISTIC, _IFA_F_DADFAILED, _IFA_F_TENTATIVE = 0x01, 0x04, 0x08, 0x40
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: something changed meanwhile
_DUMPS_MAX = 5
_KERNEL = 0

_ETH_P_ARP = 0x0806
_ARP = struct.Struct("!HHBBH6s4s6s4s")  # hardware, protocol, their lengths, operation, sender, target
_ARPHRD_ETHER, _ETH_P_IP, _ARPOP_REQUEST = 1, 0x0800, 1
_BROADCAST, _NOBODY = b"\xff" * 6, b"\0" * 6
_ADVERTISEMENT = struct.Struct("!BBHI16sBB6s")  # type, code, checksum, flags, target, option, its length, link address
_ND_NEIGHBOR_ADVERT, _OVERRIDE, _TARGET_LINK_ADDRESS = 136, 0x20000000, 2
_ALL_NODES = "ff02::1"
_HOPS = 255  # RFC 4861 section 7.1.2: anything less is not believed


class NetlinkAddresses:
    """`Addresses` over the kernel."""

    def all(self) -> list[LocalAddress]:
        """List every address of every interface. Raises OSError."""
        for _ in range(_DUMPS_MAX):
            messages = list(_ask(_RTM_GETADDR, _DUMP, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)))
            if not any(flags & _DUMP_INTERRUPTED for _, flags, _ in messages):
                break
        names = dict(socket.if_nameindex())
        found = (parse_address(body, names) for kind, _, body in messages if kind == _RTM_NEWADDR)
        return [one for one in found if one is not None]

    def add(self, address: str, prefix: int, interface: str) -> None:
        """Add an address, with its network's broadcast address left to the kernel. Raises OSError."""
        _do(_RTM_NEWADDR, _CREATE_NEW, _request_body(address, prefix, interface))

    def remove(self, address: str, prefix: int, interface: str) -> None:
        """Remove an address; the kernel takes its secondaries along. Raises OSError."""
        _do(_RTM_DELADDR, 0, _request_body(address, prefix, interface))

    def announce(self, address: str, interface: str) -> None:
        """Send one gratuitous ARP request or one unsolicited neighbour advertisement. Raises OSError (CAP_NET_RAW)."""
        one = ip_address(address)
        if isinstance(one, IPv4Address):
            _announce_4(one, interface)
        else:
            _announce_6(one, interface)


def parse_address(body: bytes, names: dict[int, str]) -> LocalAddress | None:
    """Read one RTM_NEWADDR; None for one that is malformed or of a family that we don't know."""
    if len(body) < _ADDRESS.size:
        return None
    family, prefix, flags, _, index = _ADDRESS.unpack_from(body)
    attributes = dict(_attributes(body))
    # On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL ours; elsewhere IPv6 has the former alone.
    raw = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
    if (family, len(raw)) not in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        return None
    if len(wide := attributes.get(_IFA_FLAGS, b"")) == struct.calcsize("=I"):
        (flags,) = struct.unpack("=I", wide)
    doubt = ""
    if flags & _IFA_F_DADFAILED:
        doubt = "duplicate"
    elif flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC:
        doubt = "tentative"
    interface = names.get(index, str(index))
    return LocalAddress(str(ip_address(raw)), prefix, interface, bool(flags & _IFA_F_SECONDARY), doubt)


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    offset = _ADDRESS.size
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if not _ATTRIBUTE.size <= length <= len(body) - offset:
            return
        yield kind, body[offset + _ATTRIBUTE.size : offset + length]
        offset += _aligned(length)


def _request_body(address: str, prefix: int, interface: str) -> bytes:
    """Describe an address. Raises OSError(ENODEV)."""
    one = ip_address(address)
    try:
        index = socket.if_nametoindex(interface)
    except OSError as error:
        raise OSError(errno.ENODEV, f"there is no interface {interface}") from error
    family = socket.AF_INET if one.version == 4 else socket.AF_INET6
    attributes = b"".join(
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(one.packed), kind) + one.packed for kind in (_IFA_LOCAL, _IFA_ADDRESS)
    )
    return _ADDRESS.pack(family, prefix, 0, 0, index) + attributes


def _do(kind: int, flags: int, body: bytes) -> None:
    for _ in _ask(kind, _ACK | flags, body):
        pass


def _ask(kind: int, flags: int, body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Ask the kernel and give the messages of its answer: (type, flags, body) each. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
        asking.bind((0, 0))
        asking.settimeout(ANSWER_TIMEOUT_S)
        asking.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
        for _ in range(DATAGRAMS_MAX):
            data, (sender, _) = asking.recvfrom(DATAGRAM_BYTES_MAX)
            if sender != _KERNEL:
                continue
            for message in _messages(data):
                if message[0] == _NLMSG_ERROR:
                    (code,) = _ERROR.unpack_from(message[2])
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return
                if message[0] == _NLMSG_DONE:
                    return
                yield message
        raise OSError(errno.EMSGSIZE, "the kernel's answer has no end")


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags = _HEADER.unpack_from(data, offset)[:3]
        if not _HEADER.size <= length <= len(data) - offset:
            return
        yield kind, flags, data[offset + _HEADER.size : offset + length]
        offset += _aligned(length)


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _announce_4(address: IPv4Address, interface: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0) as sending:
        sending.bind((interface, 0))
        link = sending.getsockname()[4]
        if len(link) != len(_NOBODY):
            return  # no Ethernet: nobody asks for link addresses there
        own = address.packed
        words = (_ARPHRD_ETHER, _ETH_P_IP, len(link), len(own), _ARPOP_REQUEST, link, own, _NOBODY, own)
        sending.sendto(_ARP.pack(*words), (interface, _ETH_P_ARP, 0, 0, _BROADCAST))


def _announce_6(address: IPv6Address, interface: str) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0) as packet:
        packet.bind((interface, 0))
        link = packet.getsockname()[4]
    if len(link) != len(_NOBODY):
        return
    index = socket.if_nametoindex(interface)
    kinds = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_INET6, kinds, socket.IPPROTO_ICMPV6) as sending:  # which sums it up for us
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sending.bind((str(address), 0, 0, index if address.is_link_local else 0))
        words = (_ND_NEIGHBOR_ADVERT, 0, 0, _OVERRIDE, address.packed, _TARGET_LINK_ADDRESS, 1, link)
        sending.sendto(_ADVERTISEMENT.pack(*words), (_ALL_NODES, 0, 0, index))
