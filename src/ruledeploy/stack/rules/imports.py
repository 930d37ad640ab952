"""Importing rules: HTTP 200 whatever fails, with an entry for each line that did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.stack import schema, texts
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.imports import import_exceptions
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.ndjson import uploaded
from ruledeploy.stack.rules import bodies, service
from ruledeploy.stack.rules.export import MAX_OBJECTS
from ruledeploy.stack.store import Saved
from ruledeploy.stack.texts import Zod

IMPORT = "/api/detection_engine/rules/_import"
MAX_BYTES = 10_485_760
_UNKNOWN = "(unknown id)"


@dataclass(slots=True)
class _Outcome:
    """What became of the rule lines so far."""

    errors: list[dict[str, Any]] = field(default_factory=list)
    connector_errors: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0
    unchanged: int = 0

    def fail(self, rule_id: str, status: int, message: str) -> None:
        """Note one error."""
        self.errors.append(line_error(rule_id, status, message))


def line_error(rule_id: str, status: int, message: str) -> dict[str, Any]:
    """One entry of `errors`."""
    return {"rule_id": rule_id, "error": {"status_code": status, "message": message}}


def import_rules(stack: Stack, call: Call) -> Answer:
    """`POST _import`: exception lists and items, then connectors, then rules."""
    query = schema.parse_query(f"POST {IMPORT}", call.query, stack.server.zod)
    lines = uploaded(call, MAX_BYTES, stack.server.too_large)
    rules, exceptions, connectors = _sorted_by_shape(lines)
    if len(rules) > MAX_OBJECTS:
        raise siem(500, f"Can't import more than {MAX_OBJECTS} rules")
    listed = import_exceptions(
        stack, call, exceptions,
        overwrite=query["overwrite_exceptions"], as_new_list=query["as_new_list"],
    )  # fmt: skip
    connected = _import_connectors(
        stack, call.space, connectors, overwrite=query["overwrite_action_connectors"]
    )
    outcome = _Outcome()
    zod = stack.server.zod
    for line in _last_of_each(rules, outcome, zod, overwrite=query["overwrite"]):
        _import_rule(stack, call, line, outcome, overwrite=query["overwrite"])
    answer = {
        "success": not outcome.errors and not outcome.connector_errors,
        "success_count": outcome.done,
        "rules_count": len(rules),
        "errors": outcome.errors,
        "exceptions_success": listed["success"],
        "exceptions_success_count": listed["success_count_exception_list_items"],
        "exceptions_errors": listed["errors"],
        "action_connectors_success": not outcome.connector_errors,
        "action_connectors_success_count": connected,
        "action_connectors_errors": outcome.connector_errors,
        "action_connectors_warnings": [],
    }
    if stack.server.unchanged_count:
        answer["unchanged_count"] = outcome.unchanged
    return Answer(answer)


def _sorted_by_shape(lines: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Rules, exceptions, connectors; summary lines are dropped."""
    rules, exceptions, connectors = [], [], []
    for line in lines:
        if isinstance(line, ValueError) or not isinstance(line, dict):
            rules.append(line)
        elif {"list_id", "item_id", "entries"} & line.keys():
            exceptions.append(line)
        elif "attributes" in line:
            connectors.append(line)
        elif "exported_count" not in line and "exported_rules_count" not in line:
            rules.append(line)
    return rules, exceptions, connectors


def _import_connectors(
    stack: Stack, space: str, lines: Sequence[dict[str, Any]], *, overwrite: bool
) -> int:
    """New connectors are created; those that exist are left as they are, unless overwritten."""
    count = 0
    for line in lines:
        given = line["attributes"]
        if not isinstance(line.get("id"), str) or not isinstance(given, dict):
            continue
        if stack.store.get("connector", space, line["id"]) is not None and not overwrite:
            continue
        body = {
            "id": line["id"],
            "name": given.get("name", ""),
            "connector_type_id": given.get("actionTypeId", ""),
            "config": given.get("config", {}),
            "is_preconfigured": False,
            "is_deprecated": False,
            "is_system_action": False,
            "is_missing_secrets": True,
        }
        stack.store.put(Saved("connector", space, line["id"], line["id"], body))
        count += 1
    return count


def _last_of_each(
    lines: Sequence[Any], outcome: _Outcome, zod: Zod, *, overwrite: bool
) -> list[dict[str, Any]]:
    """The lines that hold a rule, each rule_id once: the last line wins."""
    last: dict[str, dict[str, Any]] = {}
    for line in lines:
        if isinstance(line, ValueError):
            outcome.fail(_UNKNOWN, 400, str(line))
            continue
        issues = _line_issues(line, zod)
        rule_id = line.get("rule_id") if isinstance(line, dict) else None
        if issues or not isinstance(rule_id, str):
            named = rule_id if isinstance(rule_id, str) else _UNKNOWN
            outcome.fail(named, 400, schema.describe(issues))
            continue
        if rule_id in last and not overwrite:
            outcome.fail(rule_id, 400, f'More than one rule with rule-id: "{rule_id}" found')
        last[rule_id] = line
    return list(last.values())


def _line_issues(line: Any, zod: Zod) -> list[schema.Issue]:
    """What is wrong with a rule line: the fields of all rules, of its type, of an import."""
    issues = schema.complaints(schema.named("RuleCreateProps"), line, zod)
    if not isinstance(line, dict):
        return issues
    if any(issue.path == "type" for issue in issues):
        issues = [*schema.complaints(schema.named("RuleCreateBase"), line, zod), *issues]
    if "rule_id" not in line:
        issues.append(schema.Issue("rule_id", texts.missing("string", {}, zod)))
    return issues


def _import_rule(
    stack: Stack, call: Call, line: dict[str, Any], outcome: _Outcome, *, overwrite: bool
) -> None:
    rule_id = line["rule_id"]
    line = _without_missing_lists(stack, call.space, line, outcome)
    lost = _missing_connector(stack, call.space, line)
    if lost is not None:
        message = f"1 connector is missing. Connector id missing is: {lost}"
        outcome.connector_errors.append(line_error(rule_id, 404, message))
        return
    stored = stack.store.by_key("rule", call.space, rule_id)
    if stored is not None and not overwrite:
        outcome.fail(rule_id, 409, "Rule with this rule_id already exists")
        return
    try:
        _write(stack, call, line, stored, outcome)
    except Refusal as refusal:
        outcome.fail(rule_id, refusal.status, str(refusal.body["message"]))


def _write(
    stack: Stack, call: Call, line: dict[str, Any], stored: Saved | None, outcome: _Outcome
) -> None:
    zod = stack.server.zod
    if stored is None:
        parsed = schema.parse_body(schema.named("RuleCreateProps"), line, zod)
        service.create(stack, call.space, parsed, call.caller)
    else:
        parsed = schema.parse_body(schema.named("RuleUpdateProps"), line, zod)
        parsed.setdefault("version", 1)
        body = bodies.replaced(stored.body, parsed, call.caller, stack.clock.text())
        if stack.server.unchanged_count and service.same(stored.body, body):
            outcome.unchanged += 1
        else:
            service.update(stack, stored, body, call.caller)
    outcome.done += 1


def _without_missing_lists(
    stack: Stack, space: str, line: dict[str, Any], outcome: _Outcome
) -> dict[str, Any]:
    """Links to lists that exist, their id made the live one; the others are reported."""
    links = []
    for link in line.get("exceptions_list") or ():
        found = common.list_named(stack, space, link["list_id"], link["namespace_type"])
        if found is None or found.body["type"] != link["type"]:
            outcome.fail(
                line["rule_id"],
                400,
                f'Rule with rule_id: "{line["rule_id"]}" references a non existent exception list '
                f'of list_id: "{link["list_id"]}". Reference has been removed.',
            )
        else:
            links.append({**link, "id": found.id})
    return {**line, "exceptions_list": links}


def _missing_connector(stack: Stack, space: str, line: dict[str, Any]) -> str | None:
    for action in line.get("actions") or ():
        if stack.store.get("connector", space, action["id"]) is None:
            return str(action["id"])
    return None


ROUTES = (Endpoint("POST", IMPORT, import_rules, "write"),)
