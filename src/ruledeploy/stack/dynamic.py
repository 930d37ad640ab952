"""Dynamic mapping: what an index learns of fields that its mappings leave open.

As on a server a field's first value decides, and the type stays; a mapping that is closed
(`dynamic: false`) learns nothing. Held to a real node's mappings by a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.query.dates import parse_date

# What a string becomes where nothing else is said, and in the streams of Elastic's own packages.
TEXT_AND_KEYWORD = FieldType(
    "text", fields=MappingProxyType({"keyword": FieldType("keyword", ignore_above=256)})
)
KEYWORD = FieldType("keyword", ignore_above=1024)
_DEFAULTS = {
    "boolean": FieldType("boolean"),
    "long": FieldType("long"),
    "double": FieldType("float"),
    "date": FieldType("date"),
}


@dataclass(frozen=True, slots=True)
class Template:
    """One dynamic template: a field that fits all its conditions gets its mapping."""

    body: Mapping[str, Any]

    def fits(self, path: str, kind: str) -> bool:
        """Whether a field and the JSON type of its value meet the conditions."""
        name = path.rpartition(".")[2]
        tests = (
            *(("match", name, True), ("path_match", path, True)),
            *(("unmatch", name, False), ("path_unmatch", path, False)),
        )
        return _fits(kind, self.body.get("match_mapping_type", "*")) and all(
            _fits(text, self.body[key]) is wanted for key, text, wanted in tests if key in self.body
        )

    def type(self, default: FieldType) -> FieldType:
        """The type that it gives, `{dynamic_type}` and a missing one being the default's."""
        mapping = dict(self.body.get("mapping", {}))
        if mapping.get("type", "{dynamic_type}") == "{dynamic_type}":
            mapping["type"] = default.type
        return FieldType.from_mapping(mapping)


def _fits(text: str, globs: str | Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in ([globs] if isinstance(globs, str) else globs))


@dataclass(slots=True)
class Learnt:
    """The table of one index, growing with its documents.

    `base` has the fields that are mapped already, `closed` the objects that take no further ones,
    `strings` is what a string becomes, `dates` whether one that looks like a date becomes one.
    """

    base: FieldTable
    strings: FieldType = TEXT_AND_KEYWORD
    dates: bool = True
    templates: tuple[Template, ...] = ()
    closed: frozenset[str] = frozenset()
    _fields: dict[str, FieldType] = field(default_factory=dict)
    _left_out: set[str] = field(default_factory=set)
    _table: FieldTable | None = None

    def learn(self, source: Mapping[str, Any]) -> None:
        """Take the fields of a document that are not known yet."""
        for path, value in _leaves(source, ""):
            if path in self._fields or path in self.base.fields or path in self._left_out:
                continue
            if self._is_closed(path):
                self._left_out.add(path)
                continue
            self._fields[path] = self._type_of(path, value)
            self._table = None

    def table(self) -> FieldTable:
        """The mapped fields and the learnt ones."""
        if self._table is None:
            base = self.base
            fields = MappingProxyType({**base.fields, **self._fields})
            self._table = FieldTable(base.family, base.index, fields, base.dynamic_keyword)
        return self._table

    def _is_closed(self, path: str) -> bool:
        """Whether the field lies in an object that takes none, or below a value."""
        parts = path.split(".")
        for length in range(1, len(parts)):
            above = ".".join(parts[:length])
            found = self.base.fields.get(above)
            below_value = found is not None and found.type not in ("object", "nested")
            if above in self.closed or below_value or (found is not None and not found.enabled):
                return True
        return False

    def _type_of(self, path: str, value: object) -> FieldType:
        kind = self._kind(value)
        default = _DEFAULTS.get(kind, self.strings)
        for template in self.templates:
            if template.fits(path, kind):
                return template.type(default)
        return default

    def _kind(self, value: object) -> str:
        """What `match_mapping_type` calls a value."""
        match value:
            case bool():
                return "boolean"
            case int():
                return "long"
            case float():
                return "double"
            case str() if self.dates and "-" in value and parse_date(value) is not None:
                return "date"
            case _:
                return "string"


def closed_objects(mappings: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The objects of mappings that are told to take no field but those that are listed."""
    for key, entry in mappings.get("properties", {}).items():
        name = f"{path}.{key}" if path else key
        if is_closed(entry):
            yield name
        yield from closed_objects(entry, name)


def is_closed(mappings: Mapping[str, Any]) -> bool:
    """Whether mappings, or an object in them, say `dynamic: false` or `strict`."""
    return str(mappings.get("dynamic", True)).lower() in {"false", "strict"}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values of a document by full name; null and empty lists tell no type."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path)
    elif value is not None:
        yield path, value
