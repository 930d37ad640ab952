"""Generated worlds: the embedded engine answers as the real node does, query by query."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from random import Random

import pytest
from elasticsearch import ApiError
from elasticsearch.helpers import bulk

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    Engine,
    EngineRule,
    Indices,
    Memory,
)
from ruledeploy.errors import RuledeployError
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.engine_cases import LOWERCASE, TABLE, Generator

# Each world is its own documents; DIFF_WORLDS asks for more of them than a normal run.
WORLDS = int(os.environ.get("DIFF_WORLDS", "4"))
DOCUMENTS, QUERIES, LONG = 30, 50, 1000
NOW = datetime(2026, 1, 6, tzinfo=UTC)


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize("language", ["lucene", "esql"])
@pytest.mark.parametrize("world", range(WORLDS))
def test_both_engines_find_the_same(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, world: int, language: str
) -> None:
    """Out of nasty alphabets; what we refuse does not count, but must be rare."""
    index = fresh_index("world")
    generator = Generator(Random(world), index)  # noqa: S311 - a seed names a world
    documents = [Document(index, one.id, one.source) for one in generator.documents(DOCUMENTS)]
    mappings, _ = degrade(TABLE.mappings())
    node.client.indices.create(index=index, mappings=mappings, settings=LOWERCASE)
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    embedded, cluster = EmbeddedEngine(lambda _: TABLE), ElasticsearchEngine(node.client)
    different, answered = [], 0
    for _ in range(QUERIES):
        query = generator.lucene() if language == "lucene" else generator.esql()
        rule = EngineRule("r", language, query, (index,))
        here = found(embedded, rule, Memory(documents))
        there = found(cluster, rule, Indices(index))
        # The node alone refuses long literals, whose automata grow too large.
        if here is None or (there is None and len(query) > LONG):
            continue
        answered += 1
        if here != there:
            different.append(f"{query}\n  here {here}\n  node {there}")
    assert not different, "\n".join(different)
    assert answered > QUERIES / 2


def found(engine: Engine, rule: EngineRule, source: Memory | Indices) -> list[str] | None:
    """Ids that alert; None when the query is refused."""
    try:
        return sorted(engine.run([rule], source, None, NOW)["r"].event_ids)
    except (ApiError, RuledeployError):
        return None
