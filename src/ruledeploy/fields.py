"""Field tables: what a field is in the index, one table per telemetry family.

A family is one set of mappings: Elastic Defend's API events, its library events, the Sysmon
integration, Winlogbeat. Every index pattern belongs to one family. The tables are facts copied
from the packages that ship those mappings; each file says which.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ruledeploy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAMILIES = (
    "endpoint-api",
    "endpoint-file",
    "endpoint-library",
    "endpoint-network",
    "endpoint-process",
    "endpoint-registry",
    "endpoint-security",
    "sysmon-integration",
    "winlogbeat",
    "ecs",
)

# The producer writes these values, always spelled the same way, so they are compared exactly.
PRODUCER_FIXED = frozenset(
    {
        "agent.type",
        "data_stream.dataset",
        "data_stream.namespace",
        "data_stream.type",
        "event.category",
        "event.code",
        "event.dataset",
        "event.kind",
        "event.module",
        "event.outcome",
        "event.provider",
        "event.type",
        "host.os.type",
        "process.Ext.api.behaviors",
        "process.Ext.api.name",
        "winlog.channel",
        "winlog.provider_name",
    }
)


@dataclass(frozen=True, slots=True)
class FieldType:
    """One mapped field: Elasticsearch type and the parameters that change what matches.

    `ignore_above` counts characters, longer values are not indexed. `index` False: stored, not
    searchable. `fields` are the multi-fields by suffix. `path` is the target of an alias.
    """

    type: str
    ignore_above: int | None = None
    normalizer: str | None = None
    fields: Mapping[str, FieldType] = field(default_factory=lambda: MappingProxyType({}))
    path: str | None = None
    index: bool = True
    enabled: bool = True
    scaling_factor: float | None = None

    @property
    def searchable(self) -> bool:
        """Whether any query can see the field's values."""
        return self.index and self.enabled and self.type != "object"

    @staticmethod
    def from_mapping(mapping: Mapping[str, Any]) -> FieldType:
        """Read one entry of an Elasticsearch mapping (`type`, `ignore_above`, `fields`, …)."""
        return FieldType(
            type=mapping.get("type", "object"),
            ignore_above=mapping.get("ignore_above"),
            normalizer=mapping.get("normalizer"),
            fields=MappingProxyType(
                {
                    name: FieldType.from_mapping(sub)
                    for name, sub in mapping.get("fields", {}).items()
                }
            ),
            path=mapping.get("path"),
            index=mapping.get("index", True),
            enabled=mapping.get("enabled", True),
            scaling_factor=mapping.get("scaling_factor"),
        )

    def to_mapping(self) -> dict[str, Any]:
        """The entry of an Elasticsearch mapping that this was read from."""
        out: dict[str, Any] = {"type": self.type}
        optional = (
            ("ignore_above", self.ignore_above),
            ("normalizer", self.normalizer),
            ("path", self.path),
            ("scaling_factor", self.scaling_factor),
        )
        out.update({key: value for key, value in optional if value is not None})
        if not self.index:
            out["index"] = False
        if not self.enabled:
            out["enabled"] = False
        if self.fields:
            out["fields"] = {name: sub.to_mapping() for name, sub in self.fields.items()}
        return out


_DYNAMIC_KEYWORD = FieldType("keyword", ignore_above=1024)


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The mappings of one telemetry family.

    A field that is not in the table is not searchable (the packages map with `dynamic: false`),
    except below a `dynamic_keyword` prefix such as `winlog.event_data.*`. An `open` table stands
    for indices that nobody has described: they may have any field beside those it lists.
    """

    family: str
    index: str
    fields: Mapping[str, FieldType]
    dynamic_keyword: tuple[str, ...] = ()
    open: bool = False
    objects: frozenset[str] = field(init=False, repr=False, compare=False)
    _types: dict[str, FieldType | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _holders: dict[tuple[str, tuple[str, ...]], str | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Name every object that holds a field: asked of each name that is not mapped."""
        parts = (name.split(".") for name in self.fields) if self.open else ()
        above = (".".join(each[:n]) for each in parts for n in range(1, len(each)))
        object.__setattr__(self, "objects", frozenset(above))

    def get(self, name: str) -> FieldType | None:
        """The type of a field or multi-field, aliases followed; None when it is not mapped."""
        if name not in self._types:
            self._types[name] = self._find(name)
        return self._types[name]

    def _find(self, name: str) -> FieldType | None:
        found = self.fields.get(name)
        if found is None:
            parent, _, suffix = name.rpartition(".")
            found = self.fields[parent].fields.get(suffix) if parent in self.fields else None
        if found is None and any(fnmatchcase(name, glob) for glob in self.dynamic_keyword):
            return _DYNAMIC_KEYWORD
        if found is not None and found.path is not None:
            return self.fields.get(found.path)
        return found

    def names(self) -> Iterator[str]:
        """Every field and multi-field that is listed, and no object."""
        for name, type_ in self.fields.items():
            if type_.type not in ("object", "nested"):
                yield name
                yield from (f"{name}.{suffix}" for suffix in type_.fields)

    def lacks(self, name: str) -> bool:
        """Whether no event can have a value in the field: a query sees it missing, always.

        True of what the table does not list, unless the table is open and the name could be a
        field: `user_agent` could not, being an object, nor `message.text`, below a value. What
        lies in a nested object is out of reach for a query of the whole event.
        """
        if self.nested_path(name) is not None:
            return True
        if self.get(name) is not None:
            return False
        parts = name.split(".")
        above = [self.fields.get(".".join(parts[:length])) for length in range(1, len(parts))]
        if any(each is not None and each.type == "flattened" for each in above):
            return False
        below_value = any(each is not None and each.type != "object" for each in above)
        return not self.open or below_value or name in self.objects

    def resolve(self, name: str) -> str:
        """The name itself, or the target of an alias."""
        found = self.fields.get(name)
        return found.path if found is not None and found.path else name

    def caseless(self, name: str) -> str | None:
        """The field or multi-field that holds the value lower-cased, or None.

        Elastic Defend gives names and paths a `.caseless` keyword with a lowercase normalizer.
        """
        found = self.get(name)
        if found is None:
            return None
        if found.normalizer == "lowercase":
            return name
        for suffix, sub in found.fields.items():
            if sub.normalizer == "lowercase":
                return f"{name}.{suffix}"
        return None

    def nested_path(self, name: str) -> str | None:
        """The outermost `nested` object that holds the field, or None."""
        above, _, _ = name.rpartition(".")
        return self.held_by(above, ("nested",)) if above else None

    def held_by(self, name: str, types: tuple[str, ...]) -> str | None:
        """The outermost field of some types that the field is or lies in, or None."""
        asked = name, types
        if asked not in self._holders:
            self._holders[asked] = self._find_holder(name, types)
        return self._holders[asked]

    def _find_holder(self, name: str, types: tuple[str, ...]) -> str | None:
        parts = name.split(".")
        above = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        return next(
            (each for each in above if each in self.fields and self.fields[each].type in types),
            None,
        )

    def mappings(self) -> dict[str, Any]:
        """The table as the `mappings` of an index template, objects nested in `properties`."""
        root: dict[str, Any] = {}
        for name, type_ in sorted(self.fields.items()):
            _place(root, name.split("."), type_)
        out: dict[str, Any] = {"dynamic": False, "properties": root}
        if self.dynamic_keyword:
            # A template can only fire where `dynamic` is on, so it is on below the prefix alone.
            out["dynamic_templates"] = [
                {f"keyword_{n}": {"path_match": glob, "mapping": _DYNAMIC_KEYWORD.to_mapping()}}
                for n, glob in enumerate(self.dynamic_keyword)
            ]
            for glob in self.dynamic_keyword:
                entry = _object_at(root, glob.removesuffix(".*").split("."))
                # Elasticsearch asks for the type of an object that has no properties yet.
                entry.update({"type": "object", "dynamic": True})
        return out


def _object_at(root: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    """The object entry at `parts`, made when missing."""
    here: dict[str, Any] = {"properties": root}
    for part in parts:
        here = here.setdefault("properties", {}).setdefault(part, {})
    return here


def _place(root: dict[str, Any], parts: list[str], type_: FieldType) -> None:
    entry = _object_at(root, parts)
    if type_.type == "object":
        # Elasticsearch asks for the type of an object that has no properties.
        entry.update({"type": "object"} if type_.enabled else type_.to_mapping())
    else:
        entry.update(type_.to_mapping())


def parse_table(raw: Mapping[str, Any]) -> FieldTable:
    """Read `{family, index, fields{name: mapping entry}, dynamic_keyword[], open}`."""
    return FieldTable(
        family=raw["family"],
        index=raw["index"],
        fields=MappingProxyType(
            {name: FieldType.from_mapping(entry) for name, entry in raw["fields"].items()}
        ),
        dynamic_keyword=tuple(raw.get("dynamic_keyword", ())),
        open=bool(raw.get("open", False)),
    )


@cache
def load_table(family: str) -> FieldTable:
    """The bundled table of a family. Raises `ConfigError` for a family we do not know."""
    if family not in FAMILIES:
        raise ConfigError(
            f"unknown telemetry family {family!r}", hint=f"known: {', '.join(FAMILIES)}"
        )
    resource = files("ruledeploy.data") / "fields" / f"{family}.json"
    return parse_table(json.loads(resource.read_text("utf-8")))


def table_of(family: str, pulled: Mapping[str, str]) -> FieldTable:
    """The table of a family: the one pulled from the server (as JSON), else the bundled one."""
    return _parsed(pulled[family]) if family in pulled else load_table(family)


@lru_cache(maxsize=64)
def _parsed(text: str) -> FieldTable:
    return parse_table(json.loads(text))


# First match wins; patterns as users write them, so a user's own suffix (`-prod`) still matches.
_BY_INDEX = (
    ("*endpoint.events.api*", "endpoint-api"),
    ("*endpoint.events.file*", "endpoint-file"),
    ("*endpoint.events.library*", "endpoint-library"),
    ("*endpoint.events.network*", "endpoint-network"),
    ("*endpoint.events.process*", "endpoint-process"),
    ("*endpoint.events.registry*", "endpoint-registry"),
    ("*endpoint.events.security*", "endpoint-security"),
    ("*windows.sysmon_operational*", "sysmon-integration"),
    ("*winlogbeat*", "winlogbeat"),
)


@lru_cache(maxsize=1024)
def family_of(index_pattern: str) -> str:
    """The telemetry family an index pattern belongs to; `ecs` when it is none we know better."""
    for glob, family in _BY_INDEX:
        if fnmatchcase(index_pattern, glob):
            return family
    return "ecs"
