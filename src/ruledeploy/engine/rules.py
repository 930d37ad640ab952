"""Rules as the embedded engine runs them: parsed, with the queries of their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ruledeploy.engine.binding import Binder, Bound, resolve, types_of
from ruledeploy.engine.pipes import check_condition_column, names_in, types_in
from ruledeploy.engine.protocol import EngineRule
from ruledeploy.engine.sources import selects, stream_name
from ruledeploy.errors import Collector, QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable
from ruledeploy.model import JsonObject
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.esql_run import run_pipe
from ruledeploy.query.exceptions import is_expired, item_clause
from ruledeploy.query.ir import Node, simplify
from ruledeploy.query.kql import Types, named_in, unnamed
from ruledeploy.query.parse import ParsedQuery, parse_query

Tables: TypeAlias = Callable[[str], FieldTable]
Items: TypeAlias = tuple[tuple[str, Bound], ...]
STREAM = ("data_stream.type", "data_stream.dataset", "data_stream.namespace")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A rule, its query and the queries of the items that live at the time of the run."""

    rule: EngineRule
    query: ParsedQuery
    items: tuple[tuple[str, Node], ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the rule searches."""
        return self.query.esql.sources if self.query.esql else self.rule.index


def parse_rules(rules: Sequence[EngineRule], tables: Tables, now: datetime) -> list[Parsed]:
    """Every rule parsed, with the items that live at `now`. Raises what is wrong, all at once."""
    collector = Collector()
    out: list[Parsed] = []
    # Rules that share lists share their items' bodies: each is parsed once.
    known: dict[int, Node] = {}
    for rule in rules:
        with collector.collect(), naming(rule):
            items = tuple(
                (str(item["item_id"]), _item_once(item, rule, known))
                for item in rule.items
                if not is_expired(item, now)
            )
            named = named_in(tables(rule.index[0])) if rule.index else unnamed
            query = parse_query(rule.language, rule.query, _types(rule, tables), named)
            out.append(Parsed(rule, query, items))
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


def _item_once(item: JsonObject, rule: EngineRule, known: dict[int, Node]) -> Node:
    """The item's query, parsed when it is met first; one with value lists depends on the rule."""
    if any(entry["type"] == "list" for entry in item["entries"]):
        return _item(item, rule)
    if id(item) not in known:
        known[id(item)] = _item(item, rule)
    return known[id(item)]


def _item(item: JsonObject, rule: EngineRule) -> Node:
    """One item as a query; value lists that Kibana applies after the search are included."""
    for entry in item["entries"]:
        if entry["type"] == "list" and entry["list"]["type"] == "text":
            raise UnsupportedQuery(f"item {item['item_id']}: a value list of type text")
    return simplify(parse_dsl(item_clause(item, rule.value_lists)))


class naming:  # noqa: N801 - a context manager, used like a function
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


def check_columns(item: Parsed, tables: Sequence[FieldTable], now: datetime) -> None:
    """ES|QL fails on a column that no index has, and on types that do not go together."""
    query = item.query.esql
    if query is None or not tables:
        return
    for name in sorted(query.columns):
        check_condition_column(name, tables, query)
    types, names = types_in(tables, query.metadata), names_in(tables, query.metadata)
    run_pipe(query.commands, types, (), now, names)


def refuse_pipe(rule: EngineRule, query: ParsedQuery) -> None:
    """Raise UnsupportedQuery for a pipe that computes rows: they are no events to be summed up."""
    if query.esql is not None and query.esql.pipe:
        raise UnsupportedQuery(
            f"rule {rule.rule_id}: a pipe that computes is not summed up", hint="run it instead"
        )


class BoundRules:
    """Rules bound to the field tables of the indices they search.

    Raises QueryError (several as Problems) for rules that cannot run.
    """

    def __init__(self, tables: Tables, parsed: Sequence[Parsed], now: datetime) -> None:
        self.parsed = parsed
        self._tables = tables
        self._now = now
        self._binders: dict[int, tuple[FieldTable, Binder]] = {}
        self._bound: dict[tuple[int, int], tuple[Bound, Items]] = {}
        self._items: dict[tuple[int, int], Bound] = {}
        self._check()

    def _check(self) -> None:
        """Bind every rule to the tables of its patterns, so that what cannot run fails first."""
        collector = Collector()
        for number, item in enumerate(self.parsed):
            with collector.collect():
                tables = [self._tables(pattern) for pattern in item.patterns]
                with naming(item.rule):
                    check_columns(item, tables, self._now)
                for table in tables:
                    self.bind(number, table)
        collector.raise_if_any()

    def bind(self, number: int, table: FieldTable) -> tuple[Bound, Items]:
        """A rule's query and items on a table, bound once."""
        key = (number, id(table))
        if key not in self._bound:
            # The table is kept, so that its identity stays its own.
            _, binder = self._binders.setdefault(id(table), (table, Binder(table, self._now)))
            item = self.parsed[number]
            with naming(item.rule):
                items = tuple((id_, self._item(node, table, binder)) for id_, node in item.items)
                self._bound[key] = (binder.bind(item.query.node), items)
        return self._bound[key]

    def _item(self, node: Node, table: FieldTable, binder: Binder) -> Bound:
        """An item's query, bound once for all the rules that share it."""
        key = (id(node), id(table))
        if key not in self._items:
            self._items[key] = binder.bind(node)
        return self._items[key]

    def queries(self) -> list[Bound]:
        """All queries and items that were bound so far."""
        return [
            bound
            for query, items in self._bound.values()
            for bound in (query, *(inner for _, inner in items))
        ]

    def by_table(self, index: str) -> list[tuple[FieldTable, list[int]]]:
        """The rules that search an index, by their place, with the index's table.

        An event without an index is looked at by all rules, each with the table of its own.
        """
        chosen = [n for n, item in enumerate(self.parsed) if selects(item.patterns, index)]
        if index:
            return [(self._tables(stream_name(index)), chosen)] if chosen else []
        by_table: dict[int, tuple[FieldTable, list[int]]] = {}
        for number in chosen:
            table = self._tables((self.parsed[number].patterns or ("",))[0])
            by_table.setdefault(id(table), (table, []))[1].append(number)
        return list(by_table.values())


def constants(table: FieldTable, index: str) -> dict[str, str]:
    """The `data_stream` fields that a mapping fixes for every document of a data stream."""
    parts = stream_name(index).split("-", 2)
    if len(parts) != len(STREAM):
        return {}
    return {
        name: value
        for name, value in zip(STREAM, parts, strict=True)
        if name in table.fields and table.fields[name].type == "constant_keyword"
    }
