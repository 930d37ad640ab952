"""The cluster's engine pointed at the stack finds what the embedded engine finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from elasticsearch import Elasticsearch, helpers

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    EngineRule,
    Indices,
    Memory,
    Window,
)
from ruledeploy.telemetry import Simulation, generate, load_scenarios

START = datetime(2026, 11, 23, tzinfo=UTC)
ITEM = {
    "item_id": "office",
    "list_id": "l",
    "entries": [
        {
            "field": "process.name.caseless",
            "type": "match",
            "operator": "included",
            "value": "winword.exe",
        }
    ],
}
API = "logs-endpoint.events.api-*"


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("lucene", "process.Ext.api.name:WriteProcessMemory"),
        ("lucene", "process.executable.caseless:*.exe AND NOT user.id:S\\-1\\-5\\-18"),
        ("lucene", "Target.process.pid:[100 TO 4000]"),
        ("eql", 'any where process.Ext.api.name == "WriteProcessMemory"'),
        ("eql", 'any where process.executable : "*.exe" and not user.id == "S-1-5-18"'),
        (
            "esql",
            f'from {API} metadata _id | where to_lower(process.name) like "*e*"',
        ),
    ],
)
def test_both_engines_agree(stack_urls: tuple[str, str], language: str, query: str) -> None:
    """A day's simulated events, through HTTP and in memory, with an exception item."""
    sim = Simulation(3, START, scenarios={next(iter(load_scenarios())): (timedelta(hours=3),)})
    events = list(generate(sim))
    with Elasticsearch(stack_urls[1]) as es:
        actions = [
            {"_op_type": "create", "_index": e.index, "_id": e.event["event"]["id"], **e.event}
            for e in events
        ]
        helpers.bulk(es, actions, raise_on_error=False)
        rule = EngineRule("r", language, query, (API,), (ITEM,))
        window = Window(START + timedelta(hours=2), START + timedelta(hours=20))
        now = START + timedelta(days=1)
        cluster = ElasticsearchEngine(es).run([rule], Indices(), window, now)
    memory = Memory([Document(e.index, e.event["event"]["id"], e.event) for e in events])
    embedded = EmbeddedEngine().run([rule], memory, window, now)
    assert cluster == embedded
    assert embedded["r"].count > 0
