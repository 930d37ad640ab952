"""Events gone by on a cluster: only where the rule looks, whatever language it is in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from ruledeploy.engine import Window
from ruledeploy.query.parse import index_patterns
from ruledeploy.stack import running_stack
from ruledeploy.verify.past import ClusterPast, Sought

WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Elasticsearch]:
    """The same id in three indices."""
    with running_stack(tmp_path) as stack, Elasticsearch(stack.elasticsearch_url) as client:
        for index in ("logs-a", "logs-b", "secrets"):
            client.index(index=index, id="e1", document={"where": index}, refresh=True)
        yield client


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"language": "lucene", "query": "*", "index": ["logs-a", "gone"]}, ["logs-a"]),
        ({"language": "esql", "query": "from logs-b, gone metadata _id | keep _id"}, ["logs-b"]),
        ({"language": "esql", "query": 'from logs-b | dissect where "%{a}"'}, ["logs-b"]),
        ({"language": "kuery", "query": "*"}, []),
    ],
)
def test_events_come_from_where_the_rule_looks(
    rule: dict[str, Any], found: list[str], client: Elasticsearch
) -> None:
    """ES|QL says so in its FROM; an index that is gone is no error, and none is not all."""
    past = ClusterPast(client, WINDOW)
    (events,) = past.events([Sought(index_patterns(rule), ["e1"])])
    assert [one.source["where"] for one in events.values()] == found
