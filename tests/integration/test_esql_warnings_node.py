"""An ES|QL rule on events with several values a field, of which Elasticsearch warns at length."""

from __future__ import annotations

from datetime import UTC, datetime

from ruledeploy.engine import ElasticsearchEngine, EngineRule, Indices
from support.elasticsearch_node import FreshIndex, Node

FIELDS = [f"f{number}" for number in range(150)]


def test_hundreds_of_warnings_do_not_end_a_rule(node: Node, fresh_index: FreshIndex) -> None:
    """Each comparison is told in headers of its own; Python's client takes a hundred by default."""
    index = fresh_index("many")
    keyword = {"type": "keyword"}
    mappings = {"properties": {"@timestamp": {"type": "date"}, **dict.fromkeys(FIELDS, keyword)}}
    node.client.indices.create(index=index, mappings=mappings)
    event = {"@timestamp": "2026-01-05T08:00:00Z", **{key: ["a", "b"] for key in FIELDS}}
    node.client.index(index=index, id="several", document=event, refresh=True)
    node.client.index(index=index, id="one", document={**event, "f7": "zero"}, refresh=True)
    asked = " or ".join(f'substring({name}, 1, 1) == "z"' for name in FIELDS)
    rule = EngineRule("r", "esql", f"from {index} metadata _id | where {asked}", (index,))
    hits = ElasticsearchEngine(node.client).run([rule], Indices(), None, datetime.now(UTC))
    assert hits["r"].event_ids == ("one",)
