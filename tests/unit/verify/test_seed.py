"""Loading synthetic events: counted, repeatable, and every refusal told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from ruledeploy.errors import PartialError
from ruledeploy.stack import running_stack
from ruledeploy.telemetry import Simulation, generate
from ruledeploy.verify.seed import Seeded, seed_events

EVENTS = tuple(generate(Simulation(1, datetime(2026, 1, 5, tzinfo=UTC), noise=2500)))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Elasticsearch]:
    """The local stack's Elasticsearch side."""
    with running_stack(tmp_path) as stack, Elasticsearch(stack.elasticsearch_url) as client:
        yield client


def test_events_are_there_at_once_and_only_once(client: Elasticsearch) -> None:
    """Over several chunks; the second load of the same seed creates nothing."""
    assert seed_events(client, EVENTS, {}) == Seeded(2500, 0)
    assert client.count(index="logs-*")["count"] == 2500
    assert seed_events(client, EVENTS[:10], {}) == Seeded(0, 10)
    assert seed_events(client, (), {}) == Seeded(0, 0)


def test_a_refused_event_is_named_and_the_others_stay(client: Elasticsearch) -> None:
    """A name that no index may have: the first refusal is told, with how many there are."""
    bad = [replace(one, index="Upper", prototype=None) for one in EVENTS[:2]]
    with pytest.raises(PartialError) as caught:
        seed_events(client, (*EVENTS[:3], *bad), {})
    assert "2 events were refused, 3 created" in caught.value.message
    assert bad[0].label.event_id in caught.value.message
