"""What a leaf asks of numbers, dates, addresses and booleans."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query.dates import resolve_date
from ruledeploy.query.ir import Range, Scalar
from ruledeploy.query.kinds import NOTHING, Equal, Meaning, as_query_text, between
from ruledeploy.query.numbers import WHOLE, asked, asked_whole, exact_number, whole_of
from ruledeploy.query.terms import DATES, FLOATS, as_term, float_of, parse_ip, parse_network


def exact(value: Scalar, type_: FieldType, now: datetime) -> Meaning:
    """Equality. Raises QueryError for a value that is none of the type's."""
    name = type_.type
    if name == "ip":
        return _address(as_query_text(value))
    if name in DATES:
        return in_range(Range(value, value), type_, now)
    if name == "boolean":
        return Equal(frozenset({_boolean(value)}))
    number = asked(value, name)
    if name in WHOLE:
        return _whole(value, number, name)
    if name in FLOATS:
        stored = float_of(number, type_)
        return NOTHING if stored is None else Equal(frozenset({as_term(stored)}))
    raise QueryError(f"cannot search a field of type {name}")


def _whole(value: Scalar, number: float, name: str) -> Meaning:
    """A fraction, or a number out of range, is no error where one value is asked for."""
    low, high = WHOLE[name]
    if number % 1 != 0 or number < low or number > float(high):
        return NOTHING
    if name == "long" and isinstance(value, str):
        exact = exact_number(value)
        return Equal(frozenset({int(exact)})) if low <= exact <= high else NOTHING
    found = whole_of(value, name)
    return NOTHING if found is None else Equal(frozenset({found}))


# Bounds on these are checked as bounds on an integer.
_RANGE_TYPES = {"byte": "integer", "short": "integer"}


def must_hold(value: Scalar, type_: FieldType) -> None:
    """Raise for one of many values that the type cannot hold; a lone one just matches nothing."""
    name = type_.type
    if name in ("integer", "long") and asked(value, name) % 1 == 0:
        asked_whole(value, name)
    if name in FLOATS and float_of(asked(value, name), type_) is None:
        raise QueryError(f"{value!r} is out of range for {name}")


def _boolean(value: Scalar) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise QueryError(f"{value!r} is neither true nor false, but the field is boolean")


def _address(text: str) -> Meaning:
    """One address, or every address of a network in CIDR notation."""
    if "/" in text:
        found = parse_network(text)
        if found is None:
            raise QueryError(f"{text!r} is not a network")
        return between(*found, Range())
    return Equal(frozenset({_one_address(text)}))


def _one_address(text: str) -> int:
    number = parse_ip(text)
    if number is None:
        raise QueryError(f"{text!r} is not an IP address")
    return number


def in_range(bounds: Range, type_: FieldType, now: datetime) -> Meaning:
    """A range. Raises QueryError for a bound that is none of the type's."""
    name = type_.type
    if name in DATES:
        return _date_range(bounds, now)
    if name in WHOLE and name != "unsigned_long":
        return _whole_range(bounds, _RANGE_TYPES.get(name, name))
    low, high = (_bound(bound, type_) for bound in (bounds.lower, bounds.upper))
    return between(low, high, bounds)


def _bound(value: Scalar | None, type_: FieldType) -> Any:
    if value is None:
        return None
    if type_.type == "ip":
        return _one_address(as_query_text(value))
    if type_.type == "boolean":
        return _boolean(value)
    if type_.type in FLOATS:
        number = asked(value, type_.type)
        # Bounds of a half_float are compared at single precision.
        half = type_.type == "half_float"
        stored = float_of(number, replace(type_, type="float") if half else type_)
        return math.copysign(math.inf, number) if stored is None else as_term(stored)
    if type_.type == "unsigned_long":
        number = asked(value, type_.type)
        found = whole_of(value, type_.type)
        return number if found is None else found
    raise QueryError(f"cannot compare a field of type {type_.type}")


def _whole_range(bounds: Range, name: str) -> Meaning:
    """Bounds without their fractions: above 1.5 begins at 2, above -1.5 at -1."""
    low = high = None
    if bounds.lower is not None:
        low, fraction = asked_whole(bounds.lower, name)
        low += fraction > 0 or (fraction == 0 and not bounds.include_lower)
    if bounds.upper is not None:
        high, fraction = asked_whole(bounds.upper, name)
        high -= fraction < 0 or (fraction == 0 and not bounds.include_upper)
    return between(low, high, Range())


def _date_range(bounds: Range, now: datetime) -> Meaning:
    """Bounds that are spans: from the first millisecond of one to the last of the other."""
    low = high = None
    if bounds.lower is not None:
        span = resolve_date(bounds.lower, now)
        low = span.first if bounds.include_lower else span.last + 1
    if bounds.upper is not None:
        span = resolve_date(bounds.upper, now)
        high = span.last if bounds.include_upper else span.first - 1
    return between(low, high, Range())
