"""EQL rules on the engines: indices, exceptions, and what a cluster is asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import pytest
from elasticsearch import Elasticsearch

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    EngineRule,
    Hits,
    Indices,
    Memory,
    Window,
)
from ruledeploy.errors import QueryError, RuledeployError
from ruledeploy.fields import FieldTable, FieldType

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
ITEM = {
    "item_id": "known",
    "entries": [{"type": "match", "operator": "included", "field": "k", "value": "x"}],
}


def table(family: str, *fields: str) -> FieldTable:
    """A family's table of keywords, with a timestamp."""
    types = {name: FieldType("keyword") for name in fields} | {"@timestamp": FieldType("date")}
    return FieldTable(family, family, MappingProxyType(types))


TABLES = {"a": table("a", "k", "only.a"), "b": table("b", "k", "only.b")}
ENGINE = EmbeddedEngine(TABLES.__getitem__)


def rule(query: str, *index: str, **changes: Any) -> EngineRule:
    """An EQL rule over some indices."""
    return EngineRule("r", "eql", query, index or ("a",), **changes)


def event(identity: str, index: str = "a", **source: Any) -> Document:
    """An event at noon."""
    return Document(index, identity, {"@timestamp": "2026-01-06T12:00:00Z"} | source)


def run(one: EngineRule, *documents: Document) -> Hits:
    """The hits of one rule."""
    return ENGINE.run([one], Memory(documents), None, NOW)["r"]


def test_exceptions_hide_what_they_hide_in_any_language() -> None:
    """An item's events are counted under it and do not alert."""
    hits = run(rule('any where k : "*"', items=(ITEM,)), event("1", k="x"), event("2", k="y"))
    assert hits == Hits(1, ("2",), {"known": ("1",)})


def test_a_field_of_one_index_is_there_for_all() -> None:
    """As Elasticsearch, which merges the fields of what a query searches."""
    documents = (
        event("1", **{"only.a": "x"}),
        event("2", "b", k="y"),
        event("3", "b", **{"only.b": "x"}),
    )
    negative = rule('any where not only.a == "x" and not only.b == "x"', "a", "b")
    assert run(negative, *documents).event_ids == ("2",)
    with pytest.raises(QueryError, match=r"rule r: unknown column only\.b"):
        run(rule(negative.query))


def test_a_rule_that_cannot_run_fails_before_any_event() -> None:
    """Its id and the place are in the error."""
    with pytest.raises(QueryError, match=r"rule r: EQL compares no field") as raised:
        run(rule("any where k == only.a"), Document("a", "1", {"not": "read"}))
    assert raised.value.position == 12


class Cluster:
    """A cluster with EQL, as far as a search goes: it answers what it is given, by time."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.asked: list[dict[str, Any]] = []

    @property
    def eql(self) -> Cluster:
        """The client's namespace of EQL."""
        return self

    def search(self, **request: Any) -> Mapping[str, Any]:
        """The events in the request's window, no more than its size."""
        self.asked.append(request)
        filters = request["filter"]["bool"]["filter"]
        bounds = next(each["range"]["@timestamp"] for each in filters if "range" in each)
        low, high = (datetime.fromisoformat(bounds[key]) for key in ("gte", "lte"))
        found = [
            each
            for each in self.events
            if low <= datetime.fromisoformat(each["_source"]["@timestamp"]) <= high
        ]
        return {"hits": {"events": found[: request["size"]]}}


def asked_of(cluster: Cluster, one: EngineRule, window: Window) -> Hits:
    """The hits that the engine makes of a cluster's answers."""
    engine = ElasticsearchEngine(cast("Elasticsearch", cluster))
    return engine.run([one], Indices(), window, NOW)["r"]


def test_a_cluster_is_asked_with_the_window_and_the_exceptions_in_the_filter() -> None:
    """Where Kibana puts them; once for the alerts and once for each item."""
    cluster = Cluster([{"_id": "1", "_source": {"@timestamp": "2026-01-06T12:00:00+00:00"}}])
    window = Window(NOW - timedelta(hours=1), NOW)
    hits = asked_of(cluster, rule("any where true", "a-*", "b-*", items=(ITEM,)), window)
    assert hits == Hits(1, ("1",), {"known": ("1",)})
    alerts, item = cluster.asked
    assert (alerts["index"], alerts["query"]) == ("a-*,b-*", "any where true")
    hidden, times = alerts["filter"]["bool"]["filter"]
    assert list(hidden["bool"]) == ["must_not"]
    assert times == item["filter"]["bool"]["filter"][1]


def test_a_full_answer_of_a_cluster_is_asked_again_by_halves() -> None:
    """No event is lost to the size of an answer."""
    start = NOW - timedelta(hours=1)
    events = [
        {"_id": str(n), "_source": {"@timestamp": (start + timedelta(milliseconds=n)).isoformat()}}
        for n in range(12_000)
    ]
    cluster = Cluster(events)
    hits = asked_of(cluster, rule("any where true"), Window(start, NOW))
    assert hits.count == 12_000
    assert len(set(hits.event_ids)) == 12_000
    assert len(cluster.asked) > 2


def test_more_events_in_a_millisecond_than_an_answer_holds_is_an_error() -> None:
    """Never silence."""
    same = {"@timestamp": NOW.isoformat()}
    cluster = Cluster([{"_id": str(n), "_source": same} for n in range(10_001)])
    with pytest.raises(RuledeployError, match="in one millisecond"):
        asked_of(cluster, rule("any where true"), Window(NOW, NOW))
