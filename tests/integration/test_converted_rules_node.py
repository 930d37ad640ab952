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
from dataclasses import dataclass
from typing import Any

import pytest
from elasticsearch import ApiError, BadRequestError

from ruledeploy.fields import FieldTable, family_of, load_table
from ruledeploy.query.esql import parse_esql
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.sigma_world import grid

UNKNOWN = re.compile(r"Unknown column \[([^\]]+)\]")
# A query of a thousand alternatives takes a busy node half a minute.
PATIENCE_S = 120
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


@dataclass(frozen=True, slots=True)
class Indices:
    """Indices of one family on the node, one after another."""

    node: Node
    fresh: FreshIndex
    degrade: Degrade
    table: FieldTable

    def make(self, number: int) -> str:
        """One more, with an event."""
        index = self.fresh(f"{self.table.family}-{number}")
        mappings, _ = self.degrade(self.table.mappings())
        lowercase = {"lowercase": {"type": "custom", "filter": "lowercase"}}
        settings = {
            "index.mapping.total_fields.limit": 20_000,
            "analysis": {"normalizer": lowercase},
        }
        client = self.node.client
        client.indices.create(index=index, mappings=mappings, settings=settings)
        client.index(index=index, document={"@timestamp": "2026-11-24T00:00:00Z"}, refresh=True)
        return index

    def refused(self, bodies: list[dict[str, Any]]) -> Iterator[str]:
        """The queries that the node does not take."""
        made = 1
        index = self.make(made)
        for body in bodies:
            try:
                if not self.takes(index, body):
                    made += 1
                    index = self.make(made)
                    assert self.takes(index, body), body["query"]
            except ApiError as error:
                yield f"{body['name']} ({self.table.family}): {error}\n  {body['query']}"

    def takes(self, index: str, body: dict[str, Any]) -> bool:
        """Run one query; false where one rule's field is another's object, which no index has both.

        Columns of open families come with events: here they are mapped when they are missed.
        Raises `ApiError` where the node refuses the query.
        """
        client = self.node.client.options(request_timeout=PATIENCE_S)
        if body["language"] != "esql":
            asked = {"query": body["query"], "analyze_wildcard": True, "lenient": False}
            client.search(index=index, query={"query_string": asked}, size=0)
            return True
        parsed = parse_esql(body["query"])
        metadata = f" metadata {', '.join(parsed.metadata)}" if parsed.metadata else ""
        query = f"from {index}{metadata} {parsed.rest} | limit 1"
        # A command's unknown columns are told once those of the commands before it are known.
        while True:
            try:
                client.esql.query(query=query)
            except BadRequestError as error:
                missed = {n for n in UNKNOWN.findall(str(error)) if not self.table.lacks(n)}
                if not missed:
                    raise
                properties = dict.fromkeys(missed, KEYWORD)
                try:
                    client.indices.put_mapping(index=index, properties=properties)
                except BadRequestError:
                    return False
            else:
                return True


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
        counts[family] = len(bodies)
        wrong += Indices(node, fresh_index, degrade, load_table(family)).refused(bodies)
    sys.stdout.write(f"{language}: {dict(counts)}, {len(wrong)} refused by the node\n")
    assert not wrong, f"{len(wrong)} refused\n" + "\n".join(wrong[:20])
    assert counts.total() > 0
