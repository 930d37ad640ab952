"""The runs of one rule in order: candidates, suppression, what is new, the limit, the memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from ruledeploy.stack.alerts import runs
from ruledeploy.stack.alerts.events import Events, Prepared
from ruledeploy.stack.alerts.hits import Finding
from ruledeploy.stack.alerts.kept import Alerts
from ruledeploy.stack.alerts.kinds import EVENT_TYPES, alert_id, kind_of
from ruledeploy.stack.alerts.suppression import Suppression, open_for


@dataclass(frozen=True, slots=True)
class Found:
    """One run: the findings to alert on, in order, and whether more were left out."""

    findings: tuple[Finding, ...]
    truncated: bool


class Session:
    """One rule's runs. What later sessions must know is read from its state, and in `memory`."""

    def __init__(
        self, one: Prepared, timeline: runs.Timeline, place: tuple[Events, Alerts], *, preview: bool
    ) -> None:
        rule, (events, alerts) = one.rule, place
        memory = {} if preview else rule.state.get("memory", {})
        self._counted: dict[str, int] = dict(memory.get("counted", {}))
        self._open: dict[str, list[Any]] = dict(memory.get("open", {}))
        self._rule = rule
        self._kind = kind_of(one, timeline, self._counted, events)
        self._limit = min(rule.body["max_signals"], runs.MAX_ALERTS_PER_RUN)
        self._alerts = alerts
        self._preview = preview
        self._written: dict[str, bool] = {}
        self._suppression: Suppression | None = None
        self._kept = open_for(rule.body)
        if rule.body.get("alert_suppression"):
            self._suppression = Suppression(rule, self._counted, self._open, self._read)
        if rule.body["type"] in EVENT_TYPES and self._suppression is None:
            self._look_up([alert_id(hit, rule) for hit in timeline.hits])

    def run(self, at: datetime) -> Found:
        """What the run at that time alerts on: no more than `max_signals`, nothing twice."""
        candidates: Iterable[Finding] = self._kind.candidates(at)
        if self._suppression is not None:
            candidates = self._suppression.apply(candidates, at)
        fresh = (one for one in candidates if one.extends is not None or self._is_new(one.id))
        chosen = list(islice(fresh, self._limit + 1))
        return Found(tuple(chosen[: self._limit]), len(chosen) > self._limit)

    def note(self, found: Found, at: datetime) -> None:
        """Remember what a run has written."""
        for finding in found.findings:
            self._written[finding.id] = True
            if finding.group is not None:
                self._counted[finding.group.key] = finding.group.last
            if self._suppression is not None:
                self._suppression.note(finding, at)

    def memory(self, at: datetime) -> dict[str, Any]:
        """What runs after `at` must know; groups that no later window can hold are forgotten."""
        start, _ = runs.window(self._rule.body, at)
        oldest = runs.milliseconds(at - (self._kept or timedelta(0)))
        out: dict[str, Any] = {
            "counted": {key: last for key, last in self._counted.items() if last >= start},
            "open": {key: entry for key, entry in self._open.items() if entry[1] >= oldest},
        }
        return {name: entries for name, entries in out.items() if entries}

    def _is_new(self, identity: str) -> bool:
        if identity not in self._written:
            self._look_up([identity])
        return not self._written[identity]

    def _look_up(self, ids: list[str]) -> None:
        known = self._alerts.existing(self._rule.space, ids, preview=self._preview)
        self._written.update({identity: identity in known for identity in ids})

    def _read(self, identity: str) -> dict[str, Any] | None:
        return self._alerts.read(self._rule.space, identity, preview=self._preview)
