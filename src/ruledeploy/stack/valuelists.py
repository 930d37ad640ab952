"""Value lists: `/api/lists` and `/api/lists/items`."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ruledeploy.stack import schema, versions
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.ndjson import MEDIA, refuse_large
from ruledeploy.stack.store import Saved

LISTS = "/api/lists"
ITEMS = f"{LISTS}/items"
INDEX = f"{LISTS}/index"
MAX_BYTES = 9_000_000
_TEXT_FILES = (".csv", ".txt")


# --------------------------------------------------------------------------- the data streams


def read_index(stack: Stack, call: Call) -> Answer:
    """`GET index`: 404 until it was created once in the space."""
    if not _indexed(stack, call.space):
        raise siem(
            404,
            f"data stream .lists-{call.space} and data stream .items-{call.space} does not exist",
        )
    return Answer({"list_index": True, "list_item_index": True})


def create_index(stack: Stack, call: Call) -> Answer:
    """`POST index`: acknowledged, also when it is there already."""
    stack.store.set_meta(f"lists:{call.space}", value=True)
    return Answer({"acknowledged": True})


def delete_index(stack: Stack, call: Call) -> Answer:
    """`DELETE index`: with all lists and items."""
    if not _indexed(stack, call.space):
        raise siem(404, f'index: ".lists-{call.space}" does not exist')
    stack.store.set_meta(f"lists:{call.space}", value=False)
    for saved in stack.store.all("value_item", call.space):
        stack.store.delete(saved)
    for saved in stack.store.all("value_list", call.space):
        stack.store.delete(saved)
    return Answer({"acknowledged": True})


def _indexed(stack: Stack, space: str) -> bool:
    return bool(stack.store.get_meta(f"lists:{space}"))


def _need_index(stack: Stack, space: str) -> None:
    if not _indexed(stack, space):
        raise siem(
            400,
            "To create a list, the data stream must exist first. Data stream "
            f'".lists-{space}" does not exist',
        )


# -------------------------------------------------------------------------------------- lists


def create(stack: Stack, call: Call) -> Answer:
    """`POST /api/lists`: 400 without the data stream, 409 when the id is taken."""
    parsed = schema.parse_body(schema.body_shape(f"POST {LISTS}"), call.json(), stack.server.zod)
    _need_index(stack, call.space)
    list_id = parsed.get("id") or str(uuid.uuid4())
    if stack.store.get("value_list", call.space, list_id) is not None:
        raise siem(409, f'list id: "{list_id}" already exists')
    return Answer(_shown(_store_list(stack, call, {**parsed, "id": list_id})))


def _store_list(stack: Stack, call: Call, parsed: Mapping[str, Any]) -> Saved:
    body = {**parsed, **_stamps(stack, call), "immutable": False}
    return stack.store.put(Saved("value_list", call.space, body["id"], body["id"], body))


def _stamps(stack: Stack, call: Call) -> dict[str, Any]:
    now, who = stack.clock.text(), call.caller.name
    return {
        "@timestamp": now,
        "tie_breaker_id": str(uuid.uuid4()),
        "created_at": now,
        "created_by": who,
        "updated_at": now,
        "updated_by": who,
    }


def _shown(saved: Saved) -> dict[str, Any]:
    return {"_version": versions.encode(saved.seq), **saved.body}


def _list_or_404(stack: Stack, space: str, list_id: str) -> Saved:
    found = stack.store.get("value_list", space, list_id)
    if found is None:
        raise siem(404, f'list id: "{list_id}" not found')
    return found


def read(stack: Stack, call: Call) -> Answer:
    """`GET /api/lists?id=`."""
    query = schema.parse_query(f"GET {LISTS}", call.query, stack.server.zod)
    return Answer(_shown(_list_or_404(stack, call.space, query["id"])))


def update(stack: Stack, call: Call) -> Answer:
    """`PUT` and `PATCH /api/lists`: what is given replaces; the version counts up."""
    shape = schema.body_shape(f"{call.method} {LISTS}")
    parsed = schema.parse_body(shape, call.json(), stack.server.zod)
    found = _list_or_404(stack, call.space, parsed["id"])
    versions.guard(found, parsed.pop("_version", None), "list")
    body = {**found.body, "version": found.body["version"] + 1, **parsed}
    body["updated_at"], body["updated_by"] = stack.clock.text(), call.caller.name
    return Answer(_shown(stack.store.put(Saved(found.kind, found.space, found.id, found.id, body))))


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE /api/lists?id=`: 409 while exception items refer to it, unless told otherwise."""
    query = schema.parse_query(f"DELETE {LISTS}", call.query, stack.server.zod)
    found = _list_or_404(stack, call.space, query["id"])
    users = [i for i in stack.store.all("exception_item", call.space) if _uses(i, found.id)]
    if users and query["deleteReferences"]:
        for item in users:
            stack.store.delete(item)
    elif users and not query["ignoreReferences"]:
        raise siem(409, f'list id: "{found.id}" is referenced in existing rules')
    for item in stack.store.all("value_item", call.space, found.id):
        stack.store.delete(item)
    stack.store.delete(found)
    return Answer(_shown(found))


def _uses(item: Saved, list_id: str) -> bool:
    return any(
        entry["type"] == "list" and entry["list"]["id"] == list_id for entry in item.body["entries"]
    )


def find(stack: Stack, call: Call) -> Answer:
    """`GET /api/lists/_find`."""
    query = schema.parse_query(f"GET {LISTS}/_find", call.query, stack.server.zod)
    return Answer(_page(stack.store.all("value_list", call.space), query))


def _page(found: Sequence[Saved], query: Mapping[str, Any]) -> dict[str, Any]:
    """A page with the cursor of the next one; the cursor is opaque to clients."""
    page, size = query.get("page") or 1, query.get("per_page") or 20
    if min(page, size) < 0:
        # Elasticsearch's words; the schema sets no bound here.
        raise siem(400, f"illegal_argument_exception: [size] parameter cannot be negative, found "
                        f"[{min(page, size)}]")  # fmt: skip
    start = (page - 1) * size
    if query.get("cursor"):
        start = _start(query["cursor"])
    cursor = base64.b64encode(f"[{min(start + size, len(found))}]".encode()).decode()
    return {
        "cursor": cursor,
        "data": [_shown(saved) for saved in found[start : start + size]],
        "page": page,
        "per_page": size,
        "total": len(found),
    }


def _start(cursor: str) -> int:
    """Where the page after that cursor begins."""
    try:
        (start,) = json.loads(base64.b64decode(cursor, validate=True))
        return max(0, int(start))
    except (OverflowError, RecursionError, TypeError, ValueError) as error:
        raise siem(400, f"Invalid cursor [{cursor}]") from error


# -------------------------------------------------------------------------------------- items


def create_item(stack: Stack, call: Call) -> Answer:
    """`POST /api/lists/items`: 404 without the list, 409 when the id is taken."""
    parsed = schema.parse_body(schema.body_shape(f"POST {ITEMS}"), call.json(), stack.server.zod)
    found = stack.store.get("value_list", call.space, parsed["list_id"])
    if found is None:
        # One of two handlers for which the contract names the platform's envelope.
        raise platform(404, f'list id: "{parsed["list_id"]}" does not exist')
    item_id = parsed.get("id")
    if item_id and stack.store.get("value_item", call.space, item_id) is not None:
        raise siem(409, f'list item id: "{item_id}" already exists')
    return Answer(_shown(_store_item(stack, call, found, parsed)))


def _store_item(stack: Stack, call: Call, found: Saved, parsed: Mapping[str, Any]) -> Saved:
    body = {
        "id": parsed.get("id") or str(uuid.uuid4()),
        "list_id": found.id,
        "type": found.body["type"],
        "value": parsed["value"],
        **_stamps(stack, call),
    }
    if "meta" in parsed:
        body["meta"] = parsed["meta"]
    saved = Saved("value_item", call.space, body["id"], body["value"], body, parent=found.id)
    return stack.store.put(saved)


def read_items(stack: Stack, call: Call) -> Answer:
    """`GET /api/lists/items?id=`, or `?list_id=&value=` for all items with a value."""
    query = schema.parse_query(f"GET {ITEMS}", call.query, stack.server.zod)
    found = _named_items(stack, call.space, query)
    shown = [_shown(saved) for saved in found]
    return Answer(shown[0] if query.get("id") else shown)


def _named_items(stack: Stack, space: str, query: Mapping[str, Any]) -> list[Saved]:
    if query.get("id"):
        found = stack.store.get("value_item", space, query["id"])
        if found is None:
            raise siem(404, f'list item id: "{query["id"]}" not found')
        return [found]
    if not query.get("list_id") or query.get("value") is None:
        raise siem(400, 'Either "list_id" or "id" needs to be defined in the request')
    _list_or_404(stack, space, query["list_id"])
    items = stack.store.all("value_item", space, query["list_id"])
    found_items = [item for item in items if item.key == query["value"]]
    if not found_items:
        raise siem(404, f'list_id: "{query["list_id"]}" item of {query["value"]} does not exist')
    return found_items


def update_item(stack: Stack, call: Call) -> Answer:
    """`PUT` and `PATCH /api/lists/items`."""
    shape = schema.body_shape(f"{call.method} {ITEMS}")
    parsed = schema.parse_body(shape, call.json(), stack.server.zod)
    (found,) = _named_items(stack, call.space, {"id": parsed["id"]})
    versions.guard(found, parsed.pop("_version", None), "list item")
    parsed.pop("refresh", None)
    body = {**found.body, **parsed}
    body["updated_at"], body["updated_by"] = stack.clock.text(), call.caller.name
    saved = Saved(found.kind, found.space, found.id, body["value"], body, parent=found.parent)
    return Answer(_shown(stack.store.put(saved)))


def delete_items(stack: Stack, call: Call) -> Answer:
    """`DELETE /api/lists/items`: one by id, or all with a value."""
    query = schema.parse_query(f"DELETE {ITEMS}", call.query, stack.server.zod)
    found = _named_items(stack, call.space, query)
    for item in found:
        stack.store.delete(item)
    shown = [_shown(saved) for saved in found]
    return Answer(shown[0] if query.get("id") else shown)


def find_items(stack: Stack, call: Call) -> Answer:
    """`GET /api/lists/items/_find?list_id=`."""
    query = schema.parse_query(f"GET {ITEMS}/_find", call.query, stack.server.zod)
    if stack.store.get("value_list", call.space, query["list_id"]) is None:
        raise siem(404, f'list id: "{query["list_id"]}" does not exist')
    return Answer(_page(stack.store.all("value_item", call.space, query["list_id"]), query))


def export_items(stack: Stack, call: Call) -> Answer:
    """`POST /api/lists/items/_export?list_id=`: one value a line, though labelled as NDJSON."""
    query = schema.parse_query(f"POST {ITEMS}/_export", call.query, stack.server.zod)
    found = _list_or_404(stack, call.space, query["list_id"])
    items = stack.store.all("value_item", call.space, found.id)
    text = "".join(f"{item.body['value']}\n" for item in items)
    headers = {"content-disposition": f'attachment; filename="{found.id}"'}
    return Answer(text.encode(), headers=headers, media=MEDIA)


def import_items(stack: Stack, call: Call) -> Answer:
    """`POST /api/lists/items/_import`: a text file into a list, which `type` may create."""
    query = schema.parse_query(f"POST {ITEMS}/_import", call.query, stack.server.zod)
    refuse_large(call, MAX_BYTES, stack.server.too_large)
    _need_index(stack, call.space)
    uploaded = call.file()
    name, content = uploaded or ("", b"")
    if not name.endswith(_TEXT_FILES):
        types = ", ".join(_TEXT_FILES)
        raise siem(
            415, f"Unsupported media type. File must be one of the following types: [{types}]"
        )
    if not query.get("list_id") and not query.get("type"):
        raise siem(400, "Either type or list_id need to be defined in the query")
    list_id = query.get("list_id") or name
    found = stack.store.get("value_list", call.space, list_id)
    if found is None:
        if not query.get("type"):
            raise siem(409, f'list id: "{list_id}" does not exist')
        about = f"File uploaded from file system of {name}"
        parsed = {
            "id": list_id, "name": name, "description": about, "type": query["type"], "version": 1,
        }  # fmt: skip
        found = _store_list(stack, call, parsed)
    known = {item.key for item in stack.store.all("value_item", call.space, found.id)}
    for line in content.decode("utf-8", "replace").splitlines():
        value = line.strip()
        if value and value not in known:
            known.add(value)
            _store_item(stack, call, found, {"value": value})
    return Answer(_shown(found))


_READ, _ALL = "lists-read", "lists-all"
ROUTES = (
    Endpoint("GET", INDEX, read_index, "read", _READ),
    Endpoint("POST", INDEX, create_index, "write", _ALL),
    Endpoint("DELETE", INDEX, delete_index, "write", _ALL),
    Endpoint("POST", LISTS, create, "write", _ALL),
    Endpoint("GET", LISTS, read, "read", _READ),
    Endpoint("PUT", LISTS, update, "write", _ALL),
    Endpoint("PATCH", LISTS, update, "write", _ALL),
    Endpoint("DELETE", LISTS, delete, "write", _ALL),
    Endpoint("GET", f"{LISTS}/_find", find, "read", _READ),
    Endpoint("POST", ITEMS, create_item, "write", _ALL),
    Endpoint("GET", ITEMS, read_items, "read", _READ),
    Endpoint("PUT", ITEMS, update_item, "write", _ALL),
    Endpoint("PATCH", ITEMS, update_item, "write", _ALL),
    Endpoint("DELETE", ITEMS, delete_items, "write", _ALL),
    Endpoint("GET", f"{ITEMS}/_find", find_items, "read", _READ),
    Endpoint("POST", f"{ITEMS}/_export", export_items, "read", _READ),
    Endpoint("POST", f"{ITEMS}/_import", import_items, "write", _ALL),
)
