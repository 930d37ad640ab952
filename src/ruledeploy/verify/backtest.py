"""What a release would have done to events gone by, and how another release differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ruledeploy.engine import Document, EmbeddedEngine, Hits, Window
from ruledeploy.model import DetectionRule, Finding, Release
from ruledeploy.query.dates import from_ms, parse_date
from ruledeploy.verify.past import Past
from ruledeploy.verify.running import EventNote, bench, engine_rule, item_ref, note, value_of
from ruledeploy.verify.schedule import Hit, Played, Schedule, play

SCHEMA = 1
TOP_FIELDS = ("host.name", "user.name", "process.executable")
_TOP = 5
_EXAMPLES = 5
# Of so many alerts of a rule the events themselves are read; beyond, all is counted but details.
DETAILED = 10_000


@dataclass(frozen=True, slots=True)
class Side:
    """One release's rule on the events.

    `matches` are the query's own; `hidden` of them by allowlist items (`items`: how many each), the
    rest is `alerts`. Days, top values, first and last are those of alerts, and like `played` they
    are of the first `DETAILED` alerts when there are more (`detailed` says of how many).
    """

    matches: int
    hidden: int
    alerts: int
    items: Mapping[str, int]
    days: Mapping[str, int]
    top: Mapping[str, tuple[tuple[str, int], ...]]
    first: str | None
    last: str | None
    played: Played
    detailed: int

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
            "schedule": self.played.to_json(),
            "detailed": self.detailed,
        }


@dataclass(frozen=True, slots=True)
class RuleBacktest:
    """One rule on both sides; None where a release has no such rule, or it is off."""

    rule_id: str
    name: str
    after: Side | None
    before: Side | None
    new: int
    gone: int
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
    """A release's rules and their hits, by rule id."""

    rules: Mapping[str, DetectionRule]
    hits: Mapping[str, Hits]
    names: Mapping[str, str]
    findings: tuple[Finding, ...]

    def alerting(self, rule_id: str) -> tuple[str, ...]:
        """Ids that alert; none for a rule that is not there."""
        found = self.hits.get(rule_id)
        return found.event_ids if found else ()


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
    are left out with a finding.
    """
    now = _run(release, past, only)
    was = _run(base, past, only) if base else _Ran({}, {}, {}, ())
    ids = sorted({*now.rules, *was.rules}, key=lambda one: (_rule(one, now, was).name, one))
    rules = [_compared(_rule(one, now, was), now, was, past, top_fields) for one in ids]
    if base is None:
        rules = [replace(one, new=0, new_examples=()) for one in rules]
    findings = tuple(dict.fromkeys((*now.findings, *was.findings)))
    return Backtest(release.env, past.window, base is not None, tuple(rules), findings)


def _rule(rule_id: str, now: _Ran, was: _Ran) -> DetectionRule:
    return now.rules.get(rule_id) or was.rules[rule_id]


def _run(release: Release, past: Past, only: str) -> _Ran:
    table = bench(EmbeddedEngine(), release)
    good, findings = table.runnable(release)
    rules = {rule.rule_id: rule for rule in good if only.lower() in rule.name.lower()}
    asked = [engine_rule(release, rule) for rule in rules.values()]
    hits = past.engine.run(asked, past.source, past.window, table.now) if asked else {}
    names = {item.item_id: item_ref(item).source_id for item in release.items}
    return _Ran(rules, hits, names, findings)


def _compared(
    rule: DetectionRule, now: _Ran, was: _Ran, past: Past, top_fields: Sequence[str]
) -> RuleBacktest:
    rule_id = rule.rule_id
    after, before = now.alerting(rule_id), was.alerting(rule_id)
    new, gone = set(after) - set(before), set(before) - set(after)
    wanted = {*after[:DETAILED], *before[:DETAILED]}
    indices = tuple(rule.body.get("index", ()))
    events = {one.id: one for one in past.events(indices, wanted)} if wanted else {}
    return RuleBacktest(
        rule_id=rule_id,
        name=rule.name,
        after=_side(rule_id, now, events, top_fields),
        before=_side(rule_id, was, events, top_fields),
        new=len(new),
        gone=len(gone),
        new_examples=_examples(new, events),
        gone_examples=_examples(gone, events),
    )


def _side(
    rule_id: str, ran: _Ran, events: Mapping[str, Document], top_fields: Sequence[str]
) -> Side | None:
    if rule_id not in ran.rules:
        return None
    body, hits = ran.rules[rule_id].body, ran.hits[rule_id]
    hidden = {one for ids in hits.suppressed.values() for one in ids}
    items: Counter[str] = Counter()
    for item_id, ids in hits.suppressed.items():
        items[ran.names[item_id]] += len(ids)
    known = [events[one] for one in hits.event_ids[:DETAILED] if one in events]
    time_field = str(body.get("timestamp_override", "@timestamp"))
    seen = [_hit(one, time_field) for one in known]
    times = sorted(hit.time for hit in seen)
    return Side(
        matches=hits.count + len(hidden),
        hidden=len(hidden),
        alerts=hits.count,
        items=dict(sorted(items.items())),
        days=_days(times),
        top={name: _top(known, name) for name in top_fields},
        first=_text(times[0]) if times else None,
        last=_text(times[-1]) if times else None,
        played=play(Schedule.of(body), seen),
        detailed=len(known),
    )


def _hit(event: Document, time_field: str) -> Hit:
    """When the rule places the event, and when it was there to be found."""
    stamp = _time(event, "@timestamp") or datetime(1970, 1, 1, tzinfo=UTC)
    arrived = _time(event, "event.ingested") or stamp
    return Hit(event.id, _time(event, time_field) or stamp, arrived)


def _time(event: Document, name: str) -> datetime | None:
    value = value_of(event.source, name)
    found = parse_date(value) if isinstance(value, str | int | float) else None
    return from_ms(found.first) if found else None


def _days(times: Iterable[datetime]) -> dict[str, int]:
    return dict(sorted(Counter(time.date().isoformat() for time in times).items()))


def _top(events: Iterable[Document], name: str) -> tuple[tuple[str, int], ...]:
    """The most frequent values of a field, ties by value."""
    counts = Counter(
        str(value) for one in events if (value := value_of(one.source, name)) is not None
    )
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_TOP])


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _examples(ids: Iterable[str], events: Mapping[str, Document]) -> tuple[EventNote, ...]:
    known = [events[one] for one in sorted(ids) if one in events]
    return tuple(note(one.id, one.source) for one in known[:_EXAMPLES])
