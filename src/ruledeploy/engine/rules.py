"""Rules as the embedded engine runs them: parsed, with the queries of their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ruledeploy.engine.binding import resolve, types_of
from ruledeploy.engine.protocol import EngineRule
from ruledeploy.errors import Collector, QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable
from ruledeploy.model import JsonObject
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.exceptions import is_expired, item_clause
from ruledeploy.query.ir import Node, fields_used, simplify
from ruledeploy.query.kql import Types
from ruledeploy.query.parse import ParsedQuery, parse_query

Tables: TypeAlias = Callable[[str], FieldTable]


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
    for rule in rules:
        with collector.collect(), naming(rule):
            items = tuple(
                (str(item["item_id"]), _item(item, rule))
                for item in rule.items
                if not is_expired(item, now)
            )
            query = parse_query(rule.language, rule.query, _types(rule, tables))
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


def check_columns(item: Parsed, tables: Sequence[FieldTable]) -> None:
    """ES|QL fails on a column that no index has."""
    if item.query.esql is None or not tables:
        return
    for name in sorted(fields_used(item.query.node)):
        if "*" not in name and not any(resolve(table, name) for table in tables):
            raise QueryError(f"unknown column {name}")
