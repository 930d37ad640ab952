"""What each type of rule makes of its hits: one finding per event, per full bucket, per new term.

Kibana asks Elasticsearch anew in each run; here the hits are at hand, so each type is a small
computation over those that a run sees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ruledeploy.stack.alerts.events import Events, Prepared
from ruledeploy.stack.alerts.hits import Finding, Group, Hit, Terms, combinations, digest, key_of
from ruledeploy.stack.alerts.runs import Timeline, milliseconds, reach, visible, window
from ruledeploy.stack.clock import iso
from ruledeploy.stack.es.documents import moment, timestamp
from ruledeploy.stack.store import Saved

EVENT_TYPES = frozenset({"query", "saved_query", "eql", "esql"})
RUN_TYPES = EVENT_TYPES | {"threshold", "new_terms"}


class Kind(Protocol):
    """A type of rule at work on one rule's hits."""

    def candidates(self, at: datetime) -> Iterable[Finding]:
        """What a run at that time finds, in order, before any limit."""
        ...


def kind_of(one: Prepared, timeline: Timeline, counted: dict[str, int], events: Events) -> Kind:
    """The rule's type over its hits; `counted` tells up to when (ms) each group is alerted."""
    rule = one.rule
    if one.grouped:
        return _Rows(one, events)
    match rule.body["type"]:
        case "threshold":
            return _Threshold(rule, timeline, counted)
        case "new_terms":
            return _NewTerms(rule, timeline)
        case _:
            return _Events(rule, timeline)


def grouping_fields(body: dict[str, Any]) -> tuple[str, ...]:
    """The fields whose values the rule's hits must carry."""
    threshold = body.get("threshold", {})
    names = [*body.get("new_terms_fields", ()), *_listed(threshold.get("field"))]
    names += [entry["field"] for entry in threshold.get("cardinality") or ()]
    names += body.get("alert_suppression", {}).get("group_by", ())
    return tuple(dict.fromkeys(names))


def _listed(field: Any) -> list[str]:
    """A threshold's field or fields, spelled as one name or several."""
    names = [field] if isinstance(field, str) else field or []
    return [name for name in names if name]


def alert_id(hit: Hit, rule: Saved, *more: Any) -> str:
    """SHA-256 over index, document id, version and `<space>:<rule id>`.

    The same event twice gives the same alert, so overlapping runs do not repeat it.
    """
    return digest(hit.index, hit.id, hit.version, f"{rule.space}:{rule.id}", *more)


@dataclass(frozen=True, slots=True)
class _Events:
    """Query, EQL and ES|QL rules: every event alerts."""

    rule: Saved
    timeline: Timeline

    def candidates(self, at: datetime) -> Iterator[Finding]:
        """One per event of the window."""
        for hit in self.timeline.seen(at, *window(self.rule.body, at)):
            yield Finding(alert_id(hit, self.rule), hit.time, hit)


@dataclass(frozen=True, slots=True)
class _Threshold:
    """Threshold rules: a bucket of events that is full enough alerts."""

    rule: Saved
    timeline: Timeline
    counted: dict[str, int]

    def candidates(self, at: datetime) -> Iterator[Finding]:
        """One per combination of the fields' values; all events are one bucket without fields.

        Events that an earlier alert on the same values has counted do not count again.
        """
        given = self.rule.body["threshold"]
        fields = tuple(_listed(given.get("field")))
        buckets: dict[Terms, list[Hit]] = defaultdict(list)
        for hit in self.timeline.seen(at, *window(self.rule.body, at)):
            for terms in combinations(hit.values, fields):
                if hit.time > self.counted.get(key_of(terms), -1):
                    buckets[terms].append(hit)
        for terms, hits in buckets.items():
            counts = _distinct(given.get("cardinality") or (), hits)
            if len(hits) >= given["value"] and counts is not None:
                yield self._finding(
                    at, Group(terms, len(hits), hits[0].time, hits[-1].time), counts
                )

    def _finding(self, at: datetime, group: Group, counts: list[dict[str, Any]]) -> Finding:
        start, _ = window(self.rule.body, at)
        result: dict[str, Any] = {
            "terms": [{"field": name, "value": value} for name, value in group.terms],
            "count": group.count,
            "from": iso(moment(start)),
        }
        if counts:
            result["cardinality"] = counts
        identity = digest(f"{self.rule.space}:{self.rule.id}", milliseconds(at), group.key)
        return Finding(
            id=identity,
            time=group.last,
            source=dict(group.terms),
            extra={"threshold_result": result},
            group=group,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """ES|QL rules that group events: every row alerts, in every run that gives it."""

    one: Prepared
    events: Events

    def candidates(self, at: datetime) -> Iterator[Finding]:
        """One per row; the alert has the columns that are not null."""
        rule = self.one.rule
        run = (*window(rule.body, at), rule.body["query"], f"{rule.space}:{rule.id}")
        for number, row in enumerate(self.events.rows(self.one, at)):
            source = {name: value for name, value in row.items() if value is not None}
            time = timestamp(source, "@timestamp")
            own = milliseconds(at) if time is None else time
            yield Finding(digest(*run, number), own, source=source)


def _distinct(asked: Iterable[dict[str, Any]], hits: list[Hit]) -> list[dict[str, Any]] | None:
    """How many values each field has in the hits; None when one has too few."""
    out = []
    for entry in asked:
        count = len({value for hit in hits for value in hit.values.get(entry["field"], ())})
        if count < entry["value"]:
            return None
        out.append({"field": entry["field"], "value": count})
    return out


class _NewTerms:
    """New-terms rules: the first event with values that the history has not seen alerts."""

    def __init__(self, rule: Saved, timeline: Timeline) -> None:
        self.rule = rule
        self.timeline = timeline
        self.fields = tuple(rule.body["new_terms_fields"])
        self.by_terms: dict[Terms, list[Hit]] = defaultdict(list)
        for hit in timeline.hits:
            for terms in combinations(hit.values, self.fields):
                self.by_terms[terms].append(hit)

    def candidates(self, at: datetime) -> Iterator[Finding]:
        """One per combination of values whose first event since the history began is in the window.

        The history reaches from `history_window_start` to the window; it knows only events that
        the rule's own query and exceptions let through.
        """
        start, end = window(self.rule.body, at)
        begin, _ = reach(self.rule.body, at)
        live = self.timeline.live(at)
        present = milliseconds(at) if self.timeline.as_of else None
        done: set[Terms] = set()
        for hit in self.timeline.seen(at, start, end):
            for terms in combinations(hit.values, self.fields):
                if terms in done:
                    continue
                done.add(terms)
                if not any(
                    begin <= old.time < start and visible(old, live, present)
                    for old in self.by_terms[terms]
                ):
                    values = [value for _, value in terms]
                    yield Finding(
                        alert_id(hit, self.rule, terms), hit.time, hit, extra={"new_terms": values}
                    )
