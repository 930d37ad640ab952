"""Types and values of ES|QL's columns.

A value is None (null), one scalar, or a tuple of two and more. Scalars: `str` for keyword and
text, `int` for whole numbers, dates (milliseconds) and addresses (128 bits), `float`, `bool`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any, TypeAlias

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query.dates import from_ms
from ruledeploy.query.terms import FLOATS, STRINGS, TEXTS, column_values

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Any  # None, a Scalar, or a tuple of them; told apart by the column's type
Row: TypeAlias = dict[str, Value]

STRING_TYPES = frozenset({"keyword", "text"})
NUMERIC_TYPES = frozenset({"integer", "long", "double"})
_RANKS = {"integer": 0, "long": 1, "double": 2}
LIMITS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression ready to run: what it gives, and how, from a row. `const` if always the same.

    `const` is the one value of a literal, in a tuple, so that null is told from none.
    """

    type: str
    of: Callable[[Row], Value]
    const: tuple[Value] | None = None


def column_type(type_: FieldType) -> str | None:
    """The type of a mapped field's column; None where ES|QL has no such column."""
    name = type_.type
    if name in TEXTS:
        return "text"
    if name in FLOATS:
        return "double"
    if name in ("byte", "short", "integer"):
        return "integer"
    if name in ("long", "boolean", "ip", "date"):
        return name
    return "keyword" if name in STRINGS and name not in ("version", "flattened") else None


def column_value(type_: FieldType, raw: Iterable[object]) -> Value:
    """What a column shows of a field's values: sorted, as doc values are; a text as written."""
    values = column_values(type_, raw)
    return of_many(values if type_.type in TEXTS else sorted(values))


def of_many(values: Iterable[Any]) -> Value:
    """A value of as many scalars as there are."""
    found = tuple(values)
    if len(found) <= 1:
        return found[0] if found else None
    return found


def each(value: Value) -> tuple[Any, ...]:
    """The scalars of a value."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def wider(types: Iterable[str], what: str, at: int) -> str:
    """The one type that all have or widen to; nulls go along. Raises QueryError."""
    kinds = {"keyword" if name == "text" else name for name in types} - {"null"}
    if not kinds:
        return "null"
    if len(kinds) == 1:
        return kinds.pop()
    if kinds <= NUMERIC_TYPES:
        return max(kinds, key=_RANKS.__getitem__)
    raise QueryError(f"{what} at {at} mixes {' and '.join(sorted(kinds))}", position=at)


def numeric(types: Iterable[str], what: str, at: int) -> str:
    """The widest of numeric types. Raises QueryError."""
    kinds = set(types)
    if not kinds <= NUMERIC_TYPES:
        raise QueryError(
            f"{what} at {at} needs numbers, not {' and '.join(sorted(kinds - NUMERIC_TYPES))}",
            position=at,
        )
    return max(kinds, key=_RANKS.__getitem__)


def present(type_: str, value: Value) -> Any:
    """A value as Elasticsearch's JSON has it: dates and addresses as text, several as a list."""
    if isinstance(value, tuple):
        return [present(type_, one) for one in value]
    return text_of(type_, value) if value is not None and type_ in ("date", "ip") else value


def text_of(type_: str, value: Any) -> str:
    """A scalar as `to_string` writes it."""
    match type_:
        case "ip":
            address = IPv6Address(value)
            return str(address.ipv4_mapped or address)
        case "date":
            moment = from_ms(value)
            return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
        case "boolean":
            return "true" if value else "false"
        case "double":
            return java_double(value)
        case _:
            return str(value)


def java_double(number: float) -> str:
    """A double as Java's `Double.toString` writes it: `1.0`, `1.0E8`, `1.0E-4`."""
    size = abs(number)
    if size == 0 or 1e-3 <= size < 1e7:  # noqa: PLR2004 - where Java turns to exponents
        text = repr(number)
        if "e" not in text:
            return text
    mantissa, _, exponent = f"{number!r}".partition("e")
    if not exponent:
        digits = mantissa.lstrip("-").replace(".", "").strip("0") or "0"
        power = len(mantissa.lstrip("-").split(".")[0]) - 1
        if size < 1:
            fraction = mantissa.lstrip("-").split(".")[1]
            power = -(len(fraction) - len(fraction.lstrip("0")) + 1)
        sign = "-" if number < 0 else ""
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{power}"
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}E{int(exponent)}"


Types: TypeAlias = Callable[[str], str | None]
Functions: TypeAlias = Mapping[str, Callable[..., Typed]]
