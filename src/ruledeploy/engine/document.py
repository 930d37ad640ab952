"""The values of an event's fields, however its JSON spells them.

`{"a": {"b": 1}}`, `{"a.b": 1}` and `{"a": [{"b": 1}]}` all give the field `a.b` the value 1, as
Elasticsearch reads them. Only the fields that some query asks about are collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Values = dict[str, list[Any]]


class FieldReader:
    """Collects some fields of an event.

    `paths` are scalar fields. `objects` are nested objects, collected whole. `keyed` are flattened
    fields: their values are found under the field itself and under each key below it.
    """

    def __init__(
        self, paths: Iterable[str], objects: Iterable[str] = (), keyed: Iterable[str] = ()
    ) -> None:
        self._paths = frozenset(paths)
        self._objects = frozenset(objects)
        self._keyed = frozenset(keyed)
        every = self._paths | self._objects | self._keyed
        self._above = frozenset(above for path in every for above in _prefixes(path))
        self._known = every | self._above

    def read(self, source: Any, prefix: str = "") -> Values:
        """Field to its values (scalars; objects for nested ones); missing fields are absent."""
        out: Values = {}
        self._object(source, prefix, out)
        return out

    def _object(self, source: Any, prefix: str, out: Values) -> None:
        for key, value in source.items():
            if value is None:
                continue
            name = f"{prefix}.{key}" if prefix else key
            if name in self._known:
                self._value(name, value, out)

    def _value(self, name: str, value: Any, out: Values) -> None:
        if isinstance(value, list):
            for element in value:
                if element is not None:
                    self._value(name, element, out)
        elif name in self._keyed:
            _flatten(name, "", value, out)
        elif isinstance(value, dict):
            if name in self._objects:
                out.setdefault(name, []).append(value)
            if name in self._above:
                self._object(value, name, out)
        elif name in self._paths:
            out.setdefault(name, []).append(value)


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts)))


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
