"""Which runs are due, what each of them sees, and what was missed between two of them.

A simulated day is hundreds of runs over the same events. So every rule is evaluated once over
the whole span, and its hits are then given to the runs whose window holds them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ruledeploy.query.exceptions import is_expired
from ruledeploy.stack.alerts.hits import Hit
from ruledeploy.stack.clock import date_math, duration, iso, parse_time
from ruledeploy.stack.errors import platform
from ruledeploy.stack.store import Saved

# Ticks of a rule that are run in one pass: a simulated month of five minutes.
TICKS_OF_A_PASS = 9_000
# Ticks that one order may catch up on: twenty years of five minutes' are a mistake. By the real
# clock it is the present one and as many as Kibana makes up for.
MAX_SIMULATED_TICKS = 500_000
MAX_REAL_TICKS = 5
# Alerting's own limit per run.
MAX_ALERTS_PER_RUN = 1_000


@dataclass(slots=True)
class Timeline:
    """Hits of one rule sorted by time, and the exception items that may hide them.

    `as_of` leaves out events that were not ingested by the time of a run.
    """

    hits: list[Hit]
    items: Mapping[str, dict[str, Any]]
    as_of: bool
    times: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort once; runs then cut by bisection."""
        self.hits.sort(key=lambda hit: (hit.time, hit.id))
        self.times = [hit.time for hit in self.hits]

    def seen(self, at: datetime, start: int, end: int) -> Iterator[Hit]:
        """Hits with a time in start ..= end that a run at `at` finds, in order."""
        present = milliseconds(at)
        live = self.live(at)
        for n in range(bisect_left(self.times, start), bisect_right(self.times, end)):
            hit = self.hits[n]
            if visible(hit, live, present if self.as_of else None):
                yield hit

    def live(self, at: datetime) -> frozenset[str]:
        """The items that have not expired when a run at `at` starts."""
        return frozenset(key for key, item in self.items.items() if not is_expired(item, at))


def visible(hit: Hit, live: frozenset[str], present: int | None) -> bool:
    """Whether no live item hides the hit, and it was ingested by `present` (ms; None: always)."""
    return live.isdisjoint(hit.items) and (present is None or hit.seen <= present)


def window(body: Mapping[str, Any], at: datetime) -> tuple[int, int]:
    """First and last millisecond of a run's look-back."""
    start = date_math(body["from"], at)
    return milliseconds(start), milliseconds(date_math(body["to"], at))


def reach(body: Mapping[str, Any], at: datetime) -> tuple[int, int]:
    """First and last millisecond a run looks at: its window, and a new-terms rule's history."""
    start, end = window(body, at)
    if "history_window_start" in body:
        start = min(start, milliseconds(date_math(body["history_window_start"], at)))
    return start, end


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def due_ticks(rule: Saved, now: datetime, *, simulated: bool) -> list[datetime]:
    """When the rule should have run since its last run; the first run is at its enabling.

    No more than one pass; by the real clock, only the last few. Raises a 400 when a simulated time
    asks for too many.
    """
    step = duration(rule.body["interval"])
    last = rule.state.get("last_run")
    if last is not None:
        tick = parse_time(last) + step
    else:
        tick = parse_time(rule.state["since"]) if "since" in rule.state else now
    if tick > now:
        return []
    count = (now - tick) // step + 1
    if not simulated:
        return [tick + n * step for n in range(max(0, count - MAX_REAL_TICKS), count)]
    if count > MAX_SIMULATED_TICKS:
        raise platform(
            400,
            f"rule {rule.key} would have to run {count} times by {iso(now)}, more than "
            f"{MAX_SIMULATED_TICKS}: move the time in smaller steps, or let the rules start over "
            "with `since`",
        )
    return [tick + n * step for n in range(min(count, TICKS_OF_A_PASS))]


def gap(rule: Saved, first: datetime) -> timedelta:
    """Time that no run has looked at: between the last run and the window of the next, `first`."""
    last = rule.state.get("last_run")
    if last is None:
        return timedelta(0)
    start, _ = window(rule.body, first)
    _, end = window(rule.body, parse_time(last))
    return max(timedelta(0), timedelta(milliseconds=start - end))


def next_tick(rule: Saved, ticks: Sequence[datetime]) -> datetime:
    """When the rule runs next, once these ticks are done."""
    step = duration(rule.body["interval"])
    if ticks:
        return ticks[-1] + step
    last = rule.state.get("last_run")
    return parse_time(rule.state["since"]) if last is None else parse_time(last) + step


def span(rules: Sequence[tuple[Saved, list[datetime]]]) -> tuple[int, int]:
    """First and last millisecond that any of the runs looks at."""
    reaches = [reach(rule.body, tick) for rule, ticks in rules for tick in (ticks[0], ticks[-1])]
    return min(start for start, _ in reaches), max(end for _, end in reaches)


def backwards(last: str | None, now: datetime) -> bool:
    """Whether the clock was turned back to before the last run."""
    return last is not None and parse_time(last) > now
