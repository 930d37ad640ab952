"""Seeded streams of events: the same arguments give the same bytes, anywhere.

Every run of a scenario draws from a generator of its own, named by seed, start, scenario and
time, so adding a scenario to a simulation changes no event of the others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import TypedDict, Unpack

from ruledeploy.errors import ScenarioError
from ruledeploy.model import Label
from ruledeploy.telemetry.emitted import Emitted
from ruledeploy.telemetry.fleet import Host, fleet
from ruledeploy.telemetry.noise import MIXED, background, deck, delay
from ruledeploy.telemetry.parsing import load_scenarios
from ruledeploy.telemetry.scenario import Scenario
from ruledeploy.telemetry.scene import Scene, Shipper
from ruledeploy.telemetry.seeds import derived, random_for
from ruledeploy.telemetry.shapes import build, millis_of, short_id, stamped

DAY = timedelta(days=1)
# With four hosts there is one of each kind.
MIN_HOSTS = 4
_NONE: Mapping[str, tuple[timedelta, ...]] = MappingProxyType({})


@cache
def _bundled() -> Mapping[str, Scenario]:
    return MappingProxyType(load_scenarios())


@dataclass(frozen=True, slots=True)
class Simulation:
    """What happens when: `scenarios` maps an id to the times, from `start`, at which it runs.

    `noise` is the number of background events in `duration`. `library` holds the scenarios that
    ids may name; the bundled ones unless given. `shipper` brings in Sysmon's events. `profile` is
    what the background is like, one of `PROFILES`.
    """

    seed: int
    start: datetime
    duration: timedelta = DAY
    scenarios: Mapping[str, tuple[timedelta, ...]] = field(default_factory=lambda: _NONE)
    hosts: int = 8
    noise: int = 2000
    shipper: Shipper = "integration"
    library: Mapping[str, Scenario] = field(default_factory=_bundled)
    profile: str = MIXED


def generate(sim: Simulation) -> Iterator[Emitted]:
    """Every event of a simulation in order of `@timestamp`.

    Raises `ScenarioError` for an unknown scenario, too few hosts, or a start without a zone.
    """
    start = millis_of(sim.start)
    if sim.hosts < MIN_HOSTS:
        raise ScenarioError(f"{sim.hosts} hosts are too few", hint=f"use at least {MIN_HOSTS}")
    hosts = fleet(sim.seed, sim.hosts)
    runs = [
        run
        for scenario_id in sorted(sim.scenarios)
        for run in _runs(sim, _scenario(sim.library, scenario_id), start, hosts)
    ]
    runs.sort(key=lambda run: (run[0], run[1].label.event_id))
    cards = deck(sim.seed, hosts, sim.shipper, sim.profile) if sim.noise else []
    duration = sim.duration // timedelta(milliseconds=1)
    return _merged(runs, background(cards, sim.seed, start, duration, sim.noise))


class Like(TypedDict, total=False):
    """What a day is like: so many background events of a profile, on so many hosts."""

    noise: int
    hosts: int
    profile: str
    shipper: Shipper


def attack_day(seed: int, start: datetime, **like: Unpack[Like]) -> Iterator[Emitted]:
    """A day on which every bundled scenario happens once, attacks and benign ones, amid noise."""
    times = {one: (_hour(seed, one, 0),) for one in _bundled()}
    return generate(Simulation(seed, start, scenarios=times, **like))


def benign_day(seed: int, start: datetime, **like: Unpack[Like]) -> Iterator[Emitted]:
    """A day on which nothing bad happens: every benign scenario three times, amid noise."""
    times = {
        one: tuple(_hour(seed, one, n) for n in range(3))
        for one, scenario in _bundled().items()
        if scenario.label == "benign"
    }
    return generate(Simulation(seed, start, scenarios=times, **like))


def scenario_events(
    scenario_id: str,
    seed: int,
    start: datetime,
    *,
    shipper: Shipper = "integration",
    library: Mapping[str, Scenario] | None = None,
) -> tuple[Emitted, ...]:
    """The events of one scenario that begins at `start`, without noise.

    Raises `ScenarioError` for an id that is not in the library.
    """
    times = {scenario_id: (timedelta(0),)}
    known = _bundled() if library is None else library
    sim = Simulation(seed, start, scenarios=times, noise=0, shipper=shipper, library=known)
    return tuple(generate(sim))


def _hour(seed: int, scenario_id: str, repetition: int) -> timedelta:
    """A second between 08:00 and 18:00 that other scenarios have no part in."""
    rng = random_for("time", seed, scenario_id, repetition)
    return timedelta(hours=8, seconds=rng.randrange(36_000))


def _scenario(library: Mapping[str, Scenario], scenario_id: str) -> Scenario:
    found = library.get(scenario_id)
    if found is None:
        close = difflib.get_close_matches(scenario_id, library, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(library)}"
        raise ScenarioError(f"there is no scenario {scenario_id!r}", hint=hint)
    return found


def _runs(
    sim: Simulation, scenario: Scenario, start: int, hosts: tuple[Host, ...]
) -> Iterator[tuple[int, Emitted]]:
    for number, offset in enumerate(sorted(sim.scenarios[scenario.id])):
        at = start + offset // timedelta(milliseconds=1)
        same_time = sorted(sim.scenarios[scenario.id])[:number].count(offset)
        key = (sim.seed, start, scenario.id, at, same_time)
        rng = random_for("run", *key)
        host = rng.choice([host for host in hosts if host.kind in scenario.hosts])
        scene = Scene(host, "/".join(map(str, key)), rng, sim.shipper)
        yield from _events(scenario, scene, at)


def _events(scenario: Scenario, scene: Scene, start: int) -> Iterator[tuple[int, Emitted]]:
    prefix = short_id(derived("run", scene.scope))
    sequence = 1000 + scene.rng.randrange(1_000_000)
    number = 0
    for step in scenario.steps:
        for repetition in range(step.repeat):
            given = step.fields_of(repetition, scene.host)
            prototype = build(step.event, given, scene)
            at = start + step.at + repetition * step.every
            usual = delay(scene.rng.getrandbits(24))
            ingested = at + (usual if step.late is None else step.late)
            event_id = f"{prefix}{number:08d}"
            event = stamped(prototype, event_id, at, ingested, sequence + number)
            label = Label(
                event_id, scenario.id, scenario.label, step.technique or scenario.technique
            )
            yield at, Emitted(prototype.index, event, label, prototype)
            number += 1


def _merged(
    runs: list[tuple[int, Emitted]], noise: Iterable[tuple[int, Emitted]]
) -> Iterator[Emitted]:
    """Both in order of time. `runs` are few and sorted, so an index does for a heap."""
    position = 0
    for at, emitted in noise:
        while position < len(runs) and runs[position][0] <= at:
            yield runs[position][1]
            position += 1
        yield emitted
    for _, emitted in runs[position:]:
        yield emitted
