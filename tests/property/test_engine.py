"""Laws of the embedded engine, in generated worlds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Hits, Memory
from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import build_exception_filter
from support.engine_cases import Generator
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
ENGINE = EmbeddedEngine(lambda _: TABLE)


def run(rules: Sequence[EngineRule], documents: Sequence[Document]) -> dict[str, Hits]:
    """All rules over all documents."""
    return ENGINE.run(rules, Memory(documents), None, NOW)


def sound(generator: Generator, count: int) -> list[EngineRule]:
    """Rules that the engine does not refuse."""
    rules: list[EngineRule] = []
    for number in range(count):
        rule = generator.case(f"c{number}").rule
        try:
            run([rule], [])
        except QueryError:
            continue
        rules.append(rule)
    return rules


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_rules_together_find_what_each_finds_alone(seed: int) -> None:
    """Sharing tests and filing rules under the rare ones changes no answer."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    rules = sound(generator, 30)
    # More documents than the sample from which the engine learns what is rare.
    documents = generator.documents(260)
    together = run(rules, documents)
    for rule in rules:
        found = [run([rule], [document])[rule.rule_id] for document in documents[190:230]]
        alone = {event for hits in found for event in hits.event_ids}
        expected = {document.id for document in documents[190:230]}
        assert set(together[rule.rule_id].event_ids) & expected == alone


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_an_exception_only_takes_away(seed: int) -> None:
    """What alerts with items is what alerts without them, less what they suppress."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    documents = generator.documents(20)
    for rule in sound(generator, 10):
        bare = EngineRule(rule.rule_id, rule.language, rule.query, rule.index)
        hits = run([rule], documents)[rule.rule_id]
        hidden = set[str]().union(*hits.suppressed.values())
        alone = run([bare], documents)[rule.rule_id]
        assert set(hits.event_ids) == set(alone.event_ids) - hidden
        assert hidden <= set(alone.event_ids)
        assert hits.count == len(hits.event_ids)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_the_filter_is_its_items(seed: int) -> None:
    """Kibana's one filter hides what the items' clauses hide, each asked by itself."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    items = generator.items()
    built = build_exception_filter(items, NOW)
    assert built.filter is not None
    assert built.items == items
    assert len(built.filter["query"]["bool"]["should"]) == len(items)
