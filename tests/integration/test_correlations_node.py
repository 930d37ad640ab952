"""Compiled correlations count the same on a real Elasticsearch and in process."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from elasticsearch import ElasticsearchWarning
from elasticsearch.helpers import bulk

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    EngineRule,
    Indices,
    Memory,
)
from ruledeploy.fields import load_table
from support.correlations import query
from support.elasticsearch_node import Degrade, FreshIndex, Node

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TABLE = load_table("sysmon-integration")
LASSES = (r"C:\Windows\System32\lsass.exe", r"c:\windows\system32\LSASS.EXE", r"C:\x\y.exe")
SOURCES = (r"C:\a\ok.exe", r"C:\a\b.exe", r"C:\c.exe", None)
CORRELATIONS = [
    "{type: event_count, rules: access, group-by: [host.name], timespan: 1h, condition: {gte: 5}}",
    (
        "{type: event_count, rules: [access, thread], group-by: [host.name, SourceImage], "
        "timespan: 1h, condition: {eq: 2}}"
    ),
    "{type: event_count, rules: access, timespan: 1h, condition: {lt: 1000}}",
    "{type: event_count, rules: access, group-by: [host.name], timespan: 1h, condition: {neq: 5}}",
    (
        "{type: value_count, rules: access, group-by: [host.name], timespan: 1h, "
        "condition: {field: SourceImage, gte: 2}}"
    ),
    (
        "{type: value_count, rules: thread, timespan: 1h, "
        "condition: {field: [SourceImage, TargetImage], lte: 9}}"
    ),
    (
        "{type: value_sum, rules: access, group-by: [host.name], timespan: 1h, "
        "condition: {field: SourceProcessId, gt: 20}}"
    ),
    (
        "{type: value_avg, rules: access, group-by: [host.name], timespan: 1h, "
        "condition: {field: SourceProcessId, gt: 2}}"
    ),
    (
        "{type: value_median, rules: access, group-by: [host.name], timespan: 1h, "
        "condition: {field: SourceProcessId, gte: 1}}"
    ),
    (
        "{type: value_percentile, rules: access, group-by: [host.name], timespan: 1h, "
        "condition: {field: SourceProcessId, gte: 1, percentile: 90}}"
    ),
    "{type: temporal, rules: [access, thread], group-by: [host.name], timespan: 1h}",
    "{type: temporal, timespan: 1h, group-by: [host.name], condition: access and not thread}",
    (
        "{type: temporal, rules: [access, thread], group-by: [who], timespan: 1h, "
        "condition: {gte: 1}, aliases: {who: {access: SourceImage, thread: TargetImage}}}"
    ),
]


def events() -> list[dict[str, Any]]:
    """Sysmon events of both kinds on some hosts, a few without the field that is grouped by."""
    random = Random(5)  # noqa: S311 - a seed names the events
    out = []
    for number in range(150):
        code = random.choice(("10", "8"))
        source = random.choice(SOURCES)
        event: dict[str, Any] = {
            "@timestamp": (NOW - timedelta(minutes=number / 3)).isoformat(),
            "event": {"provider": "Microsoft-Windows-Sysmon", "code": code},
            "winlog": {"event_data": {"TargetImage": random.choice(LASSES)}},
            "process": {"pid": random.randint(1, 9)},
        }
        if source is not None:
            event["process"]["executable"] = source
        if random.random() < 0.9:
            event["host"] = {"name": random.choice("abcdefgh")}
        out.append(event)
    return out


def bag(rows: Iterable[Mapping[str, Any]]) -> Counter[Any]:
    """Rows without their order."""
    return Counter(tuple(sorted(row.items(), key=str)) for row in rows)


@pytest.fixture
def loaded(node: Node, fresh_index: FreshIndex, degrade: Degrade) -> tuple[str, list[Document]]:
    """The events on the node, and in memory."""
    index = fresh_index("windows.sysmon_operational")
    mappings, _ = degrade(TABLE.mappings())
    node.client.indices.create(index=index, mappings=mappings)
    documents = [Document(index, str(n), event) for n, event in enumerate(events())]
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    return index, documents


def test_correlations_count_alike(node: Node, loaded: tuple[str, list[Document]]) -> None:
    """Every kind of correlation, with groups and without; most of them find something."""
    index, documents = loaded
    here, there = EmbeddedEngine(lambda _: TABLE), ElasticsearchEngine(node.client)
    found = 0
    for correlation in CORRELATIONS:
        rule = EngineRule("r", "esql", query(correlation, index), ())
        mine = here.run([rule], Memory(documents), None, NOW)["r"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElasticsearchWarning)
            other = there.run([rule], Indices(), None, NOW)["r"]
        assert bag(mine.rows) == bag(other.rows), rule.query
        assert mine.count == other.count
        found += bool(mine.rows)
    assert found >= len(CORRELATIONS) - 2
