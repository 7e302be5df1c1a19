"""Questions about the dependency graph, each answered from the records around one resource.

A provider is what a resource depends on; a dependent is who depends on it. A provider that we bring back (its
controller acts) takes its dependents down first and up again after (S16); one that we only observe leaves them alone:
nothing would be gained by stopping them, and their own checks speak for them *(ours)*.
"""

from __future__ import annotations

from collections.abc import Iterator

from probe.lifecycle.world import Draft, Phase, Record, Remains
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
    queue = [id]
    while queue:
        record = draft.record(queue.pop(0))
        for provider in record.spec.depends_on if record is not None else ():
            if provider not in found:
                found[provider] = None
                queue.append(provider)
    return list(found)


def told_to_stop(draft: Draft, record: Record) -> bool:
    """Whether it is to be offline for a reason of its own: asked, removed, to be bounced, or not this node's."""
    if not record.wanted or record.removing or record.bounce or record.next_spec is not None:
        return True
    group = draft.group(record.id.group)
    return group is None or not group.here


def must_stop(draft: Draft, record: Record) -> bool:
    """Whether it may not run now, for its own reason or because a provider will not stay up."""
    if draft.decision.draining:
        return record.spec.ours_to_stop
    if told_to_stop(draft, record):
        return True
    return record.spec.acts and any(is_doomed(draft, provider) for provider in providers(draft, record))


def is_doomed(draft: Draft, provider: Record) -> bool:
    """Whether a provider is down or about to go down by our hand."""
    return must_stop(draft, provider) or (provider.spec.acts and provider.state is not State.ONLINE)


def must_not_be_found_running(draft: Draft, record: Record) -> bool:
    """Whether a service that an earlier run left running is to be stopped instead of waiting to be taken over."""
    if draft.decision.draining:
        return record.spec.ours_to_stop
    return told_to_stop(draft, record) or any(
        provider.spec.acts and provider.state is State.FAILED for provider in providers(draft, record)
    )


def providers_online(draft: Draft, record: Record) -> bool:
    """Whether everything it depends on is online and will stay so (S16)."""
    return all(
        provider.state is State.ONLINE and not must_stop(draft, provider) for provider in providers(draft, record)
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
    for id in draft.dependents(record.id):
        dependent = draft.record(id)
        if dependent is not None and is_occupied(draft, dependent):
            yield id


def has_blockers(draft: Draft, record: Record) -> bool:
    """Whether a dependent has to be down first."""
    return next(blockers(draft, record), None) is not None


def root_cause(draft: Draft, record: Record) -> ResourceId | None:
    """Name the resource to blame where a provider is down, or None when the fault is the resource's own."""
    for provider in providers(draft, record):
        if provider.state is not State.ONLINE:
            return provider.root_cause or provider.id
    return None


def holding_provider(draft: Draft, record: Record) -> ResourceId | None:
    """Name the resource that a held one waits for: what is down, else what is about to go down by our hand."""
    cause = root_cause(draft, record)
    if cause is not None:
        return cause
    for provider in providers(draft, record):
        if is_doomed(draft, provider):
            return holding_provider(draft, provider) or provider.id
    return None
