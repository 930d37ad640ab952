"""Import, export and duplication of exception lists."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.clock import parse_time
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.items import ITEMS, new_comment, store_item
from ruledeploy.stack.exceptions.lists import LISTS, store_list
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.ndjson import attachment, uploaded
from ruledeploy.stack.store import Saved

MAX_BYTES = 9_000_000
MAX_OBJECTS = 10_000
_DUPLICATED = ("name", "description", "type", "namespace_type", "tags", "meta")
_CAN_BE_DUPLICATED = {"detection", "rule_default"}
# What an export adds to a request's keys; an import takes these and ignores them.
_EXPORTED_KEYS = {
    "_version", "created_at", "created_by", "id", "immutable", "tie_breaker_id", "updated_at",
    "updated_by",
}  # fmt: skip


@dataclass(slots=True)
class _Run:
    """One import: its options and what became of the lines so far."""

    stack: Stack
    call: Call
    overwrite: bool
    as_new_list: bool
    list_errors: list[dict[str, Any]] = field(default_factory=list)
    item_errors: list[dict[str, Any]] = field(default_factory=list)
    lists: int = 0
    items: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    overwritten: list[Saved] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The body of an exceptions import."""
        errors = self.list_errors + self.item_errors
        return {
            "errors": errors,
            "success": not errors,
            "success_count": self.lists + self.items,
            "success_exception_lists": not self.list_errors,
            "success_count_exception_lists": self.lists,
            "success_exception_list_items": not self.item_errors,
            "success_count_exception_list_items": self.items,
        }


def import_route(stack: Stack, call: Call) -> Answer:
    """`POST /api/exception_lists/_import`: 200 whatever fails."""
    query = schema.parse_query(f"POST {LISTS}/_import", call.query, stack.server.zod)
    lines = uploaded(call, MAX_BYTES, stack.server.too_large)
    if len(lines) >= MAX_OBJECTS:
        raise siem(500, f"Can't import more than {MAX_OBJECTS} exceptions")
    flags = {"overwrite": query["overwrite"], "as_new_list": query["as_new_list"]}
    return Answer(import_exceptions(stack, call, lines, **flags))


def import_exceptions(
    stack: Stack, call: Call, lines: Sequence[Any], *, overwrite: bool, as_new_list: bool
) -> dict[str, Any]:
    """Lists first, then items; every line that fails leaves an entry in `errors`."""
    run = _Run(stack, call, overwrite, as_new_list)
    lists, items = [], []
    for line in lines:
        if isinstance(line, ValueError) or not isinstance(line, dict):
            run.list_errors.append(_error({}, 400, str(line)))
        elif "entries" in line or "item_id" in line:
            items.append(line)
        elif "list_id" in line:
            lists.append(line)
    for line in _last_of_each(lists, "list_id", run.list_errors):
        _import_list(run, line)
    kept = _last_of_each(items, "item_id", run.item_errors)
    for line in kept:
        _import_item(run, line)
    _drop_absent_items(run, {line["item_id"] for line in kept})
    return run.answer()


def _error(line: dict[str, Any], status: int, message: str) -> dict[str, Any]:
    keys = ("list_id", "item_id")
    named = {key: line[key] for key in keys if isinstance(line.get(key), str) and line[key]}
    return {**named, "error": {"status_code": status, "message": message}}


def _last_of_each(
    lines: Sequence[dict[str, Any]], key: str, errors: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Valid lines, each id once: the last line wins and the others are reported."""
    noun, short = {
        "list_id": ("exception list", "list"),
        "item_id": ("exception list item", "item"),
    }[key]
    last: dict[str, dict[str, Any]] = {}
    for line in lines:
        complaint = _complaint(line, key)
        if complaint is not None:
            errors.append(_error(line, 400, f"Error found importing {noun}: {complaint}"))
            continue
        if line[key] in last:
            message = (
                f'More than one {noun} with {key}: "{line[key]}" found in imports. '
                f"The last {short} will be used."
            )
            errors.append(_error({key: line[key]}, 400, message))
        last[line[key]] = line
    return list(last.values())


def _complaint(line: dict[str, Any], key: str) -> str | None:
    """Import lines are exact: unknown keys, wrong values and items without entries fail."""
    operation = {"list_id": f"POST {LISTS}", "item_id": f"POST {ITEMS}"}[key]
    known = schema.body_shape(operation).properties.keys() | _EXPORTED_KEYS
    unknown = [name for name in line if name not in known]
    if unknown:
        return f'invalid keys "{",".join(unknown)}"'
    if key not in line:
        return f'Invalid value "undefined" supplied to "{key}"'
    for issue in schema.complaints(schema.body_shape(operation), line, "4"):
        name = issue.path.partition(".")[0]
        return f'Invalid value "{line.get(name, "undefined")}" supplied to "{name}"'
    if key == "item_id" and not line["entries"]:
        return 'Invalid value "[]" supplied to "entries"'
    return None


def _import_list(run: _Run, line: dict[str, Any]) -> None:
    parsed = schema.parse_body(schema.body_shape(f"POST {LISTS}"), line, "4")
    list_id, space = line["list_id"], run.call.space
    if run.as_new_list:
        parsed["list_id"] = run.renamed[list_id] = str(uuid.uuid4())
        store_list(run.stack, space, parsed, run.call.caller)
        run.lists += 1
        return
    found = common.list_named(run.stack, space, list_id, parsed["namespace_type"])
    if found is None:
        store_list(run.stack, space, parsed, run.call.caller)
        run.lists += 1
    elif not run.overwrite:
        message = (
            f'Found that list_id: "{list_id}" already exists. '
            f'Import of list_id: "{list_id}" skipped.'
        )
        run.list_errors.append(_error({"list_id": list_id}, 409, message))
    else:
        body = {**found.body, **parsed, "version": found.body["version"]}
        body["updated_at"], body["updated_by"] = run.stack.clock.text(), run.call.caller.name
        run.stack.store.put(Saved(found.kind, found.space, found.id, found.key, body))
        run.overwritten.append(found)
        run.lists += 1


def _import_item(run: _Run, line: dict[str, Any]) -> None:
    item_id, caller = line["item_id"], run.call.caller
    parsed = schema.parse_body(schema.body_shape(f"POST {ITEMS}"), line, "4")
    parsed["list_id"] = run.renamed.get(line["list_id"], line["list_id"])
    where = common.space_of(run.call.space, parsed["namespace_type"])
    listed = run.stack.store.by_key("exception_list", where, parsed["list_id"])
    if listed is None:
        message = (
            f'Exception list with list_id: "{line["list_id"]}", not found for exception list item '
            f'with item_id: "{item_id}"'
        )
        run.item_errors.append(_error(line, 409, message))
        return
    if run.as_new_list:
        parsed["item_id"] = str(uuid.uuid4())
    found = run.stack.store.by_key("exception_item", where, parsed["item_id"])
    if found is None:
        store_item(run.stack, run.call.space, parsed, caller)
        run.items += 1
    elif not run.overwrite:
        message = (
            f'Found that item_id: "{item_id}" already exists. '
            f'Import of item_id: "{item_id}" skipped.'
        )
        run.item_errors.append(_error(line, 409, message))
    elif found.parent == parsed["list_id"]:
        _overwrite_item(run, found, parsed)
        run.items += 1
    # An item of that id in another list is left alone, and nobody is told: as Kibana does.


def _overwrite_item(run: _Run, found: Saved, parsed: dict[str, Any]) -> None:
    """Replace an item's body; its expiry is not updated by an import."""
    now, caller = run.stack.clock.text(), run.call.caller
    kept_keys = ("id", "tie_breaker_id", "created_at", "created_by")
    body = {
        **parsed,
        **{key: found.body[key] for key in kept_keys},
        "comments": [new_comment(c["comment"], caller, now) for c in parsed["comments"]],
        "updated_at": now,
        "updated_by": caller.name,
    }
    body.pop("expire_time", None)
    if "expire_time" in found.body:
        body["expire_time"] = found.body["expire_time"]
    run.stack.store.put(
        Saved(found.kind, found.space, found.id, found.key, body, parent=found.parent)
    )


def _drop_absent_items(run: _Run, kept: set[str]) -> None:
    """An overwritten list holds what the file holds, provided nothing failed."""
    if run.item_errors or run.list_errors:
        return
    for found in run.overwritten:
        for item in run.stack.store.all("exception_item", found.space, found.key):
            if item.key not in kept:
                run.stack.store.delete(item)


def export(stack: Stack, call: Call) -> Answer:
    """`POST _export?id&list_id&namespace_type`: list, items, a summary."""
    query = schema.parse_query(f"POST {LISTS}/_export", call.query, stack.server.zod)
    where = common.space_of(call.space, query["namespace_type"])
    found = stack.store.get("exception_list", where, query["id"])
    if found is None:
        raise siem(
            400,
            f"exception list with list_id: {query['list_id']} or id: {query['id']} does not exist",
        )
    # The list is the one with that id, its items are those below that list_id.
    items = live_items(stack, where, query["list_id"], query["include_expired_exceptions"])
    summary = {
        "exported_exception_list_count": 1,
        "exported_exception_list_item_count": len(items),
        "missing_exception_list_item_count": 0,
        "missing_exception_list_items": [],
        "missing_exception_lists": [],
        "missing_exception_lists_count": 0,
    }
    lines = [common.shown(found), *(common.shown(item) for item in items), summary]
    return attachment(lines, f"{query['list_id']}.ndjson")


def live_items(stack: Stack, where: str, list_id: str, include_expired: str) -> list[Saved]:
    """A list's items; `include_expired` is the text `true` or `false`."""
    now = stack.clock.now()
    return [
        item
        for item in stack.store.all("exception_item", where, list_id)
        if include_expired == "true"
        or "expire_time" not in item.body
        or parse_time(item.body["expire_time"]) >= now
    ]


def duplicate_list(stack: Stack, call: Call, found: Saved, include_expired: str) -> Saved:
    """A copy of a list with copies of its items, under new ids and without their comments."""
    body = {k: found.body[k] for k in _DUPLICATED if k in found.body}
    body["name"] += " [Duplicate]"
    copy = store_list(stack, call.space, body, call.caller)
    for item in live_items(stack, found.space, found.key, include_expired):
        kept = {k: v for k, v in item.body.items() if k not in {"id", "item_id"}}
        store_item(stack, call.space, {**kept, "list_id": copy.key, "comments": []}, call.caller)
    return copy


def duplicate(stack: Stack, call: Call) -> Answer:
    """`POST _duplicate?list_id&namespace_type&include_expired_exceptions`."""
    query = schema.parse_query(f"POST {LISTS}/_duplicate", call.query, stack.server.zod)
    found = common.list_named(stack, call.space, query["list_id"], query["namespace_type"])
    if found is None:
        # The other handler (see value lists) with the platform's envelope in the contract.
        raise platform(404, f'exception list id: "{query["list_id"]}" does not exist')
    if found.body["type"] not in _CAN_BE_DUPLICATED:
        raise siem(
            405,
            f"unable to duplicate exception list with list_id: {found.key} - action not allowed",
        )
    copy = duplicate_list(stack, call, found, query["include_expired_exceptions"])
    return Answer(common.shown(copy))


ROUTES = (
    Endpoint("POST", f"{LISTS}/_import", import_route, "write", "lists-all"),
    Endpoint("POST", f"{LISTS}/_export", export, "read", "lists-read"),
    Endpoint("POST", f"{LISTS}/_duplicate", duplicate, "write", "lists-all"),
)
