"""What lists and items share: namespaces, look-up by either id, the fields the server owns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Literal

from ruledeploy.stack import versions
from ruledeploy.stack.auth import Caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import siem
from ruledeploy.stack.store import EVERYWHERE, Saved

Namespace = Literal["single", "agnostic"]
ExceptionKind = Literal["exception_list", "exception_item"]

_NOUN = {"exception_list": "exception list", "exception_item": "exception list item"}
KEY = {"exception_list": "list_id", "exception_item": "item_id"}


def space_of(space: str, namespace: str) -> str:
    """Where an object of that namespace type lies: the space, or everywhere."""
    return EVERYWHERE if namespace == "agnostic" else space


def type_of(namespace: str) -> str:
    """The saved-object type, which filters start with."""
    return "exception-list-agnostic" if namespace == "agnostic" else "exception-list"


def shown(saved: Saved) -> dict[str, Any]:
    """The object as it is returned."""
    return {"_version": versions.encode(saved.seq), **saved.body}


def server_fields(caller: Caller, now: str) -> dict[str, Any]:
    """What the server adds to a new list or item."""
    return {
        "id": str(uuid.uuid4()),
        "tie_breaker_id": str(uuid.uuid4()),
        "created_at": now,
        "created_by": caller.name,
        "updated_at": now,
        "updated_by": caller.name,
    }


def look_up(stack: Stack, kind: ExceptionKind, space: str, query: Mapping[str, Any]) -> Saved:
    """The object that `id`, else its human id, names; a siem 404 when there is none."""
    where = space_of(space, query["namespace_type"])
    key = KEY[kind]
    if query.get("id") is not None:
        found = stack.store.get(kind, where, query["id"])
        named = f'id: "{query["id"]}"'
    else:
        found = stack.store.by_key(kind, where, query[key])
        named = f'{key}: "{query[key]}"'
    if found is None:
        raise siem(404, f"{_NOUN[kind]} {named} does not exist")
    return found


def named(query: Mapping[str, Any], kind: ExceptionKind) -> bool:
    """Whether a request names an object at all."""
    return query.get("id") is not None or query.get(KEY[kind]) is not None


def list_named(stack: Stack, space: str, list_id: str, namespace: str) -> Saved | None:
    """The list with that `list_id`."""
    return stack.store.by_key("exception_list", space_of(space, namespace), list_id)
