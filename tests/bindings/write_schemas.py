"""Write the published schemas anew after a rule has changed: `python -m tests.bindings.write_schemas`."""

from __future__ import annotations

import json
from pathlib import Path

import bindings
from bindings.rules import Schema
from bindings.schema import cluster_schema, metabase_schema

FOLDER = Path(bindings.__file__).parent
SCHEMAS = {"metabase.schema.json": metabase_schema, "cluster.schema.json": cluster_schema}


def schema_text(schema: Schema) -> str:
    """Write a schema as it is published."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    for name, make in SCHEMAS.items():
        (FOLDER / name).write_text(schema_text(make()), encoding="utf-8")
