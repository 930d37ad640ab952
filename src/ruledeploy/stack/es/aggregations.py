"""The aggregations that overviews of alerts and events need; others are refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ruledeploy.stack.clock import duration, iso
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es.documents import Stored, moment

# The sortable values of a field in a document.
Reader = Callable[[Stored, str], list[Any]]

_DEFAULT_BUCKETS = 10
# search.max_buckets.
_MAX_BUCKETS = 65_536
_MONTHS = {"month": 1, "1M": 1, "quarter": 3, "1q": 3, "year": 12, "1y": 12}
_CALENDAR = {"minute": "1m", "hour": "1h", "day": "1d", "week": "7d", "1w": "7d"}
# Weeks begin on Mondays; 1970 began on a Thursday.
_MONDAY = datetime(1969, 12, 29, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Search:
    """What aggregations need of the search around them.

    `read` gives a field's values, `test` makes a query a test, `show` tells hits as `_search` does.
    """

    read: Reader
    test: Callable[[Mapping[str, Any]], Callable[[Stored], bool]]
    show: Callable[[Sequence[Stored], Mapping[str, Any]], dict[str, Any]]


# What an aggregation may be asked: other options would change the answer, these do, or never do.
_OPTIONS: Mapping[str, frozenset[str]] = {
    "terms": frozenset(
        {"field", "size", "min_doc_count", "order", "missing", "shard_size", "execution_hint",
         "collect_mode"}
    ),
    "date_histogram": frozenset(
        {"field", "fixed_interval", "calendar_interval", "min_doc_count", "time_zone"}
    ),
    "filters": frozenset({"filters"}),
    "missing": frozenset({"field"}),
    "top_hits": frozenset(
        {"size", "from", "sort", "_source", "fields", "version", "seq_no_primary_term"}
    ),
    "cardinality": frozenset({"field", "precision_threshold"}),
    **{kind: frozenset({"field"}) for kind in ("value_count", "min", "max", "sum", "avg")},
}  # fmt: skip
_UTC = {"UTC", "Z", "GMT", "+00:00"}


def aggregate(asked: Mapping[str, Any], hits: Sequence[Stored], search: Search) -> dict[str, Any]:
    """The answer to `aggs`. Raises a 400 for a kind we do not know."""
    return {name: _one(body, hits, search) for name, body in asked.items()}


def _one(body: Mapping[str, Any], hits: Sequence[Stored], search: Search) -> dict[str, Any]:
    inner = body.get("aggs", body.get("aggregations", {}))
    kinds = [key for key in body if key not in {"aggs", "aggregations", "meta"}]
    kind = kinds[0] if len(kinds) == 1 else ", ".join(kinds) or "none"
    options = body.get(kind, {})
    _check(kind, options)

    def bucket(members: Sequence[Stored]) -> dict[str, Any]:
        return {"doc_count": len(members), **aggregate(inner, members, search)}

    match kind:
        case "terms":
            groups = _terms(options, hits, search)
            ordered = _ordered(options.get("order"), groups, bucket, inner)
            return _term_buckets(ordered, options.get("size", _DEFAULT_BUCKETS))
        case "date_histogram":
            return _date_histogram(options, hits, search, bucket)
        case "filter":
            holds = search.test(options)
            return bucket([hit for hit in hits if holds(hit)])
        case "filters":
            tests = {name: search.test(query) for name, query in options["filters"].items()}
            found = {name: [hit for hit in hits if test(hit)] for name, test in tests.items()}
            return {"buckets": {name: bucket(members) for name, members in found.items()}}
        case "missing":
            return bucket([hit for hit in hits if not search.read(hit, options["field"])])
        case "top_hits":
            return search.show(hits, {"size": 3, **options})
        case _:
            values = [v for hit in hits for v in search.read(hit, options.get("field", ""))]
            return _metric(kind, values)


def _check(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse what would be left out of account."""
    unknown = sorted(set(options) - _OPTIONS.get(kind, set(options)))
    if unknown:
        reason = f"the local stack does not know [{', '.join(unknown)}] of the aggregation [{kind}]"
        raise elastic(400, "parsing_exception", reason)
    if kind == "date_histogram" and options.get("time_zone", "UTC") not in _UTC:
        reason = f"the local stack counts days in UTC, not in [{options['time_zone']}]"
        raise elastic(400, "parsing_exception", reason)


def _metric(kind: str, values: list[Any]) -> dict[str, Any]:
    match kind:
        case "cardinality":
            return {"value": len(set(values))}
        case "value_count":
            return {"value": len(values)}
        case "min":
            return {"value": min(values, default=None)}
        case "max":
            return {"value": max(values, default=None)}
        case "sum":
            return {"value": sum(values)}
        case "avg":
            return {"value": sum(values) / len(values) if values else None}
        case _:
            reason = f"the local stack does not evaluate the aggregation [{kind}]"
            raise elastic(400, "parsing_exception", reason)


Bucket = Callable[[Sequence[Stored]], dict[str, Any]]
# A value, the documents that have it, and what its bucket says.
Term = tuple[Any, list[Stored], dict[str, Any]]


def _terms(
    options: Mapping[str, Any], hits: Sequence[Stored], search: Search
) -> dict[Any, list[Stored]]:
    """The hits by each value that is frequent enough."""
    groups: dict[Any, list[Stored]] = {}
    absent = [options["missing"]] if "missing" in options else []
    for hit in hits:
        for value in dict.fromkeys(search.read(hit, options["field"]) or absent):
            groups.setdefault(value, []).append(hit)
    least = options.get("min_doc_count", 1)
    return {value: members for value, members in groups.items() if len(members) >= least}


def _term_buckets(terms: Sequence[Term], size: int) -> dict[str, Any]:
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(len(members) for _, members, _ in terms[size:]),
        "buckets": [{**_key(value), **body} for value, _, body in terms[:size]],
    }


def _ordered(
    order: Any, groups: Mapping[Any, list[Stored]], bucket: Bucket, inner: Mapping[str, Any]
) -> list[Term]:
    """By count, the most first, unless asked by `_key`, `_count` or metrics inside, ties by key."""
    wanted = order or {"_count": "desc"}
    terms = [(value, members, bucket(members)) for value, members in groups.items()]
    # A metric without a value: the highest is lower than all others, the lowest and the average
    # are higher.
    absent = {name: -math.inf if "max" in body else math.inf for name, body in inner.items()}
    out = sorted(terms, key=lambda term: str(term[0]))
    for one in reversed(wanted if isinstance(wanted, list) else [wanted]):
        ((by, direction),) = one.items()
        out.sort(key=partial(_rank, by, absent), reverse=direction == "desc")
    return out


def _rank(by: str, absent: Mapping[str, float], term: Term) -> Any:
    value, members, body = term
    if by == "_key":
        return value
    if by == "_count":
        return len(members)
    name = by.partition(".")[0]
    metric = body[name]["value"]
    return absent[name] if metric is None else metric


def _key(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": int(value), "key_as_string": str(value).lower()}
    return {"key": value}


def _date_histogram(
    options: Mapping[str, Any], hits: Sequence[Stored], search: Search, bucket: Bucket
) -> dict[str, Any]:
    """Buckets from the first date to the last, empty ones between them included."""
    interval = options.get("fixed_interval") or options.get("calendar_interval")
    groups: dict[datetime, list[Stored]] = {}
    for hit in hits:
        for at in dict.fromkeys(_floor(v, interval) for v in search.read(hit, options["field"])):
            groups.setdefault(at, []).append(hit)
    starts = sorted(groups)
    if starts and options.get("min_doc_count", 0) == 0:
        starts = _between(starts[0], starts[-1], interval)
    buckets = []
    for at in starts:
        key = {"key_as_string": iso(at), "key": int(at.timestamp() * 1000)}
        buckets.append({**key, **bucket(groups.get(at, []))})
    return {"buckets": buckets}


def _floor(milliseconds: int, interval: Any) -> datetime:
    """The start of the bucket that a date lies in, in UTC."""
    at = moment(milliseconds)
    if interval in _MONTHS:
        month = (at.month - 1) // _MONTHS[interval] * _MONTHS[interval] + 1
        return datetime(at.year, month, 1, tzinfo=UTC)
    start = _MONDAY if interval in {"week", "1w"} else _EPOCH
    return start + (at - start) // _step(interval) * _step(interval)


def _step(interval: Any) -> timedelta:
    try:
        if interval.endswith("ms"):
            # A duration counts from a second up; a thousandth of one is as long in milliseconds.
            return duration(interval.removesuffix("ms") + "s") / 1000
        return duration(_CALENDAR.get(interval, interval))
    except (AttributeError, TypeError, ValueError) as error:
        reason = f"failed to parse interval [{interval}]"
        raise elastic(400, "illegal_argument_exception", reason) from error


def _between(first: datetime, last: datetime, interval: Any) -> list[datetime]:
    out = [first]
    while out[-1] < last:
        if interval in _MONTHS:
            month = out[-1].month - 1 + _MONTHS[interval]
            out.append(datetime(out[-1].year + month // 12, month % 12 + 1, 1, tzinfo=UTC))
        else:
            out.append(out[-1] + _step(interval))
        if len(out) > _MAX_BUCKETS:
            limit = f"Must be less than or equal to: [{_MAX_BUCKETS}]"
            reason = f"Trying to create too many buckets. {limit}"
            raise elastic(400, "too_many_buckets_exception", reason)
    return out
