"""What the engine needs to run a rule: query, patterns, exception items, value lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from ruledeploy.engine import EmbeddedEngine, EngineRule, Memory
from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import is_expired
from ruledeploy.query.parse import parse_query
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.context import Stack
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.tables import table_of
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """A rule with the ticks to run and what the engine needs."""

    rule: Saved
    ticks: list[datetime]
    engine_rule: EngineRule
    items: dict[str, dict[str, Any]]
    warnings: tuple[str, ...] = ()


def prepare(stack: Stack, engine: EmbeddedEngine, rule: Saved, ticks: list[datetime]) -> Prepared:
    """What the engine needs.

    Raises QueryError for a rule it cannot evaluate, ValueError for a window that is none.
    """
    body = rule.body
    runs.window(body, ticks[0])
    language, query = _query_of(body)
    parsed = parse_query(language, query)
    patterns = parsed.esql.sources if parsed.esql else tuple(body.get("index", DEFAULT_INDEX))
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
    engine.run([engine_rule], Memory(()), None, ticks[0])
    return Prepared(rule, ticks, engine_rule, items, _warnings(stack, body, patterns))


def engine_of(stack: Stack) -> EmbeddedEngine:
    """An engine that looks each index's table up once."""
    return EmbeddedEngine(cache(lambda index: table_of(stack.store, index)))


def _query_of(body: dict[str, Any]) -> tuple[str, str]:
    if body["type"] not in {"query", "saved_query", "eql", "esql"}:
        raise QueryError(f"the local stack does not run rules of type {body['type']}")
    query = body.get("query", "")
    if not query.strip():
        return "lucene", "*:*"
    return body["language"], query


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


def _warnings(stack: Stack, body: dict[str, Any], patterns: Sequence[str]) -> tuple[str, ...]:
    backings = documents.resolve(stack.store, ",".join(patterns))
    if not backings:
        return (f"Unable to find matching indices for rule {body['name']}. {_UNTIL}",)
    override = body.get("timestamp_override")
    lacking = [b for b in backings if override and table_of(stack.store, b).get(override) is None]
    if lacking:
        names = ", ".join(f'"{name}"' for name in lacking)
        return (
            (
                f'The following indices are missing the timestamp override field "{override}": '
                f"[{names}]"
            ),
        )
    return ()
