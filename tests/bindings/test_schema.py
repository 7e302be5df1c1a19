"""The published JSON Schemas: never stale, and of one mind with the parser."""

from __future__ import annotations

import json
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped] # ships no types
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bindings.cluster import RESOURCE_RULES
from bindings.errors import StoreError
from bindings.model import BindingPolicy, Resource, RestartAction, VirtualServer
from bindings.parse import parse_store
from bindings.properties import DEFAULT_RULES
from tests.bindings import test_addresses, test_cluster, test_metabase
from tests.bindings.examples import CLUSTER, FULL_SERVER, MAIL_SERVER, METABASE, cluster, group, metabase
from tests.bindings.test_parse import LIKELY, NAMES
from tests.bindings.write_schemas import FOLDER, SCHEMAS, schema_text


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Load a published schema; one that is no schema is an error."""
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


METABASE_SCHEMA = validator("metabase.schema.json")
CLUSTER_SCHEMA = validator("cluster.schema.json")


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_published_schema_is_what_the_rules_say(name: str) -> None:
    """A rule that changed has its schema written anew: python -m tests.bindings.write_schemas."""
    assert (FOLDER / name).read_text(encoding="utf-8") == schema_text(SCHEMAS[name]())


def test_the_rules_cover_the_model() -> None:
    """Every field of the model that a user can set has a rule, and every rule a field."""
    made = {"key", "protocol", "subject", "body_json"}  # from the key itself; the last two by a resource's type
    assert set(VirtualServer.__struct_fields__) - made == set(DEFAULT_RULES) - {"secure_bindings"}
    assert set(Resource.__struct_fields__) - {"group", "name", "implied"} == set(RESOURCE_RULES)


def enum_of(schema: Any) -> list[str]:
    """Find the words of a property."""
    return [word for part in schema["anyOf"] for word in part.get("enum", [])]


def test_words_and_defaults_are_the_models() -> None:
    """The schema's words are the model's, and its defaults are what the model does without."""
    definitions: Any = SCHEMAS["metabase.schema.json"]()["$defs"]
    assert enum_of(definitions["property.binding_policy"]) == list(get_args(BindingPolicy))
    resource: Any = SCHEMAS["cluster.schema.json"]()["$defs"]
    assert enum_of(resource["resource"]["properties"]["restart_action"]) == list(get_args(RestartAction))
    assert resource["resource"]["properties"]["restart_period_s"]["default"] == 900.0
    for field in msgspec.structs.fields(VirtualServer):
        if isinstance(field.default, int | float) or field.default:
            known = definitions.get(f"property.{field.name}", {})
            assert known.get("default", field.default) == field.default
    assert definitions["property.probe_timeout_s"]["default"] == 5.0


def test_the_design_examples_are_valid() -> None:
    """The two documents of the design, and ones with every property, pass both schema and parser."""
    METABASE_SCHEMA.validate(json.loads(METABASE))
    CLUSTER_SCHEMA.validate(json.loads(CLUSTER))
    full = metabase({"/": {"path": "/x", "rise": None}, "/http/1": FULL_SERVER, "/smtp/1": MAIL_SERVER}, revision=1)
    METABASE_SCHEMA.validate(json.loads(full))
    parse_store(full, CLUSTER)


NOT_IN_A_SCHEMA = (  # what only shows in the whole, or needs arithmetic
    "is missing; for example \"bindings\"",
    "beside it",
    "there is no resource",
    "depends on itself",
    "is above 65535",
    "is not a numeric IPv4 or IPv6 address",
    "not an IPv6 address in brackets",
    "has bits set beyond",
    "given twice (case",
    "is not between",
    "ends before it begins",
    "is neither \"any\"",
)  # fmt: skip


def in_a_schema(wanted: str) -> bool:
    """Tell whether a schema can know of a mistake."""
    return not any(part in wanted for part in NOT_IN_A_SCHEMA)


@pytest.mark.parametrize(
    ("protocol", "name", "value"), [row[:3] for row in test_metabase.VALUES if in_a_schema(row[3])]
)
def test_the_schema_refuses_wrong_values_of_the_metabase(protocol: str, name: str, value: object) -> None:
    """Each wrong value that the parser refuses is refused by the schema as well, unknown keys included."""
    document = json.loads(metabase({f"/{protocol}/1": {"bindings": [":25"], name: value}}))
    assert not METABASE_SCHEMA.is_valid(document)


@pytest.mark.parametrize(("name", "value"), [row[:2] for row in test_cluster.VALUES if in_a_schema(row[2])])
def test_the_schema_refuses_wrong_values_of_the_cluster(name: str, value: object) -> None:
    """The same for cluster.json."""
    assert not CLUSTER_SCHEMA.is_valid(json.loads(cluster(group(a={"type": "exec", name: value}))))


@pytest.mark.parametrize("key", ["smtp", "", "/smpt/1", "/smtp/1/x", "/smtp/", "/smtp/-a", "/SMTP", "//"])
def test_the_schema_refuses_wrong_keys(key: str) -> None:
    """A key that is neither defaults nor a virtual server is refused."""
    assert not METABASE_SCHEMA.is_valid({"schema_version": 1, "keys": {key: {}}})


def test_the_schema_takes_every_good_binding() -> None:
    """Every way to write a binding passes."""
    assert METABASE_SCHEMA.is_valid({"schema_version": 1, "keys": {"/smtp": {"bindings": list(test_addresses.GOOD)}}})


@settings(max_examples=300)
@given(st.dictionaries(NAMES, LIKELY, max_size=4), st.dictionaries(st.just("g"), LIKELY, max_size=1))
def test_the_schema_takes_what_the_parser_takes(keys: object, groups: object) -> None:
    """No document that is a store is refused by an editor that uses the schemas."""
    metabase_text, cluster_text = metabase(keys), cluster(groups)
    try:
        parse_store(metabase_text, cluster_text)
    except StoreError:
        return
    METABASE_SCHEMA.validate(json.loads(metabase_text))
    CLUSTER_SCHEMA.validate(json.loads(cluster_text))
