"""From a selection to the entries of exception items, for one telemetry family.

Entries are joined by AND, and Kibana has no wildcard-any: an OR that a single `match_any` cannot
say becomes several items. What an entry means depends on the field's type in the index, so every
field must be in the family's table: an entry on a field nobody indexes would never hide anything.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

from ruledeploy.allowlist.values import ValueLists
from ruledeploy.errors import Collector, Location, OverlayError
from ruledeploy.fields import PRODUCER_FIXED, FieldTable, FieldType
from ruledeploy.model import Finding
from ruledeploy.sigma import FieldMatch, Pattern

Entry = dict[str, Any]
# More numbered items than a reviewer can read means the allowlist belongs in the rule.
MAX_ALTERNATIVES = 50

_WHOLE_NUMBERS = frozenset({"long", "integer", "short", "byte", "unsigned_long"})
_NUMBERS = _WHOLE_NUMBERS | {"double", "float", "half_float", "scaled_float"}
_TEXTUAL = frozenset({"keyword", "wildcard", "constant_keyword"})


@dataclass(frozen=True, slots=True)
class Entries:
    """The alternatives (each one item's entries) and what there is to say about them."""

    alternatives: tuple[tuple[Entry, ...], ...]
    findings: tuple[Finding, ...]


def compile_entries(
    match: Iterable[FieldMatch],
    exclude: Iterable[FieldMatch],
    table: FieldTable,
    lists: ValueLists,
) -> Entries:
    """Entries that say `match AND NOT each of exclude` on the fields of `table`.

    Raises `OverlayError` or `Problems`: unmapped fields, values the field's type cannot hold,
    constructs entries cannot say, more than `MAX_ALTERNATIVES` items.
    """
    collector = Collector()
    findings: list[Finding] = []
    choices: list[list[list[Entry]]] = []
    for line in match:
        with collector.collect():
            choices.append(_FieldEntries(line, table, findings).included(lists))
    for line in exclude:
        with collector.collect():
            choices.append([_FieldEntries(line, table, findings).excluded()])
    collector.raise_if_any()
    _refuse_mixed_large(choices, match, lists)
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > MAX_ALTERNATIVES:
        place = next(iter(match)).location
        message = f"this needs {total} exception items, more than the {MAX_ALTERNATIVES} allowed"
        raise OverlayError(
            message, location=place, hint="narrow the lists of patterns, or put it in the rule"
        )
    alternatives = tuple(
        tuple(_group_nested([entry for part in parts for entry in part], table))
        for parts in product(*choices)
    )
    return Entries(alternatives, tuple(findings))


class _FieldEntries:
    """One line of a selection on one field."""

    def __init__(self, line: FieldMatch, table: FieldTable, findings: list[Finding]) -> None:
        self.line = line
        self.table = table
        self.findings = findings
        self.type = self._searchable_type()
        self.field, self.lowered = self._spelling()

    def included(self, lists: ValueLists) -> list[list[Entry]]:
        """Alternatives, each a list of entries joined by AND."""
        line = self.line
        if line.kind == "list":
            return [[self._listed(lists)]]
        if line.kind == "exists":
            return [[self._exists("included" if line.present else "excluded")]]
        plain, wild = self._values()
        if line.all_of:
            return [
                [self._equals([text], "included") for text in plain]
                + [self._wildcard(text, "included") for text in wild]
            ]
        alternatives = [[self._equals(plain, "included")]] if plain else []
        return alternatives + [[self._wildcard(text, "included")] for text in wild]

    def excluded(self) -> list[Entry]:
        """Entries joined by AND that say the line is false."""
        line = self.line
        if line.kind == "list":
            raise self._error(
                "a value list cannot be excluded: a value added to it would uncover events at once",
                "put it in the rule",
            )
        if line.kind == "exists":
            return [self._exists("excluded" if line.present else "included")]
        if line.all_of:
            raise self._error(
                "not (a and b) is an OR, which entries cannot say",
                "write two items, or put it in the rule",
            )
        plain, wild = self._values()
        entries = [self._equals(plain, "excluded")] if plain else []
        return entries + [self._wildcard(text, "excluded") for text in wild]

    def _listed(self, lists: ValueLists) -> Entry:
        """The value lists of Kibana know no letter case of their own: the field decides.

        A list too large for a query is compared with the event as it was sent, so on the field
        itself.
        """
        used = lists.use(self.line.list_name, self.type, self.line.location)
        field = self.table.resolve(self.line.field)
        if not used.large and used.type == "keyword" and field not in PRODUCER_FIXED:
            field = self.table.caseless(field) or field
        entry = {"field": field, "operator": "included", "type": "list"}
        return {**entry, "list": {"id": used.id, "type": used.type}}

    def _error(self, message: str, hint: str) -> OverlayError:
        return OverlayError(f"{self.line.field}: {message}", location=self.line.location, hint=hint)

    def _searchable_type(self) -> FieldType:
        field = self.line.field
        type_ = self.table.get(field)
        if type_ is None:
            near = difflib.get_close_matches(field, self.table.fields, n=1, cutoff=0.7)
            hint = (
                f"did you mean {near[0]!r}?" if near else "see the field table of the data source"
            )
            raise self._error(
                f"no such field in {self.table.family}: the item would never match", hint
            )
        if not type_.searchable:
            raise self._error(
                f"stored but not searchable in {self.table.family}: the item would never match",
                "choose an indexed field",
            )
        return type_

    def _spelling(self) -> tuple[str, bool]:
        """The field to ask, and whether its values are lower-cased there."""
        line = self.line
        field = self.table.resolve(line.field)
        if line.kind != "match" or line.cased or field in PRODUCER_FIXED:
            return field, False
        sibling = self.table.caseless(field)
        if sibling is not None:
            return sibling, True
        letters = any(
            isinstance(part, str) and part.lower() != part.upper()
            for pattern in line.values
            for part in pattern.parts
        )
        if self.type.type in _TEXTUAL and letters:
            message = (
                f"{field} has no lower-cased sibling in {self.table.family}:"
                " the item matches this exact spelling only"
            )
            hint = "write it as the events do, and say so with |cased"
            self.findings.append(Finding("info", "case-sensitive", message, line.location, hint))
        return field, False

    def _values(self) -> tuple[list[str], list[str]]:
        """Plain values, and wildcard patterns, as entries hold them."""
        plain: list[str] = []
        wild: list[str] = []
        for value in self.line.values:
            pattern = value.lowered() if self.lowered else value
            text = pattern.plain
            if text is None:
                wild.append(self._checked_pattern(pattern))
            else:
                plain.append(self._checked(text))
        return list(dict.fromkeys(plain)), list(dict.fromkeys(wild))

    def _checked_pattern(self, pattern: Pattern) -> str:
        if pattern.matches_anything:
            raise self._error(
                "a bare * matches every value", f"write  {self.line.field}|exists: true"
            )
        if self.type.type not in _TEXTUAL:
            raise self._error(
                f"a wildcard on a field of type {self.type.type} fails the whole rule",
                "write whole values",
            )
        return pattern.to_wildcard()

    def _checked(self, text: str) -> str:
        if not text:
            raise self._error(
                "an entry cannot hold an empty value", f"write  {self.line.field}: null"
            )
        problem = _problem(text, self.type, network=self.line.kind == "cidr")
        if problem:
            # Kibana stores such an item, and the rule then gives no alerts and no error.
            raise self._error(f"{text!r} {problem}", "an item with it could silence the rule")
        limit = self.type.ignore_above
        if limit is not None and len(text) > limit:
            raise self._error(
                f"values longer than {limit} characters are not indexed here",
                "use a shorter value with |startswith on another field",
            )
        return text

    def _equals(self, values: list[str], operator: str) -> Entry:
        if len(values) == 1:
            return {"field": self.field, "operator": operator, "type": "match", "value": values[0]}
        return {"field": self.field, "operator": operator, "type": "match_any", "value": values}

    def _wildcard(self, value: str, operator: str) -> Entry:
        return {"field": self.field, "operator": operator, "type": "wildcard", "value": value}

    def _exists(self, operator: str) -> Entry:
        return {"field": self.field, "operator": operator, "type": "exists"}


def verbatim_findings(
    entries: Iterable[Mapping[str, Any]], table: FieldTable, place: Location
) -> Iterator[Finding]:
    """What is doubtful about entries in Kibana's own form: values that a field cannot hold.

    Kibana stores them all the same. Fields that the table does not know are left alone.
    """
    for entry in entries:
        type_ = table.get(str(entry["field"]))
        if type_ is None or entry.get("type") not in {"match", "match_any"}:
            continue
        value = entry["value"]
        for text in value if isinstance(value, list) else [value]:
            problem = _problem(text, type_, network=False)
            if problem:
                message = f"{entry['field']}: {text!r} {problem}"
                hint = "an item with it could silence the rule"
                yield Finding("warning", "bad-entry", message, place, hint)


def _refuse_mixed_large(
    choices: list[list[list[Entry]]], match: Iterable[FieldMatch], lists: ValueLists
) -> None:
    """Kibana applies a large list after the search, and then by that entry alone."""
    entries = [entry for choice in choices for part in choice for entry in part]
    large = [one for one in entries if one["type"] == "list" and lists.large(one["list"]["id"])]
    if large and len(entries) > 1:
        place = next(line.location for line in match if line.kind == "list")
        raise OverlayError(
            "a value list this large cannot be joined with other conditions: Kibana would ignore "
            "them, and hide more than is written",
            location=place,
            hint="keep the item to the value list, or the list to 65,536 values",
        )


def _problem(text: str, type_: FieldType, *, network: bool) -> str | None:
    """Why a field of this type cannot hold the value, or None when it can."""
    kind = type_.type
    if network and kind != "ip":
        return f"is a network, but the field is of type {kind}"
    if kind == "ip":
        return None if _is_address(text, network=network) else "is no IP address"
    if kind == "boolean" and text not in {"true", "false"}:
        return "is neither true nor false"
    if kind in _NUMBERS and not _is_number(text, whole=kind in _WHOLE_NUMBERS):
        return f"is no {kind}"
    if kind == "date" and not _is_date(text):
        return "is no date"
    return None


def _is_address(text: str, *, network: bool) -> bool:
    try:
        ipaddress.ip_network(text, strict=False) if network else ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        int(text) if whole else float(text)
    except ValueError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _group_nested(entries: list[Entry], table: FieldTable) -> list[Entry]:
    """Entries below a `nested` object move into one entry for that object.

    Kibana's nested entries take no wildcard, and ask all of their parts of the same object.
    """
    flat: list[Entry] = []
    nested: dict[str, list[Entry]] = {}
    for entry in entries:
        path = table.nested_path(entry["field"])
        if path is None:
            flat.append(entry)
        elif entry["type"] == "wildcard":
            raise OverlayError(
                f"{entry['field']} lies in a nested object, where entries take no wildcards",
                hint="write whole values",
            )
        else:
            inner = {**entry, "field": entry["field"].removeprefix(f"{path}.")}
            nested.setdefault(path, []).append(inner)
    return flat + [{"field": path, "type": "nested", "entries": n} for path, n in nested.items()]
