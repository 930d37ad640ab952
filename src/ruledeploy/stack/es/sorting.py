"""Sorting hits: keys, the values a field sorts by, and the order they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ruledeploy.engine.binding import resolve
from ruledeploy.engine.document import FieldReader
from ruledeploy.fields import FieldTable
from ruledeploy.query.dates import parse_date
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es.aggregations import Reader
from ruledeploy.stack.es.documents import Stored

Tables = Callable[[str], FieldTable]
_WHOLE = {"long", "integer", "short", "byte", "date", "date_nanos", "boolean", "unsigned_long"}
_FRACTIONS = {"double", "float", "half_float", "scaled_float"}


@dataclass(frozen=True, slots=True)
class SortKey:
    """A field and its direction."""

    field: str
    descending: bool


def sort_keys(given: Any) -> list[SortKey]:
    """The keys of a search's `sort`, in any of its spellings."""
    entries = given if isinstance(given, list) else [given] if given else []
    out = []
    for entry in entries:
        if isinstance(entry, str):
            name, _, order = entry.partition(":")
            out.append(SortKey(name, order == "desc"))
            continue
        ((name, options),) = entry.items()
        order = options if isinstance(options, str) else options.get("order", "asc")
        if order not in ("asc", "desc"):
            reason = "[field_sort] failed to parse field [order]"
            raise elastic(400, "x_content_parse_exception", reason)
        out.append(SortKey(name, order == "desc"))
    return out


def field_reader(table_of: Tables) -> Reader:
    """Values of a field as they sort: dates as milliseconds, the rest as they are."""
    readers: dict[tuple[str, str], Callable[[Stored], list[Any]]] = {}

    def make(index: str, field: str) -> Callable[[Stored], list[Any]]:
        found = resolve(table_of(index), field)
        path = found.path if found else field
        reader = FieldReader([path])
        is_date = found is not None and found.type.type.startswith("date")
        lower = found is not None and found.type.normalizer == "lowercase"

        def read(stored: Stored) -> list[Any]:
            values = reader.read(stored.source).get(path, [])
            if is_date:
                spans = (parse_date(value) for value in values)
                return [span.first for span in spans if span is not None]
            return [v.lower() if lower and isinstance(v, str) else v for v in values]

        return read

    def values(stored: Stored, field: str) -> list[Any]:
        match field:
            case "_id":
                return [stored.id]
            case "_doc" | "_shard_doc" | "_seq_no":
                return [stored.seq]
            case "_score":
                return [1.0]
            case "_index":
                return [stored.index]
        key = (stored.index, field)
        if key not in readers:
            readers[key] = make(*key)
        return readers[key](stored)

    return values


def sort_values(
    stored: Stored, keys: Sequence[SortKey], reader: Reader, tables: Tables
) -> list[Any]:
    """A hit's value per key: the smallest of many, or the largest when descending.

    Where it has none, the number that comes last, as a server tells it; null for a text.
    """
    out = []
    for key in keys:
        values = reader(stored, key.field)
        chosen = max if key.descending else min
        absent = None if values else _absent(key, tables(stored.index))
        out.append(chosen(values, key=comparable) if values else absent)
    return out


def _absent(key: SortKey, table: FieldTable) -> Any:
    found = resolve(table, key.field)
    kind = "" if found is None else found.type.type
    if kind in _WHOLE:
        return -(2**63) if key.descending else 2**63 - 1
    if kind in _FRACTIONS:
        return "-Infinity" if key.descending else "Infinity"
    return None


def comparable(value: Any) -> tuple[int, Any]:
    """Numbers before texts, so that mixed values can be compared at all."""
    if value in ("Infinity", "-Infinity"):
        return (0, float(value))
    return (0, value) if isinstance(value, int | float) else (1, str(value))


@dataclass(frozen=True, slots=True)
class Ordered:
    """A hit's sort values, comparable by the keys; a missing value comes last."""

    values: Sequence[Any]
    keys: Sequence[SortKey]

    def __lt__(self, other: Ordered) -> bool:
        """Whether this hit comes first."""
        for a, b, key in zip(self.values, other.values, self.keys, strict=False):
            if a == b:
                continue
            if a is None or b is None:
                return b is None
            return (comparable(a) < comparable(b)) != key.descending
        return False
