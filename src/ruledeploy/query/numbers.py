"""Numbers as Elasticsearch reads them: those of JSON, and texts as Java reads them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from ruledeploy.errors import QueryError

WHOLE = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned_long": (0, 2**64 - 1),
}
# A term of an index that sorts before 0.0, as -0.0 does there.
NEGATIVE_ZERO = -5e-324

_BLANK = "".join(map(chr, range(0x21)))
_DECIMAL = re.compile(
    r"[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)", re.ASCII
)
_HEX = re.compile(
    r"[+-]?0[xX](?:[\da-fA-F]+\.?[\da-fA-F]*|\.[\da-fA-F]+)[pP][+-]?\d+[fFdD]?", re.ASCII
)
_EXACT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def java_double(text: str) -> float | None:
    """What `Double.parseDouble` makes of a text: `1d` and `0x1p3` are numbers, `0x10` is none."""
    text = text.strip(_BLANK)
    if _DECIMAL.fullmatch(text):
        return float(text.rstrip("fFdD"))
    if _HEX.fullmatch(text):
        try:
            return float.fromhex(text.rstrip("fFdD"))
        except OverflowError:
            return -math.inf if text.startswith("-") else math.inf
    return None


def exact_number(text: str) -> Decimal:
    """A text to its last digit, as a `long` field asks for it.

    Raises QueryError for what Java's `BigDecimal` does not read, and for what is no double.
    """
    number = java_double(text)
    if number is None or not math.isfinite(number) or not _EXACT.fullmatch(text):
        raise QueryError(f"{text!r} is not a number that a long can hold")
    return Decimal(text)


def java_long(text: str) -> int:
    """A text as a `long` field reads it, the fraction cut off. Raises QueryError."""
    low, high = WHOLE["long"]
    whole = int(exact_number(text))
    if not low <= whole <= high:
        raise QueryError(f"{text} is out of range for long")
    return whole


def parse_number(value: object) -> int | float | None:
    """A number, written as one or as text; None when it is none (or not finite)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    number = value if isinstance(value, float) else java_double(str(value))
    return None if number is None or not math.isfinite(number) else number


def whole_of(value: object, type_name: str) -> int | None:
    """A whole number in the type's range; a fraction is cut off, as `coerce` does."""
    number = _whole_text(value, type_name) if isinstance(value, str) else parse_number(value)
    if number is None:
        return None
    if type_name == "unsigned_long" and isinstance(number, float) and not number.is_integer():
        return None
    low, high = WHOLE[type_name]
    return int(number) if low <= int(number) <= high else None


def _whole_text(text: str, type_name: str) -> int | float | None:
    if type_name in ("long", "unsigned_long"):
        try:
            exact = exact_number(text)
        except QueryError:
            return None
        return int(exact) if type_name == "long" or exact == int(exact) else None
    number = java_double(text)
    if number is None or math.isinf(number):
        return None
    return 0 if math.isnan(number) else number


def asked(value: object, type_name: str) -> float:
    """The double that a query's value is, not always finite.

    Raises QueryError for a text that is no number.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    number = java_double(value) if isinstance(value, str) else None
    if number is None:
        raise QueryError(f"{value!r} is not a number, but the field is {type_name}")
    return number


def asked_whole(value: object, type_name: str) -> tuple[int, float]:
    """A query's value as a whole number, and the sign of the fraction cut off (0: there is none).

    Raises QueryError for a text that is no number, and for what the type cannot hold; a float
    (ES|QL's) may be out of its range.
    """
    number, (low, high) = asked(value, type_name), WHOLE[type_name]
    fraction = 0.0 if number % 1 == 0 else math.copysign(1.0, number)
    if isinstance(value, float):
        return int(number), fraction
    if number < low or number > float(high) or (isinstance(value, int) and value > high):
        raise QueryError(f"{value} is out of range for {type_name}")
    if isinstance(value, int):
        return value, fraction
    if type_name == "long":
        return java_long(str(value)), fraction
    return (0, math.nan) if math.isnan(number) else (int(number), fraction)
