"""Writing rules to the store: one place for create, update and delete, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack.auth import Caller
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import siem
from ruledeploy.stack.exceptions.endpoint import ensure_endpoint_list
from ruledeploy.stack.rules import bodies, checks
from ruledeploy.stack.store import Saved


def find_one(stack: Stack, space: str, query: Mapping[str, Any]) -> Saved:
    """The rule that `id` or `rule_id` names; a siem 404 when there is none."""
    if query.get("id") is not None:
        found = stack.store.get("rule", space, query["id"])
    else:
        found = stack.store.by_key("rule", space, query["rule_id"])
    if found is None:
        raise siem(404, checks.not_found(query))
    return found


def shown(rule: Saved) -> dict[str, Any]:
    """The body as it is returned: with the last run, once there was one."""
    summary = rule.state.get("execution_summary")
    return {**rule.body, "execution_summary": summary} if summary else rule.body


def create(stack: Stack, space: str, parsed: dict[str, Any], caller: Caller) -> Saved:
    """Store a new rule and have it run when it is enabled."""
    rule_id = parsed.get("rule_id")
    if rule_id and stack.store.by_key("rule", space, rule_id) is not None:
        raise siem(409, f'rule_id: "{rule_id}" already exists')
    ensure_endpoint_list(stack, caller)
    body = bodies.created(parsed, caller, stack.clock.text())
    _check(stack, space, body, "create", None)
    state = _enabled_state(stack, {}, caller) if body["enabled"] else {}
    saved = stack.store.put(Saved("rule", space, body["id"], body["rule_id"], body, state=state))
    _note_due(stack, saved)
    return saved


def update(
    stack: Stack, rule: Saved, body: dict[str, Any], caller: Caller, named: str | None = None
) -> Saved:
    """Store a changed body. An enabled rule takes the caller's key and runs soon.

    `named` is how the request names the rule, for messages; its id unless given.
    """
    if body["type"] != rule.body["type"]:
        raise siem(400, f"params invalid: [type]: expected value to equal [{rule.body['type']}]")
    _check(stack, rule.space, body, "update", named or rule.id)
    if stack.server.put_no_op and same(rule.body, body):
        return rule
    state = rule.state
    if body["enabled"]:
        fresh = not rule.body["enabled"]
        state = _enabled_state(stack, {} if fresh else state, caller)
    saved = stack.store.put(Saved("rule", rule.space, rule.id, rule.key, body, state=state))
    if body["enabled"] and not rule.body["enabled"]:
        _note_due(stack, saved)
    return saved


def set_enabled(stack: Stack, rule: Saved, enabled: bool, caller: Caller) -> Saved:
    """Switch a rule on or off, as `_bulk_action` does; one that keeps a key keeps it."""
    if rule.body["enabled"] == enabled:
        return rule
    body = {**rule.body, "enabled": enabled}
    body["updated_at"], body["updated_by"] = stack.clock.text(), caller.name
    state = {k: v for k, v in rule.state.items() if k not in {"last_run", "since"}}
    if enabled:
        kept = rule.state.get("run_as")
        state = _enabled_state(stack, state, caller)
        state["run_as"] = kept or state["run_as"]
    saved = stack.store.put(Saved("rule", rule.space, rule.id, rule.key, body, state=state))
    _note_due(stack, saved)
    return saved


def rekey(stack: Stack, rule: Saved, caller: Caller) -> None:
    """Make the rule run with the caller's key from now on."""
    stack.store.set_state(rule, {**rule.state, "run_as": _run_as(caller)})


def _check(
    stack: Stack, space: str, body: Mapping[str, Any], doing: str, named: str | None
) -> None:
    checks.schedule(body, doing)
    checks.default_list(stack, space, body, named)
    checks.connectors(stack, space, body)


def same(stored: dict[str, Any], body: dict[str, Any]) -> bool:
    """Whether a write would change nothing that anybody could see."""
    return stored["enabled"] == body["enabled"] and bodies.counted(stored) == bodies.counted(body)


def _run_as(caller: Caller) -> dict[str, Any]:
    """Whose privileges a rule runs with: the very key of the request, or the user's own."""
    return {"user": caller.name, "key_id": caller.key.id if caller.key else None}


def _enabled_state(stack: Stack, state: dict[str, Any], caller: Caller) -> dict[str, Any]:
    return {"since": stack.clock.text(), **state, "run_as": _run_as(caller)}


def _note_due(stack: Stack, rule: Saved) -> None:
    if rule.body["enabled"]:
        stack.due.append((rule.space, rule.id))
