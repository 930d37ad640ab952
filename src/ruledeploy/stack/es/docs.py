"""One document at a time: `_doc` and `_create`, with optimistic locking."""

from __future__ import annotations

import uuid
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.shown import asked_source, filtered_source
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.jsontext import read_json
from ruledeploy.stack.store import Store
from ruledeploy.stack.versions import PRIMARY_TERM

_SHARDS = {"total": 1, "successful": 1, "failed": 0}


def written(stored: Stored, result: str) -> dict[str, Any]:
    """The answer to a write."""
    return {
        "_index": stored.index,
        "_id": stored.id,
        "_version": stored.version,
        "result": result,
        "_shards": _SHARDS,
        "_seq_no": stored.seq,
        "_primary_term": PRIMARY_TERM,
    }


def write(
    store: Store, index: str, doc_id: str, source: dict[str, Any], query: dict[str, str]
) -> tuple[Stored, str]:
    """Index or create (`op_type=create`) one document; result is created or updated."""
    backing = documents.ensure_index(store, index)
    found = documents.get(store, backing, doc_id)
    if query.get("op_type") == "create" and found is not None:
        raise documents.conflict(
            doc_id, f"version conflict, document already exists (current version [{found.version}])"
        )
    documents.guard(found, query, doc_id)
    stored = documents.put(store, backing, doc_id, source, found.version + 1 if found else 1)
    return stored, "updated" if found else "created"


def index(stack: Stack, call: Call) -> Answer:
    """`PUT|POST /{index}/_doc/{id}`."""
    return _write(stack, call, call.query)


def create(stack: Stack, call: Call) -> Answer:
    """`PUT|POST /{index}/_create/{id}`: 409 when the id is taken."""
    return _write(stack, call, {**call.query, "op_type": "create"})


def _write(stack: Stack, call: Call, query: dict[str, str]) -> Answer:
    source = json_object(call)
    doc_id = call.params.get("id") or uuid.uuid4().hex[:20]
    stored, result = write(stack.store, call.params["index"], doc_id, source, query)
    return Answer(written(stored, result), 201 if result == "created" else 200)


def json_object(call: Call) -> dict[str, Any]:
    """The body, which must be a JSON object."""
    try:
        body = read_json(call.body, unique=True) if call.body else None
    except ValueError as error:
        reason = f"request body is not valid JSON: {error}"
        raise elastic(400, "x_content_parse_exception", reason) from error
    if not isinstance(body, dict):
        raise elastic(400, "parse_exception", "request body is required")
    return body


def changed(store: Store, index: str, doc_id: str, body: dict[str, Any]) -> tuple[Stored, str]:
    """A document with the fields of `doc` merged in; result is updated, noop or created.

    A 404 when it is not there and the body has neither `upsert` nor `doc_as_upsert`; a 400 for a
    script.
    """
    if "doc" not in body:
        raise elastic(400, "action_request_validation_exception", "the local stack runs no scripts")
    backing = documents.ensure_index(store, index)
    found = documents.get(store, backing, doc_id)
    if found is None:
        first = body["doc"] if body.get("doc_as_upsert") else body.get("upsert")
        if first is None:
            reason = f"[{doc_id}]: document missing"
            raise elastic(404, "document_missing_exception", reason, index=index)
        return documents.put(store, backing, doc_id, first, 1), "created"
    source = _merged(found.source, body["doc"])
    if source == found.source:
        return found, "noop"
    return documents.put(store, backing, doc_id, source, found.version + 1), "updated"


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    out = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if both else value
    return out


def update(stack: Stack, call: Call) -> Answer:
    """`POST /{index}/_update/{id}` with `doc`, `upsert` or `doc_as_upsert`; no scripts."""
    index, doc_id = call.params["index"], call.params["id"]
    if "if_seq_no" in call.query:
        found = documents.get(stack.store, documents.ensure_index(stack.store, index), doc_id)
        documents.guard(found, call.query, doc_id)
    stored, result = changed(stack.store, index, doc_id, json_object(call))
    return Answer(written(stored, result), 201 if result == "created" else 200)


def read(stack: Stack, call: Call) -> Answer:
    """`GET /{index}/_doc/{id}`: 404 with `found: false` when it is not there."""
    name, doc_id = call.params["index"], call.params["id"]
    backings = documents.resolve(stack.store, name)
    if not backings:
        raise no_such_index(name)
    for backing in backings:
        found = documents.get(stack.store, backing, doc_id)
        if found is not None:
            source = filtered_source(found.source, asked_source(call.query))
            return Answer(
                {
                    "_index": found.index,
                    "_id": found.id,
                    "_version": found.version,
                    "_seq_no": found.seq,
                    "_primary_term": PRIMARY_TERM,
                    "found": True,
                    **({} if source is None else {"_source": source}),
                }
            )
    return Answer({"_index": name, "_id": doc_id, "found": False}, 404)


def no_such_index(name: str) -> Exception:
    """A 404 in Elasticsearch's envelope."""
    return elastic(
        404, "index_not_found_exception", f"no such index [{name}]",
        index=name, index_uuid="_na_", **{"resource.type": "index_or_alias", "resource.id": name},
    )  # fmt: skip


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE /{index}/_doc/{id}`."""
    name, doc_id = call.params["index"], call.params["id"]
    backings = documents.resolve(stack.store, name)
    if not backings:
        raise no_such_index(name)
    found = documents.get(stack.store, backings[0], doc_id)
    documents.guard(found, call.query, doc_id)
    if found is None:
        gone = Stored(backings[0], doc_id, stack.store.next_seq(), 1, {})
        return Answer(written(gone, "not_found"), 404)
    documents.delete(stack.store, found)
    gone = Stored(found.index, doc_id, stack.store.next_seq(), found.version + 1, {})
    return Answer(written(gone, "deleted"))


ROUTES = (
    Endpoint("PUT", "/{index}/_doc/{id}", index, "write"),
    Endpoint("POST", "/{index}/_doc/{id}", index, "write"),
    Endpoint("POST", "/{index}/_doc", index, "write"),
    Endpoint("PUT", "/{index}/_create/{id}", create, "write"),
    Endpoint("POST", "/{index}/_create/{id}", create, "write"),
    Endpoint("POST", "/{index}/_update/{id}", update, "write"),
    Endpoint("GET", "/{index}/_doc/{id}", read),
    Endpoint("HEAD", "/{index}/_doc/{id}", read),
    Endpoint("DELETE", "/{index}/_doc/{id}", delete, "write"),
)
