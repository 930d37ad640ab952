"""A rule's body: defaults on create, replace on PUT, merge on PATCH, the revision counter.

The stored body is exactly what the API returns, without `execution_summary`, which is kept as
state beside it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ruledeploy.fields import load_table
from ruledeploy.stack.auth import Caller

# Filled in on create and PUT where the contract's schema does not already say so.
_TYPE_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "query": {"language": "kuery", "query": ""},
    "saved_query": {"language": "kuery"},
    "threshold": {"language": "kuery"},
    "threat_match": {"language": "kuery", "threat_indicator_path": "threat.indicator"},
    "new_terms": {"language": "kuery"},
}
# Accepted in a request, never stored.
_DROPPED = ("throttle", "outcome", "alias_target_id", "alias_purpose")
# The server owns these: a request cannot set them.
OWNED = (
    "id", "rule_id", "revision", "immutable", "rule_source",
    "created_at", "created_by", "updated_at", "updated_by",
)  # fmt: skip
# A change in these alone leaves the revision as it is.
_NOT_COUNTED = {*OWNED, "enabled", "execution_summary"}


def created(parsed: dict[str, Any], caller: Caller, now: str) -> dict[str, Any]:
    """The stored body of a new rule from a parsed create request."""
    rule_id = parsed.get("rule_id") or str(uuid.uuid4())
    body = _with_defaults(parsed)
    body.update(
        id=str(uuid.uuid4()),
        rule_id=rule_id,
        revision=0,
        immutable=False,
        rule_source={"type": "internal"},
        created_at=now,
        created_by=caller.name,
        updated_at=now,
        updated_by=caller.name,
    )
    return body


def replaced(
    stored: dict[str, Any], parsed: dict[str, Any], caller: Caller, now: str
) -> dict[str, Any]:
    """The stored body after PUT: all defaults again, but `enabled` and `version` are kept."""
    body = _with_defaults(parsed)
    for key in ("enabled", "version"):
        body.setdefault(key, stored[key])
    return _updated(stored, body, caller, now)


def merged(
    stored: dict[str, Any], patch: dict[str, Any], caller: Caller, now: str
) -> dict[str, Any]:
    """The stored body after PATCH: what the patch names replaces, nothing is unset."""
    body = {**stored, **{k: v for k, v in patch.items() if v is not None}}
    return _updated(stored, _with_defaults(body), caller, now)


def _updated(
    stored: dict[str, Any], body: dict[str, Any], caller: Caller, now: str
) -> dict[str, Any]:
    for key in OWNED:
        body[key] = stored[key]
    body["actions"] = _same_uuids(stored["actions"], body["actions"])
    if counted(body) != counted(stored):
        body["revision"] = stored["revision"] + 1
    body["updated_at"], body["updated_by"] = now, caller.name
    return body


def counted(body: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a rule whose change raises its revision."""
    return {k: v for k, v in body.items() if k not in _NOT_COUNTED}


def _with_defaults(parsed: Mapping[str, Any]) -> dict[str, Any]:
    body = {**_TYPE_DEFAULTS.get(parsed["type"], {}), **parsed}
    for key in _DROPPED:
        body.pop(key, None)
    body["required_fields"] = [_required(f) for f in body.get("required_fields", ())]
    body["actions"] = [_action(a) for a in body.get("actions", ())]
    return body


def _required(given: Mapping[str, Any]) -> dict[str, Any]:
    """`ecs` says whether ECS knows the field under that type; the server computes it."""
    known = load_table("ecs").get(given["name"])
    ecs = known is not None and known.type == given["type"]
    return {"name": given["name"], "type": given["type"], "ecs": ecs}


def _action(given: Mapping[str, Any]) -> dict[str, Any]:
    frequency = {"summary": True, "notifyWhen": "onActiveAlert", "throttle": None}
    return {
        "group": "default",
        "uuid": str(uuid.uuid4()),
        **given,
        "frequency": given.get("frequency") or frequency,
    }


def _same_uuids(
    stored: list[dict[str, Any]], actions: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Actions that were there before keep their uuid, so re-sending them changes nothing."""
    known = [({**a, "uuid": ""}, a["uuid"]) for a in stored]
    out = []
    for action in actions:
        same = next((u for old, u in known if old == {**action, "uuid": ""}), action["uuid"])
        out.append({**action, "uuid": same})
    return out
