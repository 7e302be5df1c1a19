"""Why things are down, said in sentences: one for each root cause."""

from __future__ import annotations

from typing import Any

NAMES_MAX = 5  # in one sentence; further ones are counted
CAUSES_MAX = 20


def cause_sentences(resources: list[dict[str, Any]]) -> list[str]:
    """Say for each root cause who is down because of it: `smtp, pop3 and imap are down because store is: eof`."""
    known = {str(resource["id"]): resource for resource in resources}
    down: dict[str, list[str]] = {}
    for resource in resources:
        cause = resource.get("root_cause")
        if isinstance(cause, str) and cause and cause != resource["id"] and resource.get("alive") is not True:
            down.setdefault(cause, []).append(str(resource["id"]))
    return [_sentence(cause, ids, known.get(cause)) for cause, ids in list(down.items())[:CAUSES_MAX]]


def _sentence(cause: str, ids: list[str], resource: dict[str, Any] | None) -> str:
    near = all(id.partition("/")[0] == cause.partition("/")[0] for id in ids)
    names = [id.partition("/")[2] if near else id for id in ids]
    shown = names[:NAMES_MAX]
    if len(names) > NAMES_MAX:
        shown.append(f"{len(names) - NAMES_MAX} more")
    who = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    because = cause.partition("/")[2] if near else cause
    said = f"{who} {'is' if len(names) == 1 else 'are'} down because of {because}"
    if resource is None or resource.get("alive") is True or resource.get("state") == "online":
        return said
    return f"{said}, which is {resource.get('state')}: {resource.get('reason')}"
