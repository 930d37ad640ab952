"""What a release would have done to events gone by, and how another release differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ruledeploy.engine import Document, EmbeddedEngine, Hits, Shape, Summary, Window
from ruledeploy.errors import Location
from ruledeploy.model import DetectionRule, Finding, Release, value_of
from ruledeploy.query.dates import from_ms, parse_date
from ruledeploy.query.parse import index_patterns
from ruledeploy.verify.past import Past, Sought
from ruledeploy.verify.running import (
    EventNote,
    bench,
    engine_rule,
    item_ref,
    note,
    refuse_unknown,
)
from ruledeploy.verify.schedule import Hit, Played, Schedule, play

SCHEMA = 1
TOP_FIELDS = ("host.name", "user.name", "process.executable")
_TOP = 5
_EXAMPLES = 5
# Up to so many matches of a rule the events themselves are looked at, one by one.
DETAILED = 10_000


@dataclass(frozen=True, slots=True)
class Side:
    """One release's rule on the events.

    `matches` are the query's own; `hidden` of them by allowlist items (`items`: how many each, some
    by several), the rest is `alerts`. `days`, `top`, `first` and `last` are of alerts. `played` is
    None when there are more than `DETAILED` matches.
    """

    matches: int
    hidden: int
    alerts: int
    items: Mapping[str, int]
    days: Mapping[str, int]
    top: Mapping[str, tuple[tuple[str, int], ...]]
    first: str | None
    last: str | None
    played: Played | None

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "matches": self.matches,
            "hidden": self.hidden,
            "alerts": self.alerts,
            "items": dict(self.items),
            "days": dict(self.days),
            "top": {name: [list(pair) for pair in pairs] for name, pairs in self.top.items()},
            "first": self.first,
            "last": self.last,
            "schedule": self.played.to_json() if self.played else None,
        }


@dataclass(frozen=True, slots=True)
class RuleBacktest:
    """One rule on both sides; None where a release has no such rule, or it is off.

    `new` and `gone` are None when there are too many events to compare one by one.
    """

    rule_id: str
    name: str
    after: Side | None
    before: Side | None
    new: int | None
    gone: int | None
    new_examples: tuple[EventNote, ...]
    gone_examples: tuple[EventNote, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "rule_id": self.rule_id,
            "name": self.name,
            "after": self.after.to_json() if self.after else None,
            "before": self.before.to_json() if self.before else None,
            "new": self.new,
            "gone": self.gone,
            "new_examples": [one.to_json() for one in self.new_examples],
            "gone_examples": [one.to_json() for one in self.gone_examples],
        }


@dataclass(frozen=True, slots=True)
class Backtest:
    """Every rule of a release on events gone by; `compared` tells whether with another release."""

    env: str
    window: Window | None
    compared: bool
    rules: tuple[RuleBacktest, ...]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The fixed shape that renderers read."""
        window = self.window
        return {
            "schema": SCHEMA,
            "env": self.env,
            "since": window.start.isoformat() if window else None,
            "until": window.end.isoformat() if window else None,
            "compared": self.compared,
            "rules": [one.to_json() for one in self.rules],
            "findings": [one.to_json() for one in self.findings],
        }


@dataclass(frozen=True, slots=True)
class _Ran:
    """A release on the events, by rule id: summed up, and event by event where they are few."""

    rules: Mapping[str, DetectionRule]
    counted: Mapping[str, Summary]
    matches: Mapping[str, int]
    hits: Mapping[str, Hits]
    names: Mapping[str, str]
    findings: tuple[Finding, ...]

    def alerting(self, rule_id: str) -> tuple[str, ...] | None:
        """Ids that alert: none for a rule that is not there, None when they were only counted."""
        if rule_id not in self.rules:
            return ()
        return self.hits[rule_id].event_ids if rule_id in self.hits else None


_NOTHING = _Ran({}, {}, {}, {}, {}, ())


def backtest(
    release: Release,
    past: Past,
    base: Release | None = None,
    *,
    only: str = "",
    top_fields: Sequence[str] = TOP_FIELDS,
) -> Backtest:
    """Run a release, and `base` to compare with it, over the events.

    `only` narrows to rules with the text in their name. Rules that do not decide event by event
    are left out with a finding. Raises `UsageError` when no rule of either has it.
    """
    if only:
        refuse_unknown(only, *((release, base) if base else (release,)))
    shape = Shape(fields=tuple(top_fields), top=_TOP, samples=0)
    now = _run(release, past, only, shape)
    was = _run(base, past, only, shape) if base else _NOTHING
    ids = sorted({*now.rules, *was.rules}, key=lambda one: (_rule(one, now, was).name, one))
    both = [_rule(one, now, was) for one in ids]
    looked_at = past.events(_sought(rule, now, was) for rule in both)
    rules = [_compared(*pair, now, was) for pair in zip(both, looked_at, strict=True)]
    if base is None:
        rules = [replace(one, new=0, new_examples=()) for one in rules]
    findings = tuple(dict.fromkeys((*now.findings, *was.findings)))
    return Backtest(release.env, past.window, base is not None, tuple(rules), findings)


def _rule(rule_id: str, now: _Ran, was: _Ran) -> DetectionRule:
    return now.rules.get(rule_id) or was.rules[rule_id]


def _run(release: Release, past: Past, only: str, shape: Shape) -> _Ran:
    table = bench(EmbeddedEngine(past.tables), release)
    good, findings = table.runnable(release)
    rules = {rule.rule_id: rule for rule in good if only.lower() in rule.name.lower()}
    asked = [engine_rule(release, rule) for rule in rules.values()]
    where = (past.source, past.window, table.now)
    counted = past.engine.summarize(asked, *where, shape) if asked else {}
    few = [rule for rule in asked if _is_few(counted[rule.rule_id])]
    # Items may share events: of many only a search without the items tells the matches.
    many = [replace(rule, items=()) for rule in asked if not _is_few(counted[rule.rule_id])]
    found = [rule for rule in few if _is_any(counted[rule.rule_id])]
    hits = {rule.rule_id: Hits() for rule in few}
    hits |= past.engine.run(found, *where) if found else {}
    bare = past.engine.summarize(many, *where, Shape(samples=0)) if many else {}
    return _Ran(
        rules=rules,
        counted=counted,
        matches={rule_id: _matches(one) for rule_id, one in hits.items()}
        | {rule_id: one.count for rule_id, one in bare.items()},
        hits=hits,
        names={item.item_id: item_ref(item).source_id for item in release.items},
        findings=findings,
    )


def _is_few(counted: Summary) -> bool:
    """Whether the events can be looked at one by one."""
    return counted.count + sum(counted.suppressed.values()) <= DETAILED


def _is_any(counted: Summary) -> bool:
    return counted.count > 0 or any(counted.suppressed.values())


def _matches(hits: Hits) -> int:
    """What the query finds, whether it alerts or is hidden."""
    hidden = {event for ids in hits.suppressed.values() for event in ids}
    return hits.count + len(hidden)


def _sought(rule: DetectionRule, now: _Ran, was: _Ran) -> Sought:
    """The events that alert on either side, where they are looked at one by one."""
    alerting = (now.alerting(rule.rule_id), was.alerting(rule.rule_id))
    ids = frozenset(one for some in alerting for one in some or ())
    sides = [side.rules[rule.rule_id] for side in (now, was) if rule.rule_id in side.rules]
    indices = dict.fromkeys(name for one in sides for name in index_patterns(one.body))
    return Sought(tuple(indices), ids)


def _compared(
    rule: DetectionRule, events: Mapping[str, Document], now: _Ran, was: _Ran
) -> RuleBacktest:
    rule_id = rule.rule_id
    after, before = now.alerting(rule_id), was.alerting(rule_id)
    new = gone = None
    if after is not None and before is not None:
        new, gone = set(after) - set(before), set(before) - set(after)
    return RuleBacktest(
        rule_id=rule_id,
        name=rule.name,
        after=_side(rule_id, now, events),
        before=_side(rule_id, was, events),
        new=None if new is None else len(new),
        gone=None if gone is None else len(gone),
        new_examples=_examples(new or (), events),
        gone_examples=_examples(gone or (), events),
    )


def _side(rule_id: str, ran: _Ran, events: Mapping[str, Document]) -> Side | None:
    if rule_id not in ran.rules:
        return None
    rule, counted = ran.rules[rule_id], ran.counted[rule_id]
    items: Counter[str] = Counter()
    for item_id, count in counted.suppressed.items():
        items[ran.names[item_id]] += count
    played = None
    if (ids := ran.alerting(rule_id)) is not None:
        time_field = str(rule.body.get("timestamp_override", "@timestamp"))
        hits = (_hit(events[one], time_field) for one in ids if one in events)
        played = play(Schedule.of(rule.body, _place(rule)), hits)
    return Side(
        matches=ran.matches[rule_id],
        hidden=ran.matches[rule_id] - counted.count,
        alerts=counted.count,
        items=dict(sorted(items.items())),
        days={when.date().isoformat(): count for when, count in counted.histogram},
        top=counted.top,
        first=_text(counted.first),
        last=_text(counted.last),
        played=played,
    )


def _place(rule: DetectionRule) -> Location:
    return Location(rule.provenance.path, rule.provenance.line)


def _hit(event: Document, time_field: str) -> Hit:
    """When the rule places the event, and when it was there to be found."""
    stamp = _time(event, "@timestamp") or datetime(1970, 1, 1, tzinfo=UTC)
    arrived = _time(event, "event.ingested") or stamp
    return Hit(event.id, _time(event, time_field) or stamp, arrived)


def _time(event: Document, name: str) -> datetime | None:
    value = value_of(event.source, name)
    found = parse_date(value) if isinstance(value, str | int | float) else None
    return from_ms(found.first) if found else None


def _text(time: datetime | None) -> str | None:
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _examples(ids: Iterable[str], events: Mapping[str, Document]) -> tuple[EventNote, ...]:
    known = [events[one] for one in sorted(ids) if one in events]
    return tuple(note(one.id, one.source) for one in known[:_EXAMPLES])
