"""Generated ES|QL pipes: the embedded engine's rows are those of the real node.

`DIFF_WORLDS` sets how many worlds are compared, `DIFF_SEED` where their seeds begin.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from elasticsearch.helpers import bulk

from ruledeploy.engine import ElasticsearchEngine, EmbeddedEngine, EngineRule, Indices, Memory
from ruledeploy.errors import QueryError, UnsupportedQuery
from support.elasticsearch_node import FreshIndex, Node
from support.pipe_cases import FIELDS, PipeGenerator
from support.query_fixtures import table_of

WORLDS = int(os.environ.get("DIFF_WORLDS", "5"))
SEED = int(os.environ.get("DIFF_SEED", "0"))
CASES, DOCUMENTS = 40, 40
ERROR, UNSUPPORTED = "error", "unsupported"


def rows(engine: EmbeddedEngine | ElasticsearchEngine, query: str, source: Any) -> Any:
    """The rows as a bag, values of several as sets, doubles to twelve digits."""
    rule = EngineRule("r", "esql", query, ())
    try:
        found = engine.run([rule], source, None, datetime.now(UTC))["r"]
    except UnsupportedQuery as error:
        return f"{UNSUPPORTED}: {error}"
    except QueryError as error:
        return f"{ERROR}: {error}"
    return Counter(tuple(sorted((k, plain(v)) for k, v in row.items())) for row in found.rows)


def plain(value: Any) -> Any:
    """A value that compares as Elasticsearch's JSON means it."""
    if isinstance(value, list):
        return tuple(sorted({plain(one) for one in value}, key=repr))
    return float(f"{value:.12g}") if isinstance(value, float) else value


def same(here: Any, there: Any) -> bool:
    """Equal rows, or both refuse."""
    if isinstance(here, str) and isinstance(there, str):
        return here.split(":")[0] == there.split(":")[0]
    return bool(here == there)


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_pipes_give_the_same_rows(seed: int, node: Node, fresh_index: FreshIndex) -> None:
    """Forty pipes over forty documents."""
    index = fresh_index("pipes")
    generator = PipeGenerator(Random(seed), index)  # noqa: S311 - a seed names a world
    documents = generator.documents(DOCUMENTS)
    table = table_of(FIELDS)
    node.client.indices.create(index=index, mappings=table.mappings())
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    here, there = EmbeddedEngine(lambda _: table), ElasticsearchEngine(node.client)
    different, refused = [], 0
    for _ in range(CASES):
        query = generator.pipe()
        mine = rows(here, query, Memory(documents))
        if isinstance(mine, str) and mine.startswith(UNSUPPORTED):
            refused += 1
            continue
        other = rows(there, query, Indices(index))
        if not same(mine, other):
            different.append(f"{query}\n   here {said(mine, other)}\n  there {said(other, mine)}")
    assert not different, f"{len(different)} of {CASES} differ\n" + "\n".join(different)
    assert refused < CASES / 4


def said(one: Any, other: Any) -> str:
    """What one has that the other has not, in short."""
    if isinstance(one, str) or isinstance(other, str):
        return str(one)[:300]
    return str(list((one - other).items())[:2])
