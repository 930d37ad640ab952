"""Which runs are due, what each of them sees, and which events it alerts on.

A simulated day is hundreds of runs over the same events. So every rule is evaluated once over
the whole span, and its hits are then given to the runs whose window holds them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ruledeploy.query.exceptions import is_expired
from ruledeploy.stack.clock import date_math, duration, parse_time
from ruledeploy.stack.es.documents import Stored
from ruledeploy.stack.store import Saved

# Ticks that one order may catch up on: a simulated month of five minutes, or a late real clock.
MAX_SIMULATED_TICKS = 9_000
MAX_REAL_TICKS = 5
# Alerting's own limit per run.
MAX_ALERTS_PER_RUN = 1_000


@dataclass(frozen=True, slots=True)
class Hit:
    """An event a rule's query matches.

    `time` decides the window, `seen` when the event is in the index, both in ms; `items` are
    the exception items that would suppress it.
    """

    event: Stored
    time: int
    seen: int
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: the hits to alert on, in order, and whether more were left out."""

    at: datetime
    alerts: tuple[Hit, ...]
    truncated: bool


@dataclass(slots=True)
class Windows:
    """Hits of one rule sorted by time, handed to runs."""

    rule: Saved
    hits: list[Hit]
    items: Mapping[str, dict[str, Any]]
    times: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort once; runs then cut by bisection."""
        self.hits.sort(key=lambda hit: (hit.time, hit.event.id))
        self.times = [hit.time for hit in self.hits]

    def run(self, at: datetime, alerted: Collection[int], *, as_of: bool) -> RunResult:
        """The run at one tick. `alerted` holds positions of hits that already have an alert.

        `as_of` leaves out events that were not ingested by then.
        """
        start, end = window(self.rule.body, at)
        first, last = bisect_left(self.times, start), bisect_right(self.times, end)
        present = milliseconds(at)
        limit = min(self.rule.body["max_signals"], MAX_ALERTS_PER_RUN)
        live = {item_id for item_id, item in self.items.items() if not is_expired(item, at)}
        chosen: list[int] = []
        for n in range(first, last):
            hit = self.hits[n]
            if n in alerted or live.intersection(hit.items) or (as_of and hit.seen > present):
                continue
            if len(chosen) >= limit:
                return RunResult(at, tuple(self.hits[i] for i in chosen), truncated=True)
            chosen.append(n)
        return RunResult(at, tuple(self.hits[i] for i in chosen), truncated=False)

    def position(self, hit: Hit) -> int:
        """Where a hit stands, for `alerted`."""
        n = bisect_left(self.times, hit.time)
        while self.hits[n] is not hit:
            n += 1
        return n


def window(body: Mapping[str, Any], at: datetime) -> tuple[int, int]:
    """First and last millisecond of a run's look-back."""
    start = date_math(body["from"], at)
    return milliseconds(start), milliseconds(date_math(body["to"], at))


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def due_ticks(rule: Saved, now: datetime, *, simulated: bool) -> list[datetime]:
    """When the rule should have run since its last run; the first run is at its enabling."""
    step = duration(rule.body["interval"])
    last = rule.state.get("last_run")
    if last is not None:
        tick = parse_time(last) + step
    else:
        tick = parse_time(rule.state["since"]) if "since" in rule.state else now
    if tick > now:
        return []
    count = (now - tick) // step + 1
    limit = MAX_SIMULATED_TICKS if simulated else MAX_REAL_TICKS
    first = max(0, count - limit)
    return [tick + n * step for n in range(first, count)]


def next_tick(rule: Saved, ticks: Sequence[datetime]) -> datetime:
    """When the rule runs next, once these ticks are done."""
    step = duration(rule.body["interval"])
    if ticks:
        return ticks[-1] + step
    last = rule.state.get("last_run")
    return parse_time(rule.state["since"]) if last is None else parse_time(last) + step


def span(rules: Sequence[tuple[Saved, list[datetime]]]) -> tuple[int, int]:
    """First and last millisecond that any of the runs looks at."""
    windows = [window(rule.body, tick) for rule, ticks in rules for tick in (ticks[0], ticks[-1])]
    return min(start for start, _ in windows), max(end for _, end in windows)


def backwards(last: str | None, now: datetime) -> bool:
    """Whether the clock was turned back to before the last run."""
    return last is not None and parse_time(last) > now
