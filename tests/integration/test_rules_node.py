"""Converted rules on a real Elasticsearch: every log source, every modifier, in three languages.

Each family's events, made to hit its rules and to miss them narrowly, lie in one index under the
family's true mappings, and each rule is asked of all of them. EQL is asked as the query DSL that it
becomes, since the node has no EQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from elasticsearch.helpers import bulk

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    EngineRule,
    Indices,
    Memory,
)
from ruledeploy.engine.binding import types_of
from ruledeploy.errors import RuleError
from ruledeploy.fields import FieldTable, load_table
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.ir import simplify
from ruledeploy.sigma import load_rules
from ruledeploy.sigma.convert import Target, convert
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.eql_dsl import to_dsl
from support.sigma_world import LOGS, grid
from support.witnesses import Witnesses

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENTS = 10
FAMILIES = tuple(dict.fromkeys(logs.family for logs in LOGS))


class World(NamedTuple):
    """A family's rules, each in the languages that can say it, and events for all of them."""

    table: FieldTable
    rules: dict[str, dict[str, str]]
    documents: list[Document]


def world(family: str, index: str) -> World:
    """The rules of the grid over one family."""
    table = load_table(family)
    files = {
        f"{number}.yml": text for number, (logs, text) in enumerate(grid()) if logs.family == family
    }
    loaded = load_rules(files)
    assert not loaded.errors, loaded.errors
    rules: dict[str, dict[str, str]] = {}
    documents: list[Document] = []
    for source in loaded.rules:
        queries: dict[str, str] = {}
        for language in ("lucene", "esql", "eql"):
            try:
                converted = convert(source, Target(language, (index,), table))
            except RuleError:
                continue
            codes = {finding.code for finding in converted.findings}
            # ES|QL fails on a column that the index has not, which is for the user to answer.
            if language != "esql" or "unmapped-field" not in codes:
                queries[language] = converted.query
        if "eql" in queries:
            rules[source.path] = queries
            node = simplify(parse_eql(queries["eql"], types_of([table])))
            events = Witnesses(table, int(source.path.removesuffix(".yml"))).events(node, EVENTS)
            documents += [
                Document(index, f"{source.path}-{n}", event) for n, event in enumerate(events)
            ]
    return World(table, rules, documents)


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_rule_finds_on_the_node_what_it_finds_here(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, family: str
) -> None:
    """The same events, in each language, of all events of the family."""
    index = fresh_index("rules")
    made = world(family, index)
    mappings, _ = degrade(made.table.mappings())
    if made.table.open:
        # Such an index maps what it meets; here as the keywords that are assumed of it.
        string = {"match_mapping_type": "string", "mapping": {"type": "keyword"}}
        mappings["dynamic"] = True
        mappings["dynamic_templates"].append({"strings": string})
    settings = {"index.mapping.ignore_malformed": True, "index.mapping.total_fields.limit": 10_000}
    node.client.indices.create(index=index, mappings=mappings, settings=settings)
    actions = ({"_index": index, "_id": d.id, "_source": d.source} for d in made.documents)
    bulk(node.client, actions, refresh=True)
    here = EmbeddedEngine(lambda _: made.table)
    differences = [
        f"{path} {language} {identity}\n  {made.rules[path][language]}"
        for path, language, found in on_the_node(node, index, made)
        for identity in sorted(
            found
            ^ set(
                here.run(
                    [EngineRule("r", language, made.rules[path][language], (index,))],
                    Memory(made.documents),
                    None,
                    NOW,
                )["r"].event_ids
            )
        )
    ]
    assert len(made.rules) >= 15
    assert not differences, "\n".join(differences[:20])


def on_the_node(node: Node, index: str, made: World) -> Iterator[tuple[str, str, set[str]]]:
    """What the node finds for each rule in each language."""
    there = ElasticsearchEngine(node.client)
    for path, queries in made.rules.items():
        for language in queries:
            if language == "eql":
                dsl = to_dsl(simplify(parse_eql(queries["eql"], types_of([made.table]))))
                answer = node.client.search(index=index, query=dsl, size=10_000, source=False)
                yield path, language, {hit["_id"] for hit in answer["hits"]["hits"]}
            else:
                rule = EngineRule("r", language, queries[language], (index,))
                hits = there.run([rule], Indices(index), None, NOW)["r"]
                yield path, language, set(hits.event_ids)
