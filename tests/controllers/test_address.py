"""The address controller and its look: in memory for every refusal, and over the real netlink in a namespace."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from probe.controllers import CONTROLLER_KINDS
from probe.controllers.address import AddressController, AddressObserver, judge_address
from probe.controllers.contract import ServiceSpec
from probe.environment import Environment
from probe.environment.machine import LocalAddress
from probe.environment.threads import DaemonThreads
from probe.resources.parameters import AddressParameters
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.actual import Actual
from tests.controllers.surroundings import Surroundings, in_virtual_time, refusal_of
from tests.environment.namespace import INTERFACE, PEER, AddressesInside, ip, name_of, network_namespace
from tests.environment.until import until
from tests.sim.looks import SimAddresses

ID = ResourceId("evs1", "ip")
OWN = {"address": "192.0.2.7/24", "interface": "eth0"}
FIRST = Incarnation(1)


def spec(**own: object) -> ServiceSpec:
    """Describe the resource."""
    return ServiceSpec(ID, {}, resource={**OWN, **own})


def surroundings(addresses: SimAddresses) -> Environment:
    """Make an environment with these addresses."""
    return replace(Surroundings().environment, addresses=addresses)


@pytest.mark.parametrize(
    ("there", "interface", "reason", "evidence"),
    [
        ([], "eth0", Reason.ADDRESS_MISSING, "192.0.2.7 is not on eth0"),
        ([], None, Reason.ADDRESS_MISSING, "192.0.2.7 is not on any interface"),
        ([("192.0.2.7", 24, "eth0")], "eth0", Reason.MATCHED, "192.0.2.7/24 on eth0"),
        ([("192.0.2.7", 32, "eth0")], None, Reason.MATCHED, "192.0.2.7/32 on eth0"),
        ([("192.0.2.7", 24, "eth1")], "eth0", Reason.ADDRESS_MISSING, "192.0.2.7 is on eth1, not on eth0"),
        ([("192.0.2.70", 24, "eth0")], "eth0", Reason.ADDRESS_MISSING, "192.0.2.7 is not on eth0"),
    ],
)
def test_the_look(there: list[tuple[str, int, str]], interface: str | None, reason: Reason, evidence: str) -> None:
    """S13: the address must be there, on its interface where that is given."""
    found = [LocalAddress(*one) for one in there]
    verdict = judge_address(AddressParameters("192.0.2.7/24", interface), found)
    assert (verdict.reason, verdict.evidence) == (reason, evidence)


@pytest.mark.parametrize(("doubt", "word"), [("tentative", "tried out"), ("duplicate", "somebody else's")])
def test_an_address_in_doubt_is_missing(doubt: str, word: str) -> None:
    """A duplicate serves nobody; one that is still tried out, not yet."""
    found = [LocalAddress("2001:db8::7", 64, "eth0", doubt=doubt)]
    verdict = judge_address(AddressParameters("2001:db8::7/64"), found)
    assert verdict.reason is Reason.ADDRESS_MISSING
    assert word in verdict.evidence


def test_start_and_stop_may_be_repeated() -> None:
    """S57: started twice it is added once, stopped twice removed once; the neighbours are told at each start."""

    async def body() -> None:
        addresses = SimAddresses()
        controller = AddressController(surroundings(addresses))
        assert not controller.adopt(spec(), FIRST)
        await controller.start(spec(), FIRST)
        await controller.start(spec(), FIRST)
        assert addresses.there == [LocalAddress("192.0.2.7", 24, "eth0")]
        assert addresses.announced == [("192.0.2.7", "eth0")] * 2
        assert controller.adopt(spec(), FIRST)
        await controller.stop(spec())
        await controller.terminate(spec())
        assert addresses.there == []

    in_virtual_time(body)


@pytest.mark.parametrize(
    ("there", "refuses", "interface", "reason", "words"),
    [
        ((), errno.EPERM, "eth0", Reason.PROBER_FORBIDDEN, "needs CAP_NET_ADMIN"),
        ((), 0, "eth9", Reason.ADDRESS_MISSING, "cannot add 192.0.2.7 to eth9"),
        ((LocalAddress("192.0.2.7", 24, "eth1"),), 0, "eth0", Reason.ADDRESS_MISSING, "is on eth1 already"),
        ((), 0, None, Reason.PROBE_INTERNAL, "names no interface"),
    ],
)
def test_refusals_say_why(
    there: tuple[LocalAddress, ...], refuses: int, interface: str | None, reason: Reason, words: str
) -> None:
    """S4: what cannot be added says so in a sentence; nothing is taken from another interface."""

    async def body() -> None:
        addresses = SimAddresses(list(there), refuses=refuses)
        verdict = await refusal_of(AddressController(surroundings(addresses)).start(spec(interface=interface), FIRST))
        assert verdict.reason is reason
        assert words in verdict.evidence
        assert addresses.there == list(there)

    in_virtual_time(body)


def test_an_announcement_that_fails_fails_nothing() -> None:
    """The address serves, whether or not the neighbours could be told."""

    async def body() -> None:
        addresses = SimAddresses(announce_fails=errno.EPERM)
        await AddressController(surroundings(addresses)).start(spec(), FIRST)
        assert addresses.there

    in_virtual_time(body)


def test_others_secondaries_stay() -> None:
    """What the kernel takes along when the first address of a network goes, is put back."""

    async def body() -> None:
        addresses = SimAddresses()
        controller = AddressController(surroundings(addresses))
        await controller.start(spec(), FIRST)
        addresses.add("192.0.2.8", 24, "eth0")
        addresses.add("192.0.2.9", 24, "eth0")
        await controller.stop(spec())
        assert [one.address for one in addresses.there] == ["192.0.2.8", "192.0.2.9"]

    in_virtual_time(body)


def test_a_kernel_that_cannot_be_asked_is_unknown() -> None:
    """That we could not look says nothing about the address."""

    async def body() -> None:
        observer = AddressObserver(Surroundings().environment)  # which has no addresses to look at
        assert (await observer.look(ID, OWN)).reason is Reason.PROBE_INTERNAL
        assert "address" in (await observer.look(ID, {})).evidence

    in_virtual_time(body)


def test_what_is_missing_is_found_at_validation() -> None:
    """The kind acts on ip-addresses alone, takes no parameters, and needs to know the interface."""
    kind = CONTROLLER_KINDS["address"]
    assert kind.types == ("ip-address",)
    assert [problem.key for problem in kind.problems({"interface": "eth0"})] == ["interface"]
    assert kind.resource_problems is not None
    assert [problem.key for problem in kind.resource_problems({"address": "192.0.2.7/24"})] == ["interface"]
    assert not list(kind.resource_problems(OWN))


# --- the real kernel ---


@pytest.fixture
def there() -> Iterator[AddressesInside]:
    """The addresses of a namespace with a pair of interfaces."""
    with network_namespace(name_of("ctl")) as name:
        yield AddressesInside(name)


@pytest.mark.parametrize(("address", "plain"), [("192.0.2.7/24", "192.0.2.7"), ("2001:db8::7/64", "2001:db8::7")])
async def test_a_real_address_from_start_to_stop(there: AddressesInside, address: str, plain: str) -> None:
    """S3, S13: added and looked at; removed behind our back it is `address_missing`; added again, and removed."""
    environment = replace(Actual().environment, addresses=there, threads=DaemonThreads())
    controller, observer = AddressController(environment), AddressObserver(environment)
    own: dict[str, object] = {"address": address, "interface": INTERFACE}
    service = ServiceSpec(ID, {}, resource=own)

    async def reasons() -> Reason:
        return (await observer.look(ID, own)).reason

    assert await reasons() is Reason.ADDRESS_MISSING
    await controller.start(service, FIRST)
    await controller.start(service, FIRST)
    await until(lambda: controller.adopt(service, FIRST), "the address to be usable")
    assert await reasons() is Reason.MATCHED
    ip("-n", name_of("ctl"), "address", "del", address, "dev", INTERFACE)
    assert await reasons() is Reason.ADDRESS_MISSING
    await controller.start(service, FIRST)
    await until(lambda: controller.adopt(service, FIRST), "the address to be usable again")
    elsewhere = ServiceSpec(ID, {}, resource={**own, "interface": PEER})
    assert f"{plain} is on {INTERFACE} already" in (await refusal_of(controller.start(elsewhere, FIRST))).evidence
    await controller.stop(service)
    await controller.stop(service)
    assert plain not in [one.address for one in there.all()]


async def test_real_secondaries_are_put_back(there: AddressesInside) -> None:
    """The second address of a network survives the stop of the first."""
    environment = replace(Actual().environment, addresses=there, threads=DaemonThreads())
    controller = AddressController(environment)
    service = ServiceSpec(ID, {}, resource={"address": "192.0.2.7/24", "interface": INTERFACE})
    await controller.start(service, FIRST)
    ip("-n", name_of("ctl"), "address", "add", "192.0.2.8/24", "dev", INTERFACE)
    assert [one.secondary for one in there.all() if one.address == "192.0.2.8"] == [True]
    await controller.stop(service)
    assert [one.address for one in there.all() if one.interface == INTERFACE and "." in one.address] == ["192.0.2.8"]
