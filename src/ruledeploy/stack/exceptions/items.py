"""`/api/exception_lists/items`: create, read, overwrite, delete, find."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from ruledeploy.stack import schema, texts, versions
from ruledeploy.stack.auth import Caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.finding import find_objects
from ruledeploy.stack.filter import attributes_of_list
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.paging import compiled
from ruledeploy.stack.store import Saved

ITEMS = "/api/exception_lists/items"
MAX_ITEMS = 10_000


def create(stack: Stack, call: Call) -> Answer:
    """`POST`: 404 without the list, 409 when the `item_id` is taken anywhere."""
    parsed = schema.parse_body(schema.body_shape(f"POST {ITEMS}"), call.json(), stack.server.zod)
    _refuse_empty(stack, parsed)
    return Answer(common.shown(store_item(stack, call.space, parsed, call.caller)))


def _refuse_empty(stack: Stack, parsed: dict[str, Any]) -> None:
    """No entries match everything; whether Kibana lets that through is in doubt."""
    if not parsed["entries"] and not stack.server.empty_entries:
        text = texts.length_complaint({"minItems": 1}, [], stack.server.zod)
        raise platform(400, f"[request body]: entries: {text}")


def store_item(stack: Stack, space: str, parsed: dict[str, Any], caller: Caller) -> Saved:
    """Write a new item from a parsed create request."""
    list_id, namespace = parsed["list_id"], parsed["namespace_type"]
    if common.list_named(stack, space, list_id, namespace) is None:
        raise siem(404, f'exception list id: "{list_id}" does not exist')
    where = common.space_of(space, namespace)
    item_id = parsed.get("item_id") or str(uuid.uuid4())
    if stack.store.by_key("exception_item", where, item_id) is not None:
        raise siem(409, f'exception list item id: "{item_id}" already exists')
    if stack.store.count("exception_item", where, list_id) >= MAX_ITEMS:
        raise siem(
            400,
            f"Failed to add exception item, exception list would exceed max size of {MAX_ITEMS}",
        )
    now = stack.clock.text()
    body = {
        **parsed,
        "item_id": item_id,
        "comments": [new_comment(c["comment"], caller, now) for c in parsed["comments"]],
        **common.server_fields(caller, now),
    }
    saved = Saved("exception_item", where, body["id"], item_id, body, parent=list_id)
    return stack.store.put(saved)


def new_comment(text: str, caller: Caller, now: str) -> dict[str, Any]:
    """A comment as it is stored."""
    return {
        "comment": text, "created_at": now, "created_by": caller.name, "id": str(uuid.uuid4()),
    }  # fmt: skip


def read(stack: Stack, call: Call) -> Answer:
    """`GET ?id=` or `?item_id=`."""
    query = schema.parse_query(f"GET {ITEMS}", call.query, stack.server.zod)
    if not common.named(query, "exception_item"):
        raise siem(400, "id or item_id required")
    return Answer(common.shown(common.look_up(stack, "exception_item", call.space, query)))


def replace(stack: Stack, call: Call) -> Answer:
    """`PUT`: overwrites the item, so omitted expiry, meta, os_types and tags are cleared."""
    parsed = schema.parse_body(schema.body_shape(f"PUT {ITEMS}"), call.json(), stack.server.zod)
    _refuse_empty(stack, parsed)
    check_comment_order(parsed["comments"])
    if not common.named(parsed, "exception_item"):
        raise siem(404, "either id or item_id need to be defined")
    found = common.look_up(stack, "exception_item", call.space, parsed)
    versions.guard(found, parsed.pop("_version", None), common.type_of(parsed["namespace_type"]))
    now = stack.clock.text()
    added = [
        new_comment(c["comment"], call.caller, now) for c in parsed["comments"] if "id" not in c
    ]
    kept = {
        k: found.body[k]
        for k in ("id", "item_id", "list_id", "tie_breaker_id", "created_at", "created_by")
    }
    body = {
        "tags": [],
        **parsed,
        **kept,
        "comments": [*found.body["comments"], *added],
        "updated_at": now,
        "updated_by": call.caller.name,
    }
    saved = Saved("exception_item", found.space, found.id, found.key, body, parent=found.parent)
    return Answer(common.shown(stack.store.put(saved)))


def check_comment_order(comments: Sequence[dict[str, Any]]) -> None:
    """Comments that exist (with an id) come first; new ones follow."""
    new_seen = False
    for comment in comments:
        if "id" not in comment:
            new_seen = True
        elif new_seen:
            raise siem(400, ['item "comments" are append only'])


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE ?id=` or `?item_id=`."""
    query = schema.parse_query(f"DELETE {ITEMS}", call.query, stack.server.zod)
    if not common.named(query, "exception_item"):
        raise siem(400, 'Either "item_id" or "id" needs to be defined in the request')
    found = common.look_up(stack, "exception_item", call.space, query)
    stack.store.delete(found)
    return Answer(common.shown(found))


def find(stack: Stack, call: Call) -> Answer:
    """`GET _find`: items of the lists in `list_id`, each with its namespace type and filter."""
    query = schema.parse_query(f"GET {ITEMS}/_find", call.query, stack.server.zod)
    list_ids, namespaces = query["list_id"], query["namespace_type"]
    if len(list_ids) != len(namespaces):
        raise siem(
            400,
            "list_id and namespace_id need to have the same comma separated number of values. "
            f"Expected list_id length: {len(list_ids)} to equal namespace_type length: "
            f"{len(namespaces)}",
        )
    if call.query.get("filter") == "":
        compiled("", ())
    filters = query.pop("filter")
    found: list[dict[str, Any]] = []
    for n, (list_id, namespace) in enumerate(zip(list_ids, namespaces, strict=True)):
        if common.list_named(stack, call.space, list_id, namespace) is None:
            raise siem(404, f'exception list id: "{list_id}" does not exist')
        where = common.space_of(call.space, namespace)
        bodies = [common.shown(s) for s in stack.store.all("exception_item", where, list_id)]
        if n < len(filters):
            fits = compiled(filters[n], [common.type_of(namespace)])
            bodies = [body for body in bodies if fits(attributes_of_list(body))]
        found.extend(bodies)
    return Answer(find_objects(found, query, namespaces))


ROUTES = (
    Endpoint("POST", ITEMS, create, "write", "lists-all"),
    Endpoint("GET", ITEMS, read, "read", "lists-read"),
    Endpoint("PUT", ITEMS, replace, "write", "lists-all"),
    Endpoint("DELETE", ITEMS, delete, "write", "lists-all"),
    Endpoint("GET", f"{ITEMS}/_find", find, "read", "lists-read"),
)
