"""The store as it is in force: `/api/v1/metabase/{path}`."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API
from probe.api.errors import Problem
from probe.api.replies import json_reply
from probe.api.shapes import MetabaseKey
from probe.values import evidence_of


async def metabase(request: web.Request) -> web.StreamResponse:
    """Answer with one key as written; the ETag is the store's revision."""
    key = "/" + request.match_info["path"]
    found = request.app[API].service.metabase(key)
    if found is None:
        raise Problem(404, "no_such_key", f"the metabase has no key {evidence_of(key)}")
    revision, properties = found
    return json_reply(MetabaseKey(revision, key, properties), headers={"ETag": f'"{revision}"'})
