"""Sigma selection syntax for allowlists: pySigma reads modifiers and wildcards, we narrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sigma.conditions import ConditionAND
from sigma.exceptions import SigmaError, SigmaPlaceholderError
from sigma.rule import SigmaDetectionItem
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaExists,
    SigmaNull,
    SigmaNumber,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from ruledeploy.errors import Collector, Location, OverlayError
from ruledeploy.sigma.match import FieldMatch, Pattern, Wildcard
from ruledeploy.sigma.reading import said
from ruledeploy.yamldoc import YamlDoc

MODIFIERS = ("contains", "startswith", "endswith", "all", "cidr", "exists", "cased")
_WAY_OUT = "an exception entry cannot say this: put it in the rule"
_WILDCARDS = {SpecialChars.WILDCARD_MULTI: Wildcard.ANY, SpecialChars.WILDCARD_SINGLE: Wildcard.ONE}


def parse_selection(doc: YamlDoc, *keys: str | int) -> tuple[FieldMatch, ...]:
    """The selection written at `doc.value[k1][k2]…`, one `FieldMatch` per line, in file order.

    The lines are joined by AND. Raises `OverlayError` (many: `Problems`) for what exception
    entries cannot say: regular expressions, ranges, keywords without a field, OR across fields.
    """
    selection: Any = doc.value
    for key in keys:
        selection = selection[key]
    place = doc.at(*keys)
    if isinstance(selection, list):
        raise OverlayError(
            "a list here means OR across fields, or keywords without a field",
            location=place,
            hint=f"{_WAY_OUT}, or write one item for each",
        )
    if not isinstance(selection, Mapping) or not selection:
        message = "a selection is a mapping of fields to values"
        raise OverlayError(message, location=place, hint="write  field.name: value")
    collector = Collector()
    matches = []
    for key, value in selection.items():
        with collector.collect():
            matches.append(_field_match(str(key), value, doc.at(*keys, key)))
    collector.raise_if_any()
    return tuple(matches)


def _field_match(key: str, value: Any, place: Location) -> FieldMatch:
    field, *modifiers = key.split("|")
    if not field.strip():
        message = "a keyword without a field would search every field"
        raise OverlayError(message, location=place, hint="name the field")
    for modifier in modifiers:
        _check_modifier(modifier, place)
    if isinstance(value, Mapping) and "value_list" in value:
        return _list_match(key, value, place)
    _check_value(field, value, place)
    try:
        item = SigmaDetectionItem.from_mapping(key, value)
    except SigmaError as error:
        raise OverlayError(f"{key}: {said(error)}", location=place) from error
    all_of = item.value_linking is ConditionAND and len(item.value) > 1
    return _narrow(field, item.value, place, all_of=all_of)


def _list_match(field: str, value: Mapping[str, Any], place: Location) -> FieldMatch:
    """`field: {value_list: name}`."""
    name = value["value_list"]
    if "|" in field or len(value) > 1 or not isinstance(name, str) or not name.strip():
        message = f"{field}: a value list is named alone, and takes no modifier"
        raise OverlayError(message, location=place, hint="write  field.name: {value_list: name}")
    return FieldMatch(field, "list", (), place, list_name=name.strip())


def _check_modifier(modifier: str, place: Location) -> None:
    if modifier in MODIFIERS:
        return
    if modifier == "neq":
        hint = "write the field under `not:`"
    else:
        hint = f"{_WAY_OUT}; modifiers here: {', '.join(MODIFIERS)}"
    raise OverlayError(
        f"the modifier `{modifier}` is not for allowlists", location=place, hint=hint
    )


def _check_value(field: str, value: Any, place: Location) -> None:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise OverlayError(f"{field} has an empty list of values", location=place)
    if any(isinstance(each, list | Mapping) for each in values):
        message = f"{field} holds a nested value"
        hint = "write the field's full dotted name, and plain values"
        raise OverlayError(message, location=place, hint=hint)


def _narrow(field: str, values: list[SigmaType], place: Location, *, all_of: bool) -> FieldMatch:
    """One kind for all values of a line; `exists` and null stand alone."""
    first = values[0]
    if isinstance(first, SigmaExists | SigmaNull):
        if len(values) > 1:
            message = f"{field} mixes presence with values"
            raise OverlayError(message, location=place, hint=_WAY_OUT)
        present = isinstance(first, SigmaExists) and first.exists
        return FieldMatch(field, "exists", (), place, present=present)
    if isinstance(first, SigmaCIDRExpression):
        networks = tuple(Pattern((cast("SigmaCIDRExpression", each).cidr,)) for each in values)
        return FieldMatch(field, "cidr", networks, place, all_of=all_of)
    patterns = tuple(_pattern(field, each, place) for each in values)
    cased = isinstance(first, SigmaCasedString)
    return FieldMatch(field, "match", patterns, place, all_of=all_of, cased=cased)


def _pattern(field: str, value: SigmaType, place: Location) -> Pattern:
    match value:
        case SigmaString():
            return to_pattern(value)
        case SigmaBool():
            return Pattern(("true" if value.boolean else "false",))
        case SigmaNumber():
            return Pattern((str(value.number),))
        case _:
            message = f"{field} mixes presence with values"
            raise OverlayError(message, location=place, hint=_WAY_OUT)


def to_pattern(value: SigmaString) -> Pattern:
    """A string of pySigma's as ours; empty texts go, adjacent texts merge.

    Raises `SigmaPlaceholderError` naming a placeholder (`|expand`) that nothing has filled in.
    """
    parts: list[str | Wildcard] = []
    for part in value.s:
        if isinstance(part, SpecialChars):
            parts.append(_WILDCARDS[part])
        elif not isinstance(part, str):
            message = f"the placeholder %{part.name}% has no value"
            raise SigmaPlaceholderError(message)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part:
            parts.append(part)
    return Pattern(tuple(parts))
