"""What an engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeAlias

from ruledeploy.model import JsonObject


@dataclass(frozen=True, slots=True)
class EngineRule:
    """A rule as an engine needs it.

    `index` are the patterns it searches (an ES|QL query names its own). `items` are bodies of
    exception items, each with an `item_id`; `value_lists` holds the values they refer to.
    `timestamp_field` falls back to `@timestamp` in events that lack it.
    """

    rule_id: str
    language: str
    query: str
    index: tuple[str, ...]
    items: tuple[JsonObject, ...] = ()
    timestamp_field: str = "@timestamp"
    value_lists: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """An event in an index. An empty `index` belongs to whatever rule looks at it."""

    index: str
    id: str
    source: JsonObject


@dataclass(frozen=True, slots=True)
class Window:
    """The time from `start` to `end`, both included; aware datetimes, read to the millisecond."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Hits:
    """What one rule found.

    `event_ids` alert, by time and then id. `suppressed` gives, by item, the events that would
    alert but for it; an event may be under several items. Of an ES|QL query that groups events
    each row alerts: `rows` are those, as Elasticsearch's JSON has their columns, `count` is their
    number, and there are no `event_ids`.
    """

    count: int = 0
    event_ids: tuple[str, ...] = ()
    suppressed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """How hits are to be summed up.

    `bucket` is the width of the histogram's buckets, which begin at 1970; `fields` are those whose
    `top` most frequent values are counted; `samples` is how many ids are shown.
    """

    bucket: timedelta = timedelta(days=1)
    fields: tuple[str, ...] = ()
    top: int = 10
    samples: int = 5


@dataclass(frozen=True, slots=True)
class Summary:
    """What one rule found, without the events.

    `count` are the events that alert, `suppressed` those that each item hides. `histogram` has the
    buckets that are not empty, `top` each field's values by how many of the alerting events have
    them, `samples` the ids of the first events, `first` and `last` their times.
    """

    count: int = 0
    suppressed: Mapping[str, int] = field(default_factory=dict)
    histogram: tuple[tuple[datetime, int], ...] = ()
    top: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    samples: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Events at hand."""

    documents: Iterable[Document]


@dataclass(frozen=True, slots=True)
class Files:
    """NDJSON files, gzipped or not, or folders of them.

    A line is an event, or `{"_index", "_id", "_source"}`. `index` is where an event without an
    index of its own (or `data_stream` fields) lies.
    """

    paths: tuple[Path, ...]
    index: str = ""


@dataclass(frozen=True, slots=True)
class Indices:
    """Indices of a cluster; without a pattern, each rule's own.

    Of their events only those that fulfil `filter`, a query in Elasticsearch's DSL, are there.
    """

    pattern: str = ""
    filter: JsonObject | None = None


Source: TypeAlias = Memory | Files | Indices


class Engine(Protocol):
    """Runs rules over events."""

    def run(
        self,
        rules: Sequence[EngineRule],
        source: Source,
        window: Window | None,
        now: datetime,
    ) -> dict[str, Hits]:
        """The hits of every rule, by `rule_id`; no window is all time.

        Items that expired before `now` do not count. Raises QueryError (several as Problems) for
        rules that cannot run, naming them, before any event is looked at.
        """
        ...


class Summarizer(Protocol):
    """Sums up what rules find: for rules by the hundred over very many events."""

    def summarize(
        self,
        rules: Sequence[EngineRule],
        source: Source,
        window: Window | None,
        now: datetime,
        shape: Shape,
    ) -> dict[str, Summary]:
        """What `Engine.run` would find, summed up.

        A `limit` of ES|QL does not count. Raises what `run` raises, and QueryError for a field
        whose values cannot be counted (a text).
        """
        ...
