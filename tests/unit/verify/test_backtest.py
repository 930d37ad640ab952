"""A release on events gone by: counts, differences, and what the schedule costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruledeploy.engine import Window
from ruledeploy.model import DetectionRule, ExceptionItem, Release
from ruledeploy.verify.backtest import backtest
from ruledeploy.verify.past import FilePast

ReleaseMaker = Callable[..., Release]
RuleMaker = Callable[..., DetectionRule]
SENSOR: dict[str, Any] = {
    "process.executable": r"C:\Program Files\Example EDR\sensor.exe",
    "process.code_signature.subject_name": "Example EDR Ltd",
    "process.code_signature.trusted": True,
}


def event(number: int, time: str, ingested: str = "", **fields: Any) -> dict[str, Any]:
    """One cross-process write."""
    return {
        "@timestamp": time,
        "event": {"id": f"e{number}", "ingested": ingested or time},
        "process.Ext.api.name": "WriteProcessMemory",
        "process.Ext.api.behaviors": ["cross-process"],
        "process.executable": rf"C:\Temp\{number % 2}.exe",
        "host.name": "one",
        "data_stream": {
            "type": "logs",
            "dataset": "endpoint.events.api",
            "namespace": "default",
        },
        **fields,
    }


def past(tmp_path: Path, *events: dict[str, Any], window: Window | None = None) -> FilePast:
    """The events in a file."""
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in events))
    return FilePast((file,), window)


def test_both_sides_of_an_allowlist_are_counted(
    tmp_path: Path, make_release: ReleaseMaker, sensor: ExceptionItem
) -> None:
    """Matches of the query, what the item hides, what is left: by day, value, first and last."""
    events = [
        event(1, "2026-01-05T23:59:59.999Z"),
        event(2, "2026-01-06T00:00:00.000Z"),
        event(3, "2026-01-06T08:00:00.000Z"),
        event(4, "2026-01-06T09:00:00.000Z", **SENSOR),
    ]
    (rule,) = backtest(make_release(sensor), past(tmp_path, *events)).rules
    side = rule.after
    assert side is not None
    assert (side.matches, side.hidden, side.alerts) == (4, 1, 3)
    assert side.items == {"trusted/edr-sensor": 1}
    assert side.days == {"2026-01-05": 1, "2026-01-06": 2}
    assert side.top["process.executable"] == ((r"C:\Temp\1.exe", 2), (r"C:\Temp\0.exe", 1))
    assert side.top["user.name"] == ()
    assert (side.first, side.last) == ("2026-01-05T23:59:59.999Z", "2026-01-06T08:00:00.000Z")
    assert (rule.before, rule.new, rule.gone) == (None, 0, 0)


def test_a_comparison_names_what_begins_and_what_falls_silent(
    tmp_path: Path, make_release: ReleaseMaker, make_rule: RuleMaker, sensor: ExceptionItem
) -> None:
    """Old against new, event by event; a rule that only one side has is new or gone."""
    events = past(
        tmp_path,
        event(1, "2026-01-05T08:00:00.000Z"),
        event(2, "2026-01-05T09:00:00.000Z", **SENSOR),
    )
    made = backtest(make_release(sensor), events, make_release())
    (rule,) = made.rules
    assert made.compared
    assert (rule.new, rule.gone) == (0, 1)
    assert [one.event_id for one in rule.gone_examples] == ["e2"]
    other = make_rule(rule_id="another", name="Another")
    made = backtest(make_release(rules=[make_rule(), other]), events, make_release())
    known, another = made.rules
    assert (another.before, another.new) == (None, 2)
    assert (known.new, known.gone) == (0, 0)


def test_late_events_are_lost_by_timestamp_and_kept_by_arrival(
    tmp_path: Path, make_release: ReleaseMaker, make_rule: RuleMaker
) -> None:
    """An event that arrives an hour late is found by `event.ingested` alone."""
    late = past(tmp_path, event(1, "2026-01-05T08:00:00.000Z", "2026-01-05T09:00:00.000Z"))
    schedule = {"interval": "5m", "from": "now-9m"}
    for field, lost in (("@timestamp", ("e1",)), ("event.ingested", ())):
        rule = make_rule(timestamp_override=field, **schedule)
        (found,) = backtest(make_release(rules=[rule]), late).rules
        assert found.after is not None
        assert found.after.played is not None
        assert found.after.played.late == lost


def test_a_burst_beyond_max_signals_is_named(
    tmp_path: Path, make_release: ReleaseMaker, make_rule: RuleMaker
) -> None:
    """Ten events in one interval, room for four, no look-back: six are lost."""
    burst = [event(n, f"2026-01-05T08:01:0{n}.000Z") for n in range(10)]
    rule = make_rule(interval="5m", max_signals=4, **{"from": "now-5m"})
    (found,) = backtest(make_release(rules=[rule]), past(tmp_path, *burst)).rules
    assert found.after is not None
    played = found.after.played
    assert played is not None
    assert (played.alerted, len(played.cut), played.full, played.busiest) == (4, 6, 1, 10)


def test_the_window_bounds_what_counts(tmp_path: Path, make_release: ReleaseMaker) -> None:
    """Events outside it are as if they were not there."""
    window = Window(datetime(2026, 1, 6, tzinfo=UTC), datetime(2026, 1, 7, tzinfo=UTC))
    days = [event(n, f"2026-01-0{n}T08:00:00.000Z") for n in (5, 6, 7)]
    made = backtest(make_release(), past(tmp_path, *days, window=window))
    assert made.rules[0].after is not None
    assert made.rules[0].after.days == {"2026-01-06": 1}
    assert made.to_json()["since"] == "2026-01-06T00:00:00+00:00"


def test_many_matches_are_counted_and_not_compared(
    tmp_path: Path, make_release: ReleaseMaker, sensor: ExceptionItem, monkeypatch: Any
) -> None:
    """Beyond the limit: every count is there, and what needs single events says that it is not."""
    monkeypatch.setattr("ruledeploy.verify.backtest.DETAILED", 2)
    events = [event(n, f"2026-01-05T08:0{n}:00.000Z", **(SENSOR if n else {})) for n in range(3)]
    made = backtest(make_release(sensor), past(tmp_path, *events), make_release())
    (rule,) = made.rules
    assert rule.after is not None
    assert rule.before is not None
    assert (rule.after.alerts, rule.after.hidden, rule.before.alerts) == (1, 2, 3)
    assert (rule.new, rule.gone, rule.after.played) == (None, None, None)
