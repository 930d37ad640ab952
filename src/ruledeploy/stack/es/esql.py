"""`POST /_query`: ES|QL as the embedded engine evaluates it; a query that finds needs a `keep`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ruledeploy.engine import Document
from ruledeploy.engine.binding import resolve
from ruledeploy.engine.pipes import RowReader, types_in
from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable
from ruledeploy.query.esql import EsqlQuery
from ruledeploy.query.esql_run import Table, run_pipe
from ruledeploy.query.esql_types import present
from ruledeploy.query.parse import ParsedQuery, parse_query
from ruledeploy.stack.clock import iso
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.docs import json_object
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.search import Matching, unreadable
from ruledeploy.stack.es.sorting import comparable, field_reader
from ruledeploy.stack.http import Answer, Call, Endpoint

# What ES|QL calls the types of mappings.
_TYPES = {
    "constant_keyword": "keyword", "wildcard": "keyword", "flattened": "keyword",
    "match_only_text": "text", "short": "integer", "byte": "integer", "float": "double",
    "half_float": "double", "scaled_float": "double", "date_nanos": "date",
}  # fmt: skip
# What Elasticsearch gives when a query says no limit.
_DEFAULT_LIMIT = 1_000
_KEEP = re.compile(r"\|\s*keep\s+([^|]+)", re.IGNORECASE)


def query(stack: Stack, call: Call) -> Answer:
    """Rows of the kept columns (`_id` and `_index` without a `keep`)."""
    body = json_object(call)
    text = str(body.get("query", ""))
    parsed = _parsed(text)
    sources = parsed.esql.sources if parsed.esql else ()
    backings = documents.resolve(stack.store, ",".join(sources))
    if not backings:
        raise elastic(400, "verification_exception", f"Unknown index [{','.join(sources)}]")
    now = stack.clock.now()
    matching = Matching(stack.store, body.get("filter"), now)
    asked = Matching(stack.store, parsed.node, now)
    limit = parsed.esql.limit if parsed.esql else None
    rows = [
        stored
        for stored in documents.scan(stack.store, backings)
        if matching.holds(stored) and asked.holds(stored)
    ]
    names = _columns(text)
    if parsed.esql is not None and parsed.esql.pipe:
        tables = {backing: matching.table(backing) for backing in backings}
        table = _run(parsed.esql, tables, rows, now)
        return _answer(table, list(table.columns.made) if parsed.esql.aggregates else names)
    rows = rows[: _DEFAULT_LIMIT if limit is None else limit]
    reader = field_reader(matching.table)

    types = {
        name: _type_of(name, [matching.table(backing) for backing in backings]) for name in names
    }

    def cell(stored: Stored, name: str) -> Any:
        values = sorted(reader(stored, name), key=comparable)
        if types[name] == "keyword":
            values = list(dict.fromkeys(values))
        if types[name] == "date":
            values = [iso(documents.moment(value)) for value in values]
        return values[0] if len(values) == 1 else values or None

    return Answer(
        {
            "took": 1,
            "is_partial": False,
            "columns": [{"name": name, "type": types[name]} for name in names],
            "values": [[cell(stored, name) for name in names] for stored in rows],
        }
    )


def _run(
    esql: EsqlQuery, tables: Mapping[str, FieldTable], rows: Sequence[Stored], now: datetime
) -> Table:
    """What the commands that compute make of the documents; a 400 where they do not fit."""
    readers = {index: RowReader(esql.pipe, table) for index, table in tables.items()}
    read = (
        readers[stored.index].read(Document(stored.index, stored.id, stored.source), {})
        for stored in rows
    )
    try:
        return run_pipe(esql.pipe, types_in(list(tables.values())), read, now)
    except QueryError as error:
        raise unreadable(error) from error


def _answer(table: Table, names: Sequence[str]) -> Answer:
    types = {name: table.columns.type(name) or "keyword" for name in names}
    return Answer(
        {
            "took": 1,
            "is_partial": False,
            "columns": [{"name": name, "type": kind} for name, kind in types.items()],
            "values": [
                [present(kind, row.get(name)) for name, kind in types.items()] for row in table.rows
            ],
        }
    )


def _type_of(name: str, tables: Sequence[FieldTable]) -> str:
    """A column's type as ES|QL tells it, by the first index that maps it."""
    found = [entry for entry in (resolve(table, name) for table in tables) if entry is not None]
    kind = found[0].type.type if found else "keyword"
    return _TYPES.get(kind, kind)


def _parsed(text: str) -> ParsedQuery:
    try:
        return parse_query("esql", text)
    except QueryError as error:
        raise unreadable(error) from error


def _columns(text: str) -> list[str]:
    kept = _KEEP.findall(text)
    return [name.strip(" `\n") for name in kept[-1].split(",")] if kept else ["_id", "_index"]


ROUTES = (Endpoint("POST", "/_query", query),)
