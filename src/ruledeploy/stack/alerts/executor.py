"""Running rules: evaluate once, hand hits to runs, write alerts, note how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ruledeploy.engine import Document, EmbeddedEngine, Memory
from ruledeploy.engine.sources import selects
from ruledeploy.errors import RuledeployError
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.document import (
    Execution,
    alert,
    alert_id,
    alerts_alias,
    alerts_index,
    execution_id,
)
from ruledeploy.stack.alerts.prepare import Prepared, engine_of, prepare
from ruledeploy.stack.alerts.runs import Hit, Windows
from ruledeploy.stack.clock import iso
from ruledeploy.stack.context import Stack
from ruledeploy.stack.es import documents
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.es.search import Matching
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


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs there were, how many alerts they wrote, and each rule's last run.

    `next_at` is when the next of the rules looked at is due.
    """

    runs: int = 0
    alerts: int = 0
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    next_at: datetime | None = None


def run_due(stack: Stack, only: Iterable[tuple[str, str]] | None = None) -> Tally:
    """Run every enabled rule (or those named by space and id) for each tick that is due."""
    now = stack.clock.now()
    if only is None:
        rules = stack.store.enabled_rules()
    else:
        found = (stack.store.get("rule", space, rule_id) for space, rule_id in only)
        rules = [rule for rule in found if rule is not None and rule.body["enabled"]]
    due, coming = [], []
    for stored in rules:
        rule = stored
        if runs.backwards(rule.state.get("last_run"), now):
            rule = replace(rule, state={**rule.state, "last_run": None, "since": iso(now)})
        ticks = runs.due_ticks(rule, now, simulated=stack.clock.simulated)
        if ticks:
            due.append((rule, ticks))
        coming.append(runs.next_tick(rule, ticks))
    tally = run_rules(stack, due) if due else Tally()
    return replace(tally, next_at=min(coming, default=None))


def run_rules(
    stack: Stack, due: Sequence[tuple[Saved, list[datetime]]], preview_id: str | None = None
) -> Tally:
    """Run rules at their ticks, all in one pass over the events."""
    engine = engine_of(stack)
    prepared, last, written = [], {}, 0
    for rule, ticks in due:
        try:
            prepared.append(prepare(stack, engine, rule, ticks))
        except (RuledeployError, ValueError) as error:
            last[rule.id] = _execution(ticks[-1], "failed", str(error))
    hits, failed = _hits_or_failures(stack, engine, prepared)
    last.update(failed)
    with stack.store.transaction():
        for one in prepared:
            if one.rule.id in failed:
                continue
            count, last[one.rule.id] = _run_one(stack, one, hits[one.rule.id], preview_id)
            written += count
        for rule, ticks in due:
            summary = {"last_execution": last[rule.id]}
            state = {**rule.state, "last_run": iso(ticks[-1]), "execution_summary": summary}
            stack.store.set_state(rule, state)
    return Tally(sum(len(ticks) for _, ticks in due), written, last)


def _hits_or_failures(
    stack: Stack, engine: EmbeddedEngine, prepared: Sequence[Prepared]
) -> tuple[dict[str, list[Hit]], dict[str, dict[str, Any]]]:
    """Hits by rule, all in one pass; when that fails, one by one, so that one rule fails alone."""
    if not prepared:
        return {}, {}
    try:
        return _hits(stack, engine, prepared), {}
    except RuledeployError as error:
        if len(prepared) == 1:
            one = prepared[0]
            return {}, {one.rule.id: _execution(one.ticks[-1], "failed", error.message)}
    hits: dict[str, list[Hit]] = {}
    failed: dict[str, dict[str, Any]] = {}
    for one in prepared:
        found, lost = _hits_or_failures(stack, engine, [one])
        hits.update(found)
        failed.update(lost)
    return hits, failed


def _hits(
    stack: Stack, engine: EmbeddedEngine, prepared: Sequence[Prepared]
) -> dict[str, list[Hit]]:
    """All events each rule matches over the whole span, with the items that suppress them."""
    start: int | None = None
    end: int | None = None
    if all(one.engine_rule.timestamp_field in documents.SEARCHED_TIMES for one in prepared):
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
        passes = _filters(stack, one)
        result = found[one.rule.id]
        suppressors: dict[str, list[str]] = {}
        for item_id, keys in result.suppressed.items():
            for key in keys:
                suppressors.setdefault(key, []).append(item_id)
        every = [*result.event_ids, *suppressors]
        hits = (_hit(one, events[key], tuple(suppressors.get(key, ()))) for key in every)
        out[one.rule.id] = [hit for hit in hits if hit is not None and passes(hit.event)]
    return out


def _filters(stack: Stack, one: Prepared) -> Callable[[Stored], bool]:
    """The rule's own `filters`, as Kibana adds them to the query: negated ones must not hold."""
    active = [f for f in one.rule.body.get("filters", ()) if not f.get("meta", {}).get("disabled")]
    if not active:
        return lambda _: True
    negated = [f["query"] for f in active if f.get("meta", {}).get("negate")]
    wanted = [f["query"] for f in active if not f.get("meta", {}).get("negate")]
    query = {"bool": {"filter": wanted, "must_not": negated}}
    return Matching(stack.store, query, one.ticks[-1]).holds


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
