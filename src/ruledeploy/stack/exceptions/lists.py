"""`/api/exception_lists`: create, read, replace, delete, find, summary, duplicate."""

from __future__ import annotations

import uuid
from typing import Any

from ruledeploy.stack import schema, versions
from ruledeploy.stack.auth import Caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.finding import find_objects
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.store import Saved

LISTS = "/api/exception_lists"
_WRITTEN_BY_PUT = ("name", "description", "type", "tags", "meta")


def create(stack: Stack, call: Call) -> Answer:
    """`POST`: 409 when the `list_id` is taken in the namespace."""
    parsed = schema.parse_body(schema.body_shape(f"POST {LISTS}"), call.json(), stack.server.zod)
    return Answer(common.shown(store_list(stack, call.space, parsed, call.caller)))


def store_list(stack: Stack, space: str, parsed: dict[str, Any], caller: Caller) -> Saved:
    """Write a new list from a parsed create request."""
    list_id = parsed.get("list_id") or str(uuid.uuid4())
    where = common.space_of(space, parsed["namespace_type"])
    if stack.store.by_key("exception_list", where, list_id) is not None:
        raise siem(409, f'exception list id: "{list_id}" already exists')
    body = {
        "os_types": [],
        "tags": [],
        "version": 1,
        **parsed,
        "list_id": list_id,
        "immutable": False,
        **common.server_fields(caller, stack.clock.text()),
    }
    return stack.store.put(Saved("exception_list", where, body["id"], list_id, body))


def read(stack: Stack, call: Call) -> Answer:
    """`GET ?id=` or `?list_id=`."""
    query = schema.parse_query(f"GET {LISTS}", call.query, stack.server.zod)
    if not common.named(query, "exception_list"):
        raise siem(400, "id or list_id required")
    return Answer(common.shown(common.look_up(stack, "exception_list", call.space, query)))


def replace(stack: Stack, call: Call) -> Answer:
    """`PUT`: writes what is given, keeps omitted tags and meta, ignores `os_types`."""
    parsed = schema.parse_body(schema.body_shape(f"PUT {LISTS}"), call.json(), stack.server.zod)
    if not common.named(parsed, "exception_list"):
        raise siem(404, "either id or list_id need to be defined")
    found = common.look_up(stack, "exception_list", call.space, parsed)
    versions.guard(found, parsed.get("_version"), common.type_of(parsed["namespace_type"]))
    body = {**found.body, **{k: parsed[k] for k in _WRITTEN_BY_PUT if k in parsed}}
    body["version"] = parsed.get("version", found.body["version"] + 1)
    body["updated_at"], body["updated_by"] = stack.clock.text(), call.caller.name
    saved = Saved("exception_list", found.space, found.id, found.key, body)
    return Answer(common.shown(stack.store.put(saved)))


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE`: the list and its items go; rules that link it keep a dangling link."""
    query = schema.parse_query(f"DELETE {LISTS}", call.query, stack.server.zod)
    if not common.named(query, "exception_list"):
        raise siem(400, 'Either "list_id" or "id" needs to be defined in the request')
    found = common.look_up(stack, "exception_list", call.space, query)
    delete_list(stack, found)
    return Answer(common.shown(found))


def delete_list(stack: Stack, found: Saved) -> None:
    """Remove a list with all its items."""
    for item in stack.store.all("exception_item", found.space, found.key):
        stack.store.delete(item)
    stack.store.delete(found)


def find(stack: Stack, call: Call) -> Answer:
    """`GET _find`: lists of one or both namespace types, paged under `per_page`."""
    query = schema.parse_query(f"GET {LISTS}/_find", call.query, stack.server.zod)
    namespaces = query["namespace_type"]
    found = [
        saved
        for namespace in dict.fromkeys(namespaces)
        for saved in stack.store.all("exception_list", common.space_of(call.space, namespace))
    ]
    return Answer(find_objects([common.shown(saved) for saved in found], query, namespaces))


def summary(stack: Stack, call: Call) -> Answer:
    """`GET summary`: items per operating system; `total` is the sum of the buckets."""
    query = schema.parse_query(f"GET {LISTS}/summary", call.query, stack.server.zod)
    if not common.named(query, "exception_list"):
        raise siem(400, "id or list_id required")
    found = common.look_up(stack, "exception_list", call.space, query)
    counts = dict.fromkeys(("windows", "linux", "macos"), 0)
    for item in stack.store.all("exception_item", found.space, found.key):
        for name in item.body["os_types"]:
            counts[name] += 1
    return Answer({**counts, "total": sum(counts.values())})


def shared(stack: Stack, call: Call) -> Answer:
    """`POST /api/exceptions/shared`: a detection list from a name and a description."""
    operation = "POST /api/exceptions/shared"
    parsed = schema.parse_body(schema.body_shape(operation), call.json(), stack.server.zod)
    parsed.update(type="detection", namespace_type="single")
    return Answer(common.shown(store_list(stack, call.space, parsed, call.caller)))


ROUTES = (
    Endpoint("POST", LISTS, create, "write", "lists-all"),
    Endpoint("GET", LISTS, read, "read", "lists-read"),
    Endpoint("PUT", LISTS, replace, "write", "lists-all"),
    Endpoint("DELETE", LISTS, delete, "write", "lists-all"),
    Endpoint("GET", f"{LISTS}/_find", find, "read", "lists-read"),
    Endpoint("GET", f"{LISTS}/summary", summary, "read", "lists-summary"),
    Endpoint("POST", "/api/exceptions/shared", shared, "write", "lists-all"),
)
