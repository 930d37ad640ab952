"""Test cases of rules: whether each alerts on what its author says, and not on other events.

A case holds for the Sigma rule, so for all its variants together: an event alerts when any of
them alerts on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ruledeploy.engine import Document
from ruledeploy.errors import Location
from ruledeploy.model import DetectionRule, Event, Release, TestCase, event_id
from ruledeploy.telemetry import Scenario, load_scenarios, scenario_events
from ruledeploy.verify.cluster import EnginesDisagree
from ruledeploy.verify.running import (
    Bench,
    ItemRef,
    Result,
    documents_of,
    groups_events,
    item_ref,
    summary,
)
from ruledeploy.verify.why import explain_item, explain_silence

# Scenarios run with one seed at one time, so that a case gives the same answer every day.
SEED = 1
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
_TIME = "2026-01-05T09:00:00.000Z"
_SHOWN = 3
_REASONS = 5


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of one case in one environment; `why` explains a failure, and is empty else."""

    rule: str
    case: str
    env: str
    outcome: Literal["pass", "fail"]
    why: str
    location: Location

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "rule": self.rule,
            "case": self.case,
            "env": self.env,
            "outcome": self.outcome,
            "why": self.why,
            "path": self.location.path,
            "line": self.location.line,
        }


@dataclass(frozen=True, slots=True)
class _Observed:
    """Variants taken together: the events of a case, those that alert, and what hides others."""

    events: Mapping[str, str]
    alerting: frozenset[str]
    hidden: Mapping[str, tuple[ItemRef, ...]]
    tried: tuple[tuple[DetectionRule, tuple[Document, ...]], ...]
    bench: Bench
    release: Release
    groups: int | None = None

    def shown(self, ids: Sequence[str]) -> str:
        """The first events by their summaries, and how many more there are."""
        told = "; ".join(f"'{self.events[one]}'" for one in ids[:_SHOWN])
        return told + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")


def run_cases(
    release: Release,
    cases: Mapping[str, Sequence[TestCase]],
    bench: Bench,
    library: Mapping[str, Scenario] | None = None,
) -> tuple[CaseResult, ...]:
    """Run the cases of each source rule (by its Sigma id) that apply to the release's environment.

    A case without `env` is left out where the rule is not deployed; one that names this `env`
    fails there. Raises `ScenarioError` for a scenario that is not in the library.
    """
    known = load_scenarios() if library is None else library
    results = []
    for source_id, of_rule in cases.items():
        variants = tuple(r for r in release.rules if r.provenance.source_id == source_id)
        for case in of_rule:
            if case.env not in (None, release.env) or (case.env is None and not variants):
                continue
            if variants:
                why = judge(case, release, variants, bench, known)
            else:
                why = "the rule is not deployed here"
            name = variants[0].name if variants else source_id
            results.append(result_of(name, case, release.env, why))
    return tuple(results)


def judge(
    case: TestCase,
    release: Release,
    rules: Sequence[DetectionRule],
    bench: Bench,
    library: Mapping[str, Scenario],
) -> str:
    """Why the case does not hold for some rules taken together; empty when it does."""
    reasons = [reason for rule in rules if (reason := bench.obstacle(release, rule))]
    if reasons:
        return f"cannot be tried: {'; '.join(reasons)}"
    try:
        return _failure(case, _observe(case, release, rules, bench, library))
    except EnginesDisagree as error:
        return error.message


def result_of(rule: str, case: TestCase, env: str, why: str) -> CaseResult:
    """The result of a case; a reason makes it a failure."""
    return CaseResult(rule, case.name, env, "fail" if why else "pass", why, case.location)


def _observe(
    case: TestCase,
    release: Release,
    variants: Sequence[DetectionRule],
    bench: Bench,
    library: Mapping[str, Scenario],
) -> _Observed:
    events: dict[str, str] = {}
    alerting: set[str] = set()
    hidden: dict[str, tuple[ItemRef, ...]] = {}
    tried: list[tuple[DetectionRule, tuple[Document, ...]]] = []
    groups: int | None = None
    for rule in variants:
        documents = _documents(case, rule, library)
        tried.append((rule, documents))
        events.update((one.id, summary(one.source)) for one in documents)
        (result,) = bench.run(release, [rule], documents)
        alerting.update(result.alerting)
        hidden = _joined(hidden, result)
        if groups_events(rule):
            groups = (groups or 0) + result.groups
    return _Observed(
        events,
        frozenset(alerting),
        {one: by for one, by in hidden.items() if one not in alerting},
        tuple(tried),
        bench,
        release,
        groups,
    )


def _joined(
    hidden: Mapping[str, tuple[ItemRef, ...]], result: Result
) -> dict[str, tuple[ItemRef, ...]]:
    joined = dict(hidden)
    for one, by in result.hidden.items():
        joined[one] = tuple(dict.fromkeys((*joined.get(one, ()), *by)))
    return joined


def _documents(
    case: TestCase, rule: DetectionRule, library: Mapping[str, Scenario]
) -> tuple[Document, ...]:
    """The case's events as the rule's indices would hold them.

    Inline events need not carry a time or an id; those that lack them are given some.
    """
    if case.scenario is not None:
        beats = rule.family == "winlogbeat"
        emitted = scenario_events(
            case.scenario,
            SEED,
            START,
            shipper="winlogbeat" if beats else "integration",
            library=library,
        )
        return documents_of(emitted)
    # Any index of the rule's will do; without a name, an event belongs to whoever looks.
    index = next(iter(rule.body.get("index", ())), "").replace("*", "default")
    return tuple(
        Document(index, event_id(event) or f"event-{number}", _timed(event))
        for number, event in enumerate(case.events, 1)
    )


def _timed(event: Event) -> Event:
    """The event with the times that it lacks."""
    inner = event.get("event")
    if isinstance(inner, dict):
        return {"@timestamp": _TIME, **event, "event": {"ingested": _TIME, **inner}}
    return {"@timestamp": _TIME, "event.ingested": _TIME, **event}


def _failure(case: TestCase, seen: _Observed) -> str:
    """Why the observation is not what the case expects; empty when it is."""
    if seen.groups is not None:
        return _groups_failure(case, seen, seen.groups)
    match case.expect:
        case "alert":
            return _alert_failure(case, seen)
        case "no_alert":
            ids = sorted(seen.alerting)
            return f"alerts on {len(ids)} events: {seen.shown(ids)}" if ids else ""
        case "suppressed":
            return _suppressed_failure(case, seen)


def _groups_failure(case: TestCase, seen: _Observed, groups: int) -> str:
    """Of a rule that groups events: each group alerts, the events in it do not by themselves."""
    wanted = {"alert": case.count or max(groups, 1), "no_alert": 0, "suppressed": 0}[case.expect]
    if groups != wanted:
        return f"expected {wanted} alerting groups of events, got {groups}{_ungrouped(seen)}"
    if case.expect == "suppressed" and not seen.hidden:
        return "no item hides anything"
    return ""


def _alert_failure(case: TestCase, seen: _Observed) -> str:
    if case.count is not None:
        count = len(seen.alerting)
        if count == case.count:
            return ""
        return f"expected {case.count} alerting events, got {count}{_reasons(seen)}"
    # Of a scenario only some events are the rule's business; inline events are all meant.
    missing = (
        sorted(seen.hidden)
        if case.scenario is not None and seen.alerting
        else [one for one in seen.events if one not in seen.alerting]
    )
    if not missing:
        return ""
    return f"{len(missing)} of {len(seen.events)} events do not alert{_reasons(seen)}"


def _suppressed_failure(case: TestCase, seen: _Observed) -> str:
    if seen.alerting:
        ids = sorted(seen.alerting)
        unhidden = f"{len(ids)} events alert, no item hides them: {seen.shown(ids)}"
        return unhidden + _item_that_does_not(case, seen, ids[0])
    if not seen.hidden:
        because = _because(seen, next(iter(seen.events), ""))
        return f"no item hides anything: the query of the rule matches none of the events{because}"
    unmatched = [one for one in seen.events if one not in seen.hidden]
    if case.scenario is None and unmatched:
        shown = seen.shown(unmatched)
        because = _because(seen, unmatched[0])
        return f"the query of the rule does not match {len(unmatched)} events: {shown}{because}"
    if case.item is None:
        return ""
    others = [one for one, by in seen.hidden.items() if not _any_is(by, case.item)]
    if not others:
        return ""
    by = sorted({str(item) for one in others for item in seen.hidden[one]})
    return f"{len(others)} events are hidden by {', '.join(by)}, not by {case.item}"


def _item_that_does_not(case: TestCase, seen: _Observed, event_id: str) -> str:
    """What the case's item, or else the one that comes nearest, asks for that the event lacks."""
    told = [
        (len(reasons), str(item_ref(item)), reasons)
        for rule, documents in seen.tried
        for document in documents
        if document.id == event_id
        for item in seen.release.items_of(rule)
        if case.item is None or _any_is([item_ref(item)], case.item)
        if (reasons := explain_item(item, rule, document, seen.bench, seen.release))
    ]
    if not told:
        return f"; no item {case.item} is in force for the rule" if case.item else ""
    _, name, nearest = min(told)
    return f"; {name} does not: {'; '.join(nearest[:_REASONS])}"


def _any_is(items: Sequence[ItemRef], wanted: str) -> bool:
    return any(wanted in (one.source_id, one.source_id.rpartition("/")[2]) for one in items)


def _reasons(seen: _Observed) -> str:
    """What keeps events from alerting: the items that hide them, and those no query matches."""
    by_item: dict[ItemRef, list[str]] = {}
    for one, items in seen.hidden.items():
        for item in items:
            by_item.setdefault(item, []).append(one)
    told = [f"{item} hides {seen.shown(ids)}" for item, ids in by_item.items()]
    silent = [one for one in seen.events if one not in seen.alerting and one not in seen.hidden]
    if silent:
        told.append(f"the query does not match {seen.shown(silent)}{_because(seen, silent[0])}")
    return "; " + "; ".join(told) if told else ""


def _ungrouped(seen: _Observed) -> str:
    """How many events a rule counts at all, why not another one, and what it then asks of them."""
    told = []
    for rule, documents in seen.tried:
        silent = [one for one in documents if explain_silence(rule, one, seen.bench)]
        counted = len(documents) - len(silent) - len(seen.hidden)
        told.append(f"; it counts {counted} of {len(documents)} events")
        if silent:
            told.append(f", not {seen.shown([silent[0].id])}{_because(seen, silent[0].id)}")
        if seen.hidden:
            told.append(f", {len(seen.hidden)} are hidden by items")
        grouping = str(rule.body["query"]).partition("| stats ")[2]
        told.append(f"; then: stats {grouping}" if grouping else "")
    return "".join(told)


def _because(seen: _Observed, event_id: str) -> str:
    """Which parts of the query fail on an event, for the variant that comes nearest; or nothing."""
    told = [
        reasons
        for rule, documents in seen.tried
        for one in documents
        if one.id == event_id and (reasons := explain_silence(rule, one, seen.bench))
    ]
    if not told:
        return ""
    nearest = min(told, key=len)
    more = f"; and {len(nearest) - _REASONS} more reasons" if len(nearest) > _REASONS else ""
    return f": {'; '.join(nearest[:_REASONS])}{more}"
