"""JSON Schemas of what commands print with `--json`, shipped as data and numbered by version."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

# The version that this program writes. An older file stays for whoever holds older output.
VERSIONS = {"plan": 2, "push": 1, "doctor": 1, "history": 1, "drift": 1}
# A push says which plan it applied.
_WITHIN = {"push": ("plan",)}


def output_schema(name: str) -> dict[str, Any]:
    """The schema of one command's output, whole: what it refers to is in its `$defs`."""
    file = files("ruledeploy.data") / "schemas" / f"{name}-{VERSIONS[name]}.json"
    schema: dict[str, Any] = json.loads(file.read_text("utf-8"))
    within = {inner: output_schema(inner) for inner in _WITHIN.get(name, ())}
    return {**schema, "$defs": {**schema.get("$defs", {}), **within}} if within else schema
