"""Around rules: default exceptions, run-as keys, prebuilt rules (there are none)."""

from __future__ import annotations

import uuid
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.alertingtypes import ALERTING_TYPES
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.items import store_item
from ruledeploy.stack.exceptions.lists import store_list
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.rules import bodies, service
from ruledeploy.stack.store import Saved

RULES = "/api/detection_engine/rules"
_EXCEPTIONS = f"{RULES}/{{id}}/exceptions"


def add_exceptions(stack: Stack, call: Call) -> Answer:
    """`POST /rules/{id}/exceptions`: into the rule's own default list, made when missing."""
    shape = schema.body_shape(f"POST {_EXCEPTIONS}")
    parsed = schema.parse_body(shape, call.json(), stack.server.zod)
    rule_id = call.params["id"]
    rule = stack.store.get("rule", call.space, rule_id)
    if rule is None:
        raise siem(500, f'Unable to add exception to rule - rule with id:"{rule_id}" not found')
    listed = _default_list(stack, call, rule)
    added = []
    for item in parsed["items"]:
        body = {**item, "list_id": listed.key, "namespace_type": "single"}
        added.append(common.shown(store_item(stack, call.space, body, call.caller)))
    return Answer(added)


def _default_list(stack: Stack, call: Call, rule: Saved) -> Saved:
    for link in rule.body["exceptions_list"]:
        if link["type"] == "rule_default":
            found = common.list_named(stack, call.space, link["list_id"], link["namespace_type"])
            if found is not None:
                return found
    made = store_list(
        stack,
        call.space,
        {
            "list_id": str(uuid.uuid4()),
            "name": f"Exceptions for rule - {rule.body['name']}",
            "description": f"Exception list containing exceptions for rule with id: {rule.id}",
            "type": "rule_default",
            "namespace_type": "single",
            "tags": ["default_rule_exception_list"],
        },
        call.caller,
    )
    link = {
        "id": made.id, "list_id": made.key, "type": "rule_default", "namespace_type": "single",
    }  # fmt: skip
    links = [x for x in rule.body["exceptions_list"] if x["type"] != "rule_default"]
    body = bodies.merged(
        rule.body, {"exceptions_list": [*links, link]}, call.caller, stack.clock.text()
    )
    service.update(stack, rule, body, call.caller)
    return made


def update_api_key(stack: Stack, call: Call) -> Answer:
    """`POST /api/alerting/rule/{id}/_update_api_key`: the rule runs as the caller; 204."""
    rule = stack.store.get("rule", call.space, call.params["id"])
    if rule is None:
        raise platform(404, f"Saved object [alert/{call.params['id']}] not found")
    service.rekey(stack, rule, call.caller)
    return Answer(status=204)


def find_alerting(stack: Stack, call: Call) -> Answer:
    """`GET /api/alerting/rules/_find`: whose key runs each rule; an excerpt of alerting's view."""
    rules = stack.store.all("rule", call.space)
    page, per_page = _number(call, "page", 1), _number(call, "per_page", 10)
    shown = rules[(page - 1) * per_page : page * per_page]
    return Answer(
        {
            "page": page,
            "per_page": per_page,
            "total": len(rules),
            "data": [_alerting(rule) for rule in shown],
        }
    )


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise platform(
            400,
            f"[request query.{name}]: expected value of type [number] but got [string]",
        )
    return int(text)


def _alerting(rule: Saved) -> dict[str, Any]:
    run_as = rule.state.get("run_as") or {}
    return {
        "id": rule.id,
        "name": rule.body["name"],
        "enabled": rule.body["enabled"],
        "consumer": "siem",
        "rule_type_id": ALERTING_TYPES[rule.body["type"]].id,
        "api_key_owner": run_as.get("user"),
        "api_key_created_by_user": run_as.get("key_id") is not None,
        "created_by": rule.body["created_by"],
        "updated_by": rule.body["updated_by"],
    }


def prebuilt_status(stack: Stack, call: Call) -> Answer:
    """`GET prepackaged/_status`: no prebuilt rules; every rule is custom."""
    zeros = dict.fromkeys(
        ("rules_installed", "rules_not_installed", "rules_not_updated", "timelines_installed",
         "timelines_not_installed", "timelines_not_updated"), 0,
    )  # fmt: skip
    return Answer({**zeros, "rules_custom_installed": stack.store.count("rule", call.space)})


def install_prebuilt(stack: Stack, call: Call) -> Answer:
    """`PUT prepackaged`: nothing to install."""
    del stack, call
    names = ("rules_installed", "rules_updated", "timelines_installed", "timelines_updated")
    return Answer(dict.fromkeys(names, 0))


ROUTES = (
    Endpoint("POST", _EXCEPTIONS, add_exceptions, "write"),
    Endpoint("POST", "/api/alerting/rule/{id}/_update_api_key", update_api_key, "write"),
    Endpoint("GET", "/api/alerting/rules/_find", find_alerting),
    Endpoint("GET", f"{RULES}/prepackaged/_status", prebuilt_status),
    Endpoint("PUT", f"{RULES}/prepackaged", install_prebuilt, "write"),
)
