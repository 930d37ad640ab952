"""The very queries and the very exception filter that are pushed, run on a real Elasticsearch."""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch.helpers import bulk
from hypothesis import HealthCheck, Phase, given, seed, settings

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    Engine,
    EngineRule,
    Hits,
    Indices,
    Memory,
)
from ruledeploy.fields import load_table
from support import split
from support.elasticsearch_node import Degrade, FreshIndex, Node

CASES = 400


def generated_events() -> list[dict[str, Any]]:
    """A few hundred events from the strategy, the same ones in every run."""
    found: list[dict[str, Any]] = []

    @seed(20261124)
    @settings(
        max_examples=CASES,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(split.events())
    def collect(event: dict[str, Any]) -> None:
        found.append(event)

    collect()
    return found


@pytest.fixture(scope="module")
def documents() -> tuple[Document, ...]:
    """Both simulated days, and generated events with names from a nasty alphabet."""
    api = tuple(one for one in split.simulated_days() if one.index == split.INDEX)
    return (*api, *split.as_documents(generated_events()))


def load(
    node: Node, index: str, degrade: Degrade, documents: tuple[Document, ...]
) -> tuple[Document, ...]:
    """Fill an index with Defend's true mappings, but for types that the node lacks."""
    mappings, constants = degrade(load_table("endpoint-api").mappings())
    assert not [name for name in constants if not name.startswith("data_stream.")]
    node.client.indices.create(
        index=index,
        mappings=mappings,
        settings={"index.mapping.total_fields.limit": 5000, "number_of_shards": 1},
    )
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    return tuple(Document(index, one.id, one.source) for one in documents)


def on(index: str, rules: tuple[EngineRule, ...]) -> list[EngineRule]:
    """The rules, reading `index` instead of Defend's data streams; nothing else changes."""
    pattern = split.release("lucene").rules[0].body["index"][0]
    return [
        EngineRule(
            rule.rule_id,
            rule.language,
            rule.query.replace(f"from {pattern} ", f"from {index} "),
            (index,),
            rule.items,
            rule.timestamp_field,
        )
        for rule in rules
    ]


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
def test_original_and_split_alert_alike_on_the_node(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, documents: tuple[Document, ...]
) -> None:
    """In both languages, on the node as in process: the same events alert, the same items hide."""
    index = fresh_index("split")
    moved = load(node, index, degrade, documents)
    engines: tuple[tuple[Engine, Any], ...] = (
        (ElasticsearchEngine(node.client), Indices()),
        (EmbeddedEngine(tables=lambda _: load_table("endpoint-api")), Memory(moved)),
    )
    answers: list[dict[str, set[str]]] = []
    for language in ("lucene", "esql"):
        rules = on(index, split.original_and_split(language))
        for engine, source in engines:
            hits = engine.run(rules, source, None, split.DAY)
            original, ours = (hits[rule.rule_id] for rule in rules)
            assert set(original.event_ids) == set(ours.event_ids)
            answers.append(_told(ours))
    assert len(answers[0]["alert"]) > 100
    assert all(answer == answers[0] for answer in answers)


def _told(hits: Hits) -> dict[str, set[str]]:
    """Alerting ids, and hidden ids by item."""
    return {
        "alert": set(hits.event_ids),
        **{item: set(ids) for item, ids in hits.suppressed.items()},
    }
