"""`/api/detection_engine/rules`: one rule at a time, and `_find`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import platform, siem
from ruledeploy.stack.filter import RULE_TYPES, attributes_of_rule
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.paging import WINDOW, find_page
from ruledeploy.stack.rules import bodies, checks, service

RULES = "/api/detection_engine/rules"
_PATCH_BY_TYPE = {
    "eql": "EqlRulePatchProps",
    "query": "QueryRulePatchProps",
    "saved_query": "SavedQueryRulePatchProps",
    "threshold": "ThresholdRulePatchProps",
    "threat_match": "ThreatMatchRulePatchProps",
    "machine_learning": "MachineLearningRulePatchProps",
    "new_terms": "NewTermsRulePatchProps",
    "esql": "EsqlRulePatchProps",
}
_SORT_FIELDS = {"createdAt": "created_at", "updatedAt": "updated_at", "riskScore": "risk_score"}
_SEVERITY_ORDER = {"low": 0, "medium": 1, "high": 2, "critical": 3}


def create(stack: Stack, call: Call) -> Answer:
    """`POST`: schema, cross-field checks, conflict, side effects, write; 200 on success."""
    parsed = schema.parse_body(schema.body_shape(f"POST {RULES}"), call.json(), stack.server.zod)
    checks.refuse_cross_field(parsed)
    return Answer(service.create(stack, call.space, parsed, call.caller).body)


def read(stack: Stack, call: Call) -> Answer:
    """`GET ?id=` or `?rule_id=`."""
    query = schema.parse_query(f"GET {RULES}", call.query, stack.server.zod)
    checks.one_identifier(query)
    return Answer(service.shown(service.find_one(stack, call.space, query)))


def replace(stack: Stack, call: Call) -> Answer:
    """`PUT`: the rule becomes what the body says, defaults filled in."""
    parsed = schema.parse_body(schema.body_shape(f"PUT {RULES}"), call.json(), stack.server.zod)
    return Answer(replace_one(stack, call, parsed))


def replace_one(stack: Stack, call: Call, parsed: dict[str, Any]) -> dict[str, Any]:
    """The rule that a parsed update request names, replaced."""
    checks.one_identifier(parsed)
    checks.refuse_cross_field(parsed)
    rule = service.find_one(stack, call.space, parsed)
    body = bodies.replaced(rule.body, parsed, call.caller, stack.clock.text())
    named = parsed.get("rule_id") or rule.id
    return service.shown(service.update(stack, rule, body, call.caller, named))


def patch(stack: Stack, call: Call) -> Answer:
    """`PATCH`: what the body names replaces the stored value; nothing can be unset."""
    return Answer(patch_one(stack, call, call.json()))


def patch_one(stack: Stack, call: Call, sent: Any) -> dict[str, Any]:
    """The rule that a patch names, merged with it."""
    zod = stack.server.zod
    schema.parse_body(schema.named("RulePatchBase"), sent, zod)
    checks.one_identifier(sent)
    rule = service.find_one(stack, call.space, sent)
    kind = sent.get("type", rule.body["type"])
    if not isinstance(kind, str) or kind not in _PATCH_BY_TYPE:
        raise platform(400, "[request body]: type: Invalid input")
    parsed = schema.parse_body(schema.named(_PATCH_BY_TYPE[kind]), sent, zod)
    checks.refuse_cross_field({**rule.body, **parsed})
    body = bodies.merged(rule.body, parsed, call.caller, stack.clock.text())
    named = parsed.get("rule_id") or rule.id
    return service.shown(service.update(stack, rule, body, call.caller, named))


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE`: answers the rule that is gone; its lists and alerts stay."""
    query = schema.parse_query(f"DELETE {RULES}", call.query, stack.server.zod)
    return Answer(delete_one(stack, call, query))


def delete_one(stack: Stack, call: Call, query: Mapping[str, Any]) -> dict[str, Any]:
    """The rule that `id` or `rule_id` names, deleted."""
    checks.one_identifier(query)
    rule = service.find_one(stack, call.space, query)
    stack.store.delete(rule)
    return service.shown(rule)


def find(stack: Stack, call: Call) -> Answer:
    """`GET _find`: pages of rules under the odd key `perPage`."""
    query = schema.parse_query(f"GET {RULES}/_find", call.query, stack.server.zod)
    page, size = query["page"], query["per_page"]
    if (query.get("sort_field") is None) != (query.get("sort_order") is None):
        raise siem(400, ['when "sort_order" and "sort_field" must exist together'])
    if page * size > WINDOW:
        raise siem(400, too_deep(page * size))
    if query.get("filter") is None and query.get("sort_field") is None:
        found = stack.store.page("rule", call.space, size, (page - 1) * size)
        total = stack.store.count("rule", call.space)
        data = [service.shown(rule) for rule in found]
    else:
        rules = [service.shown(rule) for rule in stack.store.all("rule", call.space)]
        data, total = find_page(rules, query, attributes_of_rule, sort_key, RULE_TYPES)
    return Answer({"page": page, "perPage": size, "total": total, "data": data})


def sort_key(rule: dict[str, object], sort_field: str) -> tuple[int, object]:
    """What rules are sorted by; those without the value come last."""
    value: object = rule
    for part in _SORT_FIELDS.get(sort_field, sort_field).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if sort_field == "severity":
        value = _SEVERITY_ORDER[str(value)]
    return (1, "") if value is None else (0, value)


def too_deep(window: int) -> str:
    """Elasticsearch's words for a page beyond its result window."""
    return (
        "search_phase_execution_exception\n\tRoot causes:\n\t\tillegal_argument_exception: Result "
        f"window is too large, from + size must be less than or equal to: [{WINDOW}] but was "
        f"[{window}]."
    )


def tags(stack: Stack, call: Call) -> Answer:
    """`GET /api/detection_engine/tags`: every tag in use, once."""
    found = {tag for rule in stack.store.all("rule", call.space) for tag in rule.body["tags"]}
    return Answer(sorted(found))


ROUTES = (
    Endpoint("POST", RULES, create, "write"),
    Endpoint("GET", RULES, read),
    Endpoint("PUT", RULES, replace, "write"),
    Endpoint("PATCH", RULES, patch, "write"),
    Endpoint("DELETE", RULES, delete, "write"),
    Endpoint("GET", f"{RULES}/_find", find),
    Endpoint("GET", "/api/detection_engine/tags", tags),
)
