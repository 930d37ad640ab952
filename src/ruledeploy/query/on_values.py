"""What a leaf asks of numbers, dates, addresses and booleans."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query.dates import resolve_date
from ruledeploy.query.ir import Range, Scalar
from ruledeploy.query.kinds import NOTHING, Equal, Meaning, as_query_text, between
from ruledeploy.query.terms import DATES, FLOATS, WHOLE, float_of, parse_ip, parse_number, whole_of


def exact(value: Scalar, type_: FieldType, now: datetime) -> Meaning:
    """Equality. Raises QueryError for a value that is none of the type's."""
    name = type_.type
    if name == "ip":
        return _address(as_query_text(value))
    if name in DATES:
        return in_range(Range(value, value), type_, now)
    if name == "boolean":
        return Equal(frozenset({_boolean(value)}))
    number = _number(value, type_)
    if name in WHOLE:
        whole = math.isfinite(number) and int(number) == number
        whole = whole and whole_of(number, name) is not None
        return Equal(frozenset({int(number)})) if whole else NOTHING
    if name in FLOATS:
        stored = float_of(number, type_)
        return NOTHING if stored is None else Equal(frozenset({stored}))
    raise QueryError(f"cannot search a field of type {name}")


# Bounds on these are checked as bounds on an integer.
_RANGE_TYPES = {"byte": "integer", "short": "integer"}


def _fits(number: float, type_name: str) -> None:
    """Raise for a whole number that the type cannot hold; ES|QL's come as floats and may be."""
    low, high = WHOLE[type_name]
    if isinstance(number, int) and type_name != "unsigned_long" and not low <= number <= high:
        raise QueryError(f"{number} is out of range for {type_name}")


def must_hold(value: Scalar, type_: FieldType) -> None:
    """Raise for one of many values that the type cannot hold; a lone one just matches nothing."""
    if type_.type in ("integer", "long"):
        _fits(_number(value, type_), type_.type)
    if type_.type in FLOATS and float_of(_number(value, type_), type_) is None:
        raise QueryError(f"{value!r} is out of range for {type_.type}")


def _number(value: Scalar, type_: FieldType) -> int | float:
    """The number a query asks for; Java reads a text a little wider than JSON writes one."""
    text = value
    if isinstance(value, str) and type_.type not in ("long", "unsigned_long"):
        text = value.strip().removesuffix("d").removesuffix("f")
    elif isinstance(value, str) and value != value.strip():
        text = "not a number"
    number = math.nan if text in ("NaN", "Infinity", "-Infinity") else parse_number(text)
    if number is None:
        raise QueryError(f"{value!r} is not a number, but the field is {type_.type}")
    return number


def _boolean(value: Scalar) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise QueryError(f"{value!r} is neither true nor false, but the field is boolean")


def _address(text: str) -> Meaning:
    """One address, or every address of a network in CIDR notation."""
    if "/" in text:
        try:
            network = ip_network(text, strict=False)
        except ValueError:
            raise QueryError(f"{text!r} is not a network") from None
        low, high = parse_ip(str(network[0])), parse_ip(str(network[-1]))
        return between(low, high, Range())
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
        number = _number(value, type_)
        # Bounds of a half_float are compared at single precision.
        half = type_.type == "half_float"
        stored = float_of(number, replace(type_, type="float") if half else type_)
        return math.copysign(math.inf, number) if stored is None else stored
    if type_.type in WHOLE:
        number = _number(value, type_)
        _fits(number, _RANGE_TYPES.get(type_.type, type_.type))
        return number
    raise QueryError(f"cannot compare a field of type {type_.type}")


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
