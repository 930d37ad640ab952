"""Runs of a rule: every hit is alerted on, late, or cut off, and exactly one of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.errors import Location, RuleError
from ruledeploy.verify.schedule import Hit, Played, Schedule, play

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
FIVE = Schedule(timedelta(minutes=5), "now-9m", 2)


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
    played = play(Schedule(timedelta(minutes=5), f"now-{reach}m", limit), hits)
    gone = (*played.late, *played.cut)
    assert played.alerted + len(gone) == len(hits)
    assert len(set(gone)) == len(gone)
    assert bool(played.full) or not played.cut


@given(_HITS)
def test_a_look_back_beyond_every_delay_misses_nothing(hits: list[Hit]) -> None:
    """With room for all alerts, a reach of interval and longest delay sees every event."""
    played = play(Schedule(timedelta(minutes=5), "now-35m", 1000), hits)
    assert played.alerted == len(hits)


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("now", "2026-01-05T09:00Z"),
        ("now-540s", "2026-01-05T08:51Z"),
        ("now-1d/d", "2026-01-04T00:00Z"),
        ("now-1w", "2025-12-29T09:00Z"),
    ],
)
def test_from_is_date_math(start: str, first: str) -> None:
    """Rounding included, which moves with the run."""
    assert Schedule.of({"from": start}).looks_from(START) == datetime.fromisoformat(first)


def test_a_run_that_looks_back_to_midnight_sees_the_morning() -> None:
    """An event of 0:10 that arrives at 8:00 is seen by a rule `from: now/d`, not by the default."""
    early = hit("a", -530, delay=470)
    assert play(Schedule.of({"from": "now/d"}), [early]).alerted == 1
    assert play(Schedule.of({}), [early]).late == ("a",)


@pytest.mark.parametrize(("text", "hours"), [("90s", 0.025), ("5m", 1 / 12), ("1w", 168)])
def test_an_interval_is_a_length_of_time(text: str, hours: float) -> None:
    """In every unit of date math."""
    assert Schedule.of({"interval": text}).interval == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"interval": "often"}, "interval: 'often' is no length of time"),
        ({"interval": "0m"}, "interval: '0m' is no length of time"),
        ({"interval": "5m/d"}, "interval: '5m/d' is no length of time"),
        ({"from": "yesterday"}, "from: 'yesterday' is not a date"),
        ({"from": "now-1fortnight"}, "from: 'now-1fortnight': date math not understood"),
    ],
)
def test_nonsense_is_an_error_at_its_place(body: dict[str, str], said: str) -> None:
    """Never a length of zero, which no run could be played with."""
    with pytest.raises(RuleError, match=re.escape(said)) as caught:
        Schedule.of(body, Location("rules/a.yml", 3))
    assert caught.value.location == Location("rules/a.yml", 3)


def test_a_body_without_a_schedule_has_kibanas() -> None:
    """Five minutes, six back, a hundred alerts."""
    assert Schedule.of({}) == Schedule(timedelta(minutes=5), "now-6m", 100)
