"""Laws of synthetic streams, for any seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import PureWindowsPath

from hypothesis import given, settings
from hypothesis import strategies as st

from ruledeploy.telemetry import Emitted, Simulation, generate, load_scenarios
from ruledeploy.telemetry.fleet import fleet
from ruledeploy.telemetry.programs import OTHERS, TRUSTED_WRITERS, Program, base_name, program_at

START = datetime(2026, 11, 23, tzinfo=UTC)
IDS = sorted(load_scenarios())
SEEDS = st.integers(0, 2**64)
TIMES = st.lists(st.integers(0, 86_400_000).map(lambda n: timedelta(milliseconds=n)), max_size=3)
PLANS = st.dictionaries(st.sampled_from(IDS), TIMES.map(tuple), max_size=6)


def run(seed: int, plan: dict[str, tuple[timedelta, ...]], noise: int = 40) -> list[Emitted]:
    """The events of a plan."""
    return list(generate(Simulation(seed, START, scenarios=plan, noise=noise)))


@settings(max_examples=25, deadline=None)
@given(SEEDS, PLANS)
def test_a_stream_is_ordered_and_its_ids_are_unique(
    seed: int, plan: dict[str, tuple[timedelta, ...]]
) -> None:
    """Times never go back, no id comes twice, and each event carries its label's id."""
    events = run(seed, plan)
    times = [one.event["@timestamp"] for one in events]
    ids = [one.label.event_id for one in events]
    assert times == sorted(times)
    assert len(set(ids)) == len(ids)
    assert ids == [one.event["event"]["id"] for one in events]


@settings(max_examples=25, deadline=None)
@given(SEEDS, PLANS, st.sampled_from(IDS))
def test_adding_a_scenario_changes_no_other_event(
    seed: int, plan: dict[str, tuple[timedelta, ...]], added: str
) -> None:
    """What was there before is there after, in the same order."""
    plan.pop(added, None)
    before = run(seed, plan)
    after = run(seed, {**plan, added: (timedelta(hours=12),)})
    assert [one for one in after if one.label.scenario != added] == before


@given(SEEDS, st.integers(4, 20), st.integers(0, 20))
def test_a_larger_fleet_begins_with_the_smaller(seed: int, small: int, more: int) -> None:
    """Hosts keep their names and numbers when others join."""
    assert fleet(seed, small + more)[:small] == fleet(seed, small)


@given(st.sampled_from((*TRUSTED_WRITERS, *OTHERS)), st.booleans(), st.booleans())
def test_a_program_is_known_by_any_spelling_of_its_path(
    program: Program, lower: bool, device: bool
) -> None:
    """Case and the form of the volume make no difference to who signed a file."""
    path = program.path
    spelled = path.replace("C:", r"\Device\HarddiskVolume3") if device else path
    assert program_at(spelled.lower() if lower else spelled) == program
    assert base_name(path) == PureWindowsPath(path).name
