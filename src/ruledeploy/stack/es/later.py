"""Searches that are asked for later: `_async_search`.

A search that is not waited for (`wait_for_completion_timeout=0`) runs when it is first asked after;
any other is done at once, and is kept only where that is asked for.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents, searching
from ruledeploy.stack.http import Answer, Call, Endpoint

# Where Elasticsearch keeps them, too.
_INDEX = ".async-search"
_NO_WAIT = re.compile(r"0+(ms|s|m|h|d|micros|nanos)?")


def submit(stack: Stack, call: Call) -> Answer:
    """`POST /{index}/_async_search`."""
    wait = call.query.get("wait_for_completion_timeout", "1s")
    waits = _NO_WAIT.fullmatch(wait) is None
    found = searching.run_search(stack, call).body if waits else None
    if waits and call.query.get("keep_on_completion") != "true":
        return Answer(_told(stack, None, found))
    identity = uuid.uuid4().hex
    asked = {
        "index": call.params.get("index", "_all"),
        "query": call.query,
        "body": call.body.decode("utf-8", "replace"),
        "by": call.caller.name,
    }
    with stack.store.transaction():
        backing = documents.ensure_index(stack.store, _INDEX)
        documents.put(stack.store, backing, identity, asked, 1)
    return Answer(_told(stack, identity, found))


def look(stack: Stack, call: Call) -> Answer:
    """`GET /_async_search/{id}`: it is done by now."""
    asked = _kept(stack, call).source
    params = {"index": str(asked["index"])}
    body = str(asked["body"]).encode()
    one = replace(call, params=params, query=dict(asked["query"]), body=body)
    return Answer(_told(stack, call.params["id"], searching.run_search(stack, one).body))


def forget(stack: Stack, call: Call) -> Answer:
    """`DELETE /_async_search/{id}`."""
    with stack.store.transaction():
        documents.delete(stack.store, _kept(stack, call))
    return Answer({"acknowledged": True})


def _kept(stack: Stack, call: Call) -> documents.Stored:
    """The search, which only who started it may see."""
    found = documents.get(stack.store, _INDEX, call.params["id"])
    if found is None or found.source["by"] != call.caller.name:
        raise elastic(404, "resource_not_found_exception", call.params["id"])
    return found


def _told(stack: Stack, identity: str | None, found: Any) -> dict[str, Any]:
    now = int(stack.clock.now().timestamp() * 1000)
    running = found is None
    out: dict[str, Any] = {} if identity is None else {"id": identity}
    out |= {"is_partial": running, "is_running": running, "start_time_in_millis": now}
    out |= {"expiration_time_in_millis": now + 5 * 86_400_000}
    shards = {"total": 1, "successful": 0, "skipped": 0, "failed": 0}
    hits: dict[str, Any] = {"total": {"value": 0, "relation": "gte"}, "max_score": None, "hits": []}
    nothing = {"took": 0, "timed_out": False, "_shards": shards, "hits": hits}
    if running:
        return {**out, "response": nothing}
    return {**out, "completion_time_in_millis": now, "completion_status": 200, "response": found}


ROUTES = (
    Endpoint("POST", "/_async_search", submit),
    Endpoint("POST", "/{index}/_async_search", submit),
    Endpoint("GET", "/_async_search/{id}", look),
    Endpoint("DELETE", "/_async_search/{id}", forget),
)
