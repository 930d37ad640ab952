"""What an index holds of a field's values: the terms that a leaf is compared with.

Terms by type: `str` for keyword and its like, a tuple of words for text, `int` for whole numbers,
dates (milliseconds) and addresses (128 bits, IPv4 mapped into IPv6), `float`, `bool`.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any, TypeAlias

from ruledeploy.fields import FieldType
from ruledeploy.query.dates import parse_date
from ruledeploy.query.numbers import NEGATIVE_ZERO, WHOLE, parse_number, whole_of
from ruledeploy.query.text import lower, utf16_length, words

IndexTerm: TypeAlias = str | int | float | bool | tuple[str, ...]
Terms: TypeAlias = tuple[IndexTerm, ...]

# A key of a flattened field: our name, for Elasticsearch has none.
KEYED = "flattened key"
STRINGS = frozenset({"keyword", "wildcard", "constant_keyword", "flattened", KEYED, "version"})
TEXTS = frozenset({"text", "match_only_text", "search_as_you_type"})
FLOATS = frozenset({"float", "half_float", "double", "scaled_float"})
DATES = frozenset({"date", "date_nanos"})
_MAPPED = 0xFFFF << 32
_ALL_V4 = 0xFFFF_FFFF


def index_terms(type_: FieldType, raw: Iterable[object]) -> Terms:
    """The terms of a field's values (JSON scalars, nulls left out).

    A value that the type cannot hold is left out: Elasticsearch refuses the document, or ignores
    the value where `ignore_malformed` is set, as it is in Elastic's own templates.
    """
    values = _each(_reader(type_), raw)
    return tuple(dict.fromkeys(map(as_term, values) if type_.type in FLOATS else values))


def as_term(number: Any) -> Any:
    """A float as an index sorts it: -0.0 before 0.0."""
    return NEGATIVE_ZERO if number == 0 and math.copysign(1, number) < 0 else number


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
    """An address as 128 bits, or None; the scope behind a % is left out."""
    if not isinstance(value, str):
        return None
    text, percent, scope = value.partition("%")
    if percent and not (scope and ":" in text):
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    number = int(address)
    return number if isinstance(address, IPv6Address) else _MAPPED | number


def _prefix_length(text: str) -> int:
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) else -1


def parse_network(text: str) -> tuple[int, int] | None:
    """The first and the last address of a network in CIDR notation, or None.

    An address of IPv4 that is written as one of IPv6 could have either's prefix, and has none.
    """
    address, _, length = text.partition("/")
    number, v6 = parse_ip(address), ":" in address
    rest_bits = (128 if v6 else 32) - _prefix_length(length)
    if number is None or not 0 <= rest_bits <= (128 if v6 else 32):
        return None
    if v6 and number & ~_ALL_V4 == _MAPPED:
        return None
    rest = (1 << rest_bits) - 1
    return number & ~rest, number | rest


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
