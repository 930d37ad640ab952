"""The values of an event's fields, however its JSON spells them.

`{"a": {"b": 1}}`, `{"a.b": 1}` and `{"a": [{"b": 1}]}` all give the field `a.b` the value 1, as
Elasticsearch reads them. Only the fields that some query asks about are collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, list[Any]]


@dataclass(slots=True)
class Spot:
    """A place in an event: what is collected there, and the places below by any of their keys.

    `below` has a key for each spelling: of `a.b.c` below `a` both `b` and `b.c`. `opens` tells
    that what is collected whole lies below, of which a key may spell a part that no query names.
    """

    name: str
    is_path: bool = False
    is_object: bool = False
    is_keyed: bool = False
    opens: bool = False
    below: dict[str, Spot] = field(default_factory=dict)


class FieldReader:
    """Collects some fields of an event.

    `paths` are scalar fields. `objects` are nested objects, collected whole. `keyed` are flattened
    fields: their values are found under the field itself and under each key below it.
    """

    def __init__(
        self, paths: Iterable[str], objects: Iterable[str] = (), keyed: Iterable[str] = ()
    ) -> None:
        self.paths = frozenset(paths)
        self.objects = frozenset(objects)
        self.keyed = frozenset(keyed)
        self._spots: dict[str, Spot] = {"": Spot("")}
        for name in sorted(self.paths | self.objects | self.keyed):
            self._spot(name)

    @property
    def names(self) -> frozenset[str]:
        """All fields that are collected."""
        return self.paths | self.objects | self.keyed

    @property
    def whole(self) -> frozenset[str]:
        """The fields of which every key counts."""
        return self.objects | self.keyed

    def is_plain(self, name: str) -> bool:
        """Whether only scalars are collected at a name."""
        return name in self.paths - self.objects - self.keyed

    def _spot(self, name: str) -> Spot:
        """The spot of a name, entered below all spots that it lies in."""
        known = self._spots.get(name)
        if known is not None:
            return known
        flags = (name in self.paths, name in self.objects, name in self.keyed)
        spot = self._spots[name] = Spot(name, *flags)
        parts = name.split(".")
        for length in range(len(parts)):
            above = self._spot(".".join(parts[:length]))
            above.below[".".join(parts[length:])] = spot
            above.opens = above.opens or spot.is_object or spot.is_keyed
        return spot

    def read(self, source: Any, prefix: str = "") -> Values:
        """Field to its values (scalars; objects for nested ones); missing fields are absent.

        `source` is the object at `prefix`.
        """
        out: Values = {}
        start = self._spots.get(prefix)
        if start is not None:
            _object(start, source, out)
        return out

    def read_at(self, name: str, value: Any, out: Values) -> None:
        """Add what the value at one name gives; nothing for null."""
        if value is not None:
            _value(self._spots[name], value, out)


def _object(spot: Spot, source: Any, out: Values) -> None:
    below = spot.below
    for key, value in source.items():
        found = below.get(key)
        if found is None or value is None:
            if found is None and spot.opens and "." in key:
                _dotted(spot, key, value, out)
            continue
        if value.__class__ is str and found.is_path and not found.is_keyed:
            out.setdefault(found.name, []).append(value)
        else:
            _value(found, value, out)


def _dotted(spot: Spot, key: str, value: Any, out: Values) -> None:
    """A key such as `sub.k`, where `sub` is collected whole: an object of its own."""
    parts = key.split(".")
    for length in range(1, len(parts)):
        found = spot.below.get(".".join(parts[:length]))
        if found is not None and (found.is_object or found.is_keyed):
            _value(found, {".".join(parts[length:]): value}, out)
            return


def _value(spot: Spot, value: Any, out: Values) -> None:
    if isinstance(value, list):
        for element in value:
            if element is not None:
                _value(spot, element, out)
    elif spot.is_keyed:
        _flatten(spot.name, "", value, out)
    elif isinstance(value, dict):
        if spot.is_object:
            out.setdefault(spot.name, []).append(value)
        if spot.below:
            _object(spot, value, out)
    elif spot.is_path:
        out.setdefault(spot.name, []).append(value)


def _flatten(root: str, key: str, value: Any, out: Values) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _flatten(root, f"{key}.{name}" if key else str(name), inner, out)
    elif isinstance(value, list):
        for element in value:
            _flatten(root, key, element, out)
    elif value is not None:
        out.setdefault(root, []).append(value)
        if key:
            out.setdefault(f"{root}.{key}", []).append(value)
