"""`POST /_query`: ES|QL as the embedded engine evaluates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ruledeploy.engine import Document
from ruledeploy.engine.pipes import RowReader, column_names, types_in
from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldTable
from ruledeploy.query.esql import EsqlQuery
from ruledeploy.query.esql_columns import columns_shown
from ruledeploy.query.esql_pipe import Command, Limit, Sort, Stats, Where
from ruledeploy.query.esql_run import DEFAULT_LIMIT, Table, run_pipe
from ruledeploy.query.esql_types import present
from ruledeploy.query.parse import ParsedQuery, parse_query
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.docs import json_object
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.search import Matching, unreadable
from ruledeploy.stack.http import Answer, Call, Endpoint

_IN_URL = {
    *("allow_partial_results", "drop_null_columns", "format"),
    *("error_trace", "filter_path", "human", "pretty"),
}
_IN_BODY = {"query", "filter", "columnar", "include_ccs_metadata", "locale", "time_zone"}
_NOT_DONE = {"params", "profile", "tables"}


def query(stack: Stack, call: Call) -> Answer:
    """Rows of the columns that the query leaves: without a `keep`, all that the indices map."""
    body = json_object(call)
    _refuse_options(body, call)
    parsed = _parsed(str(body.get("query", "")))
    asked = parsed.esql or EsqlQuery(())
    backings = documents.resolve(stack.store, ",".join(asked.sources))
    if not backings:
        reason = f"Unknown index [{','.join(asked.sources)}]"
        raise elastic(400, "verification_exception", reason)
    now = stack.clock.now()
    matching = Matching(stack.store, body.get("filter"), now)
    found = Matching(stack.store, parsed.node, now)
    rows = [
        stored
        for stored in documents.scan(stack.store, backings)
        if matching.holds(stored) and found.holds(stored)
    ]
    tables = {backing: matching.table(backing) for backing in backings}
    mapped = sorted({name for table in tables.values() for name in column_names(table)})
    shown = columns_shown(asked.commands, [*mapped, *asked.metadata])
    table = _run(asked, tables, shown, _first(asked.commands, rows), now)
    answer = _answer(table, shown)
    if call.query.get("drop_null_columns") == "true":
        answer = _without_nulls(answer)
    if body.get("columnar") is True:
        answer["values"] = [list(column) for column in zip(*answer["values"], strict=True)]
    return Answer({"took": 1, "is_partial": False, **answer})


def _refuse_options(body: Mapping[str, Any], call: Call) -> None:
    """A 400 for what a node does not know, and for what this stack does not do."""
    for key in call.query:
        if key not in _IN_URL:
            reason = f"request [/_query] contains unrecognized parameter: [{key}]"
            raise elastic(400, "illegal_argument_exception", reason)
    for key in body:
        if key not in _IN_BODY and key not in _NOT_DONE:
            reason = f"[esql/query] unknown field [{key}]"
            raise elastic(400, "x_content_parse_exception", reason)
        if key in _NOT_DONE and body[key]:
            reason = f"the local stack does not support [{key}]"
            raise elastic(400, "illegal_argument_exception", reason)
    if call.query.get("format", "json") != "json":
        reason = "the local stack answers ES|QL as [json] only"
        raise elastic(400, "illegal_argument_exception", reason)


def _first(commands: Sequence[Command], rows: Sequence[Stored]) -> Sequence[Stored]:
    """The rows that can be in the answer: all, where commands choose among them."""
    if any(isinstance(command, Where | Sort | Stats) for command in commands):
        return rows
    counts = [command.count for command in commands if isinstance(command, Limit)]
    return rows[: min(counts, default=DEFAULT_LIMIT)]


def _run(
    esql: EsqlQuery,
    tables: Mapping[str, FieldTable],
    shown: Sequence[str],
    rows: Sequence[Stored],
    now: datetime,
) -> Table:
    """What the commands make of the documents; a 400 where they do not fit."""
    readers = {index: RowReader(esql.commands, table, shown) for index, table in tables.items()}
    read = [
        {
            **readers[stored.index].read(Document(stored.index, stored.id, stored.source), {}),
            "_version": stored.version,
        }
        for stored in rows
    ]
    types = types_in(list(tables.values()), esql.metadata)
    try:
        return run_pipe(esql.commands, types, read, now)
    except QueryError as error:
        raise unreadable(error) from error


def _answer(table: Table, names: Sequence[str]) -> dict[str, Any]:
    types = {name: table.columns.type(name) or "keyword" for name in names}
    return {
        "columns": [{"name": name, "type": kind} for name, kind in types.items()],
        "values": [
            [present(kind, row.get(name)) for name, kind in types.items()] for row in table.rows
        ],
    }


def _without_nulls(answer: dict[str, Any]) -> dict[str, Any]:
    """`drop_null_columns`: all columns by name, and of the rows those that hold a value."""
    columns, rows = answer["columns"], answer["values"]
    used = [at for at in range(len(columns)) if any(row[at] is not None for row in rows)]
    return {
        "all_columns": columns,
        "columns": [columns[at] for at in used],
        "values": [[row[at] for at in used] for row in rows],
    }


def _parsed(text: str) -> ParsedQuery:
    try:
        return parse_query("esql", text)
    except QueryError as error:
        raise unreadable(error) from error


ROUTES = (Endpoint("POST", "/_query", query),)
