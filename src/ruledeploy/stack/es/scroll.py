"""Scrolls: a search whose pages follow each other.

The id holds the search and the place in it. As with points in time here, nothing is frozen: what is
written between two pages can be seen.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import elastic
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.search import search, search_body
from ruledeploy.stack.http import Answer, Call, Endpoint

_SIZE = 10


def first_page(stack: Stack, expression: str, body: dict[str, Any]) -> dict[str, Any]:
    """The first page of a search with `?scroll=`."""
    if body.get("from"):
        reason = "Validation Failed: 1: using [from] is not allowed in a scroll context;"
        raise elastic(400, "action_request_validation_exception", reason)
    if body.get("size", _SIZE) == 0:
        reason = "Validation Failed: 1: [size] cannot be [0] in a scroll context;"
        raise elastic(400, "action_request_validation_exception", reason)
    return _page(stack, {"index": expression, "body": {**body, "from": 0}})


def next_page(stack: Stack, call: Call) -> Answer:
    """`/_search/scroll`: the page after the last one of that id; an empty one at the end."""
    given = {**search_body(call.body), **call.query}
    place = _place(given.get("scroll_id", call.params.get("scroll_id")))
    return Answer(_page(stack, place))


def _page(stack: Stack, place: dict[str, Any]) -> dict[str, Any]:
    body = place["body"]
    backings = documents.resolve(stack.store, place["index"])
    answer = search(stack.store, backings, body, stack.clock.now(), scrolling=True)
    after = {**body, "from": body["from"] + body.get("size", _SIZE)}
    # Aggregations come with the first page only.
    after.pop("aggs", None)
    after.pop("aggregations", None)
    text = json.dumps({"index": place["index"], "body": after})
    return {"_scroll_id": base64.urlsafe_b64encode(text.encode()).decode(), **answer}


def _place(scroll_id: Any) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(str(scroll_id)))
        if isinstance(found["index"], str) and isinstance(found["body"]["from"], int):
            return dict(found)
    except (KeyError, TypeError, ValueError):
        pass
    raise elastic(400, "illegal_argument_exception", "Cannot parse scroll id")


def clear(stack: Stack, call: Call) -> Answer:
    """`DELETE /_search/scroll`: nothing is held, so there is nothing to free."""
    del stack
    given = {**search_body(call.body), **call.query, **call.params}.get("scroll_id", [])
    ids = [given] if isinstance(given, str) else given
    for one in ids if ids != ["_all"] else []:
        _place(one)
    return Answer({"succeeded": True, "num_freed": len(ids)})


ROUTES = tuple(
    Endpoint(method, path, handler)
    for method, handler in (("GET", next_page), ("POST", next_page), ("DELETE", clear))
    for path in ("/_search/scroll", "/_search/scroll/{scroll_id}")
)
