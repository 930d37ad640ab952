"""`/{index}/_eql/search`: EQL on single events as the embedded engine evaluates it.

Sequences, samples and pipes are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruledeploy.engine.binding import types_of
from ruledeploy.errors import QueryError
from ruledeploy.query.ir import Node
from ruledeploy.query.parse import parse_query
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.docs import json_object
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.search import Matching, named_indices, shown, unreadable
from ruledeploy.stack.es.sorting import field_reader
from ruledeploy.stack.es.tables import table_of
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.paging import WINDOW

_CATEGORY = "event.category"
# What a request may say; what the query decides alone, or a server would only be quicker by.
_KNOWN = {
    "query", "filter", "size", "fields", "timestamp_field", "tiebreaker_field", "result_position",
    "event_category_field", "fetch_size", "keep_alive", "keep_on_completion",
    "wait_for_completion_timeout", "case_sensitive", "allow_partial_search_results",
}  # fmt: skip


def eql_search(stack: Stack, call: Call) -> Answer:
    """The events that a query finds, by time: the last `size` of them, or the first."""
    body = json_object(call)
    _check(body)
    backings = named_indices(stack.store, call.params["index"], call.query)
    node = _parsed(stack, str(body["query"]), backings)
    now = stack.clock.now()
    asked, narrowed = (
        Matching(stack.store, node, now),
        Matching(stack.store, body.get("filter"), now),
    )

    def found() -> Iterator[Stored]:
        for stored in documents.scan(stack.store, backings):
            if narrowed.holds(stored) and asked.holds(stored):
                yield stored

    size, first = body.get("size", 10), body.get("result_position", "tail") == "head"
    options = {
        "sort": list(_order(body, "asc" if first else "desc")),
        "size": size,
        "fields": body.get("fields", []),
        "track_total_hits": True,
    }
    try:
        hits = shown(found(), options, field_reader(asked.table), asked.table)["hits"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise elastic(400, "parsing_exception", f"malformed search: {error}") from error
    events = [_event(hit) for hit in hits["hits"]]
    return Answer(
        {
            "is_partial": False,
            "is_running": False,
            "took": 1,
            "timed_out": False,
            "hits": {"total": hits["total"], "events": events if first else events[::-1]},
        }
    )


def _check(body: Mapping[str, Any]) -> None:
    for key in body:
        if key not in _KNOWN:
            raise elastic(400, "parsing_exception", f"unknown field [{key}]")
    if not body.get("query"):
        reason = "Validation Failed: 1: query is null or empty;"
        raise elastic(400, "action_request_validation_exception", reason)
    size = body.get("size", 10)
    if not isinstance(size, int) or not 0 <= size <= WINDOW:
        reason = f"size must be between 0 and {WINDOW}, but was [{size}]"
        raise elastic(400, "illegal_argument_exception", reason)
    if body.get("event_category_field", _CATEGORY) != _CATEGORY:
        reason = f"the local stack knows no category field but [{_CATEGORY}]"
        raise elastic(400, "illegal_argument_exception", reason)
    if body.get("result_position", "tail") not in ("head", "tail"):
        reason = f"unknown result position [{body['result_position']}], only [head, tail]"
        raise elastic(400, "illegal_argument_exception", reason)


def _parsed(stack: Stack, text: str, backings: Sequence[str]) -> Node:
    try:
        types = types_of([table_of(stack.store, backing) for backing in backings])
        return parse_query("eql", text, types).node
    except QueryError as error:
        raise unreadable(error) from error


def _order(body: Mapping[str, Any], order: str) -> Iterator[dict[str, Any]]:
    yield {str(body.get("timestamp_field", "@timestamp")): {"order": order}}
    if "tiebreaker_field" in body:
        yield {str(body["tiebreaker_field"]): {"order": order}}


def _event(hit: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in hit.items() if key not in {"_score", "sort"}}


ROUTES = tuple(Endpoint(method, "/{index}/_eql/search", eql_search) for method in ("GET", "POST"))
