"""The kinds of test that a leaf can be on the terms of one field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from ruledeploy.query.ir import Range, Scalar
from ruledeploy.query.literals import Anchored
from ruledeploy.query.terms import IndexTerm


@dataclass(frozen=True, slots=True)
class Equal:
    """True when any term is among these."""

    terms: frozenset[IndexTerm]


@dataclass(frozen=True, slots=True)
class Each:
    """True when any term passes.

    The lower case of every string that passes contains `needle`; `anchored`, where it is known,
    tells by the lower case alone.
    """

    test: Callable[[Any], bool]
    needle: str = ""
    anchored: Anchored | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A test on all terms together; false when there is none."""

    test: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Dropped:
    """The text has no word: `query_string` takes the clause out of the query."""


Meaning: TypeAlias = Equal | Each | Whole | Dropped

NOTHING = Equal(frozenset())
PRESENT = Whole(bool)


def as_query_text(value: Scalar) -> str:
    """A query's value as text, as Java's `toString` writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def between(low: Any, high: Any, bounds: Range) -> Each:
    """Terms from `low` to `high`; code point order is the order of UTF-8, which Lucene sorts by."""
    over = _over(low, inclusive=bounds.include_lower)
    under = _under(high, inclusive=bounds.include_upper)
    return Each(lambda term: over(term) and under(term))


def _over(low: Any, *, inclusive: bool) -> Callable[[Any], bool]:
    if low is None:
        return lambda _: True
    return (lambda term: bool(term >= low)) if inclusive else (lambda term: bool(term > low))


def _under(high: Any, *, inclusive: bool) -> Callable[[Any], bool]:
    if high is None:
        return lambda _: True
    return (lambda term: bool(term <= high)) if inclusive else (lambda term: bool(term < high))
