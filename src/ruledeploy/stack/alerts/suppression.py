"""Alert suppression: one alert for many findings that share the values of some fields.

Without a duration a group lasts one run; with one, findings of later runs are added to the open
alert until it is that old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ruledeploy.stack.alerts.hits import Finding, Group, Terms, digest, key_of
from ruledeploy.stack.alerts.runs import milliseconds
from ruledeploy.stack.clock import duration, iso
from ruledeploy.stack.es.documents import moment
from ruledeploy.stack.store import Saved

# Reads an alert that was written earlier, by id.
Read = Callable[[str], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Suppression:
    """A rule's `alert_suppression` at work.

    `counted` tells up to when (ms) each group's events are counted; `open` maps a group to the
    id of its alert and when (ms) that was written.
    """

    rule: Saved
    counted: dict[str, int]
    open: dict[str, list[Any]]
    read: Read

    def apply(self, findings: Iterable[Finding], at: datetime) -> Iterator[Finding]:
        """One finding per group, new or added to its open alert; the rest as it is."""
        for finding in self._grouped(findings):
            yield finding if finding.group is None else self._suppressed(finding, at)

    def _grouped(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        fields = tuple(self._given.get("group_by", ()))
        groups: dict[Terms, list[Finding]] = {}
        for finding in findings:
            if finding.group is not None:
                yield finding  # a threshold's bucket
                continue
            terms = tuple((name, _one(finding.values.get(name, ()))) for name in fields)
            missing = any(value is None for _, value in terms)
            if missing and self._given.get("missing_fields_strategy") == "doNotSuppress":
                yield finding
            elif finding.time > self.counted.get(key_of(terms), -1):
                groups.setdefault(terms, []).append(finding)
        for terms, members in groups.items():
            group = Group(terms, len(members), members[0].time, members[-1].time)
            yield replace(members[0], group=group)

    @property
    def _given(self) -> dict[str, Any]:
        return dict(self.rule.body["alert_suppression"])

    def _suppressed(self, finding: Finding, at: datetime) -> Finding:
        group = finding.group
        if group is None:
            return finding
        found = self._open_alert(group, at)
        if found is not None:
            identity, alert = found
            count = alert["kibana.alert.suppression.docs_count"] + group.count
            changes = {
                "kibana.alert.suppression.docs_count": count,
                "kibana.alert.suppression.end": iso(moment(group.last)),
                "kibana.alert.last_detected": iso(at),
            }
            return replace(finding, id=identity, extends=changes)
        instance = digest(self.rule.space, self.rule.id, group.key)
        extra = {
            "instance.id": instance,
            "suppression.terms": [{"field": name, "value": value} for name, value in group.terms],
            "suppression.start": iso(moment(group.first)),
            "suppression.end": iso(moment(group.last)),
            "suppression.docs_count": group.count - 1,
        }
        return replace(finding, extra={**finding.extra, **extra})

    def _open_alert(self, group: Group, at: datetime) -> tuple[str, dict[str, Any]] | None:
        """The group's alert, when it is young enough and nobody has closed it."""
        length = open_for(self.rule.body)
        identity, written = self.open.get(group.key, (None, 0))
        if length is None or identity is None:
            return None
        if milliseconds(at) - written > length / timedelta(milliseconds=1):
            return None
        alert = self.read(identity)
        if alert is None or alert["kibana.alert.workflow_status"] == "closed":
            return None
        return identity, alert

    def note(self, finding: Finding, at: datetime) -> None:
        """Remember the alert of a group, for later runs to add to."""
        if finding.group is not None and finding.extends is None:
            self.open[finding.group.key] = [finding.id, milliseconds(at)]


def open_for(body: Mapping[str, Any]) -> timedelta | None:
    """How long later runs add to a rule's alert, if they do. Raises `ValueError`."""
    given = body.get("alert_suppression", {}).get("duration")
    return duration(f"{given['value']}{given['unit']}") if given else None


def _one(values: tuple[Any, ...]) -> Any:
    """A group's value: none, the only one, or all of them."""
    return values if len(values) > 1 else values[0] if values else None
