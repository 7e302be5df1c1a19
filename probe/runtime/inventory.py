"""The store in force: loaded, polled once a second, reloaded by diff. A bad edit leaves the last good one in force."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping, Sequence

from bindings.diff import diff_stores
from bindings.parse import StoreError
from bindings.store import StoreFolder
from bindings.watch import StoreStamp
from probe.cluster import DesiredState, MaintenanceFile
from probe.controllers import observers_by_name
from probe.controllers.contract import Controller, Observer
from probe.controllers.specs import service_spec
from probe.environment import Environment
from probe.lifecycle.events import Maintained
from probe.monitor.once import probe_plan_once
from probe.monitor.plan import ProbePlan
from probe.resources import TYPES, ControllerKind
from probe.resources.observed import observed_parameters
from probe.runtime.loading import Loaded, load_checked, readdressed
from probe.runtime.loop import Runtime
from probe.runtime.performing import Service
from probe.runtime.planning import Planning
from probe.runtime.telling import SLICE_RESOURCES, PartlyTold, tell, what_was_told
from probe.values import Reason, ResourceId, Verdict

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
        maintained: MaintenanceFile,
        observers: Mapping[str, Observer] | None = None,
    ) -> None:
        self.folder = folder
        self.desired = desired
        self.maintained = maintained
        self.told = False  # the runtime knows the store
        self.on_reload: Callable[[], None] = lambda: None  # called whenever a reload has ended, well or not
        self._environment = environment
        self._kinds = kinds
        self._controllers = controllers
        self._planning = Planning(environment, observers_by_name(environment) if observers is None else observers)
        self._loaded: Loaded | None = None
        self._stamp: StoreStamp | None = None
        self._reloading = asyncio.Lock()
        self._look = asyncio.Event()
        self._asked = False

    @property
    def loaded(self) -> Loaded:
        """The store in force."""
        assert self._loaded is not None, "no store is loaded yet"
        return self._loaded

    def load(self) -> None:
        """Read the store for the first time. Blocks. Raises StoreError with every mistake."""
        self._stamp = self._read_stamp()
        self._loaded = load_checked(self.folder, self._kinds)
        for failure in TYPES.failures:
            _log.error("%s; everything else goes on without them", failure)
        self.desired.load()
        self.maintained.load(self._environment.clock.wall())
        groups = self._loaded.store.groups
        self.desired.keep(ResourceId(group.name, name) for group in groups.values() for name in group.resources)

    def open_service(self, id: ResourceId) -> Service:
        """Say who controls a resource and with what, as configured now."""
        resource = self.loaded.store.groups[id.group].resources[id.name]
        own = observed_parameters(self.loaded.store, resource)
        return Service(self._controllers[resource.controller.kind], service_spec(resource, self._kinds, own))

    async def ask_once(self, id: ResourceId) -> Verdict:
        """Check a resource once, now, as configured now, beside whatever watches it."""
        if self.loaded.resource(id) is None:
            return Verdict(Reason.PROBE_INTERNAL, "no longer in the store")
        return await probe_plan_once(self._environment, self.plan_of(id))

    def plan_of(self, id: ResourceId) -> ProbePlan:
        """Say how a resource is asked or looked at, as configured now."""
        return self._planning.plan_of(self.loaded, id)

    async def begin(self, runtime: Runtime) -> None:
        """Tell the runtime everything: the groups are ours, the resources are these."""
        store = self.loaded.store
        ids = [ResourceId(group.name, name) for group in store.groups.values() for name in group.resources]
        gc.freeze()  # the store is here to stay: no collection has to walk through it
        if len(ids) > SLICE_RESOURCES:
            runtime.feed.count_up()
        await self._tell(runtime, self.loaded, (), ids, ())
        runtime.metrics.reloaded(True, self._environment.clock.wall())
        if len(ids) <= SLICE_RESOURCES:
            self.told = True
        else:
            runtime.spawn(self._begin_watches(runtime))

    async def _begin_watches(self, runtime: Runtime) -> None:
        """Begin the first round of a large store, behind the telling of it."""
        await runtime.withheld.release(runtime.carry_out, runtime.world, runtime.clock)
        self.told = True

    async def follow(self, runtime: Runtime) -> None:
        """Poll the store and reload it when it has changed, for ever."""
        clock = self._environment.clock
        while True:
            timer = clock.call_at(clock.now() + POLL_INTERVAL_S, self._look.set)
            await self._look.wait()
            timer.cancel()
            self._look.clear()
            if runtime.feed.tell_counts(goes_on=not (self.told and runtime.monitors.first_round_done)):
                gc.freeze()  # what the first round has made is here to stay, too
            asked, self._asked = self._asked, False
            if asked or await asyncio.to_thread(self._read_stamp) != self._stamp:
                await self.reload(runtime)

    def ask_reload(self) -> None:
        """Have the store read again at once, changed or not (SIGHUP); any number of times before it is, is once."""
        self._asked = True
        self._look.set()

    async def reload(self, runtime: Runtime) -> bool:
        """Read the store again and tell the runtime what differs (SIGHUP does, too). Returns whether it was good."""
        async with self._reloading:
            good = False
            self._stamp = await asyncio.to_thread(self._read_stamp)
            try:
                loaded = await asyncio.to_thread(load_checked, self.folder, self._kinds, self._loaded)
                good = await self._change(runtime, loaded)
            except StoreError as error:
                for problem in error.problems:
                    _log.error("the edit of the store is refused: %s", problem)
            except Exception:  # noqa: BLE001 - whatever is in the store, the last good one stays in force
                _log.exception("a mistake in looksalive: the edit of the store is refused, the last good one stays")
            runtime.metrics.reloaded(good, self._environment.clock.wall())
            self.on_reload()
            return good

    def _read_stamp(self) -> StoreStamp | None:
        try:
            return self.folder.stamp()
        except OSError:  # reading the store meets the same and says which file
            return None

    async def _change(self, runtime: Runtime, loaded: Loaded) -> bool:
        """Take a store over and tell what differs. Returns whether all of it is told; raises when nothing is."""
        before = self.loaded
        diff = diff_stores(before.store, loaded.store) if loaded.diff is None else loaded.diff
        changed = [ResourceId(*change.id) for change in diff.changed]
        removed = [ResourceId(*id) for id in diff.removed]
        addressed_anew = readdressed(before.store, loaded.store, diff)

        def take_over() -> None:
            self._loaded = loaded
            self._planning.forget((*changed, *removed), addressed_anew)

        added, whole = [ResourceId(*id) for id in diff.added], True
        try:
            await self._tell(runtime, loaded, changed, added, removed, take_over)
        except PartlyTold as broken:
            self._loaded, whole = what_was_told(runtime, loaded, added, broken), False
        except Exception:
            self._loaded = before
            raise
        finally:
            await runtime.withheld.release(runtime.carry_out, runtime.world, runtime.clock)
        groups = (loaded.store.groups[name] for name in addressed_anew if name in loaded.store.groups)
        beside = (ResourceId(group.name, name) for group in groups for name in group.resources)
        for id in dict.fromkeys([*changed, *beside]):
            record = runtime.world.records.get(id)
            if record is not None and record.watched and record.next_spec is None:
                plan = self.plan_of(id)
                runtime.monitors.replan(plan)
                runtime.metrics.keep_bindings(id, {target.binding for target in plan.targets})
        revisions = f"metabase {loaded.store.metabase_revision}, cluster {loaded.store.cluster_revision}"
        _log.info(
            "the store was reloaded: %d added, %d changed, %d removed (revisions: %s)",
            sum(id in runtime.world.records for id in added),
            len(diff.changed),
            len(diff.removed),
            revisions,
        )
        return whole

    def _maintenance_of(self, group: str) -> Maintained | None:
        kept, clock = self.maintained.groups.get(group), self._environment.clock
        if kept is None:
            return None
        until = None if kept.until is None else clock.now() + kept.until - clock.wall()
        return Maintained(group, True, kept.owner, until)

    async def _tell(
        self,
        runtime: Runtime,
        loaded: Loaded,
        changed: Sequence[ResourceId],
        added: Sequence[ResourceId],
        removed: Sequence[ResourceId],
        take_over: Callable[[], None] | None = None,
    ) -> None:
        comes = added or any(record.removing for id in changed if (record := runtime.world.records.get(id)))
        wished = dict(self.desired.items()) if comes else {}  # by nobody else is it asked for
        maintenance_of = self._maintenance_of
        await tell(
            runtime, loaded, changed, added, removed, wished=wished, maintenance_of=maintenance_of, take_over=take_over
        )
