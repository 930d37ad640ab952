"""Generated ES|QL pipes: the embedded engine's rows are those of the real node.

`DIFF_WORLDS` sets how many worlds are compared, `DIFF_SEED` where their seeds begin.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch, ElasticsearchWarning
from elasticsearch.helpers import bulk

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.errors import QueryError, UnsupportedQuery
from support.elasticsearch_node import FreshIndex, Node
from support.pipe_cases import FIELDS, PipeGenerator
from support.query_fixtures import table_of

WORLDS = int(os.environ.get("DIFF_WORLDS", "5"))
SEED = int(os.environ.get("DIFF_SEED", "0"))
CASES, DOCUMENTS = 40, 40
ERROR, UNSUPPORTED = "error", "unsupported"


def here(query: str, documents: list[Document]) -> Counter[Any] | str:
    """The embedded engine's rows as a bag, or how it refuses."""
    engine = EmbeddedEngine(lambda _: table_of(FIELDS))
    rule = EngineRule("r", "esql", query, ())
    try:
        found = engine.run([rule], Memory(documents), None, datetime.now(UTC))["r"]
    except UnsupportedQuery as error:
        return f"{UNSUPPORTED}: {error}"
    except QueryError as error:
        return f"{ERROR}: {error}"
    return bag(found.rows)


def there(client: Elasticsearch, query: str) -> Counter[Any] | str:
    """The node's rows as a bag, or how it refuses; asked as the query is written."""
    try:
        with warnings.catch_warnings():
            # That a division by zero or a text that is no number is null.
            warnings.simplefilter("ignore", ElasticsearchWarning)
            answer = client.esql.query(query=query)
    except BadRequestError as error:
        return f"{ERROR}: {error}"
    names = [column["name"] for column in answer["columns"]]
    return bag([dict(zip(names, row, strict=True)) for row in answer["values"]])


def bag(rows: Iterable[Mapping[str, Any]]) -> Counter[Any]:
    """Rows without their order, values of several as sets, doubles to twelve digits."""
    return Counter(tuple(sorted((k, plain(v)) for k, v in row.items())) for row in rows)


def plain(value: Any) -> Any:
    """A value that compares as Elasticsearch's JSON means it."""
    if isinstance(value, list):
        return tuple(sorted({plain(one) for one in value}, key=repr))
    return float(f"{value:.12g}") if isinstance(value, float) else value


def same(one: Counter[Any] | str, other: Counter[Any] | str) -> bool:
    """Equal rows, or both refuse."""
    if isinstance(one, str) and isinstance(other, str):
        return True
    return one == other


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
    different, refused = [], 0
    for _ in range(CASES):
        query = generator.pipe()
        mine = here(query, documents)
        if isinstance(mine, str) and mine.startswith(UNSUPPORTED):
            refused += 1
            continue
        other = there(node.client, query)
        if not same(mine, other):
            different.append(f"{query}\n   here {said(mine, other)}\n  there {said(other, mine)}")
    assert not different, f"{len(different)} of {CASES} differ\n" + "\n".join(different)
    assert refused < CASES / 4


def said(one: Counter[Any] | str, other: Counter[Any] | str) -> str:
    """What one has that the other has not, in short."""
    if isinstance(one, str) or isinstance(other, str):
        return str(one)[:300]
    return str(list((one - other).items())[:2])
