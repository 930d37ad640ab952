"""What an engine needs to run a rule: query, patterns, exception items, value lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from ruledeploy.engine import EngineRule
from ruledeploy.engine.sources import stream_name
from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import is_expired
from ruledeploy.query.parse import parse_query
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.events import Events, Prepared, own_filters
from ruledeploy.stack.alerts.kinds import RUN_TYPES, grouping_fields
from ruledeploy.stack.config import ApiKey
from ruledeploy.stack.context import Stack
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.filters import values_of
from ruledeploy.stack.store import Saved

_UNTIL = (
    "This warning will persist until one of the following occurs: a matching index is created or "
    "the rule is disabled."
)
# A name that no index has.
_NOTHING = ("nothing.that.may.be.read",)
_NO_RIGHT = (
    "This rule may not have the required read privileges to the following index patterns: {}"
)
# Kibana's advanced setting for rules that name neither index nor data view.
DEFAULT_INDEX = (
    "apm-*-transaction*", "auditbeat-*", "endgame-*", "filebeat-*", "logs-*", "packetbeat-*",
    "traces-apm*", "winlogbeat-*", "-*elastic-cloud-logs-*",
)  # fmt: skip


class LinkedItems:
    """Exception items of rules, each list read once however many rules link it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._lists: dict[tuple[str, str], list[Saved]] = {}

    def of(self, rule: Saved) -> list[Saved]:
        """Items of the linked lists, found by `list_id` and namespace alone.

        A list that is missing has none; the endpoint list is not for rules.
        """
        out = []
        for link in rule.body["exceptions_list"]:
            if link["list_id"] != "endpoint_list":
                where = common.space_of(rule.space, link["namespace_type"])
                out.extend(self._items(where, link["list_id"]))
        return out

    def _items(self, space: str, list_id: str) -> list[Saved]:
        found = self._lists.get((space, list_id))
        if found is None:
            found = self._stack.store.all("exception_item", space, list_id)
            self._lists[space, list_id] = found
        return found


def prepare(
    stack: Stack, events: Events, linked: LinkedItems, rule: Saved, ticks: list[datetime]
) -> Prepared:
    """What the engine needs.

    Raises QueryError for a rule it cannot evaluate, ValueError for a window that is none.
    """
    body = rule.body
    own_filters(body)
    for tick in (ticks[0], ticks[-1]):
        runs.reach(body, tick)
    language, query = _query_of(body)
    parsed = parse_query(language, query)
    patterns = parsed.esql.sources if parsed.esql else _patterns(stack, rule)
    items = {item.key: item.body for item in linked.of(rule) if not is_expired(item.body, ticks[0])}
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
    warnings = _warnings(events, body, indices)
    hidden = _unreadable(stack, rule, patterns)
    if hidden:
        engine_rule = _readable(stack, rule, engine_rule, indices)
        warnings = (_NO_RIGHT.format(json.dumps(hidden)), *warnings)
    # Items are left out: many rules share many, and what is wrong with one shows when they run.
    events.check(replace(engine_rule, items=()), indices, ticks[0])
    fields, grouped = grouping_fields(body), parsed.esql is not None and parsed.esql.aggregates
    return Prepared(rule, ticks, engine_rule, items, fields, warnings, grouped=grouped)


def _key(stack: Stack, rule: Saved) -> ApiKey | None:
    """The key the rule runs with; None for a user's own rights, or a key that is gone."""
    key_id = (rule.state.get("run_as") or {}).get("key_id")
    return None if key_id is None else stack.auth.key(key_id)


def _unreadable(stack: Stack, rule: Saved, patterns: Sequence[str]) -> list[str]:
    """The patterns that the rule's key may not read in whole."""
    key = _key(stack, rule)
    return [p for p in patterns if key and not p.startswith("-") and not key.reads(p)]


def _readable(
    stack: Stack, rule: Saved, engine_rule: EngineRule, indices: Sequence[str]
) -> EngineRule:
    """The rule over what its key may read: a search leaves out the rest, ES|QL fails."""
    key = _key(stack, rule)
    if key is None:
        return engine_rule
    if engine_rule.language == "esql":
        raise QueryError(
            f"security_exception: action [indices:data/read/esql] is unauthorized for API key id "
            f"[{key.id}]"
        )
    kept = [name for name in indices if key.reads(stream_name(name))]
    return replace(engine_rule, index=tuple(kept) or _NOTHING)


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
