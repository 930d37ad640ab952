"""What an engine needs to run a rule: query, patterns, exception items, value lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ruledeploy.engine import EngineRule
from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import is_expired
from ruledeploy.query.parse import parse_query
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.events import Events, Prepared
from ruledeploy.stack.alerts.kinds import RUN_TYPES, grouping_fields
from ruledeploy.stack.context import Stack
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.filters import values_of
from ruledeploy.stack.store import Saved

_UNTIL = (
    "This warning will persist until one of the following occurs: a matching index is created or "
    "the rule is disabled."
)
# Kibana's advanced setting for rules that name neither index nor data view.
DEFAULT_INDEX = (
    "apm-*-transaction*", "auditbeat-*", "endgame-*", "filebeat-*", "logs-*", "packetbeat-*",
    "traces-apm*", "winlogbeat-*", "-*elastic-cloud-logs-*",
)  # fmt: skip


def prepare(stack: Stack, events: Events, rule: Saved, ticks: list[datetime]) -> Prepared:
    """What the engine needs.

    Raises QueryError for a rule it cannot evaluate, ValueError for a window that is none.
    """
    body = rule.body
    for tick in (ticks[0], ticks[-1]):
        runs.reach(body, tick)
    language, query = _query_of(body)
    parsed = parse_query(language, query)
    if parsed.esql is not None and parsed.esql.aggregates:
        raise QueryError("the local stack does not run ES|QL that groups events (stats)")
    patterns = parsed.esql.sources if parsed.esql else _patterns(stack, rule)
    items = {
        item.key: item.body
        for item in linked_items(stack, rule)
        if not is_expired(item.body, ticks[0])
    }
    engine_rule = EngineRule(
        rule_id=rule.id,
        language=language,
        query=query,
        index=patterns,
        items=tuple(items.values()),
        timestamp_field=body.get("timestamp_override", "@timestamp"),
        value_lists=values_of(stack, rule.space, items.values()),
    )
    indices = events.indices(patterns)
    events.check(engine_rule, indices, ticks[0])
    warnings = _warnings(events, body, indices)
    return Prepared(rule, ticks, engine_rule, items, grouping_fields(body), warnings)


def _query_of(body: dict[str, Any]) -> tuple[str, str]:
    if body["type"] not in RUN_TYPES:
        raise QueryError(f"the local stack does not run rules of type {body['type']}")
    query = body.get("query", "")
    if not query.strip():
        return "lucene", "*:*"
    return body["language"], query


def _patterns(stack: Stack, rule: Saved) -> tuple[str, ...]:
    """What the rule searches: its data view's indices, else its own, else Kibana's default."""
    view = rule.body.get("data_view_id")
    if view:
        found = stack.store.get("data_view", rule.space, view)
        return tuple(found.body["title"].split(",")) if found else (view,)
    return tuple(rule.body.get("index", DEFAULT_INDEX))


def linked_items(stack: Stack, rule: Saved) -> list[Saved]:
    """Items of the linked lists, found by `list_id` and namespace alone.

    A list that is missing has none; the endpoint list is not for rules.
    """
    out = []
    for link in rule.body["exceptions_list"]:
        if link["list_id"] != "endpoint_list":
            where = common.space_of(rule.space, link["namespace_type"])
            out.extend(stack.store.all("exception_item", where, link["list_id"]))
    return out


def _warnings(events: Events, body: dict[str, Any], indices: Sequence[str]) -> tuple[str, ...]:
    if not indices:
        return (f"Unable to find matching indices for rule {body['name']}. {_UNTIL}",)
    override = body.get("timestamp_override")
    lacking = events.lacking(indices, override) if override else []
    if lacking:
        names = ", ".join(f'"{name}"' for name in lacking)
        return (
            (
                f'The following indices are missing the timestamp override field "{override}": '
                f"[{names}]"
            ),
        )
    return ()
