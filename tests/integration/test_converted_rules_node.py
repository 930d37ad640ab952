"""A real Elasticsearch takes every query that `convert` prints, over the mappings it is for.

The rules are our own grid; `SIGMA_RULES=path:path` puts trees of rules in its place. Lucene is
asked without the leniency that lets a broken clause find nothing in silence. `pytest -s` shows the
counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError

from ruledeploy.fields import FieldTable, family_of, load_table
from ruledeploy.query.esql import parse_esql
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.sigma_world import grid

UNKNOWN = re.compile(r"Unknown column \[([^\]]+)\]")
KEYWORD = {"type": "keyword", "ignore_above": 1024}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Folders of rules."""
    if "SIGMA_RULES" in os.environ:
        return os.environ["SIGMA_RULES"].split(os.pathsep)
    root = tmp_path_factory.mktemp("grid")
    for number, (_, text) in enumerate(grid()):
        (root / f"{number}.yml").write_bytes(text)
    return [str(root)]


def converted(paths: list[str], language: str) -> list[dict[str, Any]]:
    """The bodies of all rules that the language can express."""
    command = [sys.executable, "-m", "ruledeploy", "convert", *paths, "--language", language]
    done = subprocess.run(
        [*command, "-f", "ndjson", "--skip-refused"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    sys.stdout.write(f"{language}: {done.stderr.splitlines()[-1]}\n")
    return [json.loads(line) for line in done.stdout.splitlines()]


def tables(bodies: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The bodies by the family of their indices."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in bodies:
        index = body.get("index") or parse_esql(body["query"]).sources
        found[family_of(index[0])].append(body)
    return found


def refused(
    node: Node, index: str, table: FieldTable, bodies: list[dict[str, Any]]
) -> Iterator[str]:
    """The queries that the node does not take."""
    for body in bodies:
        try:
            ask(node, index, table, body)
        except ApiError as error:
            yield f"{body['name']} ({table.family}): {error}\n  {body['query']}"


def ask(node: Node, index: str, table: FieldTable, body: dict[str, Any]) -> None:
    """Run one query. Columns of open families come with events: here they are mapped when missed.

    Raises `ApiError` where the node refuses it.
    """
    if body["language"] != "esql":
        asked = {"query": body["query"], "analyze_wildcard": True, "lenient": False}
        node.client.search(index=index, query={"query_string": asked}, size=0)
        return
    _, _, rest = body["query"].partition(" metadata ")
    query = f"from {index} metadata {rest} | limit 1"
    try:
        node.client.esql.query(query=query)
    except BadRequestError as error:
        missed = {name for name in UNKNOWN.findall(str(error)) if not table.lacks(name)}
        if not missed:
            raise
        node.client.indices.put_mapping(index=index, properties=dict.fromkeys(missed, KEYWORD))
        node.client.esql.query(query=query)


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
@pytest.mark.parametrize("language", ["lucene", "esql"])
def test_the_node_takes_every_query(
    node: Node,
    fresh_index: FreshIndex,
    degrade: Degrade,
    paths: list[str],
    language: str,
) -> None:
    """None is refused, and none would find nothing because a clause of it fails."""
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for family, bodies in tables(converted(paths, language)).items():
        table = load_table(family)
        index = fresh_index(family)
        make(node, index, degrade, table)
        counts[family] = len(bodies)
        wrong += refused(node, index, table, bodies)
    sys.stdout.write(f"{language}: {dict(counts)}, {len(wrong)} refused by the node\n")
    assert not wrong, f"{len(wrong)} refused\n" + "\n".join(wrong[:20])
    assert counts.total() > 0


def make(node: Node, index: str, degrade: Degrade, table: FieldTable) -> None:
    """The family's index, with one event."""
    mappings, _ = degrade(table.mappings())
    lowercase = {"lowercase": {"type": "custom", "filter": "lowercase"}}
    settings = {
        "index.mapping.total_fields.limit": 20_000,
        "analysis": {"normalizer": lowercase},
    }
    node.client.indices.create(index=index, mappings=mappings, settings=settings)
    node.client.index(index=index, document={"@timestamp": "2026-11-24T00:00:00Z"}, refresh=True)
