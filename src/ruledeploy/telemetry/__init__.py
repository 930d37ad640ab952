"""Seeded synthetic telemetry: scenarios, streams of events, and the indices they go to."""

from __future__ import annotations

from ruledeploy.telemetry.emitted import (
    Emitted,
    label_line,
    to_bare_ndjson,
    to_bulk,
    to_ndjson,
)
from ruledeploy.telemetry.index_templates import index_templates
from ruledeploy.telemetry.noise import PROFILES
from ruledeploy.telemetry.parsing import SCENARIO_SCHEMA, load_scenarios, parse_scenarios
from ruledeploy.telemetry.scenario import Scenario, Step
from ruledeploy.telemetry.simulate import (
    Like,
    Simulation,
    attack_day,
    benign_day,
    generate,
    scenario_events,
)

__all__ = [
    "PROFILES",
    "SCENARIO_SCHEMA",
    "Emitted",
    "Like",
    "Scenario",
    "Simulation",
    "Step",
    "attack_day",
    "benign_day",
    "generate",
    "index_templates",
    "label_line",
    "load_scenarios",
    "parse_scenarios",
    "scenario_events",
    "to_bare_ndjson",
    "to_bulk",
    "to_ndjson",
]
