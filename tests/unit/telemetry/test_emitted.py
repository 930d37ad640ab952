"""Lines of NDJSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from ruledeploy.model import canonical
from ruledeploy.telemetry import (
    attack_day,
    label_line,
    scenario_events,
    to_bare_ndjson,
    to_bulk,
    to_ndjson,
)

START = datetime(2026, 11, 23, tzinfo=UTC)
(ONE, *_) = scenario_events("attack/prototype", 1, START)


def test_a_line_is_canonical_json() -> None:
    """Keys are sorted, nothing is padded, and the id is the event's own."""
    for one in attack_day(2, START, noise=200):
        line = to_ndjson(one)
        expected = {
            "_id": one.event["event"]["id"],
            "_index": one.index,
            "_source": one.event,
        }
        assert line == canonical(expected).encode() + b"\n"


def test_the_bare_form_is_the_event() -> None:
    """Without the envelope only the event remains."""
    assert json.loads(to_bare_ndjson(ONE)) == ONE.event


def test_bulk_lines_create() -> None:
    """A data stream takes `create` alone."""
    action, source = to_bulk(ONE).splitlines()
    assert json.loads(action) == {"create": {"_id": ONE.label.event_id, "_index": ONE.index}}
    assert json.loads(source) == ONE.event


def test_the_label_stays_outside_of_the_event() -> None:
    """The truth is a line of its own, and no event gives it away."""
    assert json.loads(label_line(ONE)) == {
        "event_id": ONE.label.event_id,
        "scenario": "attack/prototype",
        "label": "attack",
        "technique": "T1055",
    }
    assert b"attack" not in to_ndjson(ONE)
