"""Cases of a rule that groups events: its groups alert, not its events."""

from __future__ import annotations

from typing import Any

import pytest

from ruledeploy.engine import EmbeddedEngine
from ruledeploy.errors import Location
from ruledeploy.model import TestCase
from ruledeploy.verify.cases import run_cases
from ruledeploy.verify.running import bench
from support.correlations import release

TOGETHER = "00000000-0000-4000-8000-000000000003"
TWICE = (
    "{type: event_count, rules: access, group-by: [host.name], timespan: 5m, condition: {gte: 2}}"
)
EVENT = {
    "event.provider": "Microsoft-Windows-Sysmon",
    "event.code": "10",
    "winlog.event_data.TargetImage": "C:\\lsass.exe",
}


def outcome(expect: Any, hosts: str, count: int | None = None) -> tuple[str, str]:
    """The status of a case with an event on each of the hosts, and its reason."""
    events = tuple({**EVENT, "host.name": host} for host in hosts)
    return judged(expect, events, count)


def judged(
    expect: Any, events: tuple[dict[str, Any], ...], count: int | None = None
) -> tuple[str, str]:
    """The status of a case with these events, and its reason."""
    case = TestCase("case", expect, Location("r.yml", 1), events=events, count=count)
    desired = release(TWICE)
    (result,) = run_cases(desired, {TOGETHER: [case]}, bench(EmbeddedEngine(), desired), {})
    return result.outcome, result.why


@pytest.mark.parametrize(
    ("expect", "hosts", "count"),
    [("alert", "aa", None), ("alert", "aabb", 2), ("no_alert", "ab", None)],
)
def test_groups_are_what_a_case_expects(expect: str, hosts: str, count: int | None) -> None:
    """Two events on one host are one alert."""
    assert outcome(expect, hosts, count) == ("pass", "")


COUNTED = (
    "; it counts 2 of 2 events; then: stats event_count = count(*) by host.name"
    " | where event_count >= 2"
)


@pytest.mark.parametrize(
    ("expect", "hosts", "count", "said"),
    [
        ("alert", "ab", None, f"expected 1 alerting groups of events, got 0{COUNTED}"),
        ("alert", "aa", 2, f"expected 2 alerting groups of events, got 1{COUNTED}"),
        ("no_alert", "aa", None, f"expected 0 alerting groups of events, got 1{COUNTED}"),
        ("suppressed", "ab", None, "no item hides anything"),
    ],
)
def test_a_failure_counts_the_groups(expect: str, hosts: str, count: int | None, said: str) -> None:
    """How many were expected, how many there are, and by what the events are grouped."""
    assert outcome(expect, hosts, count) == ("fail", said)


def test_an_event_that_is_not_counted_is_explained() -> None:
    """Which one, and by which part of the query."""
    other = {**EVENT, "event.code": "8", "process.name": "a.exe"}
    _, why = judged("alert", (EVENT, other))
    assert "it counts 0 of 2 events" in why
    assert "host.name is missing, the query asks for any value" in why
    events = tuple({**one, "host.name": "h"} for one in (EVENT, other))
    _, why = judged("alert", events)
    assert "it counts 1 of 2 events, not 'a.exe: C:\\lsass.exe': event.code is '8'," in why
