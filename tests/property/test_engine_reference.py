"""The engine finds what the rules mean: Sigma rules against closures that share no code with it.

`SIGMA_RULES` names a folder of process-creation rules to run instead of made-up ones, and
`REFERENCE_EVENTS` how many events.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from ruledeploy.engine import EmbeddedEngine, Files, Kept
from support.engine_corpus import events, lowered, reference, rules, write

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROOT = Path(os.environ["SIGMA_RULES"]) if "SIGMA_RULES" in os.environ else None
EVENTS = int(os.environ.get("REFERENCE_EVENTS", "1500"))


def later() -> int:
    """A moment at which what is written now has rested: only such files are kept."""
    return time.time_ns() + 10 * 10**9


@pytest.mark.parametrize("language", ["lucene", "esql", "eql"])
def test_sigma_rules_find_what_they_mean(tmp_path: Path, language: str) -> None:
    """In every language they are converted to, read from JSON, with and without columns kept."""
    chosen = rules(ROOT, language, None if ROOT else 150)
    trees = [rule.tree for rule in chosen]
    nested, _ = write(trees, EVENTS, tmp_path)
    tests = [(rule.engine.rule_id, reference(rule.tree)) for rule in chosen]
    wanted: dict[str, set[str]] = {}
    for number, event in enumerate(islice(events(trees, EVENTS), EVENTS)):
        low = lowered(event)
        for rule_id, test in tests:
            if test(low):
                wanted.setdefault(rule_id, set()).add(f"event-{number}")
    assert len(wanted) > len(chosen) / 20
    asked = [rule.engine for rule in chosen]
    for engine in (EmbeddedEngine(), EmbeddedEngine(kept=Kept(clock=later))):
        hits = engine.run(asked, Files((nested,)), None, NOW)
        found = {name: set(one.event_ids) for name, one in hits.items() if one.count}
        assert found == wanted
