"""`kibana:` of an overlay or an item: what a list or item has in Kibana, kept as it is.

`pull` writes it for what was made by hand there, so that ids, texts and entries stay. Entries in
Kibana's own form say whatever Kibana can say, and nothing is translated or lower-cased.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruledeploy.errors import Collector, OverlayError
from ruledeploy.model import JsonObject
from ruledeploy.yamldoc import YamlDoc

_LIST_KEYS = ("list_id", "type", "name", "description", "tags", "meta")
_ITEM_KEYS = ("item_id", "list_id", "name", "description", "tags", "meta", "entries")
# Lists that detection rules may link and that we may own.
LIST_TYPES = ("detection", "rule_default")
_OPERATORS = ("included", "excluded")


@dataclass(frozen=True, slots=True)
class KibanaList:
    """Fields of the list itself; None where the compiler's own hold."""

    list_id: str | None = None
    type: str = "detection"
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    meta: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class KibanaItem:
    """Fields of the item itself; `list_id` names one list of an overlay that makes several."""

    item_id: str | None = None
    list_id: str | None = None
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    meta: JsonObject | None = None
    entries: tuple[JsonObject, ...] = ()


def read_list(doc: YamlDoc, value: Mapping[str, Any], errors: Collector) -> KibanaList | None:
    """The overlay's block; what is wrong goes to `errors`."""
    block = _block(doc, value, (), _LIST_KEYS, errors)
    if block is None:
        return None
    if block.get("type", "detection") not in LIST_TYPES:
        hint = f"one of {', '.join(LIST_TYPES)}"
        place = doc.at("kibana", "type")
        errors.add(OverlayError(f"no such list type {block['type']!r}", location=place, hint=hint))
    return KibanaList(
        list_id=_text(block, "list_id"),
        type=str(block.get("type", "detection")),
        name=_text(block, "name"),
        description=_text(block, "description"),
        tags=_texts(block, "tags"),
        meta=block.get("meta"),
    )


def read_item(
    doc: YamlDoc, value: Mapping[str, Any], at: tuple[str | int, ...], errors: Collector
) -> KibanaItem | None:
    """An item's block; what is wrong goes to `errors`."""
    block = _block(doc, value, at, _ITEM_KEYS, errors)
    if block is None:
        return None
    entries = block.get("entries", [])
    place = doc.at(*at, "kibana", "entries")
    for problem in entry_problems(entries):
        errors.add(OverlayError(problem, location=place, hint="write them as Kibana's API does"))
    if "entries" in block and not entries:
        # Kibana takes an item without entries, and it would hide every event.
        errors.add(OverlayError("an item needs at least one entry", location=place))
    return KibanaItem(
        item_id=_text(block, "item_id"),
        list_id=_text(block, "list_id"),
        name=_text(block, "name"),
        description=_text(block, "description"),
        tags=_texts(block, "tags"),
        meta=block.get("meta"),
        entries=tuple(entries) if isinstance(entries, list) else (),
    )


def _block(
    doc: YamlDoc,
    value: Mapping[str, Any],
    at: tuple[str | int, ...],
    known: tuple[str, ...],
    errors: Collector,
) -> Mapping[str, Any] | None:
    block = value.get("kibana")
    if block is None:
        return None
    if not isinstance(block, Mapping):
        errors.add(OverlayError("kibana must be a mapping", location=doc.at(*at, "kibana")))
        return None
    for key in block:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            place = doc.at(*at, "kibana", key)
            errors.add(OverlayError(f"unknown key {key!r}", location=place, hint=hint))
    return block


def _text(block: Mapping[str, Any], key: str) -> str | None:
    value = block.get(key)
    return None if value is None else str(value)


def _texts(block: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = block.get(key)
    return tuple(str(one) for one in value) if isinstance(value, list) else None


def entry_problems(entries: Any, *, nested: bool = False) -> Iterator[str]:
    """Why Kibana would not take these entries, or would take them for something else."""
    if not isinstance(entries, list):
        yield "entries must be a list"
        return
    for entry in entries:
        if not isinstance(entry, Mapping) or not _filled(entry.get("field")):
            yield "an entry is a mapping with field, type and operator"
        elif entry.get("type") == "nested" and not nested:
            inner = entry.get("entries")
            if not inner:
                yield f"{entry['field']}: a nested entry needs entries"
            yield from entry_problems(inner or [], nested=True)
        else:
            yield from _plain_problems(entry, nested=nested)


def _plain_problems(entry: Mapping[str, Any], *, nested: bool) -> Iterator[str]:
    name, kind, value = entry["field"], entry.get("type"), entry.get("value")
    if entry.get("operator") not in _OPERATORS:
        yield f"{name}: the operator is one of {', '.join(_OPERATORS)}"
    match kind:
        case "match":
            good = _filled(value)
        case "wildcard":
            good = _filled(value) and not nested
        case "match_any":
            good = isinstance(value, list) and bool(value) and all(map(_filled, value))
        case "exists":
            good = True
        case "list":
            list_ = entry.get("list")
            good = isinstance(list_, Mapping) and _filled(list_.get("id")) and not nested
        case _:
            good = False
    if not good:
        yield f"{name}: no entry of type {kind!r} looks like this"


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
