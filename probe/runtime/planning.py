"""How each resource is asked or looked at: plans made from the store in force, each once, and kept until it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from bindings.model import Group, Resource
from probe.controllers.contract import Observer
from probe.environment import Environment
from probe.monitor.plan import Plans, ProbePlan
from probe.resources import TYPES
from probe.resources.observed import group_address, observed_parameters
from probe.runtime.loading import Loaded
from probe.values import ResourceId


class Planning:
    """The plans. Whoever takes another store over says what is to be made anew."""

    def __init__(self, environment: Environment, observers: Mapping[str, Observer]) -> None:
        self._observers = observers
        self._plans = Plans(environment)
        self._made: dict[ResourceId, ProbePlan] = {}
        self._addressed: dict[str, tuple[Group, bool]] = {}  # by group: whether it has an ip-address of its own

    def __repr__(self) -> str:
        return f"<Planning of {len(self._made)} resources>"

    def plan_of(self, loaded: Loaded, id: ResourceId) -> ProbePlan:
        """Say how a resource is asked or looked at, as configured in that store."""
        plan = self._made.get(id)
        if plan is None:
            resource = loaded.store.groups[id.group].resources[id.name]
            server = loaded.virtual_server(resource)
            if server is None:
                plan = self._plan_look(loaded, resource)
            else:
                plan = self._plans.plan_for(resource, server, self._address_of(loaded, resource), id)
            self._made[id] = plan
        return plan

    def forget(self, ids: Iterable[ResourceId], groups: Collection[str] = ()) -> None:
        """Make the plans of some resources anew, those of some groups, and whatever is read from a file."""
        self._plans.forget_files()
        self._addressed.clear()  # with it the groups of stores that are gone
        for id in ids:
            self._made.pop(id, None)
        for id in [id for id in self._made if id.group in groups] if groups else ():
            del self._made[id]

    def _address_of(self, loaded: Loaded, resource: Resource) -> str | None:
        """Find the address of its group; a group without one, however large, is walked through once."""
        group = loaded.store.groups[resource.group]
        if self._addressed.get(group.name, (None, False))[0] is not group:
            has_one = any(beside.type == "ip-address" for beside in group.resources.values())
            self._addressed[group.name] = (group, has_one)
        return group_address(loaded.store, resource) if self._addressed[group.name][1] else None

    def _plan_look(self, loaded: Loaded, resource: Resource) -> ProbePlan:
        """Plan the looks at what is no conversation."""
        id = ResourceId(resource.group, resource.name)
        name = TYPES[resource.type].observer
        assert name is not None, f"{id} has neither a conversation nor a look"
        observer = self._observers[name]
        look = partial(observer.look, id, observed_parameters(loaded.store, resource))
        return self._plans.plan_look(resource, look, observer.overdue, calls_off=observer.calls_off)
