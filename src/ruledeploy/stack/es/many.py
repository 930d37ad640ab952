"""Several reads in one request: `_msearch`, `_mget`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, elastic
from ruledeploy.stack.es import docs, searching
from ruledeploy.stack.es.shown import asked_source, filtered_source
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.jsontext import read_json


def msearch(stack: Stack, call: Call) -> Answer:
    """`_msearch`: NDJSON pairs of a header and a search; each has an answer or an error."""
    if call.body and not call.body.endswith(b"\n"):
        reason = "The msearch request must be terminated by a newline [\n]"
        raise elastic(400, "illegal_argument_exception", reason)
    lines = [line for line in call.body.split(b"\n") if line.strip()]
    if len(lines) % 2:
        raise elastic(400, "illegal_argument_exception", "a search is missing after its header")
    responses = [
        _searched(stack, call, _object(header), body)
        for header, body in zip(lines[::2], lines[1::2], strict=True)
    ]
    return Answer({"took": 1, "responses": responses})


def _searched(stack: Stack, call: Call, header: dict[str, Any], body: bytes) -> dict[str, Any]:
    index = header.get("index", call.params.get("index", "_all"))
    name = ",".join(index) if isinstance(index, list) else index
    options = {k: str(v).lower() for k, v in header.items() if k == "ignore_unavailable"}
    one = replace(call, body=body, params={"index": name}, query={**call.query, **options})
    try:
        return {**searching.run_search(stack, one).body, "status": 200}
    except Refusal as refusal:
        if refusal.body["error"]["type"] == "parsing_exception":
            raise  # the whole request is refused, as a server reads all of it first
        return {"error": refusal.body["error"], "status": refusal.status}


def _object(line: bytes) -> dict[str, Any]:
    try:
        loaded = read_json(line)
    except ValueError as error:
        raise elastic(400, "parsing_exception", "a header is not valid JSON") from error
    if not isinstance(loaded, dict):
        raise elastic(400, "parsing_exception", "a header is a JSON object")
    return loaded


def mget(stack: Stack, call: Call) -> Answer:
    """`_mget`: documents by `docs` or, in one index, by `ids`; the missing are `found: false`."""
    body = docs.json_object(call)
    asked = body.get("docs") or body.get("ids")
    if not asked:
        raise elastic(400, "action_request_validation_exception", "no documents to get")
    if not isinstance(asked, list):
        raise elastic(400, "parsing_exception", "[docs] and [ids] are arrays")
    asked = [one if isinstance(one, dict) else {"_id": one} for one in asked]
    for one in asked:
        _refuse_malformed(call, one)
    return Answer({"docs": [_got(stack, call, one) for one in asked]})


def _refuse_malformed(call: Call, asked: dict[str, Any]) -> None:
    index = asked.get("_index", call.params.get("index"))
    for name, value in (("index", index), ("id", asked.get("_id"))):
        if value is None:
            reason = f"Validation Failed: 1: {name} is missing for doc 0;"
            raise elastic(400, "action_request_validation_exception", reason)
        if not isinstance(value, str | int):
            raise elastic(400, "parsing_exception", f"[_{name}] of a document is a text")


def _got(stack: Stack, call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    index = str(asked.get("_index", call.params.get("index")))
    one = replace(call, params={"index": index, "id": str(asked["_id"])}, query={})
    try:
        found = dict(docs.read(stack, one).body)
    except Refusal as refusal:
        return {"_index": index, "_id": asked["_id"], "error": refusal.body["error"]}
    wanted = asked.get("_source", asked_source(call.query))
    source = filtered_source(found.pop("_source", {}), wanted)
    return found if source is None or not found["found"] else {**found, "_source": source}


_PAIRS = (("_msearch", msearch), ("_mget", mget))
ROUTES = (
    *(
        Endpoint(method, f"{index}/{name}", handler)
        for method in ("GET", "POST")
        for index in ("", "/{index}")
        for name, handler in _PAIRS
    ),
)
