"""From a rule's `detection:` to a tree for each of its selections, in a family's names.

Nothing is parsed twice: the values come from the document that is loaded already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from sigma.conditions import ConditionAND
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.types import SigmaString

from ruledeploy.errors import Location, RuleError
from ruledeploy.fields import FieldTable
from ruledeploy.sigma.condition import condition_tree
from ruledeploy.sigma.fieldref import in_family, is_fieldref
from ruledeploy.sigma.filters import NO_SELECTION
from ruledeploy.sigma.match import Pattern
from ruledeploy.sigma.placeholders import NO_PLACEHOLDERS, Placeholders, with_values
from ruledeploy.sigma.reading import said
from ruledeploy.sigma.selection import to_pattern
from ruledeploy.sigma.source import RuleSource
from ruledeploy.sigma.taxonomy import Taxonomy
from ruledeploy.sigma.texts import line_of_texts, text_pattern
from ruledeploy.sigma.tree import And, Line, Or, Tree, Value, joined

# A name that no `them` and no `selection*` of a rule reaches, because it starts with `_`.
_LOG_SOURCE = "_logsource"
_NO_SELECTION = {"detection": ("condition", "timeframe"), "filter": NO_SELECTION}
_HASH_FIELDS = frozenset({"Hashes", "Hash"})
_OF = re.compile(r"\b(?:1|any|all)\s+of\s+([\w*]+)", re.IGNORECASE)
_DASH = re.compile(r"\B[-/]\b")
_WILD = re.compile(r"[*?]")
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
Keys = tuple[str | int, ...]


class Detection(Struct, frozen=True, gc=False):
    """What a document asks: selections by name, and one condition over them, with its place."""

    selections: Mapping[str, Tree]
    condition: str
    place: Location

    def tree(self) -> Tree | None:
        """The condition with its selections; None where it asks nothing. Raises `SigmaError`."""
        return condition_tree(self.condition, self.selections)


def build(
    source: RuleSource,
    taxonomy: Taxonomy,
    table: FieldTable,
    placeholders: Placeholders = NO_PLACEHOLDERS,
) -> Detection:
    """The selections and the condition: what the log source has, and what the rule says.

    Of a filter document: its selections and its condition. Raises `RuleError` at the line of what
    pySigma refuses, and of a placeholder without a value.
    """
    return _Builder(source, taxonomy, table, placeholders).detection()


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
        self.place = source.doc.at(self.root, "condition")

    def detection(self) -> Detection:
        raw = self.source.raw[self.root]
        named = {
            str(name): self.selection(definition, (self.root, name))
            for name, definition in raw.items()
            if name not in _NO_SELECTION[self.root]
        }
        condition = self._condition(raw)
        if self.taxonomy.condition and self.root == "detection":
            always = self.taxonomy.condition.items()
            lines = [line_of_texts(field, value, self.place) for field, value in always]
            named[_LOG_SOURCE] = joined(And, [line.tree() for line in lines if line])
            condition = f"{_LOG_SOURCE} and ({condition})"
        if not named:
            raise self._wrong((self.root,), "No detections defined in Sigma rule")
        return Detection(named, condition, self.place)

    def _condition(self, raw: Mapping[str, Any]) -> str:
        written = raw["condition"]
        each_written = written if isinstance(written, list) else [written]
        several = [str(each) for each in each_written]
        place = self.place
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
                message = f"condition: no selection is named {pattern!r}"
                hint = f"there are: {', '.join(names) or 'none'}"
                raise RuleError(message, location=self.place, hint=hint)

    def selection(self, definition: Any, keys: Keys) -> Tree:
        """A mapping (AND), a list of mappings (OR), or keywords."""
        match definition:
            case None | []:
                message = f"{keys[-1]} is empty"
                raise RuleError(message, location=self.source.doc.at(*keys), hint="field: value")
            case dict():
                lines = [self.item(str(k), v, (*keys, k)) for k, v in definition.items()]
                if not lines:
                    raise self._wrong(keys, "Detection is empty")
                return joined(And, lines)
            case list() if any(isinstance(each, dict | list) for each in definition):
                parts = (self.selection(each, (*keys, n)) for n, each in enumerate(definition))
                return joined(Or, parts)
            case _:
                found = self._sigma(lambda: SigmaDetection.from_definition(definition), keys)
                (keywords,) = found.detection_items
                return _as_line(keywords, self.source.doc.at(*keys)).tree()

    def item(self, key: str, value: Any, keys: Keys) -> Tree:
        """One line, under the names of the family."""
        place = self.source.doc.at(*keys)
        line = line_of_texts(key, value, place)
        if line is None:
            line = self._other_line(key, value, keys, place)
            if line.field is not None and is_fieldref(line):
                return in_family(line, line.field, self.taxonomy, self.table).apart()
        return self._in_family(line, keys)

    def _other_line(self, key: str, value: Any, keys: Keys, place: Location) -> Line:
        """A line of other values than texts, or with modifiers that pySigma has to apply."""
        self._refuse_values(key, value, keys)
        if isinstance(value, dict) or (
            isinstance(value, list) and any(isinstance(each, list | dict) for each in value)
        ):
            message = f"{key}: nested values mean nothing in Sigma"
            hint = "write the field's full dotted name"
            raise RuleError(message, location=place, hint=hint)
        item = self._sigma(lambda: SigmaDetectionItem.from_mapping(key, value), keys)
        with_values(item, self.placeholders, place)
        return _as_line(item, place)

    def _in_family(self, line: Line, keys: Keys) -> Tree:
        name = line.field
        if name is None:
            return line.tree()
        if name in _HASH_FIELDS and self.table.get(name) is None:
            return self._hashes(line, keys)
        words = _WORDS.get(name)
        if words is not None and self.taxonomy.names.get("Image") and words[1]:
            return _translated(line, *words).tree()
        fields = self.taxonomy.fields(name, self.table)
        if name == "User" and len(fields) > 1:
            return _user(line, *fields)
        return _renamed(line, fields)

    def _refuse_values(self, key: str, value: Any, keys: Keys) -> None:
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

    def _hashes(self, line: Line, keys: Keys) -> Tree:
        """`Hashes|contains: [MD5=…, IMPHASH=…]` as one line for each algorithm's field."""
        named: dict[str, list[Value]] = {}
        for value in line.values:
            algorithm, digest = _digest(value)
            name = (
                self.taxonomy.imphash
                if algorithm == "IMPHASH"
                else f"{self.taxonomy.hashes}{_ALGORITHMS.get(algorithm, '')}"
            )
            if name.endswith("."):
                raise RuleError(
                    f"{line.field}: {_text(value)} names no hash we know",
                    location=self.source.doc.at(*keys),
                    hint="MD5=, SHA1=, SHA256= or IMPHASH=",
                )
            named.setdefault(name, []).append(text_pattern(digest))
        lines = (replace(line, field=name, values=tuple(each)) for name, each in named.items())
        return joined(_turned(line.every, line), [each.tree() for each in lines])

    def _sigma(self, make: Callable[[], Made], keys: Keys) -> Made:
        """Run a constructor of pySigma's; its errors get our place and class."""
        try:
            return make()
        except _PYSIGMAS as error:
            deep = isinstance(error, RecursionError)
            raise self._wrong(keys, "nested too deep" if deep else said(error)) from error

    def _wrong(self, keys: Keys, what: str) -> RuleError:
        return RuleError(f"{keys[-1]}: {what}", location=self.source.doc.at(*keys))


def _as_line(item: Any, place: Location) -> Line:
    every = item.value_linking is ConditionAND
    return Line(item.field, tuple(item.value), every, item.negated, place)


def _renamed(line: Line, fields: tuple[str, ...]) -> Tree:
    if fields == (line.field,):
        return line.tree()
    lines = [replace(line, field=name).tree() for name in fields]
    return joined(_turned(False, line), lines)


def _translated(line: Line, field: str, words: Mapping[str, str]) -> Line:
    """Values in ECS's words: `Initiated: 'true'` is `network.direction: egress`."""
    values = tuple(_word(value, words) for value in line.values)
    return replace(line, field=field, values=values)


def _word(value: Value, words: Mapping[str, str]) -> Value:
    word = words.get(_text(value).lower())
    return value if word is None else text_pattern(word)


def _user(line: Line, domain: str, name: str) -> Tree:
    r"""`NT AUTHORITY\SYSTEM` asks both fields, `SYSTEM` either: ECS keeps them apart."""
    lines: list[Tree] = []
    for value in line.values:
        pair = _split_user(value)
        if pair is None:
            lines.append(_renamed(replace(line, values=(value,)), (domain, name)))
            continue
        sides = zip((domain, name), pair, strict=True)
        both = [replace(line, field=field, values=(side,)).tree() for field, side in sides]
        lines.append(joined(_turned(True, line), both))
    return joined(_turned(line.every, line), lines)


def _turned(every: bool, line: Line) -> type[And | Or]:
    """What joins lines that each keep the line's NOT: turned round by it (De Morgan)."""
    return And if every is not line.negated else Or


def _split_user(value: Value) -> tuple[Pattern, Pattern] | None:
    if isinstance(value, SigmaString):
        value = to_pattern(value)
    if not isinstance(value, Pattern):
        return None
    for at, part in enumerate(value.parts):
        if isinstance(part, str) and "\\" in part:
            left, _, right = part.partition("\\")
            before = (*value.parts[:at], *([left] if left else []))
            after = (*([right] if right else []), *value.parts[at + 1 :])
            return Pattern(before), Pattern(after)
    return None


def _text(value: Value) -> str:
    """A value as it is written."""
    if not isinstance(value, Pattern):
        return str(value)
    return "".join(
        _WILD.sub(r"\\\g<0>", part) if isinstance(part, str) else part.sign for part in value.parts
    )


def _digest(value: Value) -> tuple[str, str]:
    text = _text(value).strip("*")
    algorithm, found, digest = text.partition("=")
    if found:
        return algorithm.strip().upper(), digest
    return _LENGTHS.get(len(text), ""), text
