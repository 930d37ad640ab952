"""What a Sigma rule means, read off its condition tree and nothing else of ours but the names.

Small on purpose: Python's `re`, `ipaddress` and comparisons, over the values of a flat event. It
knows of an index only what Sigma's specification leaves to it: which fields there are, that a
number field holds numbers and an address field addresses, and which vocabularies are exact.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
)

from ruledeploy.engine.binding import resolve
from ruledeploy.fields import PRODUCER_FIXED, FieldTable
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.selection import to_pattern
from ruledeploy.sigma.tree import And, Comparison, Not, Or

_NUMBERS = frozenset(
    {"byte", "short", "integer", "long", "unsigned_long", "float", "half_float", "double"}
)
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


class Meaning:
    """A rule's tree on events of one table."""

    def __init__(self, tree: Any, table: FieldTable) -> None:
        self.tree = tree
        self.table = table

    def holds(self, event: dict[str, Any]) -> bool:
        """Whether the rule matches the event (flat, names with dots)."""
        return self._holds(self.tree, event)

    def _holds(self, node: Any, event: dict[str, Any]) -> bool:
        match node:
            case And(parts):
                return all(self._holds(part, event) for part in parts)
            case Or(parts):
                return any(self._holds(part, event) for part in parts)
            case Not(part):
                return not self._holds(part, event)
            case Comparison(str(field), values, every):
                return (all if every else any)(self._asks(field, each, event) for each in values)
        raise AssertionError(node)

    def _asks(self, field: str, value: Any, event: dict[str, Any]) -> bool:
        found = self._values(field, event)
        type_ = self._type(field)
        match value:
            case SigmaExpansion():
                return any(self._asks(field, each, event) for each in value.values)
            case SigmaNull():
                return not found
            case SigmaExists():
                return bool(found) == value.exists
            case _:
                return any(_equals(each, value, type_, field) for each in found)

    def _values(self, field: str, event: dict[str, Any]) -> list[Any]:
        place = resolve(self.table, field)
        if self.table.lacks(self.table.resolve(field)) or place is None:
            return []
        type_ = self._type(field)
        return [each for each in _each(event.get(place.path)) if _fits(each, type_)]

    def _type(self, field: str) -> str:
        place = resolve(self.table, field)
        return place.type.type if place else "keyword"


def _each(written: Any) -> list[Any]:
    """The values of a field: arrays in arrays are one array, null is none."""
    if isinstance(written, list):
        return [one for inner in written for one in _each(inner)]
    return [] if written is None else [written]


def _fits(value: Any, type_: str) -> bool:
    """Whether an index takes the value in a field of the type; others it ignores."""
    try:
        if type_ in _NUMBERS:
            float(value)
        if type_ == "ip":
            ip_address(value)
    except ValueError:
        return False
    return True


def _equals(value: Any, wanted: Any, type_: str, field: str) -> bool:
    match wanted:
        case SigmaCIDRExpression():
            return _in_network(str(value), wanted.cidr)
        case SigmaCompareExpression():
            signs = {"LT": "__lt__", "LTE": "__le__", "GT": "__gt__", "GTE": "__ge__"}
            return bool(getattr(float(value), signs[wanted.op.name])(float(wanted.number.number)))
        case SigmaRegularExpression():
            letters = "".join(wanted.sigma_to_re_flag[flag] for flag in wanted.flags)
            flags = sum(int(_FLAGS[letter]) for letter in letters)
            return re.search(wanted.regexp.to_plain_regex(), str(value), flags) is not None
        case SigmaBool():
            return _text(value) == ("true" if wanted.boolean else "false")
        case SigmaNumber() if type_ in _NUMBERS:
            return float(value) == float(wanted.number)
        case SigmaNumber():
            return _text(value) == str(wanted.number)
        case SigmaCasedString():
            return _like(value, to_pattern(wanted), type_, exact=True)
        case SigmaString():
            return _like(value, to_pattern(wanted), type_, exact=field in PRODUCER_FIXED)
        case Pattern():
            return _like(value, wanted, type_, exact=field in PRODUCER_FIXED)
    raise AssertionError(wanted)


def _like(value: Any, wanted: Pattern, type_: str, *, exact: bool) -> bool:
    signs = {Wildcard.ANY: ".*", Wildcard.ONE: "."}
    text = "".join(
        signs[part] if isinstance(part, Wildcard) else re.escape(part) for part in wanted.parts
    )
    if type_ in _NUMBERS and text != ".*":
        plain = wanted.plain or ""
        return plain.lstrip("-").replace(".", "", 1).isdigit() and float(value) == float(plain)
    if type_ == "ip" and wanted.plain is not None:
        try:
            return ip_address(str(value)) == ip_address(wanted.plain)
        except ValueError:
            return False
    flags = re.DOTALL | (0 if exact else re.IGNORECASE)
    return re.fullmatch(text, _text(value), flags) is not None


def _in_network(value: str, network: str) -> bool:
    try:
        return ip_address(value) in ip_network(network, strict=False)
    except ValueError:
        return False


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
