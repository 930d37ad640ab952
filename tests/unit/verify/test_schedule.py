"""Runs of a rule: every hit is alerted on, late, or cut off, and exactly one of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.verify.schedule import Hit, Played, Schedule, play, span

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
FIVE = Schedule(timedelta(minutes=5), timedelta(minutes=9), 2)


def hit(name: str, minute: float, delay: float = 0) -> Hit:
    """An event `minute` minutes after nine that arrives `delay` minutes later."""
    time = START + timedelta(minutes=minute)
    return Hit(name, time, time + timedelta(minutes=delay))


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([], Played(0, (), (), 0, 0)),
        ([hit("a", 1), hit("b", 2)], Played(2, (), (), 0, 2)),
        # Run at 9:05 takes two; the one at 9:10 still sees 9:03, and not 9:00:30 any more.
        ([hit("a", 0.1), hit("b", 0.2), hit("c", 3)], Played(3, (), (), 1, 3)),
        (
            [hit("a", 0.1), hit("b", 0.2), hit("c", 0.3)],
            Played(2, (), ("c",), 1, 3),
        ),
        # At 9:15 a run looks back to 9:06.
        ([hit("a", 1, delay=12)], Played(0, ("a",), (), 0, 0)),
        ([hit("a", 7, delay=8)], Played(1, (), (), 0, 1)),
    ],
)
def test_a_hit_is_alerted_late_or_cut(hits: list[Hit], expected: Played) -> None:
    """Each as the schedule has it: every five minutes, nine minutes back, two alerts a run."""
    assert play(FIVE, hits) == expected


_HITS = st.lists(
    st.builds(
        lambda minute, delay: (minute, delay),
        st.integers(0, 60),
        st.integers(0, 30),
    ),
    max_size=30,
).map(lambda pairs: [hit(str(n), *pair) for n, pair in enumerate(pairs)])


@given(_HITS, st.integers(1, 5), st.integers(5, 20))
def test_nothing_is_lost_or_counted_twice(hits: list[Hit], limit: int, reach: int) -> None:
    """Alerted, late and cut add up, and only a run that was full cuts."""
    played = play(Schedule(timedelta(minutes=5), timedelta(minutes=reach), limit), hits)
    gone = (*played.late, *played.cut)
    assert played.alerted + len(gone) == len(hits)
    assert len(set(gone)) == len(gone)
    assert bool(played.full) or not played.cut


@given(_HITS)
def test_a_look_back_beyond_every_delay_misses_nothing(hits: list[Hit]) -> None:
    """With room for all alerts, a reach of interval and longest delay sees every event."""
    played = play(Schedule(timedelta(minutes=5), timedelta(minutes=35), 1000), hits)
    assert played.alerted == len(hits)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("now-540s", 540), ("now-1h", 3600), ("now", 0)]
)
def test_spans_are_read_as_kibana_writes_them(text: str, seconds: int) -> None:
    """Interval and `from`."""
    assert span(text) == timedelta(seconds=seconds)


def test_a_body_without_a_schedule_has_kibanas() -> None:
    """Five minutes, six back, a hundred alerts."""
    assert Schedule.of({}) == Schedule(timedelta(minutes=5), timedelta(minutes=6), 100)
