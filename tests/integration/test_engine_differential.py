"""Generated worlds: the embedded engine answers as the real node does, query by query.

`DIFF_WORLDS` sets how many worlds are compared, `DIFF_SEED` where their seeds begin, `DIFF_CASES`
how many questions each is asked. What differs is shrunk by hand to a text fixture under
tests/fixtures/, which the unit tests then keep.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

import pytest
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.helpers import bulk

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
from ruledeploy.engine.binding import resolve
from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable
from ruledeploy.query.kql import named_in, parse_kql
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.engine_cases import Case, Generator
from support.engine_values import FIELDS, LOWERCASE
from support.query_fixtures import table_of

# Each world has documents of its own; DIFF_WORLDS asks for more of them than a normal run.
WORLDS = int(os.environ.get("DIFF_WORLDS", "50"))
SEED = int(os.environ.get("DIFF_SEED", "0"))
CASES = int(os.environ.get("DIFF_CASES", "40"))
DOCUMENTS, LONG = 14, 1000
SAME, UNSUPPORTED, ERROR = "same", "unsupported", "error"


@dataclass(frozen=True, slots=True)
class World:
    """Documents that lie both on the node and in memory."""

    index: str
    here: EmbeddedEngine
    there: ElasticsearchEngine
    documents: list[Document]
    client: Elasticsearch
    table: FieldTable

    def compare(self, case: Case) -> str:
        """SAME, UNSUPPORTED, or what each engine says."""
        here = asked(self.here, case.rule, Memory(self.documents))
        if here == UNSUPPORTED:
            return UNSUPPORTED
        there = asked(self.there, case.rule, Indices(self.index))
        if there == UNSUPPORTED and case.rule.language == "kuery":
            there = self.as_kibana(case.rule.query)
        # The node alone refuses some long literals, whose automata grow too large.
        if here == there or (there == ERROR and len(case.text) > LONG):
            return SAME
        return f"{case.text}\n  here  {here}\n  there {there}"

    def as_kibana(self, query: str) -> Hits | str:
        """What the node finds by the DSL that Kibana makes of KQL, which knows the fields."""

        def type_of(name: str) -> str | None:
            found = resolve(self.table, name)
            return found.type.type if found else None

        dsl = parse_kql(query, type_of, named_in(self.table))
        try:
            answer = self.client.search(
                index=self.index,
                query={"bool": {"filter": [dsl]}},
                size=DOCUMENTS,
                allow_partial_search_results=False,
            )
        except ApiError:
            return ERROR
        times = {one.id: (one.source["@timestamp"], one.id) for one in self.documents}
        ids = sorted((hit["_id"] for hit in answer["hits"]["hits"]), key=times.__getitem__)
        return Hits(len(ids), tuple(ids), {})


def asked(engine: Engine, rule: EngineRule, source: Memory | Indices) -> Hits | str:
    """The hits and what each item suppresses, or ERROR, or UNSUPPORTED."""
    try:
        # The node's own clock decides what `now` is.
        return engine.run([rule], source, None, datetime.now(UTC))[rule.rule_id]
    except UnsupportedQuery:
        return UNSUPPORTED
    except QueryError:
        return ERROR


def world(node: Node, degrade: Degrade, index: str, generator: Generator) -> World:
    """The generator's documents on the node and in memory, both with the types the node has."""
    properties, _ = degrade({"properties": FIELDS})
    table = table_of(properties["properties"])
    documents = generator.documents(DOCUMENTS)
    node.client.indices.create(index=index, mappings=table.mappings(), settings=LOWERCASE)
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    return World(
        index,
        EmbeddedEngine(lambda _: table),
        ElasticsearchEngine(node.client),
        documents,
        node.client,
        table,
    )


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_both_engines_find_the_same(
    seed: int,
    node: Node,
    degrade: Degrade,
    fresh_index: FreshIndex,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Lucene, ES|QL and exception items find the same events here and there, and fail alike."""
    index = fresh_index("world")
    generator = Generator(Random(seed), index)  # noqa: S311 - a seed names a world
    both = world(node, degrade, index, generator)
    found = [both.compare(generator.case(f"c{number}")) for number in range(CASES)]
    different = [text for text in found if text not in (SAME, UNSUPPORTED)]
    assert not different, f"{len(different)} of {CASES} differ\n" + "\n".join(different)
    # A long run is summed up from what --junitxml writes.
    record_testsuite_property(f"compared-{seed}", CASES - found.count(UNSUPPORTED))
    record_testsuite_property(f"refused-{seed}", found.count(UNSUPPORTED))
    # What we refuse does not count, but must be rare.
    assert found.count(UNSUPPORTED) < CASES / 4
