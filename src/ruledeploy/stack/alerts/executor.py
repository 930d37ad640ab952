"""Running rules: evaluate once, hand hits to runs, write alerts, note how it went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.engine.sources import selects
from ruledeploy.errors import QueryError, RuledeployError
from ruledeploy.query.exceptions import is_expired
from ruledeploy.query.parse import parse_query
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.document import (
    Execution,
    alert,
    alert_id,
    alerts_alias,
    alerts_index,
    execution_id,
)
from ruledeploy.stack.alerts.runs import Hit, Windows
from ruledeploy.stack.clock import iso
from ruledeploy.stack.context import Stack
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.tables import table_of
from ruledeploy.stack.exceptions import common
from ruledeploy.stack.exceptions.filters import values_of
from ruledeploy.stack.store import Saved

_ORDER = {"succeeded": 0, "going to run": 10, "running": 15, "partial failure": 20, "failed": 30}
_SUCCESS = "Rule execution completed successfully"
_MAX_SIGNALS = (
    "This rule reached the maximum alert limit for the rule execution. Some alerts were not "
    "created."
)
_NO_KEY = (
    "security_exception\n\tRoot causes:\n\t\tsecurity_exception: unable to authenticate with "
    "provided credentials and anonymous access is not allowed for this request"
)
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


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs there were, how many alerts they wrote, and each rule's last run."""

    runs: int = 0
    alerts: int = 0
    last: dict[str, dict[str, Any]] = field(default_factory=dict)


def run_due(stack: Stack, only: Iterable[tuple[str, str]] | None = None) -> Tally:
    """Run every enabled rule (or those named by space and id) for each tick that is due."""
    now = stack.clock.now()
    if only is None:
        rules = [r for r in stack.store.all("rule", None) if r.body["enabled"]]
    else:
        found = (stack.store.get("rule", space, rule_id) for space, rule_id in only)
        rules = [rule for rule in found if rule is not None and rule.body["enabled"]]
    due = []
    for stored in rules:
        rule = stored
        if runs.backwards(rule.state.get("last_run"), now):
            rule = replace(rule, state={**rule.state, "last_run": None, "since": iso(now)})
        ticks = runs.due_ticks(rule, now, simulated=stack.clock.simulated)
        if ticks:
            due.append((rule, ticks))
    return run_rules(stack, due)


def run_rules(
    stack: Stack, due: Sequence[tuple[Saved, list[datetime]]], preview_id: str | None = None
) -> Tally:
    """Run rules at their ticks, all in one pass over the events."""
    engine = _engine(stack)
    prepared, last, written = [], {}, 0
    for rule, ticks in due:
        try:
            prepared.append(_prepare(stack, engine, rule, ticks))
        except RuledeployError as error:
            last[rule.id] = _execution(ticks[-1], "failed", error.message)
    hits = _hits(stack, engine, prepared) if prepared else {}
    with stack.store.transaction():
        for one in prepared:
            count, last[one.rule.id] = _run_one(stack, one, hits[one.rule.id], preview_id)
            written += count
        for rule, ticks in due:
            summary = {"last_execution": last[rule.id]}
            state = {**rule.state, "last_run": iso(ticks[-1]), "execution_summary": summary}
            stack.store.set_state(rule, state)
    return Tally(sum(len(ticks) for _, ticks in due), written, last)


def _prepare(stack: Stack, engine: EmbeddedEngine, rule: Saved, ticks: list[datetime]) -> Prepared:
    """What the engine needs; raises QueryError for a rule it cannot evaluate."""
    body = rule.body
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


def _engine(stack: Stack) -> EmbeddedEngine:
    """An engine that looks each index's table up once."""
    return EmbeddedEngine(cache(lambda index: table_of(stack.store, index)))


def _query_of(body: dict[str, Any]) -> tuple[str, str]:
    if body["type"] not in {"query", "saved_query", "esql"}:
        raise QueryError(f"the local stack does not run rules of type {body['type']}")
    if body.get("filters"):
        raise QueryError("the local stack does not run rules with filters")
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
        return (f"Unable to find matching indices for rule {body['name']}",)
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


def _hits(
    stack: Stack, engine: EmbeddedEngine, prepared: Sequence[Prepared]
) -> dict[str, list[Hit]]:
    """All events each rule matches over the whole span, with the items that suppress them."""
    start, end = runs.span([(one.rule, one.ticks) for one in prepared])
    patterns = [pattern for one in prepared for pattern in one.engine_rule.index]
    rows = stack.store.db.execute("SELECT name FROM indices ORDER BY name").fetchall()
    backings = [name for (name,) in rows if any(selects([p], name) for p in patterns)]
    events = {
        f"{stored.index}/{stored.id}": stored
        for stored in documents.scan(stack.store, backings, start, end)
    }
    found = engine.run(
        [one.engine_rule for one in prepared],
        Memory([Document(stored.index, key, stored.source) for key, stored in events.items()]),
        None,
        min(one.ticks[0] for one in prepared),
    )
    out: dict[str, list[Hit]] = {}
    for one in prepared:
        result = found[one.rule.id]
        suppressors: dict[str, list[str]] = {}
        for item_id, keys in result.suppressed.items():
            for key in keys:
                suppressors.setdefault(key, []).append(item_id)
        every = [*result.event_ids, *suppressors]
        hits = (_hit(one, events[key], tuple(suppressors.get(key, ()))) for key in every)
        out[one.rule.id] = [hit for hit in hits if hit is not None]
    return out


def _hit(one: Prepared, event: Stored, items: tuple[str, ...]) -> Hit | None:
    plain = documents.timestamp(event.source, "@timestamp")
    override = one.rule.body.get("timestamp_override")
    time = plain if override is None else documents.timestamp(event.source, override)
    if time is None and not one.rule.body.get("timestamp_override_fallback_disabled"):
        time = plain
    if time is None or event.source.get("kibana.alert.rule.uuid") == one.rule.id:
        return None
    ingested = documents.timestamp(event.source, "event.ingested")
    seen = max(t for t in (time, plain, ingested) if t is not None)
    return Hit(event, time, seen, items)


def _run_one(
    stack: Stack, one: Prepared, hits: list[Hit], preview_id: str | None
) -> tuple[int, dict[str, Any]]:
    """All runs of one rule; returns the number of alerts written and how the last run went."""
    rule = one.rule
    windows = Windows(rule, hits, one.items)
    index = _alerts_target(stack, rule.space, preview=preview_id is not None)
    alerted = {
        n
        for n, hit in enumerate(windows.hits)
        if preview_id is None and documents.exists(stack.store, index, alert_id(hit.event, rule))
    }
    written, status, message = 0, "succeeded", _SUCCESS
    for tick in one.ticks:
        if _key_is_gone(stack, rule, tick):
            status, message = "failed", _NO_KEY
            continue
        result = windows.run(tick, alerted, as_of=stack.clock.simulated)
        execution = Execution(rule, tick, execution_id(), stack.server.version, preview_id)
        for hit in result.alerts:
            alerted.add(windows.position(hit))
            identity = alert_id(hit.event, rule)
            original = iso(documents.moment(hit.time))
            document = alert(execution, hit.event, original)
            documents.put(stack.store, index, identity, document, 1)
        written += len(result.alerts)
        warnings = [*one.warnings, *([_MAX_SIGNALS] if result.truncated else [])]
        status = "partial failure" if warnings else "succeeded"
        message = ", ".join(warnings) or _SUCCESS
    return written, _execution(one.ticks[-1], status, message)


def _alerts_target(stack: Stack, space: str, *, preview: bool) -> str:
    index, alias = alerts_index(space), alerts_alias(space)
    if preview:
        index = index.replace(".internal.alerts-", ".internal.preview.alerts-")
        alias = f".preview{alias}"
    return documents.ensure_index(stack.store, index, {"aliases": {alias: {}}})


def _key_is_gone(stack: Stack, rule: Saved, at: datetime) -> bool:
    """Whether the key the rule runs with is revoked or expired at that time."""
    key_id = (rule.state.get("run_as") or {}).get("key_id")
    if key_id is None:
        return False
    key = stack.auth.key(key_id)
    return key is None or (key.expires is not None and key.expires <= at)


def _execution(at: datetime, status: str, message: str) -> dict[str, Any]:
    """A run as `execution_summary.last_execution` shows it."""
    return {
        "date": iso(at),
        "status": status,
        "status_order": _ORDER[status],
        "message": message,
        "metrics": {"total_search_duration_ms": 1, "total_indexing_duration_ms": 0},
    }
