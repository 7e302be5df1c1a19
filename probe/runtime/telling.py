"""The store told to the core: what changed and what is gone in one step, what is new in slices.

A step over 100,000 new resources would hold the loop for seconds. A slice never separates a resource from what it
depends on: providers come before it or along with it, so it waits for them as it would had all come at once. Nobody
knows a new resource before it is told, so no event can meet one between two slices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence

from probe.lifecycle.events import Configured, Event, Maintained, Owned
from probe.runtime.loading import Loaded
from probe.runtime.loop import Runtime
from probe.runtime.withheld import breathe
from probe.values import ResourceId


class PartlyTold(Exception):
    """A mistake of ours after the store was taken over: what was told stays told, the rest is not."""


SLICE_RESOURCES = 200  # with what they lead to about 10 ms of the loop
NAMED_MAX = 20  # resources in one line of the log

_log = logging.getLogger(__name__)


def slices(loaded: Loaded, changed: Collection[ResourceId], added: Sequence[ResourceId]) -> Iterator[list[ResourceId]]:
    """Divide what is to be told: the first slice has everything that changed, each keeps the order of `added`."""
    waiting = {id: number for number, id in enumerate(added)}
    slice: list[tuple[int, ResourceId]] = []
    for id in changed:
        _take(loaded, id, waiting, slice)
    first = [*(id for _, id in sorted(slice)), *changed]
    slice.clear()
    for id in added:
        if len(slice) + len(first) >= SLICE_RESOURCES:
            yield [*first, *(one for _, one in sorted(slice))]
            first, slice = [], []
        _take(loaded, id, waiting, slice)
    if first or slice:
        yield [*first, *(one for _, one in sorted(slice))]


def _take(loaded: Loaded, id: ResourceId, waiting: dict[ResourceId, int], slice: list[tuple[int, ResourceId]]) -> None:
    """Move a resource, with what it stands on, from those who wait into the slice."""
    stack = [id]
    while stack:
        each = stack.pop()
        number = waiting.pop(each, None)
        if number is not None:
            slice.append((number, each))
        elif each is not id:
            continue
        resource = loaded.resource(each)
        stack += () if resource is None else (ResourceId(each.group, name) for name in resource.depends_on)


def what_was_told(runtime: Runtime, loaded: Loaded, added: Sequence[ResourceId], broken: PartlyTold) -> Loaded:
    """Return as much of a store as was told, and log who is left out: they are new to the next reload."""
    missing = [id for id in added if id not in runtime.world.records]
    named = ", ".join(map(str, missing[:NAMED_MAX])) + ", …" * (len(missing) > NAMED_MAX)
    _log.error(
        "a mistake in looksalive: the edit of the store is taken over without %d new resources (%s); "
        "SIGHUP, or the next edit, tries them again",
        len(missing),
        named or "all are known, but of a group not whose it is or its maintenance",
        exc_info=broken,
    )
    return loaded.without(missing)


async def tell(
    runtime: Runtime,
    loaded: Loaded,
    changed: Sequence[ResourceId],
    added: Sequence[ResourceId],
    removed: Sequence[ResourceId],
    *,
    wished: dict[ResourceId, bool],
    maintenance_of: Callable[[str], Maintained | None],
    take_over: Callable[[], None] | None = None,
) -> None:
    """Tell the runtime, which takes the store over in the very step that decides on the first slice.

    `wished` is what operators want of resources. Raises what was stumbled over, nothing having been taken over; else
    PartlyTold.
    """
    if len(added) <= SLICE_RESOURCES:
        await _tell_all(runtime, loaded, changed, added, removed, wished, maintenance_of, take_over)
        return
    with runtime.withheld.hold():
        await _tell_all(runtime, loaded, changed, added, removed, wished, maintenance_of, take_over)


async def _tell_all(
    runtime: Runtime,
    loaded: Loaded,
    changed: Sequence[ResourceId],
    added: Sequence[ResourceId],
    removed: Sequence[ResourceId],
    wished: dict[ResourceId, bool],
    maintenance_of: Callable[[str], Maintained | None],
    take_over: Callable[[], None] | None,
) -> None:
    gone, limit = tuple(removed), loaded.store.storage_groups_max
    asked = False
    try:
        for ids in slices(loaded, changed, added):
            specs = tuple(loaded.spec(id) for id in ids)
            wishes = tuple((id, wished[id]) for id in ids if id in wished) if wished else ()
            events: list[Event] = [Configured(specs, gone, wishes, None if asked else limit)]
            names = dict.fromkeys(id.group for id in ids)
            kept = (maintenance_of(name) for name in names if name not in runtime.world.groups)
            events += [event for event in kept if event is not None]
            events += [Owned(name, here=True) for name in names]
            decisions = [runtime.ask(event, None if at or asked else take_over) for at, event in enumerate(events)]
            for decision in decisions:
                await decision
                asked, gone = True, ()
            if len(added) > SLICE_RESOURCES:
                await breathe(runtime.clock)
    except Exception as error:
        if asked:
            raise PartlyTold from error
        raise
    if not asked:
        await runtime.ask(Configured((), gone, (), limit), take_over)
