"""The type `search`, in a module of its own as the reference has it in a library of its own (S14)."""

from __future__ import annotations

from bindings.model import Resource, VirtualServer
from probe.lifecycle.spec import Traits
from probe.resources.contract import ResourceType, always
from probe.resources.health import server_of, with_index
from probe.resources.parameters import SEARCH_PARAMETERS, parameters_of, read_search


def _index(resource: Resource) -> VirtualServer | None:
    read = parameters_of(resource, read_search)
    return None if read is None else server_of(resource, with_index(read.health, read.index), read.index, "handle")


TYPES = {
    "search": ResourceType(
        Traits("search", recreated_with="information-store"),
        SEARCH_PARAMETERS,
        always,
        reads=read_search,
        asks=_index,
    )
}
