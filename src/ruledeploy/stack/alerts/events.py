"""Where events lie, as the executor sees it; and this stack's own store as such a place.

The other place is an Elasticsearch node (`node.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Protocol

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory, Window
from ruledeploy.engine.sources import selects, stream_name
from ruledeploy.errors import QueryError
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.esql import parse_esql
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.hits import Hit, Values
from ruledeploy.stack.errors import Refusal
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.search import Matching
from ruledeploy.stack.es.sorting import field_reader
from ruledeploy.stack.es.tables import table_of
from ruledeploy.stack.store import Saved, Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """A rule with the ticks to run, and what an engine needs to find its hits.

    `fields` are those whose values each hit must carry. Of a rule that is `grouped` each row of its
    query alerts, and each run asks it anew.
    """

    rule: Saved
    ticks: list[datetime]
    engine_rule: EngineRule
    items: dict[str, dict[str, Any]]
    fields: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    grouped: bool = False


class Events(Protocol):
    """A place that holds events, and can tell which of them a rule matches."""

    def indices(self, patterns: Sequence[str]) -> list[str]:
        """The indices that patterns name."""
        ...

    def lacking(self, indices: Sequence[str], field: str) -> list[str]:
        """Those of the indices that do not map a field."""
        ...

    def check(self, rule: EngineRule, indices: Sequence[str], now: datetime) -> None:
        """Raise QueryError for a rule that cannot run over these indices."""
        ...

    def find(self, prepared: Sequence[Prepared]) -> dict[str, list[Hit]]:
        """By rule id, all events each rule matches over the reach of its ticks."""
        ...

    def rows(self, one: Prepared, at: datetime) -> Sequence[Mapping[str, Any]]:
        """What the query of a grouped rule gives over the window of a run."""
        ...

    def sources(self, hits: Iterable[Hit]) -> dict[tuple[str, str], dict[str, Any]]:
        """The events of hits, by index and id."""
        ...


class LocalEvents:
    """Events in this stack's store, found by the embedded engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Each index's table is looked up once.
        self._table = cache(lambda index: table_of(store, index))
        self._engine = EmbeddedEngine(self._table)
        self._values = field_reader(self._table)
        self._spelled_out = cache(self._behind)

    def indices(self, patterns: Sequence[str]) -> list[str]:
        """Backing indices, in the order of their names."""
        return documents.resolve(self._store, ",".join(patterns))

    def lacking(self, indices: Sequence[str], field: str) -> list[str]:
        """By the tables of the indices."""
        return [index for index in indices if self._table(index).get(field) is None]

    def check(self, rule: EngineRule, indices: Sequence[str], now: datetime) -> None:
        """One empty event per index makes the engine bind the rule to each index's fields."""
        empty = [Document(index, "", {}) for index in indices]
        self._engine.run([self._without_aliases(rule)], Memory(empty), None, now)

    def _without_aliases(self, rule: EngineRule) -> EngineRule:
        """The rule over the indices behind its aliases, which the engine does not know."""
        index = tuple(name for pattern in rule.index for name in self._spelled_out(pattern))
        if index == rule.index:
            return rule
        if rule.language != "esql":
            return replace(rule, index=index)
        parsed = parse_esql(rule.query)
        metadata = f" metadata {', '.join(parsed.metadata)}" if parsed.metadata else ""
        return replace(rule, index=index, query=f"from {','.join(index)}{metadata} {parsed.rest}")

    def _behind(self, patterns: str) -> tuple[str, ...]:
        """Patterns, and the indices that they name, or leave out again, by an alias."""
        wanted: list[str] = []
        left_out: list[str] = []
        for pattern in (part.strip() for part in patterns.split(",")):
            name = pattern.removeprefix("-")
            named = documents.resolve(self._store, name)
            behind = [index for index in named if not selects([name], index)]
            if pattern.startswith("-"):
                left_out += [f"-{index}" for index in behind]
            else:
                wanted += behind
        return (*wanted, patterns, *left_out)

    def find(self, prepared: Sequence[Prepared]) -> dict[str, list[Hit]]:
        """One pass over the events for all rules; only those that match are kept."""
        prepared = self._bound(prepared)
        found = self._engine.run(
            [one.engine_rule for one in prepared],
            Memory(self._documents(prepared)),
            None,
            min(one.ticks[0] for one in prepared),
        )
        wanted: dict[str, list[tuple[Prepared, tuple[str, ...]]]] = {}
        for one in prepared:
            result = found[one.rule.id]
            hiding: dict[str, list[str]] = {}
            for item_id, keys in result.suppressed.items():
                for key in keys:
                    hiding.setdefault(key, []).append(item_id)
            for key in (*result.event_ids, *hiding):
                wanted.setdefault(key, []).append((one, tuple(hiding.get(key, ()))))
        return self._hits(prepared, wanted)

    def rows(self, one: Prepared, at: datetime) -> Sequence[Mapping[str, Any]]:
        """Over the events that were ingested by then."""
        (one,) = self._bound([one])
        start, end = runs.window(one.rule.body, at)
        present = runs.milliseconds(at)
        seen = (
            document
            for document in self._documents([replace(one, ticks=[at])])
            if (documents.timestamp(dict(document.source), "event.ingested") or 0) <= present
        )
        window = Window(documents.moment(start), documents.moment(end))
        return self._engine.run([one.engine_rule], Memory(seen), window, at)[one.rule.id].rows

    def _bound(self, prepared: Sequence[Prepared]) -> list[Prepared]:
        return [
            replace(one, engine_rule=self._without_aliases(one.engine_rule)) for one in prepared
        ]

    def _documents(self, prepared: Sequence[Prepared]) -> Iterator[Document]:
        """Events with a time that some run looks at, one by one; their ids name the index too."""
        start: int | None = None
        end: int | None = None
        if all(one.engine_rule.timestamp_field in documents.SEARCHED_TIMES for one in prepared):
            start, end = runs.span([(one.rule, one.ticks) for one in prepared])
        patterns = [pattern for one in prepared for pattern in one.engine_rule.index]
        names = self._store.db.execute("SELECT name FROM indices ORDER BY name").fetchall()
        backings = [name for (name,) in names if any(selects([p], name) for p in patterns)]
        for stored in documents.scan(self._store, backings, start, end):
            yield Document(stored.index, f"{stored.index}/{stored.id}", stored.source)

    def _hits(
        self,
        prepared: Sequence[Prepared],
        wanted: Mapping[str, Sequence[tuple[Prepared, tuple[str, ...]]]],
    ) -> dict[str, list[Hit]]:
        passes = {one.rule.id: self._filters(one) for one in prepared}
        out: dict[str, list[Hit]] = {one.rule.id: [] for one in prepared}
        for key, rules in wanted.items():
            index, _, doc_id = key.partition("/")
            stored = documents.get(self._store, index, doc_id)
            if stored is None:
                continue
            for one, items in rules:
                values = {name: tuple(self._values(stored, name)) for name in one.fields}
                hit = hit_of(one, stored, items, values)
                if hit is not None and passes[one.rule.id](stored):
                    out[one.rule.id].append(hit)
        return out

    def _filters(self, one: Prepared) -> Callable[[Stored], bool]:
        """The rule's own `filters` as a test."""
        query = own_filters(one.rule.body)
        if query is None:
            return lambda _: True
        matching = Matching(self._store, query, one.ticks[-1])

        def holds(event: Stored) -> bool:
            try:
                return matching.holds(event)
            except Refusal as refusal:
                raise QueryError(f"a filter of the rule: {refusal}") from refusal

        return holds

    def sources(self, hits: Iterable[Hit]) -> dict[tuple[str, str], dict[str, Any]]:
        """Read one by one; an event deleted meanwhile is left out."""
        found = (documents.get(self._store, *hit.key) for hit in hits)
        return {(event.index, event.id): event.source for event in found if event is not None}


def hit_of(one: Prepared, event: Stored, items: tuple[str, ...], values: Values) -> Hit | None:
    """The hit of a rule on an event; None for one without a time, or an alert of the rule itself.

    The time is that of the rule's timestamp override, or `@timestamp` where it may stand in.
    """
    body, source = one.rule.body, event.source
    if source.get("kibana.alert.rule.uuid") == one.rule.id:
        return None
    plain = documents.timestamp(source, "@timestamp")
    override = body.get("timestamp_override")
    time = plain if override is None else documents.timestamp(source, override)
    if time is None and not body.get("timestamp_override_fallback_disabled"):
        time = plain
    if time is None:
        return None
    ingested = documents.timestamp(source, "event.ingested")
    seen = max(t for t in (time, plain, ingested) if t is not None)
    return Hit(event.index, event.id, event.version, time, seen, items, values)


def own_filters(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The rule's `filters` as one query, as Kibana adds them: negated ones must not hold.

    Raises QueryError for a filter that is none, or that the embedded engine does not evaluate.
    """
    filters = body.get("filters") or ()
    if not all(isinstance(one, dict) and isinstance(one.get("meta", {}), dict) for one in filters):
        raise QueryError("a filter of the rule is no object")
    active = [(one.get("meta", {}), one) for one in filters]
    kept = [(meta, _query(one)) for meta, one in active if not meta.get("disabled")]
    if not kept:
        return None
    negated = [query for meta, query in kept if meta.get("negate")]
    wanted = [query for meta, query in kept if not meta.get("negate")]
    query = {"bool": {"filter": wanted, "must_not": negated}}
    try:
        parse_dsl(query)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise QueryError(f"a filter of the rule is malformed: {error}") from error
    return query


def _query(one: Mapping[str, Any]) -> Any:
    """A filter's query; older ones have its clause beside `meta`."""
    clause = {key: value for key, value in one.items() if key not in {"meta", "$state", "query"}}
    query = one.get("query", clause)
    if not query:
        raise QueryError("a filter of the rule has no query")
    return query


def index_type(index: str) -> str:
    """The type of an index's data stream (`logs`), for people."""
    return stream_name(index).partition("-")[0]
