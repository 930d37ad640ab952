"""Exception items to the Elasticsearch filter that Kibana builds of them.

The shape is Kibana's to the key, because the engine evaluates this very JSON: items are joined by
OR, the entries of one by AND, and the whole is negated. An `excluded` entry is a `must_not`, so it
holds where the field is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.model import JsonObject

# Value lists beyond these are applied to the hits after the search.
MAX_QUERY_VALUES = 65_536
MAX_DASH_RANGES = 200
_QUERY_LIST_TYPES = frozenset({"keyword", "ip", "ip_range"})
_OS_FIELDS = ("host.os.type", "host.os.name.caseless")

ValueLists = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ExceptionFilter:
    """`filter` as Kibana adds it to a search (None without items); `items` are those in it.

    `after_search` are the items with value lists too large, or of types unfit, for a query.
    """

    filter: JsonObject | None
    items: tuple[JsonObject, ...] = ()
    after_search: tuple[JsonObject, ...] = ()


def build_exception_filter(
    items: Iterable[JsonObject],
    started_at: datetime | str,
    value_lists: ValueLists | None = None,
) -> ExceptionFilter:
    """The filter of all items that live at `started_at`; those with value lists come last.

    `value_lists` maps a list's id to its values. Raises QueryError for an unknown list.
    """
    lists = value_lists or {}
    started = _moment(started_at)
    live = [item for item in items if not is_expired(item, started)]
    ordered = sorted(live, key=_has_list)
    clauses: list[JsonObject] = []
    kept: list[JsonObject] = []
    after: list[JsonObject] = []
    for item in ordered:
        if _fits_query(item, lists):
            clauses.extend(_clauses(item, lists))
            kept.append(item)
        else:
            after.append(item)
    if not clauses:
        return ExceptionFilter(None, (), tuple(after))
    meta = {"alias": None, "disabled": False, "negate": True}
    body = {"meta": meta, "query": {"bool": {"should": clauses}}}
    return ExceptionFilter(body, tuple(kept), tuple(after))


def item_clause(item: JsonObject, value_lists: ValueLists | None = None) -> JsonObject:
    """The query that is true of what one item suppresses, expired or not."""
    clauses = _clauses(item, value_lists or {})
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses}}


def is_expired(item: JsonObject, started_at: datetime) -> bool:
    """Whether the item's `expire_time` lies before the start of the run."""
    expires = item.get("expire_time")
    return expires is not None and _moment(expires) < _moment(started_at)


def _moment(value: datetime | str) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise QueryError(f"{value!r} is not a date", hint="2027-03-31T23:59:59Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --------------------------------------------------------------------------------- value lists


def _list_entries(item: JsonObject) -> list[JsonObject]:
    return [entry for entry in item["entries"] if entry["type"] == "list"]


def _has_list(item: JsonObject) -> bool:
    return bool(_list_entries(item))


def _fits_query(item: JsonObject, lists: ValueLists) -> bool:
    """Whether every value list of the item can be part of the query."""
    for entry in _list_entries(item):
        values = _values(entry, lists)
        if entry["list"]["type"] not in _QUERY_LIST_TYPES or len(values) > MAX_QUERY_VALUES:
            return False
        if entry["list"]["type"] == "ip_range" and len(_dashed(values)) > MAX_DASH_RANGES:
            return False
    return True


def _values(entry: JsonObject, lists: ValueLists) -> Sequence[str]:
    name = entry["list"]["id"]
    if name not in lists:
        raise QueryError(f"value list {name!r} is not known")
    return lists[name]


def _dashed(values: Iterable[str]) -> list[str]:
    return [value for value in values if "-" in value]


def _list_clause(entry: JsonObject, field: str, lists: ValueLists) -> JsonObject:
    values = list(_values(entry, lists))
    excluded = entry["operator"] == "excluded"
    if entry["list"]["type"] != "ip_range":
        return {"bool": {"must_not" if excluded else "filter": {"terms": {field: values}}}}
    ranges: list[JsonObject] = [
        {"range": {field: dict(zip(("gte", "lte"), value.split("-"), strict=True))}}
        for value in _dashed(values)
    ]
    if networks := [value for value in values if "-" not in value]:
        ranges.append({"terms": {field: networks}})
    return {"bool": {"must_not" if excluded else "should": ranges, "minimum_should_match": 1}}


# ------------------------------------------------------------------------------------- entries


def _clauses(item: JsonObject, lists: ValueLists) -> list[JsonObject]:
    """One clause; with `os_types`, one per operating system and field that may name it."""
    entries = [_entry(entry, lists) for entry in item["entries"]]
    systems = item.get("os_types") or []
    if not systems:
        return [entries[0] if len(entries) == 1 else {"bool": {"filter": entries}}]
    return [
        {"bool": {"filter": [_match(field, system), *entries]}}
        for field in _OS_FIELDS
        for system in systems
    ]


def _entry(entry: JsonObject, lists: ValueLists, parent: str = "") -> JsonObject:
    field = f"{parent}.{entry['field']}" if parent else str(entry["field"])
    match entry["type"]:
        case "match":
            return _signed(entry, _match(field, entry["value"]))
        case "match_any":
            return _signed(entry, _match_any(field, entry["value"]))
        case "wildcard":
            return _signed(entry, {"bool": {"filter": {"wildcard": {field: entry["value"]}}}})
        case "exists":
            return _signed(entry, _should([{"exists": {"field": field}}]))
        case "nested":
            inner = [_entry(sub, lists, field) for sub in entry["entries"]]
            query = inner[0] if len(inner) == 1 else {"bool": {"filter": inner}}
            return {"nested": {"path": field, "query": query, "score_mode": "none"}}
        case "list":
            return _list_clause(entry, field, lists)
        case kind:
            raise UnsupportedQuery(f"exception entry of type {kind!r}")


def _match_any(field: str, values: Sequence[Any]) -> JsonObject:
    if len(values) == 1:
        return _match(field, values[0])
    return _should([_match(field, value) for value in values])


def _match(field: str, value: Any) -> JsonObject:
    return _should([{"match_phrase": {field: value}}])


def _should(clauses: list[JsonObject]) -> JsonObject:
    return {"bool": {"should": clauses, "minimum_should_match": 1}}


def _signed(entry: JsonObject, clause: JsonObject) -> JsonObject:
    return {"bool": {"must_not": clause}} if entry.get("operator") == "excluded" else clause
