"""`/internal/lists/_create_filter`: the Elasticsearch filter of exception items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import build_exception_filter
from ruledeploy.stack import schema
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.items import ITEMS
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.texts import Zod

PATH = "/internal/lists/_create_filter"


def create_filter(stack: Stack, call: Call) -> Answer:
    """`POST`: from items in the body, or from the lists it names."""
    body = schema.parse_body(schema.body_shape(f"POST {PATH}"), call.json(), stack.server.zod)
    if body["type"] == "exception_items":
        items = body["exceptions"]
        for n, item in enumerate(items):
            _check_item(item, f"exceptions.{n}", stack.server.zod)
    else:
        items = [
            item.body
            for named in body["exception_list_ids"]
            for item in stack.store.all(
                "exception_item",
                common.space_of(call.space, named["namespace_type"]),
                named["exception_list_id"],
            )
        ]
    try:
        lists = values_of(stack, call.space, items)
        built = build_exception_filter(items, stack.clock.now(), lists)
    except QueryError as error:
        raise siem(400, error.message) from error
    if built.filter is None:
        return Answer({})
    negate = body.get("exclude_exceptions", True)
    meta = {"alias": body.get("alias"), "disabled": False, "negate": negate}
    return Answer({"filter": {**built.filter, "meta": meta}})


def _check_item(item: dict[str, Any], path: str, zod: Zod) -> None:
    """The contract leaves items open; a filter needs what an item of a list has."""
    sent = {"list_id": "x", "type": "simple", "name": "x", "description": "x", **item}
    issues = schema.complaints(schema.body_shape(f"POST {ITEMS}"), sent, zod)
    if issues:
        raise platform(400, f"[request body]: {path}.{schema.describe(issues)}")


def values_of(
    stack: Stack, space: str, items: Iterable[dict[str, Any]]
) -> dict[str, tuple[str, ...]]:
    """The values of every value list that items refer to; a list that is missing is empty."""
    wanted = {
        entry["list"]["id"]
        for item in items
        for entry in item["entries"]
        if entry["type"] == "list"
    }
    return {
        list_id: tuple(v.body["value"] for v in stack.store.all("value_item", space, list_id))
        for list_id in wanted
    }


ROUTES = (Endpoint("POST", PATH, create_filter, "read", "lists-read"),)
