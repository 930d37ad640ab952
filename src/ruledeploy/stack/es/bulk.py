"""`_bulk`: NDJSON of index, create, update and delete actions, each with its own outcome."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, elastic
from ruledeploy.stack.es import docs, documents
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.jsontext import read_json
from ruledeploy.stack.store import Store

_CREATED = 201


def bulk(stack: Stack, call: Call) -> Answer:
    """`POST /_bulk`: HTTP 200 with `errors: true` when single actions fail."""
    items = []
    for n, (name, meta, source) in enumerate(_actions(call)):
        try:
            if call.partial and n % 2:
                raise elastic(429, "es_rejected_execution_exception", "injected failure")
            if isinstance(source, Refusal):
                raise source
            outcome = _one(stack.store, name, meta, source)
        except Refusal as refusal:
            outcome = {
                "_index": meta["_index"], "_id": meta.get("_id"), "status": refusal.status,
                "error": refusal.body["error"]["root_cause"][0],
            }  # fmt: skip
        items.append({name: outcome})
    if not items:
        reason = "Validation Failed: 1: no requests added;"
        raise elastic(400, "action_request_validation_exception", reason)
    failed = any("error" in outcome for item in items for outcome in item.values())
    return Answer({"took": 1, "errors": failed, "items": items})


def _one(store: Store, name: str, meta: dict[str, Any], source: Any) -> dict[str, Any]:
    doc_id = meta.get("_id") or uuid.uuid4().hex[:20]
    index = meta["_index"]
    if name == "delete":
        backing = documents.ensure_index(store, index)
        found = documents.get(store, backing, doc_id)
        if found is None:
            return {"_index": backing, "_id": doc_id, "result": "not_found", "status": 404}
        documents.delete(store, found)
        return {**docs.written(found, "deleted"), "status": 200}
    if name == "update":
        stored, result = docs.changed(store, index, doc_id, source)
        return {**docs.written(stored, result), "status": _CREATED if result == "created" else 200}
    if name == "index" and documents.is_stream_name(index):
        raise elastic(
            400, "illegal_argument_exception",
            "only write ops with an op_type of create are allowed in data streams",
        )  # fmt: skip
    if documents.is_stream_name(index) and documents.timestamp(source, "@timestamp") is None:
        raise elastic(
            400, "document_parsing_exception",
            "[1:1] failed to parse: data stream timestamp field [@timestamp] is missing",
        )  # fmt: skip
    query = {"op_type": "create"} if name == "create" else {}
    query.update({k: str(meta[k]) for k in ("if_seq_no", "if_primary_term") if k in meta})
    stored, result = docs.write(store, index, doc_id, source, query)
    return {**docs.written(stored, result), "status": _CREATED if result == "created" else 200}


def _actions(call: Call) -> Iterator[tuple[str, dict[str, Any], Any]]:
    if not call.body:
        raise elastic(400, "parse_exception", "request body is required")
    if not call.body.endswith(b"\n"):
        reason = "The bulk request must be terminated by a newline [\n]"
        raise elastic(400, "illegal_argument_exception", reason)
    lines = iter([line for line in call.body.split(b"\n") if line.strip()])
    default = {"_index": call.params["index"]} if "index" in call.params else {}
    for line in lines:
        try:
            action = read_json(line)
            ((name, meta),) = action.items()
            meta = dict(meta)
        except (AttributeError, TypeError, ValueError) as error:
            raise elastic(
                400, "illegal_argument_exception", "Malformed action/metadata line"
            ) from error
        if name not in {"index", "create", "delete", "update"}:
            raise elastic(
                400,
                "illegal_argument_exception",
                f"Malformed action/metadata line, expected one of [create, delete, index, update] "
                f"but found [{name}]",
            )
        meta = {**default, **meta}
        if not isinstance(meta.get("_index"), str):
            raise elastic(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: index is missing;",
            )
        if name == "delete":
            yield name, meta, None
            continue
        source = next(lines, None)
        if source is None:
            return  # an action without its source at the end is no action
        yield name, meta, _source(source)


def _source(line: bytes) -> dict[str, Any] | Refusal:
    """The line after an action; the action alone is refused when that is no object."""
    try:
        source = read_json(line)
    except ValueError as error:
        return elastic(400, "document_parsing_exception", f"failed to parse: {error}")
    if not isinstance(source, dict):
        reason = "Malformed content, must start with an object"
        return elastic(400, "document_parsing_exception", reason)
    return source


ROUTES = (
    Endpoint("POST", "/_bulk", bulk, "write"),
    Endpoint("PUT", "/_bulk", bulk, "write"),
    Endpoint("POST", "/{index}/_bulk", bulk, "write"),
    Endpoint("PUT", "/{index}/_bulk", bulk, "write"),
)
