"""Running rules: evaluate once, hand hits to runs, write alerts, note how it went."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
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

    def plus(self, more: Tally) -> Tally:
        """Both, these runs before the others."""
        rules = {**self.outcomes, **more.outcomes}
        told = {rule: self.outcomes.get(rule, []) + more.outcomes.get(rule, []) for rule in rules}
        return Tally(self.runs + more.runs, self.alerts + more.alerts, told)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where rules run: over which events, to which alerts, and in which preview, if any."""

    stack: Stack
    events: Events
    alerts: Alerts
    preview_id: str | None

    @property
    def preview(self) -> bool:
        """Whether the rules are not saved, and their alerts for a look only."""
        return self.preview_id is not None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How one rule's runs went, in order, and what later runs must know."""

    alerts: int
    runs: list[dict[str, Any]]
    memory: dict[str, Any]


def run_due(stack: Stack, only: Iterable[tuple[str, str]] | None = None) -> Tally:
    """Run every enabled rule (or those named by space and id) for each tick that is due."""
    now, named = stack.clock.now(), None if only is None else list(only)
    tally, going_on = Tally(), True
    while going_on:
        due = _due(stack, named, now)
        going_on = any(len(ticks) == runs.TICKS_OF_A_PASS for _, ticks in due)
        tally = tally.plus(run_rules(stack, due)) if due else tally
    return tally


def _due(
    stack: Stack, named: Sequence[tuple[str, str]] | None, now: datetime
) -> list[tuple[Saved, list[datetime]]]:
    """The enabled rules that are due, with the ticks to run now; a rule without times is told."""
    if named is None:
        rules = stack.store.enabled_rules()
    else:
        found = (stack.store.get("rule", space, rule_id) for space, rule_id in named)
        rules = [rule for rule in found if rule is not None and rule.body["enabled"]]
    due = []
    for stored in rules:
        try:
            rule, ticks = _ticks(stack, stored, now)
        except (OverflowError, ValueError) as error:
            _tell(stack, stored, _execution(now, "failed", _told(error)))
            continue
        if ticks:
            due.append((rule, ticks))
    return due


def due_rules(stack: Stack) -> tuple[list[tuple[str, str]], datetime | None]:
    """The enabled rules that are due, by space and id; and when the next will be after these.

    A rule whose times cannot be told is never due; `run_due`, when it is enabled, says why.
    """
    now = stack.clock.now()
    due, coming = [], []
    for stored in stack.store.enabled_rules():
        try:
            rule, ticks = _ticks(stack, stored, now)
            coming.append(runs.next_tick(rule, ticks))
        except (OverflowError, ValueError):
            continue
        if ticks:
            due.append((rule.space, rule.id))
    return due, min(coming, default=None)


def _ticks(stack: Stack, rule: Saved, now: datetime) -> tuple[Saved, list[datetime]]:
    """The rule, started over if the clock was turned back, and the ticks that are due."""
    if runs.backwards(rule.state.get("last_run"), now):
        rule = replace(rule, state=started_over(rule.state, now))
    return rule, runs.due_ticks(rule, now, simulated=stack.clock.simulated)


def started_over(state: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The state of a rule that begins anew at that time: it knows of no earlier run."""
    kept = {key: value for key, value in state.items() if key not in {"last_run", "memory"}}
    return {**kept, "since": iso(at)}


def run_rules(
    stack: Stack, due: Sequence[tuple[Saved, list[datetime]]], preview_id: str | None = None
) -> Tally:
    """Run rules at their ticks, all in one pass over the events."""
    place, linked = (
        _Place(stack, events_of(stack), alerts_of(stack), preview_id),
        LinkedItems(stack),
    )
    prepared: list[Prepared] = []
    outcomes: dict[str, _Outcome] = {}
    for rule, ticks in due:
        try:
            prepared.append(prepare(stack, place.events, linked, rule, ticks))
        except Exception as error:  # noqa: BLE001 - a rule's trouble is its own, whatever it is
            outcomes[rule.id] = _failed(rule, ticks, _told(error))
    started = time.perf_counter()
    hits, failed = _find(place.events, [one for one in prepared if not one.grouped])
    hits.update({one.rule.id: [] for one in prepared if one.grouped})
    searched = _milliseconds_since(started)
    outcomes.update(failed)
    with stack.store.transaction():
        for one in prepared:
            if one.rule.id in hits:
                outcome = _run_one(place, one, hits.pop(one.rule.id))
                for run in outcome.runs:
                    run["metrics"]["total_search_duration_ms"] = searched
                outcomes[one.rule.id] = outcome
        for rule, ticks in due:
            outcome = outcomes[rule.id]
            done = {"last_run": iso(ticks[-1]), "memory": outcome.memory}
            _tell(stack, rule, outcome.runs[-1], done)
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


def _tell(
    stack: Stack, rule: Saved, run: dict[str, Any], done: Mapping[str, Any] | None = None
) -> None:
    """Keep how a rule's last run went, and what later runs must know of those that are `done`."""
    summary = {"execution_summary": {"last_execution": run}}
    stack.store.set_state(rule, {**rule.state, **(done or {}), **summary})


def _run_one(place: _Place, one: Prepared, hits: list[Hit]) -> _Outcome:
    """All runs of one rule, and how each went."""
    timeline = runs.Timeline(hits, one.items, as_of=place.stack.clock.simulated)
    try:
        session = Session(one, timeline, (place.events, place.alerts), preview=place.preview)
        gap = timedelta(0) if place.preview else runs.gap(one.rule, one.ticks[0])
    except Exception as error:  # noqa: BLE001 - as above
        return _failed(one.rule, one.ticks, _told(error))
    return _run_ticks(place, one, session, gap)


def _run_ticks(place: _Place, one: Prepared, session: Session, gap: timedelta) -> _Outcome:
    """The runs in order; a gap before the first is told in each."""
    stack, rule = place.stack, one.rule
    written, told = 0, []
    for tick in one.ticks:
        if _key_is_gone(stack, rule, tick):
            told.append(_execution(tick, "failed", _NO_KEY))
            continue
        execution = Execution(rule, tick, execution_id(), stack.server.version, place.preview_id)
        try:
            found = session.run(tick)
            started = time.perf_counter()
            written += _write(place, execution, found)
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


def _write(place: _Place, execution: Execution, found: Found) -> int:
    """Write a run's alerts; returns how many are new."""
    rule, kept = execution.rule, place.alerts
    sources = place.events.sources(one.hit for one in found.findings if one.hit and not one.extends)
    alerts: dict[str, dict[str, Any]] = {}
    for finding in found.findings:
        if finding.extends is not None:
            known = kept.read(rule.space, finding.id, preview=place.preview) or {}
            alerts[finding.id] = {**known, **finding.extends}
        else:
            event = sources.get(finding.hit.key, {}) if finding.hit else None
            alerts[finding.id] = alert(execution, finding, event)
    if alerts:
        kept.write(rule.space, alerts, preview=place.preview)
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
