"""`_bulk_create`, `_bulk_update` and `_bulk_delete`, which older clients use and 9.x has not.

The answer is HTTP 200 with one entry for each rule: the rule, or its name and an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, platform
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.rules import checks, routes, service
from ruledeploy.stack.schema import Shape

_UNKNOWN = "(unknown id)"
Entry = dict[str, Any]


def bulk_create(stack: Stack, call: Call) -> Answer:
    """`POST _bulk_create`: a rule_id that comes twice is created not at all."""
    rules = _parsed(stack, call, schema.named("RuleCreateProps"))
    ids = [rule["rule_id"] for rule in rules if rule.get("rule_id")]
    twice = [rule_id for rule_id in dict.fromkeys(ids) if ids.count(rule_id) > 1]

    def create(rule: Entry) -> Entry:
        checks.refuse_cross_field(rule)
        return service.create(stack, call.space, rule, call.caller).body

    done = [_entry(rule, create) for rule in rules if rule.get("rule_id") not in twice]
    taken = [
        _error({"rule_id": rule_id}, 409, f'rule_id: "{rule_id}" already exists')
        for rule_id in twice
    ]
    return Answer([*done, *taken])


def bulk_update(stack: Stack, call: Call) -> Answer:
    """`PUT _bulk_update`: each as a PUT of its own."""
    rules = _parsed(stack, call, schema.named("RuleUpdateProps"))
    return Answer([_entry(rule, lambda r: routes.replace_one(stack, call, r)) for rule in rules])


def bulk_patch(stack: Stack, call: Call) -> Answer:
    """`PATCH _bulk_update`: each as a PATCH of its own."""
    rules = _parsed(stack, call, Shape("object"))
    return Answer([_entry(rule, lambda r: routes.patch_one(stack, call, r)) for rule in rules])


def bulk_delete(stack: Stack, call: Call) -> Answer:
    """`DELETE` or `POST _bulk_delete`: an array of `{id}` or `{rule_id}`."""
    rules = _parsed(stack, call, schema.query_shape(f"DELETE {routes.RULES}"))
    return Answer([_entry(rule, lambda r: routes.delete_one(stack, call, r)) for rule in rules])


def _parsed(stack: Stack, call: Call, item: Shape) -> list[Entry]:
    if not stack.server.old_bulk:
        raise platform(404, "Not Found")
    shape = Shape("array", items=item)
    parsed: list[Entry] = schema.parse_body(shape, call.json(), stack.server.zod)
    return parsed


def _entry(rule: Entry, work: Callable[[Entry], Entry]) -> Entry:
    try:
        return work(rule)
    except Refusal as refusal:
        message = refusal.body["message"]
        text = message if isinstance(message, str) else ",".join(message)
        return _error(rule, refusal.status, text)


def _error(rule: Entry, status: int, message: str) -> Entry:
    names = {key: rule[key] for key in ("id", "rule_id") if isinstance(rule.get(key), str)}
    return {
        **(names or {"rule_id": _UNKNOWN}),
        "error": {"status_code": status, "message": message},
    }


_CREATE, _UPDATE, _DELETE = (
    f"{routes.RULES}/{name}" for name in ("_bulk_create", "_bulk_update", "_bulk_delete")
)
ROUTES = (
    Endpoint("POST", _CREATE, bulk_create, "write"),
    Endpoint("PUT", _UPDATE, bulk_update, "write"),
    Endpoint("PATCH", _UPDATE, bulk_patch, "write"),
    Endpoint("DELETE", _DELETE, bulk_delete, "write"),
    Endpoint("POST", _DELETE, bulk_delete, "write"),
)
