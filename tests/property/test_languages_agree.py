"""A rule finds the same events whatever language it is written in.

`SIGMA_RULES=path` puts the rules of a tree in the place of our own; `pytest -s` shows the counts.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Memory
from ruledeploy.engine.binding import types_of
from ruledeploy.errors import RuleError
from ruledeploy.fields import FieldTable, load_table
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.ir import simplify
from ruledeploy.sigma import RuleSource, load_rules
from ruledeploy.sigma.convert import Target, convert
from support.sigma_world import grid
from support.witnesses import Event, Witnesses, holds_arrays

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENTS = 25
# A text's words are not its characters, and a column that no index has fails in ES|QL.
NOT_COMPARED = frozenset({"analysed-text", "keyword-search", "unmapped-field"})


class Case(NamedTuple):
    """A rule against one family."""

    source: RuleSource
    table: FieldTable


def our_rules() -> Iterator[Case]:
    """Rules written here: every log source with every modifier."""
    files = {f"{number}.yml": text for number, (_, text) in enumerate(grid())}
    families = [logs.family for logs, _ in grid()]
    loaded = load_rules(files)
    assert not loaded.errors, loaded.errors
    for source in loaded.rules:
        yield Case(source, load_table(families[int(source.path.removesuffix(".yml"))]))


def rules_of(root: Path) -> Iterator[Case]:
    """The rules of a tree; Windows ones as Winlogbeat ships them, others in ECS."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.yml")}
    for source in load_rules(files).rules:
        family = "winlogbeat" if source.logsource.product == "windows" else "ecs"
        if source.kind == "rule":
            yield Case(source, load_table(family))


class Comparison:
    """Runs rules in each language over events made for them, and counts what came of it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.differences: list[str] = []

    def put(self, case: Case, seed: int) -> None:
        """Compare one rule in the languages that can say it."""
        queries: dict[str, str] = {}
        codes: set[str] = set()
        for language in ("lucene", "eql", "esql"):
            try:
                converted = convert(case.source, Target(language, (case.table.index,), case.table))
            except RuleError:
                self.counts[f"refused by {language}"] += 1
                continue
            queries[language] = converted.query
            codes |= {finding.code for finding in converted.findings}
        if {"eql", "lucene"} <= queries.keys():
            self.counts["rules"] += 1
            node = simplify(parse_eql(queries["eql"], types_of([case.table])))
            events = Witnesses(case.table, seed).events(node, EVENTS)
            self._compare(case, "eql", queries, events)
            if "esql" in queries and not codes & NOT_COMPARED:
                single = [event for event in events if not holds_arrays(event)]
                self._compare(case, "esql", queries, single)

    def _compare(
        self, case: Case, language: str, queries: dict[str, str], events: list[Event]
    ) -> None:
        wanted, found = (
            self._found(case, each, queries[each], events) for each in ("lucene", language)
        )
        self.counts[f"rules compared with {language}"] += 1
        self.counts[f"rules with a hit ({language})"] += bool(wanted)
        self.counts[f"events compared with {language}"] += len(events)
        self.counts[f"hits compared with {language}"] += len(wanted)
        for number in sorted(wanted ^ found):
            self.differences.append(
                f"{case.source.path}: {language} {'misses' if number in wanted else 'adds'} "
                f"{events[int(number)]}\n  {queries['lucene']}\n  {queries[language]}"
            )

    def _found(self, case: Case, language: str, query: str, events: list[Event]) -> set[str]:
        index = case.table.index.replace("*", "default")
        documents = [Document(index, str(number), event) for number, event in enumerate(events)]
        rule = EngineRule("r", language, query, (case.table.index,))
        engine = EmbeddedEngine(lambda _: case.table)
        return set(engine.run([rule], Memory(documents), None, NOW)["r"].event_ids)


def test_a_rule_finds_the_same_events_in_every_language() -> None:
    """Over events made to hit each rule and to miss it narrowly: in case, in a field, in arrays."""
    root = os.environ.get("SIGMA_RULES")
    cases = rules_of(Path(root)) if root else our_rules()
    comparison = Comparison()
    for seed, case in enumerate(cases):
        comparison.put(case, seed)
    counts = comparison.counts
    sys.stdout.write(f"{dict(counts)}\n")
    assert not comparison.differences, "\n".join(comparison.differences[:20])
    assert counts["rules compared with eql"] >= 300
    assert counts["rules compared with esql"] >= 300
    # The events are worth something only if nearly every rule finds some of them, not all.
    # Rules over fields that the table lacks find none, and are not compared in ES|QL.
    assert counts["rules with a hit (esql)"] > 0.95 * counts["rules compared with esql"]
    assert counts["hits compared with eql"] < 0.8 * counts["events compared with eql"]
