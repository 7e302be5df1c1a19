"""What a look at a resource is told: the resource's own parameters, and what they mean beside those it depends on."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Iterator

from bindings.model import Resource, Store

ADDRESSES = "addresses"  # of the ip-address resources that a network-name depends on, numeric, without their prefixes


def observed_parameters(store: Store, resource: Resource) -> dict[str, object]:
    """Return the parameters of a resource; a network-name's with the `addresses` that it must lead to."""
    if resource.type != "network-name":
        return resource.parameters
    return {**resource.parameters, ADDRESSES: tuple(_addresses(store, resource))}


def group_address(store: Store, resource: Resource) -> str | None:
    """Return the ip-address, without its prefix, that a wildcard binding of the resource means (S33, S43).

    That is the nearest one it stands on, else its group's first; None in a group without one.
    """
    beside = store.groups[resource.group].resources
    below: dict[str, None] = {}  # nearest first
    waiting = deque(resource.depends_on)
    while waiting:
        name = waiting.popleft()
        if name not in below and name in beside:
            below[name] = None
            waiting += beside[name].depends_on
    for name in (*below, *beside):
        if beside[name].type == "ip-address":
            try:
                return str(ipaddress.ip_interface(str(beside[name].parameters.get("address"))).ip)
            except ValueError:  # a mistake of its own, told where it stands
                continue
    return None


def _addresses(store: Store, resource: Resource) -> Iterator[str]:
    beside = store.groups[resource.group].resources
    for name in resource.depends_on:
        provider = beside.get(name)
        if provider is not None and provider.type == "ip-address":
            try:
                yield str(ipaddress.ip_interface(str(provider.parameters.get("address"))).ip)
            except ValueError:  # a mistake of its own, told where it stands
                continue
