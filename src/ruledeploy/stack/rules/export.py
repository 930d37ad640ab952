"""Exporting rules: rules, their exception lists with items, connectors, a summary line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.ndjson import attachment
from ruledeploy.stack.store import Saved

MAX_OBJECTS = 10_000
EXPORT = "/api/detection_engine/rules/_export"


def export(stack: Stack, call: Call) -> Answer:
    """`POST _export`: all rules, or those named; missing ones are told in the summary."""
    zod = stack.server.zod
    query = schema.parse_query(f"POST {EXPORT}", call.query, zod)
    sent = call.json()
    asked = None
    if sent is not None:
        body = schema.parse_body(schema.body_shape(f"POST {EXPORT}"), sent, zod)
        asked = [entry["rule_id"] for entry in body["objects"]]
    if max(len(asked or ()), stack.store.count("rule", call.space)) > MAX_OBJECTS:
        raise siem(400, f"Can't export more than {MAX_OBJECTS} rules")
    if asked is None:
        rules, missing = stack.store.all("rule", call.space), []
    else:
        found = {r: stack.store.by_key("rule", call.space, r) for r in dict.fromkeys(asked)}
        rules = [rule for rule in found.values() if rule is not None]
        missing = [rule_id for rule_id, rule in found.items() if rule is None]
    lines = [rule.body for rule in rules]
    if not query["exclude_export_details"]:
        lines = with_details(stack, call.space, rules, missing)
    return attachment(lines, query["file_name"])


def with_details(
    stack: Stack, space: str, rules: Sequence[Saved], missing: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Rules, exception lists each followed by its items, connectors, the summary."""
    lists, items, lost = _exceptions(stack, space, rules)
    connectors = _connectors(stack, space, rules)
    grouped: list[dict[str, Any]] = []
    for found in lists:
        grouped.append(common.shown(found))
        grouped.extend(common.shown(i) for i in items if i.parent == found.key)
    summary = {
        "exported_count": len(rules) + len(lists) + len(items) + len(connectors),
        "exported_rules_count": len(rules),
        "missing_rules": [{"rule_id": rule_id} for rule_id in missing],
        "missing_rules_count": len(missing),
        "exported_exception_list_count": len(lists),
        "exported_exception_list_item_count": len(items),
        "missing_exception_list_item_count": 0,
        "missing_exception_list_items": [],
        "missing_exception_lists": [{"list_id": list_id} for list_id in lost],
        "missing_exception_lists_count": len(lost),
        "exported_action_connector_count": len(connectors),
        "missing_action_connection_count": 0,
        "missing_action_connections": [],
        "excluded_action_connection_count": 0,
        "excluded_action_connections": [],
    }
    return [*(rule.body for rule in rules), *grouped, *connectors, summary]


def _exceptions(
    stack: Stack, space: str, rules: Iterable[Saved]
) -> tuple[list[Saved], list[Saved], list[str]]:
    """Linked lists, their items, and `list_id`s that no list has; ids in links are ignored."""
    links = {
        (link["list_id"], link["namespace_type"]): None
        for rule in rules
        for link in rule.body["exceptions_list"]
    }
    lists, items, lost = [], [], []
    for list_id, namespace in links:
        found = common.list_named(stack, space, list_id, namespace)
        if found is None:
            lost.append(list_id)
        else:
            lists.append(found)
            items.extend(stack.store.all("exception_item", found.space, found.key))
    return lists, items, lost


def _connectors(stack: Stack, space: str, rules: Iterable[Saved]) -> list[dict[str, Any]]:
    ids = {action["id"]: None for rule in rules for action in rule.body["actions"]}
    found = (stack.store.get("connector", space, connector_id) for connector_id in ids)
    return [
        {
            "id": saved.id,
            "type": "action",
            "attributes": {
                "actionTypeId": saved.body["connector_type_id"],
                "name": saved.body["name"],
                "config": saved.body["config"],
                "secrets": {},
                "isMissingSecrets": True,
            },
            "references": [],
        }
        for saved in found
        if saved is not None
    ]


ROUTES = (Endpoint("POST", EXPORT, export),)
