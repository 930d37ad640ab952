"""Streams: ordered, repeatable, independent of one another."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ruledeploy.errors import ScenarioError
from ruledeploy.telemetry import (
    Simulation,
    attack_day,
    benign_day,
    generate,
    load_scenarios,
    scenario_events,
    to_ndjson,
)
from ruledeploy.telemetry.noise import NOISE

START = datetime(2026, 11, 23, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden" / "prototype.ndjson"

PRINT_DIGEST = """
import hashlib
from datetime import UTC, datetime
from ruledeploy.telemetry import attack_day, to_ndjson
day = b"".join(map(to_ndjson, attack_day(11, datetime(2026, 11, 23, tzinfo=UTC), noise=200)))
print(hashlib.sha256(day).hexdigest())
"""


def test_the_prototype_is_golden() -> None:
    """The mission's attack is the same bytes on every machine and Python version."""
    lines = b"".join(map(to_ndjson, scenario_events("attack/prototype", 1, START)))
    assert lines == GOLDEN.read_bytes()


def test_another_process_makes_the_same_bytes() -> None:
    """Neither the process nor its hash seed has a part in a day's events."""
    mine = b"".join(map(to_ndjson, attack_day(11, START, noise=200)))
    theirs = subprocess.run(  # our own interpreter and our own text
        [sys.executable, "-c", PRINT_DIGEST],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert theirs.stdout.strip() == hashlib.sha256(mine).hexdigest()


def test_an_attack_day_holds_every_scenario() -> None:
    """Each bundled scenario happens once, complete, besides the noise asked for."""
    counts: dict[str, int] = {}
    for one in attack_day(5, START, noise=300):
        counts[one.label.scenario] = counts.get(one.label.scenario, 0) + 1
    expected = {scenario.id: scenario.size for scenario in load_scenarios().values()}
    assert counts == {**expected, NOISE: 300}


def test_a_benign_day_holds_no_attack() -> None:
    """Nothing on a benign day carries an attack's label or a technique."""
    labels = {(one.label.label, one.label.technique) for one in benign_day(5, START)}
    assert labels == {("benign", None)}


def test_the_start_moves_the_day() -> None:
    """A zone is understood; all events lie within the day, or just after a late scenario."""
    plus_two = datetime(2026, 11, 23, tzinfo=timezone(timedelta(hours=2)))
    first, *_, last = attack_day(5, plus_two, noise=500)
    assert first.event["@timestamp"] >= "2026-11-22T22:00:00.000Z"
    assert last.event["@timestamp"] < "2026-11-23T22:10:00.000Z"


def test_two_days_share_no_event_id() -> None:
    """Streams of neighbouring days can lie in one index."""
    one = {e.label.event_id for e in attack_day(5, START, noise=100)}
    two = {e.label.event_id for e in attack_day(5, START + timedelta(days=1), noise=100)}
    assert not one & two


def test_one_scenario_may_start_twice_at_once() -> None:
    """Two runs at the same moment are two runs."""
    times = {"attack/apc": (timedelta(hours=1), timedelta(hours=1))}
    ids = {e.label.event_id for e in generate(Simulation(1, START, scenarios=times, noise=0))}
    assert len(ids) == 2 * load_scenarios()["attack/apc"].size


@pytest.mark.parametrize(
    ("sim", "said"),
    [
        (Simulation(1, START, scenarios={"attack/prototyp": ()}), "did you mean"),
        (Simulation(1, START, hosts=3), "3 hosts are too few"),
        (Simulation(1, datetime(2026, 11, 23)), "has no time zone"),  # noqa: DTZ001  # the point
    ],
)
def test_what_makes_no_sense_is_refused(sim: Simulation, said: str) -> None:
    """Unknown scenarios, too few hosts and a time without a zone are errors before any event."""
    with pytest.raises(ScenarioError) as caught:
        generate(sim)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("profile", "more", "less"),
    [
        ("office", "winword.exe", "dotnet.exe"),
        ("developer", "dotnet.exe", "winword.exe"),
        ("server", "svchost.exe", "chrome.exe"),
    ],
)
def test_a_profile_shifts_the_background(profile: str, more: str, less: str) -> None:
    """More of what such hosts run than in the mixed one, and nothing of what they do not."""

    def count(kind: str, program: str) -> int:
        sim = Simulation(3, START, noise=2000, profile=kind)
        texts = [json.dumps(one.event["process"]["executable"]) for one in generate(sim)]
        return sum(program in text.lower() for text in texts)

    assert count(profile, more) > count("mixed", more)
    assert count(profile, less) == 0 < count("mixed", less)


def test_an_unknown_profile_is_refused() -> None:
    """With the ones there are."""
    with pytest.raises(ScenarioError) as caught:
        list(generate(Simulation(3, START, profile="offices")))
    assert caught.value.hint == "known: mixed, office, developer, server"
