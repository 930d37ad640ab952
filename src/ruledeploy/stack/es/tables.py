"""Which field table an index has: its own mappings, its telemetry family's, or learnt ones.

Elastic's packages map their data streams strictly; other `logs-*` streams map ECS and take every
further text as a keyword; any other index, and one whose own mappings leave it open, learns what
its documents hold (`dynamic.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from ruledeploy.engine.sources import stream_name
from ruledeploy.fields import FieldTable, FieldType, family_of, load_table
from ruledeploy.stack.dynamic import KEYWORD, Learnt, Template, closed_objects, is_closed
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


def table_of(store: Store, index: str) -> FieldTable:
    """The table of an index, a data stream or an index pattern."""
    learnt = store.learnt.get(index)
    if learnt is not None:
        return learnt.table()
    found = _described(store, index)
    if isinstance(found, FieldTable):
        return found
    for stored in documents.scan(store, [index]):
        found.learn(stored.source)
    if documents.is_index(store, index):
        store.learnt[index] = found
    return found.table()


def _described(store: Store, index: str) -> FieldTable | Learnt:
    """A table that is whole, or one that grows with the index's documents."""
    name = stream_name(index)
    own = _own_mappings(store, index)
    if own is not None:
        return mapped(name, own)
    if name.startswith(ALERTS_PREFIXES):
        return _alerts_table()
    family = family_of(name)
    if family != "ecs":
        return load_table(family)
    if documents.is_stream_name(name):
        return Learnt(_logs_table(), strings=KEYWORD, dates=False)
    if "*" in name:
        return _logs_table()
    return Learnt(FieldTable(f"index:{name}", name, MappingProxyType({})))


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


def mapped(name: str, mappings: Mapping[str, Any]) -> FieldTable | Learnt:
    """The table of explicit mappings, open to further fields unless `dynamic` is off.

    A dynamic template that names fields by their path is heeded then too.
    """
    fields = dict(_flat(mappings["properties"], ""))
    if documents.is_stream_name(name):
        fields.setdefault("@timestamp", _DATE)
    table = FieldTable(f"index:{name}", name, MappingProxyType(fields))
    templates = [t for entry in mappings.get("dynamic_templates", ()) for t in entry.values()]
    if is_closed(mappings):
        paths = tuple(t["path_match"] for t in templates if isinstance(t.get("path_match"), str))
        return replace(table, dynamic_keyword=paths)
    return Learnt(
        table,
        dates=bool(mappings.get("date_detection", True)),
        templates=tuple(Template(body) for body in templates),
        closed=frozenset(closed_objects(mappings)),
    )


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
