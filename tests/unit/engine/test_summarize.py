"""Summing up in this process, and asking a cluster gently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from elasticsearch import Elasticsearch

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Files, Load, Memory, Shape
from ruledeploy.engine.aggregation import slices
from ruledeploy.engine.asking import Asking
from ruledeploy.engine.protocol import Summary, Window
from ruledeploy.engine.questions import Question
from ruledeploy.errors import RuledeployError, ServerError
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
DAY = datetime(2026, 1, 5, tzinfo=UTC)
ITEM = {
    "item_id": "i",
    "entries": [{"type": "match", "operator": "included", "field": "k", "value": "b"}],
}


def test_hits_are_summed_up() -> None:
    """Counts, items, buckets, values, samples, ends."""
    events = [
        Document("a", f"e{n}", {"@timestamp": f"2026-01-0{5 + n // 4}T0{n}:00:00Z", "k": value})
        for n, value in enumerate(["a", "b", "c", ["a", "c"], "c", "b"])
    ]
    events.append(Document("a", "timeless", {"k": "z"}))
    rule = EngineRule("r", "lucene", "k:*", ("*",), (ITEM,))
    shape = Shape(timedelta(hours=12), ("k", "other"), 2, 3)
    engine = EmbeddedEngine(lambda _: TABLE)
    assert engine.summarize([rule], Memory(events), None, NOW, shape)["r"] == Summary(
        5,
        {"i": 2},
        ((DAY, 3), (DAY + timedelta(days=1), 1)),
        {"k": (("c", 3), ("a", 2)), "other": ()},
        ("e0", "e2", "e3"),
        DAY,
        DAY + timedelta(days=1, hours=4),
    )


def test_processes_add_up(tmp_path: Path) -> None:
    """Several sum up to what one does."""
    lines = [
        json.dumps({"@timestamp": 1_767_571_200_000 + n, "k": str(n % 5), "pad": "p" * 900})
        for n in range(20_000)
    ]
    (tmp_path / "large.ndjson").write_text("\n".join(lines))
    rules = [EngineRule("r", "lucene", "NOT k:3", ("*",), (ITEM,))]
    shape = Shape(timedelta(seconds=3), ("k",))
    one, two = (
        EmbeddedEngine(lambda _: TABLE, jobs=jobs).summarize(
            rules, Files((tmp_path,)), None, NOW, shape
        )
        for jobs in (1, 2)
    )
    assert one == two
    assert one["r"].count == 16_000


def test_slices_cover_a_window_once() -> None:
    """To the millisecond, both ends included."""
    window = Window(DAY, DAY + timedelta(milliseconds=25))
    cut = [part for part in slices(window, timedelta(milliseconds=10)) if part]
    assert [(part.start - DAY, part.end - DAY) for part in cut] == [
        (timedelta(milliseconds=low), timedelta(milliseconds=high))
        for low, high in ((0, 9), (10, 19), (20, 25))
    ]


class Busy:
    """A cluster that is too busy for all but the first search of each request."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.sizes: list[int] = []
        self.closed = 0
        self.opened: list[tuple[str, int]] = []

    def open_point_in_time(self, *, index: str, **_: Any) -> dict[str, str]:
        """A point in time; how many requests were made and points closed before it is noted."""
        self.opened.append((index, len(self.sizes) + self.closed))
        return {"id": "point"}

    def close_point_in_time(self, **_: Any) -> None:
        """Close it."""
        self.closed += 1

    def msearch(self, *, searches: Sequence[Any], max_concurrent_searches: int) -> dict[str, Any]:
        """Refuse all but the first, as long as there are refusals left."""
        assert max_concurrent_searches == 2
        count = len(searches) // 2
        self.sizes.append(count)
        self.refusals -= 1
        refused = {"status": 429, "error": {"reason": "busy"}}
        return {
            "responses": [
                {"status": 200, "n": place} if place == 0 or self.refusals < 0 else refused
                for place in range(count)
            ]
        }


def asked(cluster: Busy, pauses: tuple[float, ...]) -> list[Any]:
    """The answers to ten questions."""
    client = cast("Elasticsearch", cluster)

    def failure(rule_id: str, _: Any, status: int) -> RuledeployError:
        return ServerError(f"rule {rule_id}", url="", status=status)

    asking = Asking(client, Load(max_concurrent=2), failure, pauses)
    questions = [Question(str(n), "index", {"size": n}) for n in range(10)]
    return [answer for _, answer in asking.answers(questions)]


def test_a_busy_cluster_is_asked_again() -> None:
    """Only what it refused, a batch at a time; its point in time is closed."""
    cluster = Busy(2)
    answers = asked(cluster, (0, 0, 0))
    assert not any(isinstance(answer, RuledeployError) for answer in answers)
    assert cluster.sizes == [8, 7, 6, 2]
    assert cluster.closed == 1


def test_a_point_in_time_is_open_while_it_is_searched() -> None:
    """Searches of the same indices come together; a point opens with the first, and closes."""
    cluster = Busy(0)
    questions = [Question(str(n), f"index{n % 2}", {"size": n}) for n in range(32)]
    asking = Asking(cast("Elasticsearch", cluster), Load(max_concurrent=2), no_error)
    assert len(list(asking.answers(questions))) == 32
    assert cluster.opened == [("index0", 0), ("index1", 3)]
    assert cluster.closed == 2


def no_error(rule_id: str, body: Any, status: int) -> RuledeployError:
    """Nothing is refused."""
    raise AssertionError((rule_id, body, status))


@pytest.mark.parametrize("pauses", [(), (0.0,)])
def test_a_cluster_that_stays_busy_is_left_alone(pauses: tuple[float, ...]) -> None:
    """What it never answered is an error; what it answered is kept."""
    answers = asked(Busy(100), pauses)
    failed = [answer for answer in answers if isinstance(answer, ServerError)]
    assert len(failed) == 10 - 2 * (1 + len(pauses))
    assert {answer.status for answer in failed} == {429}
