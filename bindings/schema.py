"""The JSON Schemas of both files (draft 2020-12), made from the rules that the parser uses.

`metabase.schema.json` and `cluster.schema.json` beside this file are what these functions return; a test holds them to
it. A schema cannot say all that the parser checks (circles, inheritance, S34), but never refuses what the parser takes.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bindings.cluster import ALLOWED, NAME, OWNERS, RESOURCE_PROPERTIES, STORAGE_GROUPS_MAX
from bindings.metabase import NAME_PATTERN, REVISION, SCHEMA_VERSION
from bindings.model import PROTOCOLS, Resource, VirtualServer
from bindings.properties import DEFAULT_RULES, PROPERTIES, RULES
from bindings.rules import Schema, or_null

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DELETED: Schema = {"type": "object", "additionalProperties": {"type": "object"}}


def metabase_schema() -> Schema:
    """Return the schema of `metabase.json`."""
    defaults = _defaults(VirtualServer)
    definitions: Schema = {"defaults": _references(DEFAULT_RULES)}
    definitions |= {protocol: _references(RULES[protocol]) for protocol in PROTOCOLS}
    for row in PROPERTIES:
        about = f"{row.about} Only {', '.join(row.protocols)}." if row.protocols != PROTOCOLS else row.about
        definitions[f"property.{row.name}"] = _described(about, defaults.get(row.name), or_null(row.rule.schema()))
    keys: Schema = {
        "type": "object",
        "properties": {"/": _reference("defaults")} | {f"/{protocol}": _reference(protocol) for protocol in PROTOCOLS},
        "patternProperties": {f"^/{protocol}/{NAME_PATTERN}$": _reference(protocol) for protocol in PROTOCOLS},
        "additionalProperties": False,
    }
    return _document("What to watch: virtual servers and their defaults.", {"keys": keys}, ["keys"], definitions)


def cluster_schema() -> Schema:
    """Return the schema of `cluster.json`."""
    defaults = _defaults(Resource)
    resource: Schema = {"type": "object", "properties": {}, "required": ["type"], "additionalProperties": False}
    properties: Schema = {}
    for row in RESOURCE_PROPERTIES:
        schema = row.rule.schema() if row.name == "type" else or_null(row.rule.schema())
        properties[row.name] = _described(row.about, defaults.get(row.name), schema)
    resource["properties"] = properties
    deleted = _described("What comes back when the one it is recreated with is made again (S41).", None, _DELETED)
    group: Schema = {
        "type": "object",
        "properties": {"possible_owners": OWNERS.schema(), "resources": _named("resource"), "deleted": deleted},
        "additionalProperties": False,
    }
    parts: Schema = {
        "allowed_controllers": _described("Controllers that may be given over the network.", None, ALLOWED.schema()),
        "storage_groups_max": _described("Storage groups that one node mounts (S45).", 4, STORAGE_GROUPS_MAX.schema()),
        "allowed_files": _described("Files that may be referred to over the network.", None, ALLOWED.schema()),
        "groups": _named("group"),
    }
    return _document(
        "Groups of resources and what they depend on.", parts, ["groups"], {"group": group, "resource": resource}
    )


def _document(about: str, parts: Schema, required: list[str], definitions: Schema) -> Schema:
    head: Schema = {
        "$schema": {"type": "string"},
        "schema_version": {"const": SCHEMA_VERSION},
        "revision": _described("Rises with every write of ours; a hand edit need not raise it.", 0, REVISION.schema()),
    }
    return {
        "$schema": _DIALECT,
        "description": about,
        "type": "object",
        "properties": head | parts,
        "required": ["schema_version", *required],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _references(rules: Mapping[str, object]) -> Schema:
    properties = {name: _reference(f"property.{name}") for name in rules}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _named(definition: str) -> Schema:
    return {"type": "object", "propertyNames": NAME.schema(), "additionalProperties": _reference(definition)}


def _described(about: str, default: object, schema: Schema) -> Schema:
    known: Schema = {"default": default} if isinstance(default, str | int | float) and default != "" else {}
    return {"description": about, **known, **schema}


def _defaults(model: type[msgspec.Struct]) -> dict[str, object]:
    return {field.name: field.default for field in msgspec.structs.fields(model)}
