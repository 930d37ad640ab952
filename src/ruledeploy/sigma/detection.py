"""From a rule's `detection:` to pySigma's objects, in a family's names and with positions.

Nothing is parsed twice: the values come from the document that is loaded already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from sigma.conditions import ConditionAND, ConditionOR
from sigma.exceptions import SigmaError, SigmaRuleLocation
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaString, SigmaType

from ruledeploy.errors import Location, RuleError
from ruledeploy.fields import FieldTable
from ruledeploy.sigma.fieldref import in_family, is_fieldref
from ruledeploy.sigma.filters import NO_SELECTION
from ruledeploy.sigma.placeholders import NO_PLACEHOLDERS, Placeholders, with_values
from ruledeploy.sigma.reading import said
from ruledeploy.sigma.source import RuleSource
from ruledeploy.sigma.taxonomy import Taxonomy
from ruledeploy.sigma.texts import line_of_texts

# A name that no `them` and no `selection*` of a rule reaches, because it starts with `_`.
_LOG_SOURCE = "_logsource"
_NO_SELECTION = {"detection": ("condition", "timeframe"), "filter": NO_SELECTION}
_HASH_FIELDS = frozenset({"Hashes", "Hash"})
_OF = re.compile(r"\b(?:1|any|all)\s+of\s+([\w*]+)", re.IGNORECASE)
_DASH = re.compile(r"\B[-/]\b")
_MOST_DASHES = 5
_ALGORITHMS = {"MD5": "md5", "SHA1": "sha1", "SHA256": "sha256"}
_LENGTHS = {32: "MD5", 40: "SHA1", 64: "SHA256"}
# Sysmon's words for what ECS says otherwise.
_WORDS = {
    "Initiated": ("network.direction", {"true": "egress", "false": "ingress"}),
    "DestinationIsIpv6": ("network.type", {"true": "ipv6", "false": "ipv4"}),
    "SourceIsIpv6": ("network.type", {"true": "ipv6", "false": "ipv4"}),
    "Signed": ("file.code_signature.signed", {}),
}

# What pySigma raises for what it is given.
_PYSIGMAS = (SigmaError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)

Made = TypeVar("Made")
Part = SigmaDetection | SigmaDetectionItem


def build(
    source: RuleSource,
    taxonomy: Taxonomy,
    table: FieldTable,
    placeholders: Placeholders = NO_PLACEHOLDERS,
) -> SigmaDetections:
    """The detections and one condition: what the log source has, and what the rule says.

    Of a filter document: its selections and its condition. Raises `RuleError` at the line of what
    pySigma refuses, and of a placeholder without a value.
    """
    return _Builder(source, taxonomy, table, placeholders).detections()


class _Builder:
    def __init__(
        self,
        source: RuleSource,
        taxonomy: Taxonomy,
        table: FieldTable,
        placeholders: Placeholders,
    ) -> None:
        self.source = source
        self.taxonomy = taxonomy
        self.table = table
        self.placeholders = placeholders
        self.root = "filter" if source.kind == "filter" else "detection"

    def detections(self) -> SigmaDetections:
        raw = self.source.raw[self.root]
        named = {
            str(name): self.detection(definition, (self.root, name))
            for name, definition in raw.items()
            if name not in _NO_SELECTION[self.root]
        }
        condition = self._condition(raw)
        if self.taxonomy.condition and self.root == "detection":
            place = _sigma_place(self.source.doc.at("logsource"))
            named[_LOG_SOURCE] = SigmaDetection.from_definition(self.taxonomy.condition, place)
            condition = f"{_LOG_SOURCE} and ({condition})"
        place = _sigma_place(self.source.doc.at(self.root, "condition"))
        return self._sigma(lambda: SigmaDetections(named, [condition], place), (self.root,))

    def _condition(self, raw: Mapping[str, Any]) -> str:
        written = raw["condition"]
        each_written = written if isinstance(written, list) else [written]
        several = [str(each) for each in each_written]
        place = self.source.doc.at(self.root, "condition")
        if any(isinstance(each, bool) for each in each_written):
            # YAML reads a bare yes, no, on or off so.
            raise RuleError("condition: must be text", location=place, hint="quote it")
        if "timeframe" in raw or any("|" in each for each in several):
            message = "aggregation in a condition (`| count()`, `timeframe`) is no longer Sigma"
            raise RuleError(message, location=place, hint="write a correlation rule")
        names = [str(name) for name in raw if name not in _NO_SELECTION[self.root]]
        for each in several:
            self._refuse_nobody(each, names)
        return several[0] if len(several) == 1 else " or ".join(f"({each})" for each in several)

    def _refuse_nobody(self, condition: str, names: Sequence[str]) -> None:
        """`1 of x*` without any x: pySigma drops it, and what is left matches far too much."""
        for pattern in _OF.findall(condition):
            glob = "[!_]*" if pattern == "them" else pattern
            if not any(fnmatchcase(name, glob) for name in names):
                place = self.source.doc.at(self.root, "condition")
                message = f"condition: no selection is named {pattern!r}"
                hint = f"there are: {', '.join(names) or 'none'}"
                raise RuleError(message, location=place, hint=hint)

    def detection(self, definition: Any, keys: tuple[str | int, ...]) -> SigmaDetection:
        """A mapping (AND), a list of mappings (OR), or keywords."""
        place = _sigma_place(self.source.doc.at(*keys))
        if definition is None:
            message = f"{keys[-1]} is empty"
            raise RuleError(message, location=self.source.doc.at(*keys), hint="field: value")
        match definition:
            case Mapping():
                items = [self.item(str(k), v, (*keys, k)) for k, v in definition.items()]
                return self._sigma(lambda: SigmaDetection(items, place), keys)
            case list() if any(isinstance(each, Mapping | list) for each in definition):
                parts = [self.detection(each, (*keys, n)) for n, each in enumerate(definition)]
                nested: list[Part] = list(parts)
                return self._sigma(lambda: SigmaDetection(nested, place), keys)
            case _:
                return self._sigma(lambda: SigmaDetection.from_definition(definition, place), keys)

    def item(self, key: str, value: Any, keys: tuple[str | int, ...]) -> Part:
        """One line, under the names of the family."""
        where = self.source.doc.at(*keys)
        place = _sigma_place(where)
        self._refuse_values(key, value, keys)
        texts = line_of_texts(key, value, place)
        if texts is not None:
            return self._in_family(texts)
        if isinstance(value, Mapping) or (
            isinstance(value, list) and any(isinstance(each, list | Mapping) for each in value)
        ):
            message = f"{key}: nested values mean nothing in Sigma"
            hint = "write the field's full dotted name"
            raise RuleError(message, location=where, hint=hint)
        item = self._sigma(lambda: SigmaDetectionItem.from_mapping(key, value, place), keys)
        with_values(item, self.placeholders, where)
        if item.field is not None and is_fieldref(item):
            return in_family(item, item.field, self.taxonomy, self.table)
        return self._in_family(item)

    def _in_family(self, item: SigmaDetectionItem) -> Part:
        name = item.field
        if name is None:
            return item
        if name in _HASH_FIELDS and self.table.get(name) is None:
            return self._hashes(item)
        words = _WORDS.get(name)
        if words is not None and self.taxonomy.names.get("Image") and words[1]:
            return _translated(item, *words)
        fields = self.taxonomy.fields(name, self.table)
        if name == "User" and len(fields) > 1:
            return _user(item, *fields)
        return _renamed(item, fields)

    def _refuse_values(self, key: str, value: Any, keys: tuple[str | int, ...]) -> None:
        """Values that pySigma would take for something else."""
        values = value if isinstance(value, list) else [value]
        if not values:
            # pySigma reads "no value", which asks for events without the field.
            message, hint = f"{key}: an empty list of values", "write null for a missing field"
            raise RuleError(message, location=self.source.doc.at(*keys), hint=hint)
        modifiers = key.split("|")[1:]
        if "windash" in modifiers:
            # Each dash becomes one of five kinds, in every combination.
            most = max(len(_DASH.findall(str(each))) for each in values)
            if most > _MOST_DASHES:
                message = f"{key}: {most} dashes in a value, at most {_MOST_DASHES} can be tried"
                hint = "split the value, joined by `all`"
                raise RuleError(message, location=self.source.doc.at(*keys), hint=hint)
        if "re" in modifiers and not all(isinstance(each, str) for each in values):
            message = f"{key}: a regular expression must be text"
            raise RuleError(message, location=self.source.doc.at(*keys), hint="quote it")

    def _hashes(self, item: SigmaDetectionItem) -> SigmaDetection:
        """`Hashes|contains: [MD5=…, IMPHASH=…]` as one line for each algorithm's field."""
        named: dict[str, list[SigmaType]] = {}
        for value in item.value:
            algorithm, digest = _digest(value)
            name = (
                self.taxonomy.imphash
                if algorithm == "IMPHASH"
                else f"{self.taxonomy.hashes}{_ALGORITHMS.get(algorithm, '')}"
            )
            if name.endswith("."):
                place = _location(self.source.path, item.source)
                raise RuleError(
                    f"{item.field}: {value} names no hash we know",
                    location=place,
                    hint="MD5=, SHA1=, SHA256= or IMPHASH=",
                )
            named.setdefault(name, []).append(SigmaString(digest))
        lines: list[Part] = [_with(item, field=name, value=each) for name, each in named.items()]
        return SigmaDetection(lines, item.source, _turn(item.value_linking, item))

    def _sigma(self, make: Callable[[], Made], keys: tuple[str | int, ...]) -> Made:
        """Run a constructor of pySigma's; its errors get our place and class."""
        try:
            return make()
        except _PYSIGMAS as error:
            name = str(keys[-1])
            deep = isinstance(error, RecursionError)
            what = "nested too deep" if deep else said(error)
            raise RuleError(f"{name}: {what}", location=self.source.doc.at(*keys)) from error


def _with(item: SigmaDetectionItem, **changes: Any) -> SigmaDetectionItem:
    return replace(item, auto_modifiers=False, **changes)


def _renamed(item: SigmaDetectionItem, fields: tuple[str, ...]) -> Part:
    if len(fields) == 1:
        item.field = fields[0]
        return item
    linking = ConditionAND if item.negated else ConditionOR
    return SigmaDetection([_with(item, field=name) for name in fields], item.source, linking)


def _translated(item: SigmaDetectionItem, field: str, words: Mapping[str, str]) -> Part:
    """Values in ECS's words: `Initiated: 'true'` is `network.direction: egress`."""
    values = [_word(value, words) for value in item.value]
    return _with(item, field=field, value=values)


def _word(value: SigmaType, words: Mapping[str, str]) -> SigmaType:
    word = words.get(str(value).lower())
    return value if word is None else SigmaString(word)


def _user(item: SigmaDetectionItem, domain: str, name: str) -> Part:
    r"""`NT AUTHORITY\SYSTEM` asks both fields, `SYSTEM` either: ECS keeps them apart."""
    lines: list[Part] = []
    for value in item.value:
        before, after = _split_user(value)
        if before is None or after is None:
            lines.append(_renamed(_with(item, value=[value]), (domain, name)))
            continue
        pair = [_with(item, field=domain, value=[before]), _with(item, field=name, value=[after])]
        lines.append(SigmaDetection(list(pair), item.source, _turn(ConditionAND, item)))
    return SigmaDetection(lines, item.source, _turn(item.value_linking, item))


def _turn(linking: Any, item: SigmaDetectionItem) -> Any:
    """The linking of lines that each keep the item's NOT: turned round by it (De Morgan)."""
    if not item.negated:
        return linking
    return ConditionAND if linking is ConditionOR else ConditionOR


def _split_user(value: SigmaType) -> tuple[SigmaString | None, SigmaString | None]:
    if not isinstance(value, SigmaString):
        return None, None
    for at, part in enumerate(value.s):
        if isinstance(part, str) and "\\" in part:
            left, _, right = part.partition("\\")
            before, after = SigmaString(), SigmaString()
            before.s = [*value.s[:at], *([left] if left else [])]
            after.s = [*([right] if right else []), *value.s[at + 1 :]]
            return before, after
    return None, None


def _digest(value: SigmaType) -> tuple[str, str]:
    text = str(value).strip("*")
    algorithm, found, digest = text.partition("=")
    if found:
        return algorithm.strip().upper(), digest
    return _LENGTHS.get(len(text), ""), text


@lru_cache(maxsize=8)
def _file(path: str) -> Path:
    """The path as pySigma wants it: of a file's every line it is the same."""
    return Path(path)


def _sigma_place(place: Location) -> SigmaRuleLocation:
    return SigmaRuleLocation(_file(place.path), place.line, place.column)


def _location(path: str, source: SigmaRuleLocation | None) -> Location:
    return Location(path, source.line or 0, source.char or 0) if source else Location(path)
