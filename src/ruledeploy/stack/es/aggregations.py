"""The few aggregations that alert overviews need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es.documents import Stored

# The sortable values of a field in a document.
Reader = Callable[[Stored, str], list[Any]]

_DEFAULT_BUCKETS = 10


def aggregate(asked: Mapping[str, Any], hits: Sequence[Stored], reader: Reader) -> dict[str, Any]:
    """The answer to `aggs`. Raises a 400 for a kind we do not know."""
    return {name: _one(body, hits, reader) for name, body in asked.items()}


def _one(body: Mapping[str, Any], hits: Sequence[Stored], reader: Reader) -> dict[str, Any]:
    inner = body.get("aggs", body.get("aggregations", {}))
    kinds = [key for key in body if key not in {"aggs", "aggregations", "meta"}]
    kind = kinds[0] if kinds else "none"
    options = body.get(kind, {})
    if kind == "terms":
        return _terms(options, inner, hits, reader)
    field = options.get("field", "")
    values = [value for hit in hits for value in reader(hit, field)]
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
        case _:
            reason = f"the local stack does not evaluate the aggregation [{kind}]"
            raise elastic(400, "parsing_exception", reason)


def _terms(
    options: Mapping[str, Any], inner: Mapping[str, Any], hits: Sequence[Stored], reader: Reader
) -> dict[str, Any]:
    groups: dict[Any, list[Stored]] = {}
    for hit in hits:
        for value in dict.fromkeys(reader(hit, options["field"])):
            groups.setdefault(value, []).append(hit)
    ordered = sorted(groups.items(), key=lambda pair: (-len(pair[1]), str(pair[0])))
    size = options.get("size", _DEFAULT_BUCKETS)
    buckets = []
    for value, members in ordered[:size]:
        bucket: dict[str, Any] = {"key": value, "doc_count": len(members)}
        if isinstance(value, bool):
            bucket |= {"key": int(value), "key_as_string": str(value).lower()}
        bucket |= aggregate(inner, members, reader)
        buckets.append(bucket)
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(len(members) for _, members in ordered[size:]),
        "buckets": buckets,
    }
