"""Running rules: evaluate once, hand hits to runs, write alerts, note how it went."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ruledeploy.errors import RuledeployError
from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.backend import alerts_of, events_of
from ruledeploy.stack.alerts.document import Execution, alert, execution_id
from ruledeploy.stack.alerts.events import Events, Prepared
from ruledeploy.stack.alerts.hits import Hit
from ruledeploy.stack.alerts.kept import Alerts
from ruledeploy.stack.alerts.prepare import LinkedItems, prepare
from ruledeploy.stack.alerts.session import Found, Session
from ruledeploy.stack.clock import iso
from ruledeploy.stack.context import Stack
from ruledeploy.stack.errors import Refusal
from ruledeploy.stack.store import Saved

_ORDER = {"succeeded": 0, "going to run": 10, "running": 15, "partial failure": 20, "failed": 30}
_LOG = logging.getLogger(__name__)
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
    """How many runs there were, how many alerts they wrote, and how each rule's went, in order."""

    runs: int = 0
    alerts: int = 0
    outcomes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How one rule's runs went, in order, and what later runs must know."""

    alerts: int
    runs: list[dict[str, Any]]
    memory: dict[str, Any]


def run_due(stack: Stack, only: Iterable[tuple[str, str]] | None = None) -> Tally:
    """Run every enabled rule (or those named by space and id) for each tick that is due."""
    now = stack.clock.now()
    if only is None:
        rules = stack.store.enabled_rules()
    else:
        found = (stack.store.get("rule", space, rule_id) for space, rule_id in only)
        rules = [rule for rule in found if rule is not None and rule.body["enabled"]]
    due = []
    for stored in rules:
        rule, ticks = _ticks(stack, stored, now)
        if ticks:
            due.append((rule, ticks))
    return run_rules(stack, due) if due else Tally()


def due_rules(stack: Stack) -> tuple[list[tuple[str, str]], datetime | None]:
    """The enabled rules that are due, by space and id; and when the next will be after these."""
    now = stack.clock.now()
    due, coming = [], []
    for stored in stack.store.enabled_rules():
        rule, ticks = _ticks(stack, stored, now)
        if ticks:
            due.append((rule.space, rule.id))
        coming.append(runs.next_tick(rule, ticks))
    return due, min(coming, default=None)


def _ticks(stack: Stack, rule: Saved, now: datetime) -> tuple[Saved, list[datetime]]:
    """The rule, started over if the clock was turned back, and the ticks that are due."""
    if runs.backwards(rule.state.get("last_run"), now):
        rule = replace(rule, state=_turned_back(rule.state, now))
    return rule, runs.due_ticks(rule, now, simulated=stack.clock.simulated)


def _turned_back(state: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The state of a rule whose last run lies in the future: it starts over now."""
    return {**state, "last_run": None, "since": iso(now), "memory": {}}


def run_rules(
    stack: Stack, due: Sequence[tuple[Saved, list[datetime]]], preview_id: str | None = None
) -> Tally:
    """Run rules at their ticks, all in one pass over the events."""
    events, linked = events_of(stack), LinkedItems(stack)
    prepared: list[Prepared] = []
    outcomes: dict[str, _Outcome] = {}
    for rule, ticks in due:
        try:
            prepared.append(prepare(stack, events, linked, rule, ticks))
        except Exception as error:  # noqa: BLE001 - a rule's trouble is its own, whatever it is
            outcomes[rule.id] = _failed(rule, ticks, _told(error))
    started = time.perf_counter()
    hits, failed = _find(events, [one for one in prepared if not one.grouped])
    hits.update({one.rule.id: [] for one in prepared if one.grouped})
    searched = _milliseconds_since(started)
    outcomes.update(failed)
    with stack.store.transaction():
        for one in prepared:
            if one.rule.id in hits:
                outcome = _run_one(stack, events, one, hits.pop(one.rule.id), preview_id)
                for run in outcome.runs:
                    run["metrics"]["total_search_duration_ms"] = searched
                outcomes[one.rule.id] = outcome
        for rule, ticks in due:
            outcome = outcomes[rule.id]
            state = {
                **rule.state,
                "last_run": iso(ticks[-1]),
                "execution_summary": {"last_execution": outcome.runs[-1]},
                "memory": outcome.memory,
            }
            stack.store.set_state(rule, state)
    return Tally(
        runs=sum(len(ticks) for _, ticks in due),
        alerts=sum(outcome.alerts for outcome in outcomes.values()),
        outcomes={rule_id: outcome.runs for rule_id, outcome in outcomes.items()},
    )


def _find(
    events: Events, prepared: Sequence[Prepared]
) -> tuple[dict[str, list[Hit]], dict[str, _Outcome]]:
    """Hits by rule, all in one pass; when that fails, in halves, so that one rule fails alone."""
    if not prepared:
        return {}, {}
    try:
        return events.find(prepared), {}
    except Exception as error:  # noqa: BLE001 - as above
        if len(prepared) == 1:
            (one,) = prepared
            return {}, {one.rule.id: _failed(one.rule, one.ticks, _told(error))}
    hits: dict[str, list[Hit]] = {}
    failed: dict[str, _Outcome] = {}
    middle = len(prepared) // 2
    for half in (prepared[:middle], prepared[middle:]):
        found, lost = _find(events, half)
        hits.update(found)
        failed.update(lost)
    return hits, failed


def _run_one(
    stack: Stack, events: Events, one: Prepared, hits: list[Hit], preview_id: str | None
) -> _Outcome:
    """All runs of one rule, and how each went; a gap before the first is told in each."""
    rule, preview, alerts = one.rule, preview_id is not None, alerts_of(stack)
    timeline = runs.Timeline(hits, one.items, as_of=stack.clock.simulated)
    session = Session(one, timeline, (events, alerts), preview=preview)
    gap = timedelta(0) if preview else runs.gap(rule, one.ticks[0])
    written, told = 0, []
    for tick in one.ticks:
        if _key_is_gone(stack, rule, tick):
            told.append(_execution(tick, "failed", _NO_KEY))
            continue
        execution = Execution(rule, tick, execution_id(), stack.server.version, preview_id)
        try:
            found = session.run(tick)
            started = time.perf_counter()
            written += _write(events, alerts, execution, found)
        except Exception as error:  # noqa: BLE001 - as above
            told.append(_execution(tick, "failed", _told(error)))
            continue
        session.note(found, tick)
        warnings = [*_gap_warning(gap), *one.warnings, *([_MAX_SIGNALS] if found.truncated else [])]
        status = "partial failure" if warnings else "succeeded"
        last = _execution(tick, status, ", ".join(warnings) or _SUCCESS)
        last["metrics"]["total_indexing_duration_ms"] = _milliseconds_since(started)
        if gap:
            last["metrics"]["execution_gap_duration_s"] = round(gap.total_seconds())
        told.append(last)
    return _Outcome(written, told, session.memory(one.ticks[-1]))


def _write(events: Events, kept: Alerts, execution: Execution, found: Found) -> int:
    """Write a run's alerts; returns how many are new."""
    rule = execution.rule
    sources = events.sources(one.hit for one in found.findings if one.hit and not one.extends)
    alerts: dict[str, dict[str, Any]] = {}
    for finding in found.findings:
        if finding.extends is not None:
            known = kept.read(rule.space, finding.id) or {}
            alerts[finding.id] = {**known, **finding.extends}
        else:
            event = sources.get(finding.hit.key, {}) if finding.hit else None
            alerts[finding.id] = alert(execution, finding, event)
    if alerts:
        kept.write(rule.space, alerts, preview=execution.preview_id is not None)
    return sum(finding.extends is None for finding in found.findings)


def _key_is_gone(stack: Stack, rule: Saved, at: datetime) -> bool:
    """Whether the key the rule runs with is revoked or expired at that time."""
    key_id = (rule.state.get("run_as") or {}).get("key_id")
    if key_id is None:
        return False
    key = stack.auth.key(key_id)
    return key is None or (key.expires is not None and key.expires <= at)


def _gap_warning(gap: timedelta) -> list[str]:
    if not gap:
        return []
    milliseconds = round(gap / timedelta(milliseconds=1))
    missed = f"{gap} ({milliseconds}ms) were not queried between this rule execution and the last"
    advice = "Consider increasing your look behind time or adding more Kibana instances"
    return [f"{missed} execution, so signals may have been missed. {advice}"]


def _told(error: Exception) -> str:
    """What went wrong in a rule's run, in a sentence; what nobody foresaw goes to the log too."""
    if isinstance(error, RuledeployError):
        return error.message
    if not isinstance(error, ValueError | Refusal):
        _LOG.error("running a rule", exc_info=error)
    return str(error) or type(error).__name__


def _failed(rule: Saved, ticks: Sequence[datetime], message: str) -> _Outcome:
    told = [_execution(tick, "failed", message) for tick in ticks]
    return _Outcome(0, told, rule.state.get("memory", {}))


def _execution(at: datetime, status: str, message: str) -> dict[str, Any]:
    """A run as `execution_summary.last_execution` shows it."""
    return {
        "date": iso(at),
        "status": status,
        "status_order": _ORDER[status],
        "message": message,
        "metrics": {"total_search_duration_ms": 0, "total_indexing_duration_ms": 0},
    }


def _milliseconds_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
