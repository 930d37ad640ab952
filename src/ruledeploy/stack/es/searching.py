"""The search routes: `_search`, `_count`, `_pit`, `_delete_by_query`, `_field_caps`, `_resolve`."""

from __future__ import annotations

import base64
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents, scroll
from ruledeploy.stack.es.search import (
    count_documents,
    matching_documents,
    named_indices,
    search,
    search_body,
)
from ruledeploy.stack.es.shown import asked_source
from ruledeploy.stack.es.tables import table_of
from ruledeploy.stack.http import Answer, Call, Endpoint


def run_search(stack: Stack, call: Call) -> Answer:
    """`_search` on indices, or on a point in time that names them."""
    body = search_body(call.body)
    for key in ("size", "from"):
        if key in call.query:
            body[key] = _whole(key, call.query[key])
    if "sort" in call.query:
        body["sort"] = call.query["sort"].split(",")
    if call.query.get("track_total_hits") in {"true", "false"}:
        body["track_total_hits"] = call.query["track_total_hits"] == "true"
    body |= _asked_in_url(call)
    if (wanted := asked_source(call.query, None)) is not None:
        body["_source"] = wanted
    expression = call.params.get("index", "_all")
    pit = body.get("pit")
    if pit is not None:
        expression = _named_by(pit)
        backings = documents.resolve(stack.store, expression)
    else:
        backings = named_indices(stack.store, expression, call.query)
    if "scroll" in call.query:
        return Answer(scroll.first_page(stack, expression, body))
    answer = search(stack.store, backings, body, stack.clock.now())
    if pit is not None:
        answer["pit_id"] = pit["id"]
    return Answer(answer)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        reason = f"Failed to parse int parameter [{name}] with value [{text}]"
        raise elastic(400, "illegal_argument_exception", reason) from error


def _asked_in_url(call: Call) -> dict[str, Any]:
    """The query that `?q=` is."""
    return {"query": {"query_string": {"query": call.query["q"]}}} if "q" in call.query else {}


def _named_by(pit: Any) -> str:
    """The indices of a point in time."""
    try:
        return base64.b64decode(pit["id"], validate=True).decode()
    except (KeyError, TypeError, ValueError) as error:
        reason = "[pit] failed to parse field [id]"
        raise elastic(400, "x_content_parse_exception", reason) from error


def count(stack: Stack, call: Call) -> Answer:
    """`_count`."""
    backings = named_indices(stack.store, call.params.get("index", "_all"), call.query)
    query = {**search_body(call.body), **_asked_in_url(call)}.get("query")
    found = count_documents(stack.store, backings, query, stack.clock.now())
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    return Answer({"count": found, "_shards": shards})


def open_pit(stack: Stack, call: Call) -> Answer:
    """`POST /{index}/_pit`: the id names the indices; it does not freeze them."""
    if "keep_alive" not in call.query:
        reason = "Validation Failed: 1: [keep_alive] is not specified;"
        raise elastic(400, "action_request_validation_exception", reason)
    named_indices(stack.store, call.params["index"], call.query)
    return Answer({"id": base64.b64encode(call.params["index"].encode()).decode()})


def close_pit(stack: Stack, call: Call) -> Answer:
    """`DELETE /_pit`."""
    del stack
    _named_by(search_body(call.body))
    return Answer({"succeeded": True, "num_freed": 1})


def delete_by_query(stack: Stack, call: Call) -> Answer:
    """`POST /{index}/_delete_by_query`."""
    backings = named_indices(stack.store, call.params["index"], call.query)
    query = search_body(call.body).get("query")
    found = matching_documents(stack.store, backings, query, stack.clock.now())
    for stored in found:
        documents.delete(stack.store, stored)
    return Answer(
        {
            "took": 1,
            "timed_out": False,
            "total": len(found),
            "deleted": len(found),
            "batches": 1,
            "version_conflicts": 0,
            "noops": 0,
            "failures": [],
        }
    )


def field_caps(stack: Stack, call: Call) -> Answer:
    """`_field_caps`: type and abilities of each field, merged over the indices."""
    backings = named_indices(stack.store, call.params.get("index", "_all"), call.query)
    fields = call.query.get("fields") or search_body(call.body).get("fields", "*")
    wanted = fields.split(",") if isinstance(fields, str) else fields
    out: dict[str, dict[str, Any]] = {}
    for backing in backings:
        table = table_of(stack.store, backing)
        for name, type_ in table.fields.items():
            subs = {f"{name}.{sub}": inner for sub, inner in type_.fields.items()}
            for path, found in {name: type_, **subs}.items():
                if documents.fits_any(path, wanted):
                    kind = found.type
                    out.setdefault(path, {})[kind] = {
                        "type": kind,
                        "metadata_field": False,
                        "searchable": found.searchable,
                        "aggregatable": kind not in {"text", "match_only_text", "object"},
                    }
    return Answer({"indices": backings, "fields": out})


def resolve_index(stack: Stack, call: Call) -> Answer:
    """`GET /_resolve/index/{name}`: indices, aliases and data streams a pattern names."""
    backings = documents.resolve(stack.store, call.params["name"])
    streams: dict[str, list[str]] = {}
    indices = []
    for backing in backings:
        stream = documents.stream_of(stack.store, backing)
        if stream:
            streams.setdefault(stream, []).append(backing)
        else:
            indices.append({"name": backing, "attributes": ["open"]})
    shown = [
        {"name": name, "backing_indices": inner, "timestamp_field": "@timestamp"}
        for name, inner in streams.items()
    ]
    return Answer({"indices": indices, "aliases": [], "data_streams": shown})


_SEARCHES = tuple(
    Endpoint(method, path, handler)
    for method in ("GET", "POST")
    for path, handler in (
        ("/_search", run_search),
        ("/{index}/_search", run_search),
        ("/_count", count),
        ("/{index}/_count", count),
        ("/_field_caps", field_caps),
        ("/{index}/_field_caps", field_caps),
    )
)
ROUTES = (
    *_SEARCHES,
    *scroll.ROUTES,
    Endpoint("POST", "/{index}/_pit", open_pit),
    Endpoint("DELETE", "/_pit", close_pit),
    Endpoint("POST", "/{index}/_delete_by_query", delete_by_query, "write"),
    Endpoint("GET", "/_resolve/index/{name}", resolve_index),
)
