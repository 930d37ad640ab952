"""ES|QL's aggregates: what a group's values come to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from ruledeploy.errors import QueryError
from ruledeploy.query.esql_types import NUMERIC_TYPES, Typed, Value, of_many

Fold: TypeAlias = Callable[[Sequence[Any]], Value]

_ORDERED = frozenset({"keyword", "text", "integer", "long", "double", "date", "ip", "boolean"})


def aggregate(name: str, arg: Typed, at: int) -> tuple[str, Fold]:
    """The result's type, and how it is made of all values of a group, several of one row included.

    Raises QueryError for a type that the aggregate does not take.
    """
    accepted, result, fold = AGGREGATES[name]
    if arg.type not in accepted:
        raise QueryError(f"{name} at {at} does not take {arg.type}", position=at)
    kind = "keyword" if arg.type == "text" else arg.type
    type_ = result or ("long" if kind == "integer" and name == "sum" else kind)
    return type_, fold


def _some(fold: Callable[[Sequence[Any]], Value]) -> Fold:
    """Null where the group has no value."""
    return lambda values: fold(values) if values else None


def _sum(values: Sequence[Any]) -> Value:
    return math.fsum(values) if isinstance(values[0], float) else sum(values)


def _mean(values: Sequence[Any]) -> float:
    return math.fsum(values) / len(values)


def _median(values: Sequence[Any]) -> float:
    return percentile(values, 50.0)


def percentile(values: Sequence[Any], share: float) -> float:
    """Between the two nearest values, in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


# Types taken, the result's type (None: the values'), and the fold.
AGGREGATES: Mapping[str, tuple[frozenset[str], str | None, Fold]] = MappingProxyType(
    {
        "count": (_ORDERED | {"null"}, "long", len),
        "count_distinct": (_ORDERED, "long", lambda values: len(set(values))),
        "min": (_ORDERED, None, _some(min)),
        "max": (_ORDERED, None, _some(max)),
        "sum": (NUMERIC_TYPES, None, _some(_sum)),
        "avg": (NUMERIC_TYPES, "double", _some(_mean)),
        "median": (NUMERIC_TYPES, "double", _some(_median)),
        "values": (_ORDERED, None, lambda values: of_many(dict.fromkeys(values))),
    }
)
