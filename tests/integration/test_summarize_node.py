"""Both engines sum up alike, on a real node; slices, stores and load change no sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from elasticsearch.helpers import bulk

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    EngineRule,
    Indices,
    Load,
    Memory,
    Shape,
    Summary,
    Window,
)
from ruledeploy.engine.asking import Asking
from ruledeploy.engine.kept import MemoryStore
from ruledeploy.engine.questions import Question
from ruledeploy.errors import QueryError, RuledeployError
from support.elasticsearch_node import Degrade, FreshIndex, Node
from support.engine_cases import Generator
from support.engine_values import FIELDS, LOWERCASE
from support.query_fixtures import table_of

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
START = datetime(2026, 1, 5, tzinfo=UTC)
WINDOW = Window(START + timedelta(seconds=5), START + timedelta(seconds=52, milliseconds=1))
# `brief` is left out: of a value that `ignore_above` drops both count nothing, but not alike by id.
SHAPE = Shape(timedelta(seconds=7), ("k", "n.long", "flag", "ip", "name.caseless", "unmapped"), 4)
RULES, DOCUMENTS = 12, 58


class Worlds:
    """Events on the node and in memory, and rules that both engines run."""

    def __init__(self, node: Node, degrade: Degrade, index: str, seed: int) -> None:
        properties, _ = degrade({"properties": FIELDS})
        table = table_of(properties["properties"])
        generator = Generator(Random(seed), index)  # noqa: S311 - a seed names a world
        self.index = index
        self.documents = generator.documents(DOCUMENTS)
        self.here = EmbeddedEngine(lambda _: table)
        self.client = node.client
        node.client.indices.create(index=index, mappings=table.mappings(), settings=LOWERCASE)
        actions = ({"_index": index, "_id": d.id, "_source": d.source} for d in self.documents)
        bulk(node.client, actions, refresh=True)
        self.rules = list(self._sound(generator))

    def _sound(self, generator: Generator) -> Iterator[EngineRule]:
        there = ElasticsearchEngine(self.client)
        found = 0
        while found < RULES:
            rule = generator.case(f"c{found}").rule
            try:
                self.here.run([rule], Memory([]), None, NOW)
                there.run([rule], Indices(self.index), None, NOW)
            except QueryError:
                continue
            found += 1
            yield rule

    def there(self, load: Load | None = None, **options: timedelta) -> ElasticsearchEngine:
        """The engine on the node."""
        return ElasticsearchEngine(self.client, load=load, **options)  # type: ignore[arg-type]

    def local(self, window: Window | None, shape: Shape = SHAPE) -> dict[str, Summary]:
        """What the embedded engine sums up."""
        return self.here.summarize(self.rules, Memory(self.documents), window, NOW, shape)


@pytest.fixture
def worlds(
    request: pytest.FixtureRequest, node: Node, degrade: Degrade, fresh_index: FreshIndex
) -> Worlds:
    """A world per seed."""
    return Worlds(node, degrade, fresh_index("sums"), getattr(request, "param", 1))


@pytest.mark.parametrize("worlds", range(8), indirect=True)
def test_both_engines_sum_up_alike(worlds: Worlds) -> None:
    """Counts, items, histogram, values, samples; with and without a window, however it is cut."""
    source = Indices(worlds.index)
    for window in (None, WINDOW):
        expected = worlds.local(window)
        assert worlds.there().summarize(worlds.rules, source, window, NOW, SHAPE) == expected
    sliced = worlds.there(slice_width=timedelta(seconds=10))
    assert sliced.summarize(worlds.rules, source, WINDOW, NOW, SHAPE) == worlds.local(WINDOW)
    assert any(summary.count for summary in worlds.local(WINDOW).values())


def test_a_timestamp_override_falls_back(worlds: Worlds) -> None:
    """Events that lack it are put in the histogram by `@timestamp`."""
    # An event with several dates is in several buckets there, and in that of the first here.
    single = [d.id for d in worlds.documents if not isinstance(d.source.get("at"), list)]
    query = f"_id:({' OR '.join(single)})"
    worlds.rules = [EngineRule("r", "lucene", query, (worlds.index,), timestamp_field="at")]
    shape = Shape(timedelta(days=1), samples=0)
    there = worlds.there().summarize(worlds.rules, Indices(worlds.index), None, NOW, shape)
    assert there == worlds.local(None, shape)
    assert len(there["r"].histogram) > 1


def test_an_interrupted_run_goes_on(worlds: Worlds) -> None:
    """What was answered before is not asked again; progress counts it as done."""
    told: list[tuple[int, int]] = []
    load = Load(1, lambda done, of: told.append((done, of)), MemoryStore())
    engine = worlds.there(load, slice_width=timedelta(seconds=10))
    rules = [rule for rule in worlds.rules if rule.language == "lucene"]
    source = Indices(worlds.index)
    first = engine.summarize(rules[:2], source, WINDOW, NOW, SHAPE)
    asked = told[-1][1]
    assert told[0] == (0, asked)
    assert told[-1] == (asked, asked)
    told.clear()
    both = engine.summarize(rules, source, WINDOW, NOW, SHAPE)
    assert told[0][0] == asked
    assert first.items() <= both.items()


def test_a_point_in_time_that_is_gone_is_opened_again(worlds: Worlds) -> None:
    """It expired, or its node left: the searches after it are made all the same."""
    body = {"size": 0, "aggs": {"n": {"value_count": {"field": "@timestamp"}}}}
    questions = [Question(str(n), worlds.index, body) for n in range(12)]
    engine = ElasticsearchEngine(worlds.client)
    asked = Asking(worlds.client, Load(1), engine.failure).answers(questions)
    answers = [next(asked)[1]]
    assert not isinstance(answers[0], RuledeployError)
    worlds.client.close_point_in_time(id=answers[0]["pit_id"])
    answers += [answer for _, answer in asked]
    assert len(answers) == len(questions)
    assert all(answer["aggregations"]["n"]["value"] for answer in answers)  # type: ignore[index]


def test_fields_that_cannot_be_counted_are_refused(worlds: Worlds) -> None:
    """There by the node, with the rule's name; here before any event is looked at."""
    worlds.rules = [EngineRule("r", "lucene", "*:*", (worlds.index,))]
    shape = Shape(fields=("t",))
    with pytest.raises(QueryError, match=r"rule r: .*\[t\]"):
        worlds.there().summarize(worlds.rules, Indices(worlds.index), None, NOW, shape)
    with pytest.raises(QueryError, match="the values of t cannot be counted: it is text"):
        worlds.local(None, shape)


def test_documents_by_the_thousand_are_summed_without_being_fetched(worlds: Worlds) -> None:
    """More events than any answer may hold, for every language."""
    documents = [
        Document(worlds.index, f"m{n}", {"@timestamp": 1_767_571_200_000 + n, "k": str(n % 7)})
        for n in range(12_000)
    ]
    actions = ({"_index": worlds.index, "_id": d.id, "_source": d.source} for d in documents)
    bulk(worlds.client, actions, refresh=True)
    worlds.documents += documents
    query = f'from {worlds.index} metadata _id | where k == "3"'
    worlds.rules = [
        EngineRule("lucene", "lucene", "k:3", (worlds.index,)),
        EngineRule("kuery", "kuery", 'k: "3"', (worlds.index,)),
        EngineRule("every", "esql", f"from {worlds.index} metadata _id", ()),
        EngineRule("esql", "esql", query, ()),
    ]
    shape = replace(SHAPE, fields=("k",))
    there = worlds.there().summarize(worlds.rules, Indices(worlds.index), None, NOW, shape)
    here = worlds.local(None, shape)
    assert {name: replace(s, samples=()) for name, s in there.items()} == {
        name: replace(s, samples=()) for name, s in here.items()
    }
