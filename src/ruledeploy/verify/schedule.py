"""What a rule's schedule does to its hits: which run sees an event, and what no run sees.

A run at time T looks at events whose timestamp lies between T minus `from` and T, and that have
arrived by then; of those not yet alerted on it takes the `max_signals` oldest. What arrives after
its timestamp has left the window is never seen; what is cut off is seen only if a later run still
looks that far back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ruledeploy.errors import Location, QueryError, RuleError
from ruledeploy.query.dates import from_ms, resolve_date

# Kibana's own, where a rule does not say.
_MAX_SIGNALS = 100
_INTERVAL = "5m"
_FROM = "now-6m"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a rule runs, how far it looks back (date math), and how many alerts a run makes."""

    interval: timedelta
    start: str
    max_signals: int

    @classmethod
    def of(cls, body: Mapping[str, Any], place: Location | None = None) -> Schedule:
        """The schedule of a rule's body; Kibana's defaults where it is silent.

        Raises `RuleError` at `place` for an interval that is none, or a `from` that is no date.
        """
        start = str(body.get("from", _FROM))
        try:
            resolve_date(start, _EPOCH)
        except QueryError as error:
            raise RuleError(f"from: {error.message}", location=place, hint=error.hint) from error
        interval = _length(str(body.get("interval", _INTERVAL)), place)
        return cls(interval, start, int(body.get("max_signals", _MAX_SIGNALS)))

    def looks_from(self, run: datetime) -> datetime:
        """The earliest time that a run looks at."""
        return from_ms(resolve_date(self.start, run).first)


def _length(text: str, place: Location | None) -> timedelta:
    """`5m` or `1w` as a length of time."""
    try:
        length = from_ms(resolve_date(f"now+{text}", _EPOCH).first) - _EPOCH
    except QueryError:
        length = timedelta()
    if length <= timedelta():
        hint = "such as 5m, 1h or 1d"
        raise RuleError(f"interval: {text!r} is no length of time", location=place, hint=hint)
    return length


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that a rule matches: the time the rule reads, and when the event was there."""

    id: str
    time: datetime
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Played:
    """What the runs made of the hits.

    `alerted` of them; `late` came when no run looked at their time any more; `cut` were beyond
    `max_signals` in every run that saw them. `full` runs reached `max_signals`, and `busiest` saw
    that many hits at once.
    """

    alerted: int
    late: tuple[str, ...]
    cut: tuple[str, ...]
    full: int
    busiest: int

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return {
            "alerted": self.alerted,
            "late": list(self.late),
            "cut": list(self.cut),
            "full_runs": self.full,
            "busiest_run": self.busiest,
        }


def play(schedule: Schedule, hits: Iterable[Hit]) -> Played:
    """Play the runs that concern the hits, at multiples of the interval since 1970."""
    waiting = sorted(hits, key=lambda hit: (_first_run(schedule, hit), hit.time, hit.id))
    alerted = full = busiest = 0
    late: list[str] = []
    cut: list[str] = []
    pool: list[Hit] = []
    at = 0
    run: datetime | None = None
    while at < len(waiting) or pool:
        run = _first_run(schedule, waiting[at]) if not pool else (run or _EPOCH) + schedule.interval
        while at < len(waiting) and _first_run(schedule, waiting[at]) <= run:
            pool.append(waiting[at])
            at += 1
        start = schedule.looks_from(run)
        gone = [hit for hit in pool if hit.time < start]
        late += [hit.id for hit in gone if _first_run(schedule, hit) == run]
        cut += [hit.id for hit in gone if _first_run(schedule, hit) < run]
        seen = sorted(
            (hit for hit in pool if hit.time >= start),
            key=lambda hit: (hit.time, hit.id),
        )
        busiest = max(busiest, len(seen))
        full += len(seen) > schedule.max_signals
        alerted += min(len(seen), schedule.max_signals)
        pool = seen[schedule.max_signals :]
    return Played(alerted, tuple(late), tuple(cut), full, busiest)


def _first_run(schedule: Schedule, hit: Hit) -> datetime:
    """The first run at which the event is there and its time is past."""
    ready = max(hit.time, hit.arrived)
    runs = -((_EPOCH - ready) // schedule.interval)
    return _EPOCH + runs * schedule.interval
