"""The engine in this process: no server, the answers of Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ruledeploy.engine.binding import Binder, Bound, resolve, types_of
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.filing import Entry, Filing
from ruledeploy.engine.program import Program, Query
from ruledeploy.engine.protocol import Document, EngineRule, Hits, Source, Window
from ruledeploy.engine.sources import documents, selects, stream_name
from ruledeploy.errors import Collector, QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable, family_of, load_table
from ruledeploy.model import JsonObject
from ruledeploy.query.dates import parse_date, to_ms
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.exceptions import is_expired, item_clause
from ruledeploy.query.ir import Node, fields_used, simplify
from ruledeploy.query.kql import Types
from ruledeploy.query.parse import ParsedQuery, parse_query

Tables = Callable[[str], FieldTable]
_TIMESTAMP = "@timestamp"


def bundled_table(index: str) -> FieldTable:
    """The bundled field table of the family that an index or pattern belongs to."""
    return load_table(family_of(index))


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A rule, its query and the queries of the items that live at the time of the run."""

    rule: EngineRule
    query: ParsedQuery
    items: tuple[tuple[str, Node], ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the rule searches."""
        return self.query.esql.sources if self.query.esql else self.rule.index


@dataclass(frozen=True, slots=True)
class _Bound:
    """A rule in a program, with the queries of its items."""

    parsed: _Parsed
    items: tuple[tuple[str, Query], ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a document of one index is put to."""

    program: Program
    rules: Filing[_Bound]
    constants: dict[str, str]


@dataclass(slots=True)
class _Found:
    """Events of one rule while the run goes on; each with its time, to sort by."""

    alerts: list[tuple[int, str]] = field(default_factory=list)
    suppressed: dict[str, list[tuple[int, str]]] = field(default_factory=dict)


class EmbeddedEngine:
    """Evaluates rules over files or memory.

    `tables` gives the field table of an index (or of a pattern); the bundled ones by default.
    """

    def __init__(self, tables: Tables = bundled_table) -> None:
        self._tables = tables

    def run(
        self, rules: Sequence[EngineRule], source: Source, window: Window | None, now: datetime
    ) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`."""
        parsed = _parse_all(rules, self._tables, now)
        run = _Run(self._tables, parsed, window, now)
        run.check()
        for document in documents(source):
            run.put(document)
        return {item.rule.rule_id: _hits(run.found[item.rule.rule_id], item) for item in parsed}


def _parse_all(rules: Sequence[EngineRule], tables: Tables, now: datetime) -> list[_Parsed]:
    collector = Collector()
    out: list[_Parsed] = []
    for rule in rules:
        with collector.collect(), _named(rule):
            items = tuple(
                (str(item["item_id"]), _item(item, rule))
                for item in rule.items
                if not is_expired(item, now)
            )
            query = parse_query(rule.language, rule.query, _types(rule, tables))
            out.append(_Parsed(rule, query, items))
    collector.raise_if_any()
    return out


def _types(rule: EngineRule, tables: Tables) -> Types:
    """The types of the fields in the first of the rule's indices; for EQL, in all of them."""
    if rule.language == "eql" and rule.index:
        return types_of([tables(pattern) for pattern in rule.index])
    table = tables(rule.index[0]) if rule.index else None

    def type_of(name: str) -> str | None:
        found = resolve(table, name) if table else None
        return found.type.type if found else None

    return type_of


def _item(item: JsonObject, rule: EngineRule) -> Node:
    """One item as a query; value lists that Kibana applies after the search are included."""
    for entry in item["entries"]:
        if entry["type"] == "list" and entry["list"]["type"] == "text":
            raise UnsupportedQuery(f"item {item['item_id']}: a value list of type text")
    return simplify(parse_dsl(item_clause(item, rule.value_lists)))


class _named:  # noqa: N801 - a context manager, used like a function
    """Says in a query's error which rule it is in."""

    def __init__(self, rule: EngineRule) -> None:
        self.rule = rule

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise a query's error again with the rule's id in front."""
        if isinstance(error, QueryError):
            raise type(error)(
                f"rule {self.rule.rule_id}: {error.message}",
                position=error.position,
                hint=error.hint,
            ) from error


def _check_columns(item: _Parsed, tables: Sequence[FieldTable]) -> None:
    """ES|QL fails on a column that no index has."""
    if item.query.esql is None or not tables:
        return
    for name in sorted(fields_used(item.query.node)):
        if "*" not in name and not any(resolve(table, name) for table in tables):
            raise QueryError(f"unknown column {name}")


class _Run:
    """One pass over the documents."""

    def __init__(
        self, tables: Tables, parsed: Sequence[_Parsed], window: Window | None, now: datetime
    ) -> None:
        self.tables = tables
        self.parsed = parsed
        self.now = now
        self.bounds = None if window is None else (to_ms(window.start), to_ms(window.end))
        self.bound: dict[
            tuple[int, int], tuple[FieldTable, Bound, tuple[tuple[str, Bound], ...]]
        ] = {}
        self.found = {item.rule.rule_id: _Found() for item in parsed}
        self.plans: dict[str, list[_Plan]] = {}
        self.programs: dict[tuple[str, tuple[int, ...]], tuple[Program, Filing[_Bound]]] = {}
        fields = {item.rule.timestamp_field for item in parsed} | {_TIMESTAMP}
        self.clock = FieldReader(fields)

    def check(self) -> None:
        """Bind every rule to the tables of its patterns, so that what cannot run fails first."""
        collector = Collector()
        for number, item in enumerate(self.parsed):
            with collector.collect(), _named(item.rule):
                tables = [self.tables(pattern) for pattern in item.patterns]
                _check_columns(item, tables)
                for table in tables:
                    self._bind(number, table)
        collector.raise_if_any()

    def _bind(self, number: int, table: FieldTable) -> tuple[Bound, tuple[tuple[str, Bound], ...]]:
        """A rule's query and items on a table, bound once."""
        key = (number, id(table))
        if key not in self.bound:
            item, binder = self.parsed[number], Binder(table, self.now)
            items = tuple((id_, binder.bind(node)) for id_, node in item.items)
            # The table is kept, so that its identity stays its own.
            self.bound[key] = (table, binder.bind(item.query.node), items)
        _, query, items = self.bound[key]
        return query, items

    def put(self, document: Document) -> None:
        """Ask every rule that searches the document's index about it."""
        plans = self.plans.get(document.index)
        if plans is None:
            plans = self.plans[document.index] = self._plans(document.index)
        for plan in plans:
            numbers = plan.program.read(_with_constants(document, plan.constants))
            for bound in plan.rules.matching(numbers):
                self._record(bound, document, numbers)

    def _plans(self, index: str) -> list[_Plan]:
        """One plan; for a document without an index, one per family of the rules."""
        chosen = [n for n, item in enumerate(self.parsed) if selects(item.patterns, index)]
        if index:
            return [self._plan(self.tables(stream_name(index)), chosen, index)] if chosen else []
        families: dict[str, tuple[FieldTable, list[int]]] = {}
        for number in chosen:
            table = self.tables((self.parsed[number].patterns or ("",))[0])
            families.setdefault(table.family, (table, []))[1].append(number)
        return [self._plan(table, numbers, "") for table, numbers in families.values()]

    def _plan(self, table: FieldTable, chosen: list[int], index: str) -> _Plan:
        key = (table.family, tuple(chosen))
        if key not in self.programs:
            self.programs[key] = self._program(table, chosen)
        program, rules = self.programs[key]
        return _Plan(program, rules, _constants(table, index))

    def _program(self, table: FieldTable, chosen: list[int]) -> tuple[Program, Filing[_Bound]]:
        program = Program()
        entries = []
        for number in chosen:
            item = self.parsed[number]
            with _named(item.rule):
                query, items = self._bind(number, table)
            rule = _Bound(item, tuple((id_, program.add(bound)) for id_, bound in items))
            entries.append(Entry(rule, query, program.add(query)))
        return program, Filing(program, entries)

    def _record(self, bound: _Bound, document: Document, numbers: set[int]) -> None:
        rule = bound.parsed.rule
        at = _time(self.clock.read(document.source), rule.timestamp_field)
        if self.bounds is not None and (at is None or not self.bounds[0] <= at <= self.bounds[1]):
            return
        entry = (at if at is not None else -(2**63), document.id)
        found = self.found[rule.rule_id]
        excepted = [item_id for item_id, query in bound.items if query(numbers)]
        for item_id in excepted:
            found.suppressed.setdefault(item_id, []).append(entry)
        if not excepted:
            found.alerts.append(entry)


def _time(times: dict[str, list[Any]], name: str) -> int | None:
    """The event's time in milliseconds, from the override if it has one."""
    for key in (name, _TIMESTAMP):
        spans = [span for span in map(parse_date, times.get(key, ())) if span is not None]
        if spans:
            return min(span.first for span in spans)
    return None


def _constants(table: FieldTable, index: str) -> dict[str, str]:
    """The `data_stream` fields that a mapping fixes for every document of a data stream."""
    names = ("data_stream.type", "data_stream.dataset", "data_stream.namespace")
    parts = stream_name(index).split("-", 2)
    if len(parts) != len(names):
        return {}
    return {
        name: value
        for name, value in zip(names, parts, strict=True)
        if name in table.fields and table.fields[name].type == "constant_keyword"
    }


def _with_constants(document: Document, constants: dict[str, str]) -> Document:
    inner = document.source.get("data_stream")
    if not constants or isinstance(inner, dict) or "data_stream.dataset" in document.source:
        return document
    return Document(document.index, document.id, {**document.source, **constants})


def _hits(found: _Found, item: _Parsed) -> Hits:
    alerts = sorted(found.alerts)
    limit = item.query.esql.limit if item.query.esql else None
    ids = tuple(event for _, event in alerts[:limit])
    suppressed = {
        item_id: tuple(event for _, event in sorted(entries))
        for item_id, entries in sorted(found.suppressed.items())
    }
    return Hits(len(ids), ids, suppressed)
