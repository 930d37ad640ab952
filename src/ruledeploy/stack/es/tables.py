"""Which field table an index has: its own mappings, its telemetry family's, or inferred ones.

Elastic's packages map their data streams strictly; other `logs-*` streams map ECS and take every
further text as a keyword; any other index maps what its documents hold, as dynamic mapping does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from ruledeploy.engine.sources import stream_name
from ruledeploy.fields import FieldTable, FieldType, family_of, load_table
from ruledeploy.query.dates import parse_date
from ruledeploy.stack.es import documents
from ruledeploy.stack.store import Store

ALERTS_PREFIXES = (".internal.alerts-", ".alerts-", ".preview.alerts-", ".internal.preview.alerts-")
_DATE = FieldType("date")
_LONG = FieldType("long")
_ALERT_FIELDS = {
    "kibana.alert.original_time": _DATE,
    "kibana.alert.start": _DATE,
    "kibana.alert.intended_timestamp": _DATE,
    "kibana.alert.last_detected": _DATE,
    "kibana.alert.rule.created_at": _DATE,
    "kibana.alert.rule.updated_at": _DATE,
    "kibana.alert.depth": _LONG,
    "kibana.alert.rule.revision": _LONG,
    "kibana.alert.rule.version": FieldType("keyword"),
    "kibana.alert.risk_score": FieldType("float"),
    "kibana.alert.suppression.docs_count": _LONG,
}
_INFERRED_TEXT = FieldType(
    "text", fields=MappingProxyType({"keyword": FieldType("keyword", ignore_above=256)})
)


def table_of(store: Store, index: str) -> FieldTable:
    """The table of an index, a data stream or an index pattern."""
    name = stream_name(index)
    own = _own_mappings(store, index)
    if own is not None:
        return mapped(name, own)
    if name.startswith(ALERTS_PREFIXES):
        return _alerts_table()
    family = family_of(name)
    if family != "ecs":
        return load_table(family)
    if documents.is_stream_name(name) or "*" in name:
        return _logs_table()
    return inferred(name, (d.source for d in documents.scan(store, [index])))


def _own_mappings(store: Store, index: str) -> dict[str, Any] | None:
    """Mappings the index was created with, or those of the best matching template."""
    mappings = documents.index_body(store, index).get("mappings", {})
    if mappings.get("properties"):
        return dict(mappings)
    best: tuple[int, dict[str, Any]] | None = None
    for _, text in store.db.execute("SELECT name, body FROM templates"):
        template = json.loads(text)
        patterns = template.get("index_patterns", [])
        names = [patterns] if isinstance(patterns, str) else patterns
        found = template.get("template", {}).get("mappings", {})
        priority = int(template.get("priority", 0))
        if found.get("properties") and documents.fits_any(stream_name(index), names):
            best = max(best or (-1, {}), (priority, found), key=lambda pair: pair[0])
    return None if best is None else best[1]


def mapped(name: str, mappings: Mapping[str, Any]) -> FieldTable:
    """The table of explicit mappings.

    What they leave out is a keyword, unless `dynamic` is off; then only what a dynamic template
    names by its path.
    """
    fields = dict(_flat(mappings["properties"], ""))
    dynamic: tuple[str, ...] = ("*",)
    if str(mappings.get("dynamic", True)).lower() in {"false", "strict"}:
        templates = [t for entry in mappings.get("dynamic_templates", ()) for t in entry.values()]
        dynamic = tuple(t["path_match"] for t in templates if isinstance(t.get("path_match"), str))
    return FieldTable(f"index:{name}", name, MappingProxyType(fields), dynamic)


def _flat(properties: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, FieldType]]:
    for key, entry in properties.items():
        name = f"{prefix}{key}"
        if "properties" not in entry or entry.get("type") == "nested":
            yield name, FieldType.from_mapping(entry)
        yield from _flat(entry.get("properties", {}), f"{name}.")


@cache
def _logs_table() -> FieldTable:
    ecs = load_table("ecs")
    return FieldTable("logs", "logs-*", ecs.fields, ("*",))


@cache
def _alerts_table() -> FieldTable:
    fields = {**load_table("ecs").fields, **_ALERT_FIELDS}
    return FieldTable("alerts", ".alerts-*", MappingProxyType(fields), ("*",))


def inferred(name: str, sources: Iterable[Mapping[str, Any]]) -> FieldTable:
    """What dynamic mapping makes of documents; the first value of a field decides."""
    fields: dict[str, FieldType] = {}
    for source in sources:
        for path, value in _leaves(source, ""):
            if path not in fields:
                fields[path] = _type_of(value)
    return FieldTable(f"index:{name}", name, MappingProxyType(fields))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None:
        yield path, value


def _type_of(value: Any) -> FieldType:
    match value:
        case bool():
            return FieldType("boolean")
        case int():
            return _LONG
        case float():
            return FieldType("float")
        case str() if "-" in value and parse_date(value) is not None:
            return _DATE
        case _:
            return _INFERRED_TEXT
