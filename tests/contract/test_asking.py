"""What the cluster's engine asks of a slow or forgetful cluster: the stack, told to be one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch, helpers

from ruledeploy.engine import (
    ElasticsearchEngine,
    EngineRule,
    Indices,
    Load,
    Shape,
    Summary,
    Window,
    client,
)
from ruledeploy.engine.asking import Asking
from ruledeploy.engine.kept import MemoryStore
from ruledeploy.engine.questions import Question
from ruledeploy.errors import RuledeployError
from ruledeploy.stack import Running, running_stack
from ruledeploy.stack.config import Faults

START = datetime(2026, 11, 23, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(minutes=9))
RULES = [EngineRule(f"r{code}", "lucene", f"event.code:{code}", ("logs-x",)) for code in range(3)]


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Running]:
    """A stack whose every answer takes 300 ms."""
    faults = Faults(latency_ms={"elasticsearch": 300})
    with running_stack(tmp_path, faults=faults) as running:
        yield running


@pytest.fixture
def es(slow: Running) -> Iterator[Elasticsearch]:
    """Its client, with ten events a minute apart."""
    with Elasticsearch(slow.elasticsearch_url) as node:
        actions = (
            {
                "_index": "logs-x",
                "_id": str(n),
                "@timestamp": (START + timedelta(minutes=n)).isoformat(),
                "event": {"code": str(n % 3)},
            }
            for n in range(10)
        )
        helpers.bulk(node, actions, refresh=True)
        yield node


def sums(client: Elasticsearch, load: Load | None = None) -> dict[str, Summary]:
    """What the rules find, in slices."""
    engine = ElasticsearchEngine(client, load=load, slice_width=timedelta(minutes=4))
    return engine.summarize(RULES, Indices(), WINDOW, START, Shape())


def left_over(client: Elasticsearch) -> int:
    """How many async searches the cluster still keeps."""
    if not client.indices.exists(index=".async-search"):
        return 0
    return int(client.count(index=".async-search")["count"])


def test_what_outlasts_a_request_goes_on_as_async_searches(es: Elasticsearch) -> None:
    """The sums are the same, and no search is left behind."""
    told: list[tuple[int, int]] = []
    load = Load(2, lambda done, of: told.append((done, of)), patience=0.1)
    expected = sums(es)
    assert expected["r0"].count == 4
    assert sums(es, load) == expected
    assert told == [(done, 9) for done in range(10)]
    assert left_over(es) == 0


def questions() -> list[Question]:
    """Three searches."""
    body = {"size": 0, "aggs": {"n": {"value_count": {"field": "event.code"}}}}
    return [Question(str(n), "logs-x", {**body, "track_total_hits": n + 1}) for n in range(3)]


def failure(rule_id: str, body: object, status: int) -> RuledeployError:
    """Any error."""
    return client.failure(f"{rule_id}: {client.reason(body)}", status, "")


def test_an_interrupted_run_finds_its_searches_again(es: Elasticsearch) -> None:
    """With a store they go on without us, and the next run asks after them; then they are gone."""
    load = Load(3, store=MemoryStore(), patience=0.1)
    first = Asking(es, load, failure).answers(questions())
    assert len(list(islice(first, 1))) == 1
    first.close()
    assert left_over(es) == 2
    started = es.search(index=".async-search")["hits"]["hits"]
    again = list(Asking(es, load, failure).answers(questions()))
    assert len(again) == 3
    assert len(started) == 2
    assert left_over(es) == 0


def test_without_a_store_nothing_goes_on_without_us(es: Elasticsearch) -> None:
    """Nobody could ask after it."""
    answers = Asking(es, Load(3, patience=0.1), failure).answers(questions())
    next(answers)
    answers.close()
    assert left_over(es) == 0


def test_a_search_that_the_cluster_lost_is_begun_again(es: Elasticsearch) -> None:
    """Once: it was kept too long, say."""
    load = Load(3, store=MemoryStore(), patience=0.1)
    first = Asking(es, load, failure).answers(questions())
    next(first)
    first.close()
    for hit in es.search(index=".async-search")["hits"]["hits"]:
        es.async_search.delete(id=hit["_id"])
    again = [answer for _, answer in Asking(es, load, failure).answers(questions())]
    assert len(again) == 3
    assert not any(isinstance(answer, RuledeployError) for answer in again)


def test_a_search_that_is_refused_is_an_error_of_its_own(es: Elasticsearch) -> None:
    """The others are answered."""
    bad = Question("bad", "logs-x", {"query": {"nonsense": {}}})
    asked = Asking(es, Load(2, patience=0.1), failure).answers([*questions(), bad])
    refused = {q.rule_id for q, answer in asked if isinstance(answer, RuledeployError)}
    assert refused == {"bad"}
    assert left_over(es) == 0
