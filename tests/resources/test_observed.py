"""What a look is told beside the resource's own parameters, and controllers that are for some types alone."""

from __future__ import annotations

from bindings.model import Controller, Group, Resource, Store
from probe.controllers import CONTROLLER_KINDS
from probe.resources.checking import check_store
from probe.resources.observed import group_address, observed_parameters
from probe.resources.specs import spec_of

NAME = {"name": "mail.example.org", "hosts_file": "/etc/hosts"}


def resource(own_name: str, type: str, /, *depends_on: str, kind: str = "none", **parameters: object) -> Resource:
    """Describe a resource."""
    return Resource(
        group="evs1",
        name=own_name,
        type=type,
        depends_on=depends_on,
        controller=Controller(kind),
        parameters=parameters,
    )


def store_of(*resources: Resource) -> Store:
    """Make a store of one group."""
    group = Group(name="evs1", possible_owners=(), resources={each.name: each for each in resources})
    return Store(metabase_revision=1, cluster_revision=1, virtual_servers={}, groups={"evs1": group})


def test_a_name_is_told_the_addresses_it_depends_on() -> None:
    """S13, S15: those of its ip-addresses, without prefixes; not those of others, and nothing of a wrong one."""
    name = resource("name", "network-name", "ip", "six", "disk", "wrong", **NAME)
    store = store_of(
        resource("ip", "ip-address", address="192.0.2.7/24"),
        resource("six", "ip-address", address="2001:DB8:0::7/64"),
        resource("other", "ip-address", address="192.0.2.8/24"),
        resource("wrong", "ip-address", address="192.0.2.300/24"),
        resource("disk", "physical-disk", mount_point="/srv"),
        name,
    )
    assert observed_parameters(store, name) == {**NAME, "addresses": ("192.0.2.7", "2001:db8::7")}


def test_the_others_are_told_their_own() -> None:
    """A look at anything else is told the resource's parameters as they are."""
    disk = resource("disk", "physical-disk", mount_point="/srv")
    assert observed_parameters(store_of(disk), disk) == {"mount_point": "/srv"}


def problems_of(*resources: Resource) -> list[str]:
    """What the checker says."""
    return [f"{each.place}: {each.message}" for each in check_store(store_of(*resources), CONTROLLER_KINDS)]


def test_a_controller_for_another_type_is_refused() -> None:
    """Each controller says for which types it is; another one gets a sentence, and only that one."""
    job = resource("job", "exec", kind="name", argv=("/bin/true",))
    assert problems_of(job) == [
        "evs1/job: controller.kind: controller name is only for the type network-name, not exec"
    ]


def test_what_the_controller_lacks_in_the_resource_is_named() -> None:
    """Where nothing is to be written the store is refused, with every reason."""
    name = resource("name", "network-name", kind="name", name="mail.example.org")
    assert [each.partition(": ")[2] for each in problems_of(name)] == [
        "parameters.hosts_file: is missing: without it controller name has nothing to write",
        "parameters.name: leads nowhere: the resource depends on no ip-address",
    ]
    good = resource("name", "network-name", "ip", kind="name", **NAME)
    ip = resource("ip", "ip-address", kind="address", address="192.0.2.7/24", interface="eth0")
    assert problems_of(good, ip) == []


def test_another_address_is_another_shape() -> None:
    """S74: a running address that is to be another one is taken offline as what it was started as."""
    one, same, other = (
        spec_of(resource("ip", "ip-address", kind="address", address=text, interface="eth0"), CONTROLLER_KINDS)
        for text in ("192.0.2.7/24", "192.0.2.7/24", "192.0.2.8/24")
    )
    assert one.shape == same.shape
    assert one.shape != other.shape
    assert one.checked
    assert one.acts


def test_the_address_of_a_wildcard() -> None:
    """S33, S43: the nearest ip-address a resource stands on, else its group's first; none in a group without one."""
    ip = resource("ip", "ip-address", address="192.0.2.7/24")
    other = resource("other", "ip-address", address="192.0.2.8/24")
    name = resource("name", "network-name", "ip", **NAME)
    store = store_of(other, ip, name, resource("imap", "imap", "name"), resource("lone", "imap"))
    asked = {each: group_address(store, store.groups["evs1"].resources[each]) for each in ("imap", "lone", "other")}
    assert asked == {"imap": "192.0.2.7", "lone": "192.0.2.8", "other": "192.0.2.8"}
    assert group_address(store_of(resource("imap", "imap")), resource("imap", "imap")) is None
