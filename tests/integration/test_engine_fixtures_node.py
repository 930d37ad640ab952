"""A real Elasticsearch gives every text fixture the answer that the fixture says."""

from __future__ import annotations

import json

import pytest
from elasticsearch import ApiError
from elasticsearch.helpers import bulk

from ruledeploy.engine import ElasticsearchEngine
from ruledeploy.errors import RuledeployError
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.fixture_runs import answers
from support.query_fixtures import Block, blocks

KINDS = ("lucene", "esql", "exceptions", "dsl")
BLOCKS = [block for kind in KINDS for block in blocks(kind) if block.on_node]


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.kind}-{block.name}")
def test_the_node_says_what_the_fixture_says(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, block: Block
) -> None:
    """The block's documents, under its mapping, asked on the node."""
    index = fresh_index("fixture")
    mappings, _ = degrade(block.table.mappings())
    node.client.indices.create(index=index, mappings=mappings)
    actions = (
        {"_index": index, "_id": str(n), "_source": source}
        for n, (source, _) in enumerate(block.documents)
    )
    bulk(node.client, actions, refresh=True)
    assert said(node, block, index) == [wanted for _, wanted in block.documents], block.law


def said(node: Node, block: Block, index: str) -> list[str]:
    """What the node answers for each document; a refused search is an error for all."""
    try:
        if block.kind != "dsl":
            return answers(ElasticsearchEngine(node.client), block, index, in_memory=False)
        found = node.client.search(index=index, query=json.loads(block.query), size=1000)
    except (ApiError, RuledeployError):
        return ["error"] * len(block.documents)
    ids = {hit["_id"] for hit in found["hits"]["hits"]}
    return ["match" if str(n) in ids else "no match" for n in range(len(block.documents))]
