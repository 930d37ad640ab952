"""Compiled correlations count the same on a real Elasticsearch and in process.

`DIFF_WORLDS` sets of how many worlds generated ones are compared, `DIFF_SEED` where seeds begin.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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
from support.correlations import generated, query
from support.elasticsearch_node import Degrade, FreshIndex, Node

WORLDS = int(os.environ.get("DIFF_WORLDS", "3"))
SEED = int(os.environ.get("DIFF_SEED", "0"))
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


def events(random: Random, *, several: float = 0.0) -> list[dict[str, Any]]:
    """Sysmon events of both kinds on some hosts, a few without the field that is grouped by.

    A share of the images has `several` values, which rules that compare one pass over.
    """
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
        if random.random() < several:
            event["process"]["executable"] = list(SOURCES[:2])
        if random.random() < several:
            event["winlog"]["event_data"]["TargetImage"] = list(LASSES[1:])
        if random.random() < several:
            event["process"]["pid"] = [3, 7]
        out.append(event)
    return out


def bag(rows: Iterable[Mapping[str, Any]]) -> Counter[Any]:
    """Rows without their order, doubles to twelve digits."""
    return Counter(tuple(sorted((k, plain(v)) for k, v in row.items())) for row in rows)


def plain(value: Any) -> Any:
    """A value that compares: sums of doubles depend on their order."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def loaded(
    node: Node, fresh_index: FreshIndex, degrade: Degrade, made: list[dict[str, Any]]
) -> tuple[str, list[Document]]:
    """The events on the node, and in memory."""
    index = fresh_index("windows.sysmon_operational")
    mappings, _ = degrade(TABLE.mappings())
    node.client.indices.create(index=index, mappings=mappings)
    documents = [Document(index, str(n), event) for n, event in enumerate(made)]
    actions = ({"_index": index, "_id": one.id, "_source": one.source} for one in documents)
    bulk(node.client, actions, refresh=True)
    return index, documents


def differences(node: Node, queries: Iterable[str], documents: list[Document]) -> Iterator[str]:
    """The queries of which the engines give other rows, each with both, and the number of rows."""
    here, there = EmbeddedEngine(lambda _: TABLE), ElasticsearchEngine(node.client)
    for text in queries:
        rule = EngineRule("r", "esql", text, ())
        mine = here.run([rule], Memory(documents), None, NOW)["r"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElasticsearchWarning)
            other = there.run([rule], Indices(), None, NOW)["r"]
        if bag(mine.rows) != bag(other.rows) or mine.count != other.count:
            only_mine, only_other = (
                bag(mine.rows) - bag(other.rows),
                bag(other.rows) - bag(mine.rows),
            )
            yield f"{text}\n   here {only_mine}\n  there {only_other}"


def test_correlations_count_alike(node: Node, fresh_index: FreshIndex, degrade: Degrade) -> None:
    """Every kind of correlation, with groups and without; most of them find something."""
    made = events(Random(5))  # noqa: S311 - a seed names the events
    index, documents = loaded(node, fresh_index, degrade, made)
    queries = [query(correlation, index) for correlation in CORRELATIONS]
    assert not list(differences(node, queries, documents))
    rules = [EngineRule(str(n), "esql", text, ()) for n, text in enumerate(queries)]
    found = EmbeddedEngine(lambda _: TABLE).run(rules, Memory(documents), None, NOW)
    assert sum(bool(hits.rows) for hits in found.values()) >= len(CORRELATIONS) - 2


@pytest.mark.parametrize("seed", range(SEED, SEED + WORLDS))
def test_generated_correlations_count_alike(
    seed: int, node: Node, fresh_index: FreshIndex, degrade: Degrade
) -> None:
    """Forty of any kind, over events some of which have fields of several values."""
    random = Random(seed)  # noqa: S311 - a seed names a world
    index, documents = loaded(node, fresh_index, degrade, events(random, several=0.15))
    queries = [query(generated(random), index) for _ in range(40)]
    assert not list(differences(node, queries, documents))
