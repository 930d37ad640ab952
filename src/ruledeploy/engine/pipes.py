"""Events as rows of an ES|QL pipe, and what the pipe makes of them as hits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import TypeAlias

from ruledeploy.engine.binding import METADATA, Resolved, innermost_nested, resolve
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.protocol import Document, Hits
from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable
from ruledeploy.model import JsonObject
from ruledeploy.query.esql import EsqlQuery
from ruledeploy.query.esql_pipe import Command, columns_used
from ruledeploy.query.esql_run import Names, Table, run_pipe
from ruledeploy.query.esql_types import Row, Types, column_type, column_value, present

# An event's time and id, to sort by, and its columns.
EventRow: TypeAlias = tuple[tuple[int, str], Row]
# Of an event that is written once the version is 1.
_METADATA = {"_id": "keyword", "_index": "keyword", "_version": "long"}
# The row's own event, under a name that no column can have.
_EVENT = ""


def types_in(tables: Sequence[FieldTable], metadata: Collection[str] = ()) -> Types:
    """The type of a column, from the first of the tables that has the field.

    Of metadata a query has what it asks for. Raises UnsupportedQuery for what we do not know of it.
    """

    def type_of(name: str) -> str | None:
        if name in metadata and name not in _METADATA:
            raise UnsupportedQuery(f"the metadata {name}")
        if name in _METADATA:
            return _METADATA[name] if name in metadata else None
        for table in tables:
            found = _column(table, name)
            if found is not None:
                return column_type(found.type)
        return None

    return type_of


def column_names(table: FieldTable) -> Iterator[str]:
    """The columns of an index: its fields and their multi-fields."""
    for name, type_ in table.fields.items():
        for path in (name, *(f"{name}.{sub}" for sub in type_.fields)):
            if _column(table, path) is not None:
                yield path


def names_in(tables: Sequence[FieldTable], metadata: Collection[str]) -> Names | None:
    """The columns that the tables list, and metadata; None where events may have others."""
    if any(table.open or table.dynamic_keyword for table in tables):
        return None
    return lambda: chain(metadata, chain.from_iterable(map(column_names, tables)))


def check_condition_column(name: str, tables: Sequence[FieldTable], query: EsqlQuery) -> None:
    """Raise QueryError for a column of the first conditions that is not there."""
    asked = name in query.metadata
    if asked and name not in METADATA:
        raise UnsupportedQuery(f"the metadata {name} in a condition")
    there = asked if name in METADATA else any(has_column(table, name) for table in tables)
    if not there:
        raise QueryError(f"unknown column {name}")


def has_column(table: FieldTable, name: str) -> bool:
    """Whether a condition can ask a column: no nested object's, and no flattened field."""
    found = resolve(table, name)
    if found is None or found.root or found.type.type == "nested":
        return False
    return not innermost_nested(table, found.path)


def _column(table: FieldTable, name: str) -> Resolved | None:
    """The field behind a column; None where ES|QL has no such column."""
    found = resolve(table, name)
    if found is None or column_type(found.type) is None or found.root:
        return None
    return None if innermost_nested(table, found.path) else found


class RowReader:
    """Reads the columns that a pipe uses, and `shown` ones, out of events of one table."""

    def __init__(
        self, commands: Sequence[Command], table: FieldTable, shown: Sequence[str] = ()
    ) -> None:
        names = dict.fromkeys(name for command in commands for name in columns_used(command))
        names |= dict.fromkeys(shown)
        found = {name: _column(table, name) for name in names if name not in _METADATA}
        self._columns = {name: column for name, column in found.items() if column is not None}
        self._reader = FieldReader({column.path for column in self._columns.values()})

    def read(self, event: Document, constants: Mapping[str, str]) -> Row:
        """The event's row; `constants` are values that the mapping gives every event."""
        values = self._reader.read(event.source)
        row: Row = {"_id": event.id, "_index": event.index, "_version": 1}
        for name, column in self._columns.items():
            raw = values.get(column.path)
            if raw is None and column.path in constants:
                raw = [constants[column.path]]
            row[name] = None if raw is None else column_value(column.type, raw)
        return row


def piped(
    query: EsqlQuery,
    types: Types,
    rows: Sequence[EventRow],
    now: datetime,
    suppressed: Mapping[str, tuple[str, ...]],
) -> Hits:
    """What alerts once the pipe has run: its groups, or the events it leaves."""
    ordered = [{**row, _EVENT: entry} for entry, row in sorted(rows, key=lambda each: each[0])]
    table = run_pipe(query.pipe, types, ordered, now)
    if query.aggregates:
        return Hits(len(table.rows), (), suppressed, tuple(shown(table)))
    ids = tuple(identity for _, identity in sorted(row[_EVENT] for row in table.rows))
    return Hits(len(ids), ids, suppressed)


def shown(table: Table) -> list[JsonObject]:
    """The rows as Elasticsearch's JSON has them, columns that were made in the pipe."""
    made = table.columns.made
    return [
        {name: present(type_, row.get(name)) for name, type_ in made.items()} for row in table.rows
    ]
