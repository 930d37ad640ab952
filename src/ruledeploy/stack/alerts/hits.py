"""What rules find: hits on events, and the findings that alerts are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A field and its values in one event, as they are grouped by.
Values = Mapping[str, tuple[Any, ...]]
# Fields with one value each; None where the event has none.
Terms = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """An event a rule's query matches; its source is read again when an alert needs it.

    `time` decides the window, `seen` when the event is in the index, both in ms. `items` are
    the exception items that would suppress it, `values` those of the fields the rule groups by.
    """

    index: str
    id: str
    version: int
    time: int
    seen: int
    items: tuple[str, ...] = ()
    values: Values = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Where the event lies."""
        return self.index, self.id


@dataclass(frozen=True, slots=True)
class Group:
    """Events with the same terms: how many, and when (ms) the first and the last."""

    terms: Terms
    count: int
    first: int
    last: int

    @property
    def key(self) -> str:
        """The terms as one text."""
        return key_of(self.terms)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one alert is made of.

    `id` is the alert's. The alert copies the event of `hit`, or `source` where a rule finds no
    single event; `extra` are `kibana.alert.*` fields of the rule's type. `group` is remembered,
    so that a later run does not count its events again. `extends` are fields that change in the
    open alert `id` instead of a new one.
    """

    id: str
    time: int
    hit: Hit | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    group: Group | None = None
    extends: Mapping[str, Any] | None = None

    @property
    def values(self) -> Values:
        """The values to group by: the event's, or those of the finding itself."""
        if self.hit is not None:
            return self.hit.values
        listed = {k: v if isinstance(v, list) else [v] for k, v in self.source.items()}
        return {name: tuple(values) for name, values in listed.items()}


def key_of(terms: Terms) -> str:
    """Terms as one text, under which a group is remembered."""
    return json.dumps(terms)


def digest(*parts: Any) -> str:
    """SHA-256 over parts, as alerts' ids are made."""
    return hashlib.sha256("".join(str(part) for part in parts).encode()).hexdigest()


def combinations(values: Values, fields: tuple[str, ...]) -> list[Terms]:
    """Every combination of one value per field; none when a field has no value."""
    out: list[Terms] = [()]
    for name in fields:
        out = [(*terms, (name, value)) for terms in out for value in values.get(name, ())]
    return out
