"""What an index holds of a field's values: the terms that a leaf is compared with.

Terms by type: `str` for keyword and its like, a tuple of words for text, `int` for whole numbers,
dates (milliseconds) and addresses (128 bits, IPv4 mapped into IPv6), `float`, `bool`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import TypeAlias

from ruledeploy.fields import FieldType
from ruledeploy.query.dates import parse_date
from ruledeploy.query.text import lower, utf16_length, words

IndexTerm: TypeAlias = str | int | float | bool | tuple[str, ...]
Terms: TypeAlias = tuple[IndexTerm, ...]

# A key of a flattened field: our name, for Elasticsearch has none.
KEYED = "flattened key"
STRINGS = frozenset({"keyword", "wildcard", "constant_keyword", "flattened", KEYED, "version"})
TEXTS = frozenset({"text", "match_only_text", "search_as_you_type"})
WHOLE = {
    "byte": (-(2**7), 2**7 - 1),
    "short": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned_long": (0, 2**64 - 1),
}
FLOATS = frozenset({"float", "half_float", "double", "scaled_float"})
DATES = frozenset({"date", "date_nanos"})
_MAPPED = 0xFFFF << 32


def index_terms(type_: FieldType, raw: Iterable[object]) -> Terms:
    """The terms of a field's values (JSON scalars, nulls left out).

    A value that the type cannot hold is left out: Elasticsearch refuses the document, or ignores
    the value where `ignore_malformed` is set, as it is in Elastic's own templates.
    """
    return tuple(dict.fromkeys(_each(_reader(type_), raw)))


def column_values(type_: FieldType, raw: Iterable[object]) -> Terms:
    """The values ES|QL reads: doc values (a keyword's are a set), and the source of a text."""
    if type_.type in TEXTS:
        return tuple(_each(as_text, raw))
    values = _each(_reader(type_), raw)
    return tuple(dict.fromkeys(values)) if type_.type in STRINGS | {"ip"} else tuple(values)


def _each(read: Callable[[object], IndexTerm | None], raw: Iterable[object]) -> Iterable[IndexTerm]:
    return (term for term in map(read, raw) if term is not None)


def _reader(type_: FieldType) -> Callable[[object], IndexTerm | None]:
    """How one JSON scalar becomes one term."""
    name = type_.type
    if name in TEXTS:
        return _words_of
    if name == "ip":
        return parse_ip
    if name in DATES:
        return _date_of
    if name == "boolean":
        return _boolean_of
    if name in WHOLE:
        return lambda value: whole_of(value, name)
    if name in FLOATS:
        return lambda value: float_of(value, type_)
    return lambda value: _string_of(value, type_)


def as_text(value: object) -> str | None:
    """A JSON scalar as text, the way it is written in JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return None


def normalize(text: str, type_: FieldType) -> str:
    """The text as the field's normalizer leaves it; `lowercase` is the only one known."""
    return lower(text) if type_.normalizer == "lowercase" else text


def _string_of(value: object, type_: FieldType) -> str | None:
    text = as_text(value)
    if text is None or (type_.ignore_above is not None and utf16_length(text) > type_.ignore_above):
        return None
    return normalize(text, type_)


def _words_of(value: object) -> tuple[str, ...] | None:
    text = as_text(value)
    return None if text is None else words(text)


def _date_of(value: object) -> int | None:
    span = parse_date(value)
    return None if span is None else span.first


def _boolean_of(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False, "": False}.get(value) if isinstance(value, str) else None


def parse_ip(value: object) -> int | None:
    """An address as 128 bits, or None."""
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        address = ip_address(value)
    except ValueError:
        return None
    number = int(address)
    return number if isinstance(address, IPv6Address) else _MAPPED | number


def parse_number(value: object) -> int | float | None:
    """A number, written as one or as text; None when it is none (or not finite)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    try:
        number = float(value) if isinstance(value, float) else _from_text(str(value))
    except ValueError:
        return None
    return number if isinstance(number, int) or math.isfinite(number) else None


def _from_text(text: str) -> int | float:
    if "_" in text or not text.isascii():
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        return float(text)


def whole_of(value: object, type_name: str) -> int | None:
    """A whole number in the type's range; a fraction is cut off, as `coerce` does."""
    number = parse_number(value)
    if number is None:
        return None
    if type_name == "unsigned_long" and isinstance(number, float) and not number.is_integer():
        return None
    low, high = WHOLE[type_name]
    return int(number) if low <= int(number) <= high else None


def float_of(value: object, type_: FieldType) -> float | None:
    """A number as the type stores it: to 16, 32 or 64 bits, or to the scaling factor."""
    number = parse_number(value)
    if number is None:
        return None
    match type_.type:
        case "float" | "half_float":
            code = "<f" if type_.type == "float" else "<e"
            try:
                return float(struct.unpack(code, struct.pack(code, float(number)))[0])
            except OverflowError:
                return None
        case "scaled_float":
            factor = type_.scaling_factor or 1.0
            return math.floor(float(number) * factor + 0.5) / factor
        case _:
            return float(number)
