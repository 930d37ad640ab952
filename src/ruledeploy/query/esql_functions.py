"""ES|QL's functions of a row's values, by name: each checks its arguments' types, then computes.

A function of scalars is null where an argument is null or has several values. Conversions and
changes of case go value by value; those named `mv_…` take the values together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.dates import moment_of
from ruledeploy.query.esql_types import (
    LIMITS,
    STRING_TYPES,
    Row,
    Typed,
    Value,
    each,
    numeric,
    of_many,
    text_of,
    wider,
)
from ruledeploy.query.terms import parse_ip, parse_network

Maker: TypeAlias = Callable[[str, Sequence[Typed], int], Typed]


def scalar(type_: str, function: Callable[..., Any], args: Sequence[Typed]) -> Typed:
    """A function of one value each; what it cannot compute is null."""
    getters = [arg.of for arg in args]

    def of(row: Row) -> Value:
        values = [get(row) for get in getters]
        if any(value is None or isinstance(value, tuple) for value in values):
            return None
        try:
            return fitting(type_, function(*values))
        except (ArithmeticError, ValueError):
            return None

    return Typed(type_, of)


def fitting(type_: str, value: Any) -> Any:
    """The value, or None where the type cannot hold it."""
    if type_ in LIMITS and value is not None:
        low, high = LIMITS[type_]
        return value if low <= value <= high else None
    if type_ == "double" and value is not None and not math.isfinite(value):
        return None
    return value


def mapped(type_: str, function: Callable[[Any], Any], arg: Typed) -> Typed:
    """A function of every single value; what it cannot compute falls out."""

    def of(row: Row) -> Value:
        out = []
        for value in each(arg.of(row)):
            try:
                found = fitting(type_, function(value))
            except (ArithmeticError, ValueError):
                continue
            if found is not None:
                out.append(found)
        return of_many(out)

    return Typed(type_, of)


def count(name: str, args: Sequence[Typed], at: int, low: int, high: int | None = None) -> None:
    """Raise QueryError unless there are as many arguments as a function takes."""
    most = low if high is None else high
    if not low <= len(args) <= most:
        raise QueryError(f"{name} at {at} takes {low} arguments, not {len(args)}", position=at)


def texts(name: str, args: Sequence[Typed], at: int) -> None:
    """Raise QueryError unless all are texts."""
    for arg in args:
        if arg.type not in STRING_TYPES | {"null"}:
            raise QueryError(f"{name} at {at} takes text, not {arg.type}", position=at)


# -------------------------------------------------------------------------------------- texts


def _of_texts(low: int, type_: str, function: Callable[..., Any]) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, low)
        texts(name, args, at)
        return scalar(type_, function, args)

    return make


def _case_of(change: Callable[[str], str]) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1)
        texts(name, args, at)
        return mapped("keyword", change, args[0])

    return make


def _concat(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2, 100)
    texts(name, args, at)
    return scalar("keyword", lambda *parts: "".join(parts), args)


def _substring(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2, 3)
    texts(name, args[:1], at)
    numeric([arg.type for arg in args[1:]], name, at)

    def of(text: str, start: int, length: int | None = None) -> str:
        if length is not None and length < 0:
            raise ValueError
        first = start - 1 if start > 0 else max(len(text) + start, 0) if start else 0
        return text[first:] if length is None else text[first : first + length]

    return scalar("keyword", of, args)


def _side(*, left: bool) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 2)
        texts(name, args[:1], at)
        numeric([args[1].type], name, at)

        def of(text: str, count: int) -> str:
            if count <= 0:
                return ""
            return text[:count] if left else text[-count:]

        return scalar("keyword", of, args)

    return make


def _split(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2)
    texts(name, args, at)
    text, by = args
    return Typed("keyword", lambda row: _pieces(text.of(row), by.of(row)))


def _pieces(text: Value, by: Value) -> Value:
    if not isinstance(text, str) or not isinstance(by, str) or not by:
        return None
    return of_many(text.split(by))


# ------------------------------------------------------------------------------------ choices


def _coalesce(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 1, 100)
    type_ = wider((arg.type for arg in args), name, at)
    getters = [arg.of for arg in args]

    def of(row: Row) -> Value:
        return next((value for get in getters if (value := get(row)) is not None), None)

    return Typed(type_, of)


def _case(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2, 200)
    pairs = [(args[n], args[n + 1]) for n in range(0, len(args) - 1, 2)]
    default = args[-1] if len(args) % 2 else None
    for condition, _ in pairs:
        if condition.type not in ("boolean", "null"):
            raise QueryError(
                f"a condition of {name} at {at} is {condition.type}, not boolean", position=at
            )
    values = [value for _, value in pairs] + ([default] if default else [])
    type_ = wider((value.type for value in values), name, at)

    def of(row: Row) -> Value:
        for condition, value in pairs:
            if condition.of(row) is True:
                return value.of(row)
        return default.of(row) if default else None

    return Typed(type_, of)


def _extreme(choose: Callable[..., Any]) -> Maker:
    """The greatest or least of all values of all arguments, none of which may be null."""

    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1, 100)
        type_ = wider((arg.type for arg in args), name, at)

        def of(row: Row) -> Value:
            values = [each(arg.of(row)) for arg in args]
            return choose(one for many in values for one in many) if all(values) else None

        return Typed(type_, of)

    return make


# ------------------------------------------------------------------------------- conversions


def _to(type_: str, functions: Mapping[str, Callable[[Any], Any]]) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1)
        (arg,) = args
        kind = "keyword" if arg.type == "text" else arg.type
        if kind == "null":
            return Typed(type_, lambda _: None)
        if kind == type_:
            return Typed(type_, arg.of)
        if kind not in functions:
            raise QueryError(f"{name} at {at} does not take {arg.type}", position=at)
        return mapped(type_, functions[kind], arg)

    return make


def _to_string(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 1)
    (arg,) = args
    if arg.type in STRING_TYPES | {"null"}:
        return Typed("keyword", arg.of)
    return mapped("keyword", lambda value: text_of(arg.type, value), arg)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return half_up(float(text))


def half_up(number: float) -> int:
    """The nearest whole number, halves upwards, as Java rounds."""
    return math.floor(number + 0.5)


_WHOLE_FROM: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "keyword": _whole,
        "double": half_up,
        "integer": int,
        "long": int,
        "boolean": int,
        "date": int,
    }
)


# ------------------------------------------------------------------------------------ numbers


def _of_number(function: Callable[[Any], Any]) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1)
        return scalar(numeric([args[0].type], name, at), function, args)

    return make


def _double(taken: int, function: Callable[..., float]) -> Maker:
    """A function of numbers that gives a double of whatever numbers they are."""

    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, taken)
        numeric([arg.type for arg in args if arg.type != "null"] or ["double"], name, at)
        return scalar("double", function, args)

    return make


def _round(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 1, 2)
    type_ = numeric([arg.type for arg in args[:1]], name, at)
    if len(args) > 1:
        numeric([args[1].type], name, at)

    def of(number: float, digits: int = 0) -> float:
        scale = 10.0**digits
        found = half_up(abs(number) * scale) / scale * (1 if number >= 0 else -1)
        return found if type_ == "double" else int(found)

    return scalar(type_, of, args)


# ----------------------------------------------------------------------------- several values


def _of_values(type_: str | None, function: Callable[[tuple[Any, ...]], Value]) -> Maker:
    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1)
        (arg,) = args
        kept = "keyword" if arg.type == "text" else arg.type

        def of(row: Row) -> Value:
            values = each(arg.of(row))
            return function(values) if values else None

        return Typed(type_ or kept, of)

    return make


def _mv_concat(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2)
    texts(name, args, at)
    values, by = args

    def of(row: Row) -> Value:
        found, between = each(values.of(row)), by.of(row)
        return between.join(found) if found and isinstance(between, str) else None

    return Typed("keyword", of)


# ---------------------------------------------------------------------------------- addresses


def _network(text: str) -> tuple[int, int] | None:
    """A network, or an address alone."""
    if "/" in text:
        return parse_network(text)
    address = parse_ip(text)
    return None if address is None else (address, address)


def _cidr_match(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2, 100)
    if args[0].type not in ("ip", "null"):
        raise QueryError(f"{name} at {at} takes an address, not {args[0].type}", position=at)
    texts(name, args[1:], at)
    bounds = []
    for arg in args[1:]:
        if arg.const is None:
            raise UnsupportedQuery(f"{name} at {at} with networks that vary", position=at)
        network = _network(str(arg.const[0]))
        if network is None:
            raise QueryError(f"{arg.const[0]!r} at {at} is no network", position=at)
        bounds.append(network)
    return scalar("boolean", lambda ip: any(low <= ip <= high for low, high in bounds), args[:1])


FUNCTIONS: Mapping[str, Maker] = MappingProxyType(
    {
        "to_lower": _case_of(str.lower),
        "to_upper": _case_of(str.upper),
        "trim": _of_texts(1, "keyword", lambda text: text.strip()),
        "ltrim": _of_texts(1, "keyword", lambda text: text.lstrip()),
        "rtrim": _of_texts(1, "keyword", lambda text: text.rstrip()),
        "length": _of_texts(1, "integer", len),
        "concat": _concat,
        "substring": _substring,
        "left": _side(left=True),
        "right": _side(left=False),
        "split": _split,
        "starts_with": _of_texts(2, "boolean", str.startswith),
        "ends_with": _of_texts(2, "boolean", str.endswith),
        "coalesce": _coalesce,
        "case": _case,
        "greatest": _extreme(max),
        "least": _extreme(min),
        "to_string": _to_string,
        "to_str": _to_string,
        "to_integer": _to("integer", _WHOLE_FROM),
        "to_int": _to("integer", _WHOLE_FROM),
        "to_long": _to("long", _WHOLE_FROM),
        "to_double": _to(
            "double",
            {"keyword": float, "integer": float, "long": float, "boolean": float, "date": float},
        ),
        "to_boolean": _to(
            "boolean",
            {"keyword": lambda text: text.lower() == "true", "integer": bool, "long": bool,
             "double": bool},
        ),
        "to_ip": _to("ip", {"keyword": parse_ip}),
        "to_datetime": _to(
            "date", {"keyword": moment_of, "integer": int, "long": int, "double": int}
        ),
        "abs": _of_number(abs),
        "floor": _of_number(lambda number: type(number)(math.floor(number))),
        "ceil": _of_number(lambda number: type(number)(math.ceil(number))),
        "round": _round,
        "pow": _double(2, math.pow),
        "sqrt": _double(1, math.sqrt),
        "mv_count": _of_values("integer", len),
        "mv_min": _of_values(None, min),
        "mv_max": _of_values(None, max),
        "mv_first": _of_values(None, lambda values: values[0]),
        "mv_last": _of_values(None, lambda values: values[-1]),
        "mv_dedupe": _of_values(None, lambda values: of_many(dict.fromkeys(values))),
        "mv_concat": _mv_concat,
        "cidr_match": _cidr_match,
    }
)  # fmt: skip
