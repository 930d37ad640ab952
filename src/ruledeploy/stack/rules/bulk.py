"""`_bulk_action`: many rules at once, not transactional, HTTP 500 when any of them failed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.stack import schema
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal, siem
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.imports import duplicate_list
from ruledeploy.stack.filter import RULE_TYPES, attributes_of_rule
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.ndjson import attachment
from ruledeploy.stack.paging import compiled
from ruledeploy.stack.rules import bodies, service
from ruledeploy.stack.rules.edits import EditError, edited
from ruledeploy.stack.rules.export import with_details
from ruledeploy.stack.store import Saved

BULK = "/api/detection_engine/rules/_bulk_action"
MAX_IDS = 100
MAX_BY_QUERY = 10_000
MAX_EDIT_BY_QUERY = 2_000
# Kibana's own failures inside a bulk action carry this status.
_FAILED = 500


@dataclass(slots=True)
class _Results:
    """What became of each rule so far."""

    updated: list[dict[str, Any]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    errors: list[tuple[str, int, str | None, dict[str, str]]] = field(default_factory=list)

    def fail(self, message: str, status: int, rule: dict[str, str], code: str | None) -> None:
        """Note one failure."""
        self.errors.append((message, status, code, rule))

    def answer(self, *, dry_run: bool) -> Answer:
        """The envelope: 200 with `success`, or 500 with errors grouped by message."""
        kinds = ("updated", "created", "deleted", "skipped")
        done = len(self.updated) + len(self.created) + len(self.deleted)
        summary = {
            "failed": len(self.errors),
            "succeeded": done,
            "skipped": len(self.skipped),
            "total": done + len(self.skipped) + len(self.errors),
        }
        results = {kind: [] if dry_run else getattr(self, kind) for kind in kinds}
        attributes: dict[str, Any] = {"results": results, "summary": summary}
        if not self.errors:
            body = {"success": True, "rules_count": summary["total"], "attributes": attributes}
            return Answer(body)
        attributes["errors"] = self._grouped()
        partly = "partially " if done + len(self.skipped) else ""
        message = f"Bulk edit {partly}failed"
        body = {"message": message, "status_code": _FAILED, "attributes": attributes}
        return Answer(body, _FAILED)

    def _grouped(self) -> list[dict[str, Any]]:
        groups: dict[tuple[str, int, str | None], list[dict[str, str]]] = {}
        for message, status, code, rule in self.errors:
            groups.setdefault((message, status, code), []).append(rule)
        return [
            {
                "message": message,
                "status_code": status,
                **({"err_code": code} if code else {}),
                "rules": rules,
            }
            for (message, status, code), rules in groups.items()
        ]


def bulk_action(stack: Stack, call: Call) -> Answer:
    """`POST _bulk_action`: an empty query, or none, means every rule of the space."""
    zod = stack.server.zod
    query = schema.parse_query(f"POST {BULK}", call.query, zod)
    body = schema.parse_body(schema.body_shape(f"POST {BULK}"), call.json(), zod)
    dry_run = bool(query.get("dry_run"))
    _check(body, dry_run=dry_run)
    results = _Results()
    rules = _chosen(stack, call.space, body, results)
    if body["action"] == "export":
        return attachment(with_details(stack, call.space, rules), "rules_export.ndjson")
    for n, rule in enumerate(rules):
        if call.partial and n % 2:
            results.fail("Injected failure", _FAILED, _brief(rule), None)
            continue
        try:
            _one(stack, call, body, rule, (results, dry_run))
        except Refusal as refusal:
            results.fail(str(refusal.body["message"]), refusal.status, _brief(rule), None)
    return results.answer(dry_run=dry_run)


def _check(body: dict[str, Any], *, dry_run: bool) -> None:
    ids = body.get("ids")
    if ids is not None and len(ids) > MAX_IDS:
        raise siem(400, f"More than {MAX_IDS} ids sent for bulk edit action.")
    if ids is not None and body.get("query") is not None:
        raise siem(
            400, "Both query and ids are sent. Define either ids or query in request payload."
        )
    if dry_run and body["action"] == "export":
        raise siem(400, "Export action doesn't support dry_run mode")


def _chosen(stack: Stack, space: str, body: dict[str, Any], results: _Results) -> Sequence[Saved]:
    if body.get("ids") is not None:
        rules = []
        for rule_id in dict.fromkeys(body["ids"]):
            found = stack.store.get("rule", space, rule_id)
            if found is None:
                results.fail("Rule not found", _FAILED, {"id": rule_id}, None)
            else:
                rules.append(found)
        return rules
    rules = stack.store.all("rule", space)
    if body.get("query"):
        fits = compiled(body["query"], RULE_TYPES)
        rules = [rule for rule in rules if fits(attributes_of_rule(rule.body))]
    limit = MAX_EDIT_BY_QUERY if body["action"] == "edit" else MAX_BY_QUERY
    if len(rules) > limit:
        raise siem(400, f"More than {limit} rules matched the filter query. Try to narrow it down.")
    return rules


def _one(
    stack: Stack, call: Call, body: dict[str, Any], rule: Saved, sink: tuple[_Results, bool]
) -> None:
    results, dry_run = sink
    shown = service.shown(rule)
    match body["action"]:
        case "enable" | "disable" as action:
            if not dry_run:
                enabled = action == "enable"
                rule = service.set_enabled(stack, rule, enabled, call.caller)
            results.updated.append(service.shown(rule))
        case "delete":
            if not dry_run:
                stack.store.delete(rule)
            results.deleted.append(shown)
        case "duplicate":
            made = shown if dry_run else _duplicate(stack, call, body, rule)
            results.created.append(made)
        case "edit":
            _edit(stack, call, body, rule, sink)
        case "run" if not rule.body["enabled"]:
            results.fail(
                "Cannot schedule manual rule run for a disabled rule", 400, _brief(rule),
                "MANUAL_RULE_RUN_DISABLED_RULE",
            )  # fmt: skip
        case "fill_gaps" if not rule.body["enabled"]:
            results.fail(
                "Cannot bulk fill gaps for a disabled rule", 400, _brief(rule),
                "RULE_FILL_GAPS_DISABLED_RULE",
            )  # fmt: skip
        case "fill_gaps":
            skip = {"skip_reason": "NO_GAPS_TO_FILL"}
            results.skipped.append({**_brief(rule), **skip})
        case _:
            results.updated.append(shown)


def _brief(rule: Saved) -> dict[str, str]:
    return {"id": rule.id, "name": rule.body["name"]}


def _edit(
    stack: Stack, call: Call, body: dict[str, Any], rule: Saved, sink: tuple[_Results, bool]
) -> None:
    results, dry_run = sink
    changed = dict(rule.body)
    try:
        for edit in body["edit"]:
            changed = edited(changed, edit)
    except EditError as error:
        results.fail(error.message, _FAILED, _brief(rule), error.code)
        return
    if changed == rule.body:
        results.skipped.append({**_brief(rule), "skip_reason": "RULE_NOT_MODIFIED"})
        return
    if dry_run:
        results.updated.append(rule.body)
        return
    changed["version"] = rule.body["version"] + 1
    changed = bodies.replaced(rule.body, changed, call.caller, stack.clock.text())
    results.updated.append(service.shown(service.update(stack, rule, changed, call.caller)))


def _duplicate(stack: Stack, call: Call, body: dict[str, Any], rule: Saved) -> dict[str, Any]:
    """A disabled copy under a new rule_id; tags are copied, a default list is duplicated."""
    options = body.get("duplicate") or {}
    links = rule.body["exceptions_list"] if options.get("include_exceptions", True) else []
    expired = "true" if options.get("include_expired_exceptions", True) else "false"
    copied = []
    for link in links:
        found = common.list_named(stack, call.space, link["list_id"], link["namespace_type"])
        if link["type"] == "rule_default" and found is not None:
            copy = duplicate_list(stack, call, found, expired)
            copied.append({**link, "id": copy.id, "list_id": copy.key})
        else:
            copied.append(link)
    kept = {k: v for k, v in rule.body.items() if k not in bodies.OWNED}
    parsed = {
        **kept,
        "rule_id": str(uuid.uuid4()),
        "name": f"{rule.body['name']} [Duplicate]",
        "enabled": False,
        "exceptions_list": copied,
    }
    return service.create(stack, call.space, parsed, call.caller).body


ROUTES = (Endpoint("POST", BULK, bulk_action, "write"),)
