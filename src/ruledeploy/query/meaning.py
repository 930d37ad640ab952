"""What a leaf asks of a field of a known type, as a test on the field's terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from msgspec import structs

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldType
from ruledeploy.query.dates import moment_of
from ruledeploy.query.ir import (
    AnyOf,
    Column,
    Exists,
    Match,
    Matcher,
    OneValue,
    Phrase,
    Range,
    Scalar,
    Term,
    Within,
)
from ruledeploy.query.kinds import NOTHING, PRESENT, Dropped, Each, Equal, Meaning, Whole
from ruledeploy.query.literals import Anchored
from ruledeploy.query.numbers import WHOLE, whole_of
from ruledeploy.query.on_strings import on_string, on_text
from ruledeploy.query.on_values import exact, in_range, must_hold
from ruledeploy.query.steps import STEPS, result_type
from ruledeploy.query.terms import DATES, FLOATS, STRINGS, TEXTS, IndexTerm, parse_ip

__all__ = ["NOTHING", "Dropped", "Each", "Equal", "Meaning", "Whole", "meaning"]

_PLAIN = FieldType("keyword")
# After these a term still has, in lower case, every text of ASCII that its result has.
_KEEP_TEXTS = frozenset({"lower", "trim", "ltrim", "rtrim"})


def meaning(matcher: Matcher, type_: FieldType, now: datetime, *, lenient: bool = False) -> Meaning:
    """The test that `matcher` is on a field of `type_`.

    Raises QueryError where Elasticsearch fails the search: a value that the type cannot hold, a
    pattern on a number. `lenient` (query_string without fields) makes those match nothing.
    """
    try:
        return _meaning(matcher, type_, now)
    except QueryError as error:
        if lenient and not isinstance(error, UnsupportedQuery):
            return NOTHING
        raise


def _meaning(matcher: Matcher, type_: FieldType, now: datetime) -> Meaning:
    match matcher:
        case Exists():
            return PRESENT
        case OneValue():
            return Whole(lambda terms: len(terms) == 1)
        case Column(inner, steps):
            return _column(inner, steps, type_, now)
        case Within():
            raise QueryError("a nested query is bound by its path")
        case _ if type_.type in TEXTS:
            return on_text(matcher)
        case _ if type_.type in STRINGS:
            return on_string(matcher, type_)
        case AnyOf(values):
            for value in values:
                must_hold(value, type_)
            return any_meaning([_meaning(Term(value), type_, now) for value in values])
        case Match(value) | Phrase(value) | Term(value):
            return exact(value, type_, now)
        case Range():
            return in_range(matcher, type_, now)
        case _:
            kind = type(matcher).__name__.lower()
            raise QueryError(f"{kind} patterns work on keyword and text, not on {type_.type}")


def any_meaning(options: list[Meaning]) -> Meaning:
    """Equalities merged into one set; the rest asked in turn."""
    equal = frozenset[IndexTerm]().union(*(o.terms for o in options if isinstance(o, Equal)))
    tests = [option.test for option in options if isinstance(option, Each)]
    if not tests:
        return Equal(equal)
    return Each(lambda term: term in equal or any(test(term) for test in tests))


def _typed(inner: Matcher, type_: FieldType) -> Matcher:
    """The question with literals of the column's type; ES|QL casts text to dates, not numbers."""
    match inner:
        case Term(value):
            if type_.type == "ip" and parse_ip(value) is None:
                raise QueryError(f"{value!r} is not an IP address", hint="cidr_match(field, …)")
            return structs.replace(inner, value=_literal(value, type_))
        case AnyOf(values):
            return AnyOf(tuple(_literal(value, type_) for value in values))
        case Range(low, high):
            return structs.replace(
                inner,
                lower=None if low is None else _literal(low, type_),
                upper=None if high is None else _literal(high, type_),
            )
        case _:
            return inner


def _literal(value: Scalar, type_: FieldType) -> Scalar:
    if type_.type in DATES and isinstance(value, str):
        moment = moment_of(value)
        if moment is None:
            raise QueryError(f"{value!r} is not a date", hint="2026-01-31T12:00:00Z")
        return moment
    numeric = type_.type in WHOLE or type_.type in FLOATS
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # A literal that no long holds is an unsigned one, which goes with no other type.
    unsigned = isinstance(value, int) and 2**63 <= value < 2**64
    if numeric != number or (unsigned and type_.type != "unsigned_long"):
        raise QueryError(f"a column of type {type_.type} is compared with {value!r}")
    if isinstance(value, int) and type_.type in WHOLE and whole_of(value, type_.type) is None:
        return float(value)
    return value


def _one_text(wanted: frozenset[IndexTerm]) -> Anchored | None:
    """The only string of a set, if lower-casing leaves it alone."""
    text = next(iter(wanted)) if len(wanted) == 1 else None
    if isinstance(text, str) and text.isascii() and text == text.lower():
        return Anchored(text, starts=True, ends=True, fold=True)
    return None


def _column(inner: Matcher, steps: tuple[str, ...], type_: FieldType, now: datetime) -> Meaning:
    """A question to a column's values: a text's are whole strings, steps change them first."""
    plain = _PLAIN if type_.type in TEXTS else type_
    if not steps:
        return _meaning(_typed(inner, plain), plain, now)
    functions = [STEPS[step] for step in steps]
    asked = _meaning(inner, result_type(steps, plain), now)

    def changed(term: IndexTerm) -> IndexTerm | None:
        found: IndexTerm | None = term
        for function in functions:
            found = None if found is None else function(found, plain)
        return found

    def passes(test: Callable[[Any], bool], term: IndexTerm) -> bool:
        found = changed(term)
        return found is not None and test(found)

    match asked:
        case Equal(wanted):
            whole = _one_text(wanted) if steps == ("lower",) else None
            needle = whole.text if whole else ""
            return Each(lambda term: changed(term) in wanted, needle, whole)
        case Each(test, needle, anchored):
            if not _KEEP_TEXTS.issuperset(steps) or not needle.isascii():
                return Each(lambda term: passes(test, term))
            sure = anchored is not None and steps == ("lower",)
            return Each(
                lambda term: passes(test, term),
                needle,
                replace(anchored, fold=True) if sure and anchored else None,
            )
        case Whole(test):
            return Whole(lambda terms: test(tuple(filter(_is_there, map(changed, terms)))))
        case _:
            return asked


def _is_there(term: IndexTerm | None) -> bool:
    return term is not None
