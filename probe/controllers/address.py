"""The address controller: gives an ip-address to its interface and takes it away, over netlink (CAP_NET_ADMIN).

How it behaves:
1. `start` adds `address` to `interface` and tells the neighbours; there already is success, on another interface a
   failure. `stop` removes it, with whatever prefix it is there; one that is not there is success.
2. The kernel takes an IPv4 address's secondaries along when the first of its network goes. Those are other people's:
   they are put back at once.
3. The look, which an ip-address without this controller has too: it must be there, on `interface` where that is given,
   and usable. A duplicate or one that is still being tried out (RFC 4862 section 5.4) is `address_missing`.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_interface

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.looking import doubt_of, nothing_to_upgrade, read, read_for, run_alone, text_of
from probe.environment import Environment
from probe.environment.machine import LocalAddress
from probe.resources.parameters import AddressParameters, read_address
from probe.resources.reading import ParametersError, Problem
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

_log = logging.getLogger(__name__)

_DOUBTS = {
    "tentative": "is still being tried out (duplicate address detection)",
    "duplicate": "is somebody else's too: duplicate address detection has failed",
}


class AddressObserver:
    """Looks whether addresses are there."""

    overdue = Reason.PROBE_INTERNAL  # the kernel did not answer us: nothing is known of the address
    calls_off = False

    def __init__(self, environment: Environment) -> None:
        self._threads = environment.threads
        self._addresses = environment.addresses

    async def look(self, id: ResourceId, parameters: Mapping[str, object]) -> Verdict:
        """Look whether the address is on its interface and usable."""
        try:
            wanted = read(parameters, read_address)
            there = await self._threads.run(("address", id), self._addresses.all)
        except ParametersError as error:
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))
        except OSError as error:
            return doubt_of(error, "cannot list the addresses of this node")
        return judge_address(wanted, there)


def judge_address(wanted: AddressParameters, there: Sequence[LocalAddress]) -> Verdict:
    """Judge what is there."""
    text, where = _plain(wanted), f" on {wanted.interface}" if wanted.interface else ""
    same = [one for one in there if one.address == text]
    fitting = [one for one in same if wanted.interface in (None, one.interface)]
    if usable := [one for one in fitting if not one.doubt]:
        one = usable[0]
        return Verdict(Reason.MATCHED, f"{one.address}/{one.prefix} on {one.interface}")
    if fitting:
        complaint = f"{text}{where} {_DOUBTS.get(fitting[0].doubt, fitting[0].doubt)}"
    elif same:
        complaint = f"{text} is on {same[0].interface}, not{where}"
    else:
        complaint = f"{text} is not{where or ' on any interface'}"
    return Verdict(Reason.ADDRESS_MISSING, evidence_of(complaint))


class AddressController:
    """Adds and removes addresses."""

    acts = True
    ours_to_stop = False  # an address that others serve on: it outlives us, as a unit of systemd does

    def __init__(self, environment: Environment) -> None:
        self._threads = environment.threads
        self._addresses = environment.addresses

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:  # noqa: ARG002 - the contract's
        """Add the address unless it is there (S57), and tell the neighbours. Raises ControllerError."""
        await self._do(service.id, lambda: self._add(service))

    async def stop(self, service: ServiceSpec) -> None:
        """Remove the address if it is there. Raises ControllerError."""
        await self._do(service.id, lambda: self._remove(service))

    async def terminate(self, service: ServiceSpec) -> None:
        """Remove the address, too: there is nothing quicker (S68). Raises ControllerError."""
        await self.stop(service)

    async def upgrade(self, service: ServiceSpec) -> None:
        """Refuse. Raises ControllerError."""
        raise nothing_to_upgrade(service.id, "address")

    def kill(self, id: ResourceId) -> None:
        """Do nothing: an address has no process."""

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say whether the address is there. Asks the kernel, which answers at once. Raises ControllerError."""
        wanted = read_for(service, read_address)
        try:
            return judge_address(wanted, self._addresses.all()).reason is Reason.MATCHED
        except OSError as error:
            raise ControllerError(doubt_of(error, "cannot list the addresses of this node")) from error

    def pid(self, id: ResourceId) -> int | None:  # noqa: ARG002 - the contract's
        """Know none."""
        return None

    def release(self) -> None:
        """Leave every address where it is."""

    async def _do(self, id: ResourceId, call: Callable[[], None]) -> None:
        await run_alone(self._threads, ("change an address", id), call)

    # --- in a thread ---

    def _add(self, service: ServiceSpec) -> None:
        wanted = read_for(service, read_address)
        text, interface = _plain(wanted), wanted.interface
        if interface is None:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, f"{service.id} names no interface to add {text} to"))
        same = [one for one in self._all(text) if one.address == text]
        if any(one.interface != interface for one in same):
            there = next(one.interface for one in same if one.interface != interface)
            raise _refused(f"{text} is on {there} already; it cannot be added to {interface}, remove it there first")
        if not same:
            try:
                self._addresses.add(text, ip_interface(wanted.address).network.prefixlen, interface)
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise _failure(error, f"cannot add {text} to {interface}") from error
        try:
            self._addresses.announce(text, interface)
        except OSError as error:  # the neighbours will find out by themselves, later
            _log.info("%s: %s", service.id, text_of(error, f"{text} on {interface} is not announced"))

    def _remove(self, service: ServiceSpec) -> None:
        wanted = read_for(service, read_address)
        text = _plain(wanted)
        before = self._all(text)
        for one in before:
            if one.address == text and wanted.interface in (None, one.interface):
                try:
                    self._addresses.remove(text, one.prefix, one.interface)
                except OSError as error:
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):  # gone meanwhile
                        raise _failure(error, f"cannot remove {text} from {one.interface}") from error
                self._put_back(before, one)

    def _put_back(self, before: Sequence[LocalAddress], removed: LocalAddress) -> None:
        """Put back what the kernel took along (rule 2), in the order in which it was there."""
        others = [one for one in before if one.interface == removed.interface and one.secondary and one != removed]
        if removed.secondary or not others:
            return
        left = {(one.address, one.interface) for one in self._all(removed.address)}
        for one in others:
            if (one.address, one.interface) not in left:
                try:
                    self._addresses.add(one.address, one.prefix, one.interface)
                except OSError as error:
                    if error.errno != errno.EEXIST:
                        raise _failure(error, f"cannot put {one.address} back on {one.interface}") from error

    def _all(self, text: str) -> Sequence[LocalAddress]:
        try:
            return self._addresses.all()
        except OSError as error:
            raise ControllerError(doubt_of(error, f"cannot find out where {text} is")) from error


def interface_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """Find that no interface is named: an address must be added to one."""
    if parameters.get("interface") is not None:
        return ()
    return (Problem("interface", "is missing: controller address adds the address to it", 'for example "eth0"'),)


def _plain(wanted: AddressParameters) -> str:
    return str(ip_interface(wanted.address).ip)


def _refused(text: str) -> ControllerError:
    return ControllerError(Verdict(Reason.ADDRESS_MISSING, evidence_of(text)))


def _failure(error: OSError, what: str) -> ControllerError:
    if error.errno == errno.EPERM:
        return ControllerError(Verdict(Reason.PROBER_FORBIDDEN, f"{what}: looksalive needs CAP_NET_ADMIN for that"))
    return _refused(text_of(error, what))
