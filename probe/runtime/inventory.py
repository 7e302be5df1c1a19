"""The store in force: loaded, polled once a second, reloaded by diff. A bad edit leaves the last good one in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from bindings.diff import diff_stores
from bindings.parse import StoreError

from bindings.store import StoreFolder
from bindings.watch import StoreStamp
from probe.cluster import DesiredState
from probe.controllers.contract import Controller, ServiceSpec
from probe.environment import Environment
from probe.lifecycle.events import Configured, Owned
from probe.monitor.plan import Plans, ProbePlan
from probe.resources import ControllerKind
from probe.runtime.loading import Loaded, load_checked
from probe.runtime.loop import Runtime, Service
from probe.values import ResourceId

POLL_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


class Inventory:
    """What the store says now, and how a new saying reaches the runtime."""

    def __init__(
        self,
        environment: Environment,
        folder: StoreFolder,
        kinds: Mapping[str, ControllerKind],
        controllers: Mapping[str, Controller],
        desired: DesiredState,
    ) -> None:
        self.folder = folder
        self.desired = desired
        self.told = False  # the runtime knows the store
        self._environment = environment
        self._kinds = kinds
        self._controllers = controllers
        self._loaded: Loaded | None = None
        self._stamp: StoreStamp | None = None
        self._reloading = asyncio.Lock()
        self._plans = Plans(environment)
        self._made: dict[ResourceId, ProbePlan] = {}

    @property
    def loaded(self) -> Loaded:
        """The store in force."""
        assert self._loaded is not None, "no store is loaded yet"
        return self._loaded

    def load(self) -> None:
        """Read the store for the first time. Blocks. Raises StoreError with every mistake."""
        self._stamp = self.folder.stamp()
        self._loaded = load_checked(self.folder, self._kinds)
        self.desired.load()

    def open_service(self, id: ResourceId) -> Service:
        """Say who controls a resource and with what, as configured now."""
        resource = self.loaded.store.groups[id.group].resources[id.name]
        return Service(self._controllers[resource.controller.kind], ServiceSpec(id, resource.controller.parameters))

    def plan_of(self, id: ResourceId) -> ProbePlan:
        """Say how a protocol resource is asked, as configured now."""
        plan = self._made.get(id)
        if plan is None:
            resource = self.loaded.store.groups[id.group].resources[id.name]
            server = self.loaded.virtual_server(resource)
            assert server is not None, f"{id} has no conversation"
            plan = self._made[id] = self._plans.plan_for(resource, server)
        return plan

    async def begin(self, runtime: Runtime) -> None:
        """Tell the runtime everything: the groups are ours, the resources are these."""
        store = self.loaded.store
        ids = [ResourceId(group.name, name) for group in store.groups.values() for name in group.resources]
        await self._tell(runtime, ids, removed=[])
        self.told = True
        runtime.metrics.reloaded(True, self._environment.clock.wall())

    async def follow(self, runtime: Runtime) -> None:
        """Poll the store and reload it when it has changed, for ever."""
        while True:
            await self._environment.clock.sleep(POLL_INTERVAL_S)
            if await asyncio.to_thread(self.folder.stamp) != self._stamp:
                await self.reload(runtime)

    async def reload(self, runtime: Runtime) -> bool:
        """Read the store again and tell the runtime what differs (SIGHUP does, too). Returns whether it was good."""
        async with self._reloading:
            self._stamp = await asyncio.to_thread(self.folder.stamp)
            try:
                loaded = await asyncio.to_thread(load_checked, self.folder, self._kinds)
            except StoreError as error:
                for problem in error.problems:
                    _log.error("the edit of the store is refused: %s", problem)
                runtime.metrics.reloaded(False, self._environment.clock.wall())
                return False
            await self._change(runtime, loaded)
            runtime.metrics.reloaded(True, self._environment.clock.wall())
            return True

    async def _change(self, runtime: Runtime, loaded: Loaded) -> None:
        diff = diff_stores(self.loaded.store, loaded.store)
        self._loaded = loaded
        self._plans.forget_files()
        changed = [ResourceId(*change.id) for change in diff.changed]
        changed_ids = set(changed)
        removed = [ResourceId(*id) for id in diff.removed]
        for id in [id for id in self._made if id in changed_ids or id not in runtime.world.records]:
            del self._made[id]  # a removed one is still asked until it is offline: its last plan stays as long
        await self._tell(runtime, [*(ResourceId(*id) for id in diff.added), *changed], removed)
        for id in changed:
            record = runtime.world.records.get(id)
            if record is not None and record.watched:
                plan = self.plan_of(id)
                runtime.monitors.replan(plan)
                runtime.metrics.keep_bindings(id, {target.binding for target in plan.targets})
        revisions = f"metabase {loaded.store.metabase_revision}, cluster {loaded.store.cluster_revision}"
        _log.info(
            "the store was reloaded: %d added, %d changed, %d removed (revisions: %s)",
            len(diff.added),
            len(diff.changed),
            len(diff.removed),
            revisions,
        )

    async def _tell(self, runtime: Runtime, ids: list[ResourceId], removed: list[ResourceId]) -> None:
        await runtime.ask(Configured(tuple(self.loaded.spec(id) for id in ids), tuple(removed), self.desired.items()))
        for name in dict.fromkeys(id.group for id in ids):
            group = runtime.world.groups.get(name)
            if group is not None and not group.here:
                await runtime.ask(Owned(name, here=True))
