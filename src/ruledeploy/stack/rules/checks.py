"""What a rule must fulfil beyond its schema, with Kibana's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruledeploy.stack import clock
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import siem
from ruledeploy.stack.store import Saved

_THRESHOLD_FIELDS = 5


def cross_field(body: Mapping[str, Any]) -> list[str]:
    """Complaints that involve two fields; they are answered as an array of messages."""
    out = []
    pairs = [("timeline_id", "timeline_title")]
    if body.get("type") == "threat_match":
        pairs.append(("concurrent_searches", "items_per_search"))
    for one, other in pairs:
        for here, there in ((one, other), (other, one)):
            if body.get(here) is not None and body.get(there) is None:
                out.append(f'when "{here}" exists, "{there}" must also exist')
    if body.get("type") == "threshold" and "threshold" in body:
        fields = body["threshold"]["field"]
        names = [fields] if isinstance(fields, str) else fields
        if len(names) > _THRESHOLD_FIELDS:
            out.append(f"Number of fields must be {_THRESHOLD_FIELDS} or less")
        out.extend(
            "Cardinality of a field that is being aggregated on is always 1"
            for cardinality in body["threshold"].get("cardinality") or ()
            if cardinality["field"] in names
        )
    return out


def refuse_cross_field(body: Mapping[str, Any]) -> None:
    """Raise the 400 with an array of messages when two fields do not go together."""
    found = cross_field(body)
    if found:
        raise siem(400, found)


def one_identifier(query: Mapping[str, Any]) -> None:
    """Exactly one of `id` and `rule_id` names a rule."""
    given = [key for key in ("id", "rule_id") if query.get(key) is not None]
    if not given:
        raise siem(400, ['either "id" or "rule_id" must be set'])
    if len(given) > 1:
        raise siem(400, ['both "id" and "rule_id" cannot exist, choose one or the other'])


def not_found(query: Mapping[str, Any]) -> str:
    """The text for a rule that is not there."""
    if query.get("id") is not None:
        return f'id: "{query["id"]}" not found'
    return f'rule_id: "{query["rule_id"]}" not found'


def schedule(body: Mapping[str, Any], doing: str) -> None:
    """The interval must be a duration; `doing` is create or update."""
    try:
        clock.duration(body["interval"])
    except ValueError as error:
        raise siem(
            400,
            f"Error validating {doing} data - [schedule.interval]: string is not a valid "
            f"duration: {body['interval']}",
        ) from error


def connectors(stack: Stack, space: str, body: Mapping[str, Any]) -> None:
    """Every action must name a connector of the space."""
    for action in body["actions"]:
        if stack.store.get("connector", space, action["id"]) is None:
            raise siem(
                400,
                f"Failed to load action {action['id']} (404): Saved object "
                f"[action/{action['id']}] not found",
            )


def default_list(stack: Stack, space: str, body: Mapping[str, Any], named: str | None) -> None:
    """At most one `rule_default` list, and it belongs to one rule only.

    `named` is how the request names the rule; None for a new one.
    """
    own = [x for x in body["exceptions_list"] if x["type"] == "rule_default"]
    if len(own) > 1:
        raise siem(400, "More than one default exception list found on rule")
    if not own:
        return
    holders = [
        rule.id
        for rule in stack.store.all("rule", space)
        if rule.id != body["id"] and _links(rule, own[0])
    ]
    if holders:
        raise siem(
            409,
            f"default exception list{f' for rule: {named}' if named else ''} already exists in "
            f"rule(s): {','.join(holders)}",
        )


def _links(rule: Saved, link: Mapping[str, Any]) -> bool:
    return any(
        x["type"] == "rule_default" and x["list_id"] == link["list_id"]
        for x in rule.body["exceptions_list"]
    )
