"""EQL on the node: refused by name where it has none, and its clauses as Elasticsearch's DSL.

The node of these tests is built without EQL. What Elasticsearch makes of a condition is a query of
its DSL, so the fixtures are asked of the node in that form: this holds our reading of each clause
to the node, and leaves to the fixtures what a condition becomes.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from elasticsearch import ApiError
from elasticsearch.helpers import bulk

from ruledeploy.engine import ElasticsearchEngine, EngineRule, Indices
from ruledeploy.engine.binding import types_of
from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.ir import Node
from support.elasticsearch_node import Degrade, FreshIndex
from support.elasticsearch_node import Node as RealNode
from support.eql_dsl import has_functions, to_dsl
from support.query_fixtures import Block, blocks


def asked(block: Block) -> Node | None:
    """What the block asks; None where we refuse it, or where Elasticsearch asks by a script."""
    try:
        found = parse_eql(block.query, types_of([block.table]))
    except QueryError:
        return None
    return None if has_functions(found) else found


ASKED = [(block, found) for block in blocks("eql") if (found := asked(block)) is not None]


@pytest.mark.parametrize(("block", "query"), ASKED, ids=lambda each: getattr(each, "name", ""))
def test_the_clauses_find_what_the_fixture_says(
    node: RealNode, fresh_index: FreshIndex, degrade: Degrade, block: Block, query: Node
) -> None:
    """The block's documents, under its mapping, asked by the query that EQL becomes."""
    index = fresh_index("fixture")
    mappings, _ = degrade(block.table.mappings())
    node.client.indices.create(index=index, mappings=mappings)
    actions = (
        {"_index": index, "_id": str(n), "_source": source}
        for n, (source, _) in enumerate(block.documents)
    )
    bulk(node.client, actions, refresh=True)
    try:
        found = node.client.search(index=index, query=to_dsl(query), size=1000)
    except ApiError:
        said = ["error"] * len(block.documents)
    else:
        ids = {hit["_id"] for hit in found["hits"]["hits"]}
        said = ["match" if str(n) in ids else "no match" for n in range(len(block.documents))]
    assert said == [wanted for _, wanted in block.documents], block.law


def test_a_cluster_without_eql_says_so(node: RealNode, fresh_index: FreshIndex) -> None:
    """The rule is named, and the way out."""
    index = fresh_index("fixture")
    node.client.indices.create(index=index)
    rule = EngineRule("the-rule", "eql", "any where true", (index,))
    engine = ElasticsearchEngine(node.client)
    with pytest.raises(UnsupportedQuery, match=r"the-rule: this cluster has no EQL") as raised:
        engine.run([rule], Indices(index), None, datetime.now(UTC))
    assert raised.value.hint
