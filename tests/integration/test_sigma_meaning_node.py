"""Converted rules on a real Elasticsearch: none is refused, and each means what Sigma means.

The rules are our own grid (every log source with every modifier); `SIGMA_RULES=path` puts a tree of
rules in its place, `SIGMA_SAMPLE` how many of them, spread over the tree. Each rule is asked of
events made to hit and to miss it narrowly, in Lucene and ES|QL, on the node and in process; the
answer must be that of `support.sigma_meaning`. `pytest -s` shows the counts.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import ApiError, ElasticsearchWarning
from elasticsearch.helpers import bulk

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.errors import RuledeployError
from ruledeploy.fields import FieldTable, FieldType, load_table
from ruledeploy.query.ir import fields_used
from ruledeploy.query.parse import parse_query
from ruledeploy.sigma import RuleSource, load_rules
from ruledeploy.sigma.convert import Target, convert
from ruledeploy.sigma.detection import build
from ruledeploy.sigma.taxonomy import taxonomy_for
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.sigma_meaning import Meaning
from support.sigma_world import grid
from support.witnesses import Event, Witnesses, holds_arrays

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENTS = 12
SAMPLE = int(os.environ.get("SIGMA_SAMPLE", "400"))
LANGUAGES = ("lucene", "esql")
CASE, SINGLE = "ruledeploy_case", "ruledeploy_single"
# A text's words are not its characters: Lucene asks the words.
WORDS = frozenset({"analysed-text", "keyword-search"})
# Of a network in a keyword Lucene asks the text, which need be no address.
TEXTUAL = frozenset({"address-as-text"})


@dataclass(frozen=True, slots=True)
class Case:
    """A rule against one family, with its queries and its events."""

    number: int
    source: RuleSource
    table: FieldTable
    queries: dict[str, str]
    codes: frozenset[str]
    unlisted: frozenset[str]
    events: tuple[Event, ...]
    meaning: Meaning


def sources() -> Iterator[tuple[RuleSource, str]]:
    """The rules to try, each with a family."""
    root = os.environ.get("SIGMA_RULES")
    if root is None:
        files = {f"{n}.yml": text for n, (_, text) in enumerate(grid())}
        families = [logs.family for logs, _ in grid()]
        for source in load_rules(files).rules:
            yield source, families[int(source.path.removesuffix(".yml"))]
        return
    paths = sorted(Path(root).rglob("*.yml"))
    step = max(len(paths) // SAMPLE, 1)
    files = {str(path): path.read_bytes() for path in paths[::step]}
    for source in load_rules(files).rules:
        if source.kind == "rule":
            yield source, "winlogbeat" if source.logsource.product == "windows" else "ecs"


def cases(counts: Counter[str]) -> Iterator[Case]:
    """Every rule that both languages can say."""
    for number, (source, family) in enumerate(sources()):
        table = load_table(family)
        counts["rules"] += 1
        try:
            made = {
                language: convert(source, Target(language, (table.index,), table))
                for language in LANGUAGES
            }
        except RuledeployError:
            counts["refused by us"] += 1
            continue
        log = source.logsource
        taxonomy = taxonomy_for(family, log.product, log.category, log.service)
        tree = build(source, taxonomy, table).tree()
        node = parse_query("lucene", made["lucene"].query).node
        names = {name for name in fields_used(node) if "*" not in name}
        events = Witnesses(table, number).events(node, EVENTS)
        yield Case(
            number,
            source,
            table,
            {language: each.query for language, each in made.items()},
            frozenset(finding.code for each in made.values() for finding in each.findings),
            frozenset(name for name in names if _comes_with_events(name, table)),
            tuple(events),
            Meaning(tree, table),
        )


def _comes_with_events(name: str, table: FieldTable) -> bool:
    """Whether an index maps the field only once an event has it."""
    listed = {name, name.rpartition(".")[0]} & table.fields.keys()
    return not listed and not table.lacks(name)


class World:
    """The cases of one family on the node."""

    def __init__(self, node: Node, index: str, degrade: Degrade, some: list[Case]) -> None:
        self.node = node
        self.index = index
        self.table = some[0].table
        names = {name for case in some for name in case.unlisted}
        clash = {a for a in names for b in names if b.startswith(f"{a}.")}
        self.clashing = frozenset(clash)
        self.cases = [case for case in some if not case.unlisted & clash]
        properties, _ = degrade(self.table.mappings())
        extra = {name: FieldType("keyword", ignore_above=1024).to_mapping() for name in names}
        node.client.indices.create(
            index=index,
            mappings=properties,
            settings={
                "index.mapping.total_fields.limit": 20_000,
                "index.mapping.ignore_malformed": True,
                "analysis": {
                    "normalizer": {"lowercase": {"type": "custom", "filter": "lowercase"}}
                },
            },
        )
        more = {CASE: {"type": "integer"}, SINGLE: {"type": "integer"}} | {
            n: e for n, e in extra.items() if n not in clash
        }
        node.client.indices.put_mapping(index=index, properties=more)
        self.refused = self._load()

    def _load(self) -> set[str]:
        """The events of every case; what the node refuses to index is left out everywhere."""
        actions = (
            {"_index": self.index, "_id": f"{case.number}-{n}", "_source": self._source(case, e)}
            for case in self.cases
            for n, e in enumerate(case.events)
        )
        _, wrong = bulk(self.node.client, actions, refresh=True, raise_on_error=False)
        failed: list[Any] = wrong if isinstance(wrong, list) else []
        return {str(one["index"]["_id"]) for one in failed}

    def _source(self, case: Case, event: Event) -> dict[str, Any]:
        # Each comparison of several values is a warning of ES|QL's, which a client cannot read by
        # the hundred: such events are not asked about.
        single = {} if holds_arrays(event) else {SINGLE: case.number}
        return {**event, CASE: case.number, **single}

    def asked(self, case: Case, language: str) -> set[str]:
        """The ids the node finds among the case's events."""
        query = case.queries[language]
        only = {"term": {CASE if language == "lucene" else SINGLE: case.number}}
        if language == "lucene":
            text = {"query_string": {"query": query, "analyze_wildcard": True}}
            answer = self.node.client.search(
                index=self.index, query={"bool": {"must": [text], "filter": [only]}}, size=1000
            )
            return {hit["_id"] for hit in answer["hits"]["hits"]}
        asked = query.replace(f"from {self.table.index} ", f"from {self.index} ", 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ElasticsearchWarning)
            answer = self.node.client.esql.query(
                query=f"{asked} | keep _id | limit 1000", filter=only
            )
        return {str(row[0]) for row in answer["values"]}

    def here(self, case: Case, language: str) -> set[str]:
        """The ids the embedded engine finds."""
        index = self.table.index.replace("*", "default")
        documents = [
            Document(index, f"{case.number}-{n}", event) for n, event in enumerate(case.events)
        ]
        rule = EngineRule("r", language, case.queries[language], (self.table.index,))
        engine = EmbeddedEngine(lambda _: self.table)
        return set(engine.run([rule], Memory(documents), None, NOW)["r"].event_ids)


def compare(world: World, counts: Counter[str]) -> Iterator[str]:
    """What differs, told with the rule, the event and the query."""
    for case in world.cases:
        for language in LANGUAGES:
            try:
                there = world.asked(case, language)
            except ApiError as error:
                counts[f"refused by the node ({language})"] += 1
                yield f"{case.source.path}: {language} refused: {error}\n  {case.queries[language]}"
                continue
            counts[f"accepted by the node ({language})"] += 1
            if case.codes & (WORDS if language == "esql" else WORDS | TEXTUAL):
                continue
            counts[f"compared ({language})"] += 1
            here = world.here(case, language)
            for n, event in enumerate(case.events):
                identity = f"{case.number}-{n}"
                if identity in world.refused or (language == "esql" and holds_arrays(event)):
                    continue
                wanted = case.meaning.holds(event)
                counts[f"{'hits' if wanted else 'misses'} ({language})"] += 1
                answers = (identity in there, identity in here)
                if answers != (wanted, wanted):
                    yield (
                        f"{case.source.path}: {language}: Sigma {wanted}, node {answers[0]}, "
                        f"here {answers[1]}: {event}\n  {case.queries[language]}"
                    )


@pytest.mark.filterwarnings("ignore::elasticsearch.ElasticsearchWarning")
def test_rules_mean_on_the_node_what_sigma_means(
    node: Node, fresh_index: FreshIndex, degrade: Degrade
) -> None:
    """Every rule runs, and finds what an evaluator of Sigma's own tree finds."""
    counts: Counter[str] = Counter()
    families: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases(counts):
        families[case.table.family].append(case)
    different: list[str] = []
    for family, some in sorted(families.items()):
        world = World(node, fresh_index(family), degrade, some)
        counts["left out: a field and an object of one name"] += len(some) - len(world.cases)
        different += compare(world, counts)
    sys.stdout.write(f"{dict(counts)}\n")
    assert not different, f"{len(different)} differ\n" + "\n".join(different[:20])
    for language in LANGUAGES:
        assert counts[f"compared ({language})"] >= 300
        assert counts[f"hits ({language})"] > counts[f"compared ({language})"]
