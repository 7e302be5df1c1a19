"""Questions about the dependency graph, each answered from the records around one resource.

A provider is what a resource depends on; a dependent is who depends on it. A provider that we bring back (its
controller acts) takes its dependents down first and up again after (S16); one that we only observe leaves them alone:
nothing would be gained by stopping them, and their own checks speak for them *(ours)*.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Phase, Record, Remains
from probe.values import ResourceId, State

_RUNNING = (State.ONLINE, State.ONLINE_PENDING, State.OFFLINE_PENDING)


def providers(draft: Draft, record: Record) -> Iterator[Record]:
    """Yield what the resource depends on directly."""
    for id in record.spec.depends_on:
        provider = draft.record(id)
        if provider is not None:
            yield provider


def provider_ids(draft: Draft, id: ResourceId) -> list[ResourceId]:
    """List everything the resource stands on, nearest first, each once."""
    found: dict[ResourceId, None] = {}
    queue = deque([id])
    while queue:
        record = draft.record(queue.popleft())
        for provider in record.spec.depends_on if record is not None else ():
            if provider not in found:
                found[provider] = None
                queue.append(provider)
    return list(found)


def told_to_stop(draft: Draft, record: Record) -> bool:
    """Whether it is to be offline for a reason of its own: asked, removed, to be bounced, or not this node's."""
    if not record.wanted or record.removing or record.bounce or record.upgrade or record.next_spec is not None:
        return True
    return not is_here(draft, record)


def is_here(draft: Draft, record: Record) -> bool:
    """Whether its group is this node's."""
    group = draft.group(record.id.group)
    return group is not None and group.here


def is_let_alone(draft: Draft, record: Record) -> bool:
    """Whether nothing is done about it now: its group is in maintenance. Our own end is not kept back by that."""
    group = draft.group(record.id.group)
    return group is not None and group.maintenance is not None and not draft.decision.draining


def must_stop(draft: Draft, record: Record) -> bool:
    """Whether it may not run now, for its own reason or because a provider will not stay up."""
    if draft.decision.draining:
        return record.spec.ours_to_stop
    return told_to_stop(draft, record) or _stands_on(
        draft,
        record,
        lambda provider: told_to_stop(draft, provider) or (provider.spec.acts and provider.state is not State.ONLINE),
    )


def is_doomed(draft: Draft, provider: Record) -> bool:
    """Whether a provider is down or about to go down by our hand."""
    return must_stop(draft, provider) or (provider.spec.acts and provider.state is not State.ONLINE)


def must_not_be_found_running(draft: Draft, record: Record) -> bool:
    """Whether a service that an earlier run left running is to be stopped instead of waiting to be taken over.

    Else it and a provider that has to be down first would wait for each other.
    """
    if draft.decision.draining:
        return record.spec.ours_to_stop
    return told_to_stop(draft, record) or _stands_on(
        draft,
        record,
        lambda provider: told_to_stop(draft, provider) or (provider.spec.acts and provider.state is State.FAILED),
    )


def _stands_on(draft: Draft, record: Record, says: Callable[[Record], bool]) -> bool:
    """Whether `says` is true of anything it stands on, each asked once: a chain may be long and its paths many."""
    seen = {record.id}
    stack = [record]
    while stack:
        each = stack.pop()
        if not each.spec.acts:
            continue  # nothing below an observed resource takes it down
        for provider in providers(draft, each):
            if provider.id not in seen:
                if says(provider):
                    return True
                seen.add(provider.id)
                stack.append(provider)
    return False


def providers_online(draft: Draft, record: Record) -> bool:
    """Whether everything it depends on is online and will stay so (S16)."""
    return all(
        provider.state is State.ONLINE and not must_stop(draft, provider) for provider in providers(draft, record)
    )


def stands_on_a_start(draft: Draft, record: Record) -> bool:
    """Whether something below it is only starting, and nothing there is down: nobody can expect it to answer yet."""
    below = [provider for id in provider_ids(draft, record.id) if (provider := draft.record(id)) is not None]
    return any(provider.state is State.ONLINE_PENDING for provider in below) and not any(
        provider.state is State.FAILED or told_to_stop(draft, provider) for provider in below
    )


def is_occupied(draft: Draft, record: Record) -> bool:
    """Whether something of it may still run that we would stop, so that its providers have to wait."""
    if not record.spec.acts or (draft.decision.draining and not record.spec.ours_to_stop):
        return False
    if record.phase is Phase.CLEARING or record.state in _RUNNING:
        return True
    return record.remains is Remains.SOME


def blockers(draft: Draft, record: Record) -> Iterator[ResourceId]:
    """Yield the dependents that have to be down before the resource may stop (S16: exactly the reverse)."""
    seen = {record.id}
    queue = deque(draft.dependents(record.id))
    while queue:
        id = queue.popleft()
        dependent = draft.record(id)
        if dependent is None or id in seen:
            continue
        seen.add(id)
        if is_occupied(draft, dependent):
            yield id
        elif passes_waiting_on(draft, dependent):
            queue += draft.dependents(id)


def passes_waiting_on(draft: Draft, record: Record) -> bool:
    """Whether it is down by itself while what stands on it may still run: those below have to wait for that, too."""
    ours = record.spec.acts and (record.spec.ours_to_stop or not draft.decision.draining)
    return ours and not is_occupied(draft, record)


def has_blockers(draft: Draft, record: Record) -> bool:
    """Whether a dependent has to be down first."""
    return next(blockers(draft, record), None) is not None


def root_cause(draft: Draft, record: Record) -> ResourceId | None:
    """Name the resource to blame where a provider is down, or None when the fault is the resource's own."""
    for provider in providers(draft, record):
        if provider.state is not State.ONLINE:
            return _cause_of(draft, provider)
    return None


def _cause_of(draft: Draft, provider: Record) -> ResourceId:
    """Name whom a provider that is down blames, unless that one is back and the provider itself is not yet."""
    cause = None if provider.root_cause is None else draft.record(provider.root_cause)
    return provider.id if cause is None or cause.state is State.ONLINE else cause.id


def holding_provider(draft: Draft, record: Record) -> ResourceId | None:
    """Name the resource that a held one waits for: what is down, else what is about to go down by our hand."""
    found: ResourceId | None = None
    while True:
        cause = root_cause(draft, record)
        if cause is not None:
            return cause
        doomed = next((provider for provider in providers(draft, record) if is_doomed(draft, provider)), None)
        if doomed is None:
            return found
        found = doomed.id
        if told_to_stop(draft, doomed):
            return found
        record = doomed


def down_provider(draft: Draft, record: Record) -> ResourceId | None:
    """Name the resource to blame where a provider will not come up by itself now; one that is starting is no cause."""
    for provider in providers(draft, record):
        held = provider.state is State.OFFLINE and (provider.root_cause is not None or told_to_stop(draft, provider))
        if provider.state is State.FAILED or held:
            return _cause_of(draft, provider)
    return None


def hopeless_provider(draft: Draft, record: Record) -> Record | None:
    """Find something it stands on that is to stay offline, or that nobody tries to bring back any more."""
    for id in provider_ids(draft, record.id):
        provider = draft.record(id)
        if provider is not None and (not provider.wanted or provider.removing or has_given_up(provider)):
            return provider
    return None


def has_given_up(record: Record) -> bool:
    """Whether it is failed by its own fault and nothing more will be tried now."""
    if record.state is not State.FAILED or record.phase is not None:
        return False
    if not record.wanted:
        return record.remains is Remains.STUCK
    return record.root_cause is None and (record.spent or not record.spec.acts)


def dependent_ids(draft: Draft, id: ResourceId) -> list[ResourceId]:
    """List everything that stands on the resource, nearest first, each once."""
    found: dict[ResourceId, None] = {}
    queue = deque([id])
    while queue:
        for dependent in draft.dependents(queue.popleft()):
            if dependent not in found:
                found[dependent] = None
                queue.append(dependent)
    return list(found)
