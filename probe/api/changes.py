"""Creating, changing and deleting over the network: as admin only, within the limits of `resources/permits.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from bindings.documents import merge_patch
from bindings.edits import Edit
from probe.api.context import API, resource_id
from probe.api.control import read_body
from probe.api.errors import Problem
from probe.api.replies import json_reply
from probe.api.security import WRITER
from probe.api.wanted import Changed, Deletion, GroupWanted, MemberWanted, ResourceWanted
from probe.directory.changes import Done
from probe.resources.altering import plan_properties
from probe.resources.changes import Change, Present
from probe.resources.creation import Wanted, plan_group, plan_resource
from probe.resources.deletion import plan_deletion
from probe.resources.permits import check_permitted
from probe.values import evidence_of

PROPERTIES_MAX = 1000  # of one patch
_Shape = TypeVar("_Shape")


async def create_group(request: web.Request) -> web.StreamResponse:
    """Make a system-attendant with its whole group (S17, S18)."""
    wanted = _understand(await read_body(request) or b"{}", GroupWanted)
    group = request.match_info["group"]
    members = {type: _wanted(each) for type, each in wanted.members.items()}

    def plan(present: Present) -> Change:
        return plan_group(present, group, members, name=wanted.name, without=wanted.without, owners=list(wanted.owners))

    return await _carry_out(request, plan, f"looksalive create system-attendant {group} ...", created=True)


async def create_resource(request: web.Request) -> web.StreamResponse:
    """Make one resource."""
    wanted = _understand(await read_body(request), ResourceWanted)
    id = resource_id(request)
    if wanted.type == "system-attendant":
        raise Problem(409, "makes_a_group", f"a system-attendant comes with its group: POST /api/v1/groups/{id.group}")
    command = f"looksalive create {evidence_of(wanted.type)} {id} ..."
    return await _carry_out(
        request, lambda present: plan_resource(present, id, wanted.type, _wanted(wanted)), command, created=True
    )


async def change_resource(request: web.Request) -> web.StreamResponse:
    """Merge new properties into a resource's (RFC 7396); the answer's notes say when they take effect (S74)."""
    patch = _patch(await read_body(request))
    id = resource_id(request)
    return await _carry_out(
        request, lambda present: plan_properties(present, id, patch), f"looksalive set {id} KEY=VALUE ..."
    )


async def delete_resource(request: web.Request) -> web.StreamResponse:
    """Delete a resource that is offline; with the system-attendant its whole group (S19)."""
    return await _delete(request, str(resource_id(request)))


async def delete_group(request: web.Request) -> web.StreamResponse:
    """Delete a group that is offline."""
    return await _delete(request, request.match_info["group"])


async def change_metabase(request: web.Request) -> web.StreamResponse:
    """Merge properties into a key (RFC 7396), if the store is still at the revision that If-Match names.

    428 without If-Match (RFC 6585 section 3), 412 when the store has moved on.
    """
    matches = _revisions(request)
    patch = _patch(await read_body(request))
    key = "/" + request.match_info["path"]

    def plan(present: Present) -> Change:
        at = present.metabase.revision
        if matches is not None and at not in matches:
            raise Moved(at)
        edit = Edit({key: merge_patch(present.metabase.own(key), patch)})
        return Change(edit, present.revisions, ())

    command = f"looksalive metabase set {evidence_of(key)} KEY=VALUE ..."
    try:
        return await _carry_out(request, plan, command, tag=True)
    except Moved as moved:
        why = f"the store is at revision {moved.revision} by now; read the key again, then change it"
        raise Problem(412, "revision_conflict", why, {"ETag": f'"{moved.revision}"'}) from None


class Moved(Exception):
    """The store is no longer at the revision that a change was made for."""

    def __init__(self, revision: int) -> None:
        super().__init__(revision)
        self.revision = revision


async def _delete(request: web.Request, target: str) -> web.StreamResponse:
    wanted = _understand(await read_body(request) or b"{}", Deletion)

    def plan(present: Present) -> Change:
        return plan_deletion(
            present,
            target,
            cascade=wanted.cascade,
            rehome_mta=wanted.rehome_mta,
            keep_servers=wanted.keep_virtual_servers,
        )

    return await _carry_out(request, plan, f"looksalive delete {target} ...")


async def _carry_out(
    request: web.Request, plan: Callable[[Present], Change], command: str, *, created: bool = False, tag: bool = False
) -> web.StreamResponse:
    """Plan within what is allowed over the network, carry it out, and tell what became of it."""

    def permitted(present: Present) -> Change:
        change = plan(present)
        check_permitted(present, change.edit, command)
        return change

    change, done = await request.app[API].service.change(permitted, request[WRITER].name)
    headers = {"ETag": f'"{done.revisions.metabase}"'} if tag else {}
    return json_reply(_told(change, done), 201 if created and done.changed else 200, headers)


def _told(change: Change, done: Done) -> Changed:
    return Changed(
        changed=done.changed,
        resources=tuple(map(str, change.ids)),
        notes=change.notes,
        metabase_revision=done.revisions.metabase,
        cluster_revision=done.revisions.cluster,
        directory_pending=tuple(map(str, done.pending)),
    )


def _wanted(each: MemberWanted) -> Wanted:
    return Wanted(each.parameters, each.controller, each.properties, each.server)


def _revisions(request: web.Request) -> frozenset[int] | None:
    """Read If-Match (RFC 9110 section 13.1.1): None for `*`; a weak tag never matches. Raises Problem (428)."""
    header = request.headers.get("If-Match")
    if header is None:
        raise Problem(
            428, "precondition_required", 'name the revision it is based on: the ETag of a GET, as If-Match: "7"'
        )
    if header.strip() == "*":
        return None
    tags: Iterable[str] = (tag.strip() for tag in header.split(","))
    numbers = (tag[1:-1] for tag in tags if len(tag) > 2 and tag[0] == tag[-1] == '"')
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 20)


def _patch(raw: bytes) -> dict[str, Any]:
    patch = _understand(raw, dict[str, Any])
    if len(patch) > PROPERTIES_MAX:
        raise Problem(400, "bad_body", f"a patch has at most {PROPERTIES_MAX} properties")
    return patch


def _understand(raw: bytes, type: type[_Shape]) -> _Shape:
    """Decode a body. Raises Problem (400)."""
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise Problem(400, "bad_body", f"the body does not fit: {evidence_of(str(error))}") from None
    except (msgspec.DecodeError, RecursionError):
        raise Problem(400, "bad_body", "the body is not JSON") from None
