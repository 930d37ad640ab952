"""The texts zod writes about a value, in version 3 and version 4 of that library.

Kibana changed from one to the other during 9.x; no client should branch on either.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, Literal

# The major version of zod whose texts to write.
Zod = Literal["3", "4"]

# No member of a union fits; both versions say the same.
NO_OPTION = "Invalid input"

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DATE_MATH = re.compile(
    r"now(?:[+-]\d+[smhdwMy])*(?:/[smhdwMy])?|\d{4}-\d\d-\d\d(?:T[0-9:.]+(?:Z|[+-]\d\d:?\d\d)?)?"
    r"(?:\|\|(?:[+-]\d+[smhdwMy])*(?:/[smhdwMy])?)?"
)


def type_name(value: Any) -> str:
    """JavaScript's name for a JSON value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case float() if math.isnan(value):
            return "NaN"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def is_kind(kind: str, value: Any) -> bool:
    """Whether a value has the JSON type that a schema's kind names."""
    return type_name(value) == {"integer": "number"}.get(kind, kind)


def wrong_type(expected: str, value: Any, zod: Zod) -> str:
    """The value has another type than the schema asks for."""
    expected = {"integer": "number"}.get(expected, expected)
    got = type_name(value)
    if zod == "4":
        return f"Invalid input: expected {expected}, received {got}"
    return f"Expected {expected}, received {got.lower()}"


def missing(kind: str, facts: dict[str, Any], zod: Zod) -> str:
    """A required key is not there."""
    if zod == "3":
        return "Required"
    if "enum" in facts:
        return _not_one_of(facts["enum"], None, zod)
    expected = {"integer": "number", "union": "object"}.get(kind, kind)
    return f"Invalid input: expected {expected}, received undefined"


def no_discriminator(names: list[str], zod: Zod) -> str:
    """The key that chooses among the members of a union has no known value."""
    if zod == "3":
        expected = " | ".join(f"'{name}'" for name in names)
        return f"Invalid discriminator value. Expected {expected}"
    return "Invalid input"


def _not_one_of(allowed: list[Any], value: Any, zod: Zod) -> str:
    if zod == "3":
        if len(allowed) == 1:
            return f'Invalid literal value, expected "{allowed[0]}"'
        options = " | ".join(f"'{a}'" for a in allowed)
        return f"Invalid enum value. Expected {options}, received '{value}'"
    if len(allowed) == 1:
        return f'Invalid input: expected "{allowed[0]}"'
    return f"Invalid option: expected one of {'|'.join(json_text(a) for a in allowed)}"


def json_text(value: Any) -> str:
    """A value as it stands in a message."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def length_complaint(facts: dict[str, Any], value: list[Any], zod: Zod) -> str | None:
    """What is wrong with the length of an array."""
    low, high = facts.get("minItems"), facts.get("maxItems")
    if low is not None and len(value) < low:
        if zod == "3":
            return f"Array must contain at least {low} element(s)"
        return f"Too small: expected array to have >={low} items"
    if high is not None and len(value) > high:
        if zod == "3":
            return f"Array must contain at most {high} element(s)"
        return f"Too big: expected array to have <={high} items"
    return None


def scalar_complaint(kind: str, facts: dict[str, Any], value: Any, zod: Zod) -> str | None:
    """What is wrong with a string, number or boolean; None when it fits."""
    if not is_kind(kind, value):
        return wrong_type(kind, value, zod)
    allowed = facts.get("enum")
    if allowed is not None and value not in allowed:
        return _not_one_of(allowed, value, zod)
    if kind == "string":
        return _string_complaint(facts, value, zod)
    if kind in {"integer", "number"}:
        return _number_complaint(kind, facts, value, zod)
    return None


def _string_complaint(facts: dict[str, Any], value: str, zod: Zod) -> str | None:
    low, high = facts.get("minLength", 0), facts.get("maxLength")
    if len(value) < low:
        if zod == "3":
            return f"String must contain at least {low} character(s)"
        return f"Too small: expected string to have >={low} characters"
    if high is not None and len(value) > high:
        if zod == "3":
            return f"String must contain at most {high} character(s)"
        return f"Too big: expected string to have <={high} characters"
    pattern = facts.get("pattern")
    if pattern is not None and not re.search(pattern, value):
        return "Invalid" if zod == "3" else f"Invalid string: must match pattern /{pattern}/"
    return _format_complaint(facts.get("format"), value, zod)


def _format_complaint(form: str | None, value: str, zod: Zod) -> str | None:
    match form:
        case "uuid" if not _UUID.fullmatch(value):
            return "Invalid uuid" if zod == "3" else "Invalid UUID"
        case "date-time" if not is_datetime(value):
            return "Invalid datetime" if zod == "3" else "Invalid ISO datetime"
        case "date-math" if not _DATE_MATH.fullmatch(value):
            return "Failed to parse date-math expression"
        case _:
            return None


def is_datetime(value: str) -> bool:
    """Whether the text is an ISO date with a time and a zone."""
    if "T" not in value:
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _number_complaint(kind: str, facts: dict[str, Any], value: float, zod: Zod) -> str | None:
    if kind == "integer" and not (math.isfinite(value) and value == int(value)):
        if zod == "3":
            return "Expected integer, received float"
        return "Invalid input: expected int, received number"
    low, high = facts.get("minimum"), facts.get("maximum")
    if low is not None and value < low:
        if zod == "3":
            return f"Number must be greater than or equal to {low}"
        return f"Too small: expected number to be >={low}"
    if high is not None and value > high:
        if zod == "3":
            return f"Number must be less than or equal to {high}"
        return f"Too big: expected number to be <={high}"
    return None
