"""Whether an event fits the mappings of its family: known fields, values of the right JSON type."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ruledeploy.fields import FieldTable, FieldType

_AGENT = ("agent.id", "agent.name", "agent.type", "agent.version")

# Fields that the shippers send and the packages do not map: stored, never searchable.
# Elastic documents those of endpoint-api for Threat-Intelligence events all the same.
UNMAPPED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "endpoint-api": frozenset(
            {*_AGENT, "elastic.agent.id", "event.kind", "event.sequence"}
            | {"process.parent.executable"}
            | {"Target.process.Ext.token.impersonation_level", "Target.process.Ext.token.sid"}
        ),
        "endpoint-process": frozenset({"elastic.agent.id"}),
        "endpoint-library": frozenset({"elastic.agent.id"}),
        "sysmon-integration": frozenset({*_AGENT, "ecs.version", "event.id"}),
    }
)

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_WHOLE = {
    "long": (-(1 << 63), (1 << 63) - 1),
    "integer": (-(1 << 31), (1 << 31) - 1),
    "unsigned_long": (0, (1 << 64) - 1),
}


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of an event as (dotted name, one value); arrays give one pair per element."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(inner, prefix)
    else:
        yield prefix, value


def problems(event: Mapping[str, Any], table: FieldTable) -> list[str]:
    """What does not fit, one sentence each; empty for an event that its index takes as meant."""
    found = (field_problem(name, value, table) for name, value in leaves(event))
    return [problem for problem in found if problem]


def field_problem(name: str, value: Any, table: FieldTable) -> str | None:
    """Why a field cannot hold a value in this family, or None."""
    if name in UNMAPPED.get(table.family, ()):
        return None
    entry = table.fields.get(name)
    if entry is not None and entry.path is not None:
        return f"{name} is an alias: write {entry.path}"
    type_ = entry or table.get(name)
    if type_ is None:
        return f"{name} is not a field of {table.family}"
    return None if _fits(value, type_) else f"{name} is {type_.type}, and {value!r} is not"


def _fits(value: Any, type_: FieldType) -> bool:
    match type_.type:
        case "boolean":
            return isinstance(value, bool)
        case "long" | "integer" | "unsigned_long":
            low, high = _WHOLE[type_.type]
            return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        case "double" | "float" | "scaled_float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "date":
            return isinstance(value, str) and _DATE.fullmatch(value) is not None
        case "ip":
            return isinstance(value, str) and _is_ip(value)
        case "object" | "nested" | "flattened":
            return False
    return isinstance(value, str)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
