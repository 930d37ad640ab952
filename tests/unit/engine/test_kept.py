"""What is kept about files changes how fast an answer comes, never the answer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Files, Kept, Shape, Window
from ruledeploy.engine.kept import MemoryStore
from ruledeploy.errors import QueryError, UnsupportedQuery
from support.engine_cases import Generator
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
API = "logs-endpoint.events.api-default"


def later() -> int:
    """A moment at which what is written now has rested."""
    return time.time_ns() + 10 * 10**9


class Counting(MemoryStore):
    """Counts what is put in."""

    puts = 0

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Count and keep."""
        self.puts += len(entries)
        super().put(entries)


def sound(generator: Generator, count: int) -> list[EngineRule]:
    """Rules that the engine does not refuse."""
    rules: list[EngineRule] = []
    for number in range(count):
        rule = generator.case(f"c{number}").rule
        try:
            EmbeddedEngine(lambda _: TABLE).run([rule], Files(()), None, NOW)
        except QueryError:
            continue
        rules.append(rule)
    return rules


def write(path: Path, documents: Sequence[Document]) -> None:
    """As hits of a search, every third as a bare event."""
    lines = [
        json.dumps(
            {"_index": one.index, "_id": one.id, "_source": one.source}
            if number % 3
            else one.source
        )
        for number, one in enumerate(documents)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("seed", range(25))
def test_kept_answers_are_the_engines(tmp_path: Path, seed: int) -> None:
    """In generated worlds: at first, again, after a restart, after rules changed, in a window."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    write(tmp_path / "a.ndjson", generator.documents(60))
    source = Files((tmp_path / "a.ndjson",), "generated")
    rules = sound(generator, 60)
    plain = EmbeddedEngine(lambda _: TABLE)
    store = MemoryStore()
    kept = EmbeddedEngine(lambda _: TABLE, kept=Kept(store, clock=later))
    half, rest = rules[: len(rules) // 2], rules[len(rules) // 2 :]
    middle = Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 5, 0, 0, 20, tzinfo=UTC))
    assert kept.run(half, source, None, NOW) == plain.run(half, source, None, NOW)
    assert kept.run(rules, source, None, NOW) == plain.run(rules, source, None, NOW)
    again = EmbeddedEngine(lambda _: TABLE, kept=Kept(store, clock=later))
    assert again.run(rest, source, middle, NOW) == plain.run(rest, source, middle, NOW)
    one_by_one = EmbeddedEngine(lambda _: TABLE, kept=Kept(MemoryStore(), clock=later))
    for rule in rest:
        assert one_by_one.run([rule], source, None, NOW) == plain.run([rule], source, None, NOW)


@pytest.mark.parametrize("seed", range(5))
def test_kept_sums_are_the_engines(tmp_path: Path, seed: int) -> None:
    """Counts, buckets, values of fields of every kind, samples and ends; again, and in a window."""
    generator = Generator(Random(seed))  # noqa: S311 - a seed names a world
    write(tmp_path / "a.ndjson", generator.documents(60))
    source = Files((tmp_path / "a.ndjson",), "generated")
    rules = [rule for rule in sound(generator, 40) if rule.language != "esql"]
    shape = Shape(timedelta(hours=1), ("k", "name.caseless", "n.long", "ip", "flat.key", "none"), 3)
    plain = EmbeddedEngine(lambda _: TABLE)
    kept = EmbeddedEngine(lambda _: TABLE, kept=Kept(clock=later))
    middle = Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 5, 0, 0, 20, tzinfo=UTC))
    wanted = plain.summarize(rules, source, None, NOW, shape)
    assert any(one.count for one in wanted.values())
    assert kept.summarize(rules[1:], source, None, NOW, shape).items() <= wanted.items()
    assert kept.summarize(rules, source, None, NOW, shape) == wanted
    wanted = plain.summarize(rules, source, middle, NOW, shape)
    assert kept.summarize(rules, source, middle, NOW, shape) == wanted


def test_what_is_not_summed_up_is_refused(tmp_path: Path) -> None:
    """As it is without anything kept: pipes, and the values of a text."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"k": "x"})])
    kept = EmbeddedEngine(lambda _: TABLE, kept=Kept(clock=later))
    piped = EngineRule("r", "esql", "from a | stats count(*) by k", ())
    plain = EngineRule("r", "lucene", "k:x", ("*",))
    with pytest.raises(UnsupportedQuery, match="a pipe that computes"):
        kept.summarize([piped], Files((tmp_path,)), None, NOW, Shape())
    with pytest.raises(QueryError, match="the values of t cannot be counted"):
        kept.summarize([plain], Files((tmp_path,)), None, NOW, Shape(fields=("t",)))


def test_only_what_is_new_is_put_to_the_events(tmp_path: Path) -> None:
    """The rule itself, and the leaves that no rule had before."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"k": "x", "brief": "y"})])
    source = Files((tmp_path,))
    store = Counting()
    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept(store, clock=later))
    rule = EngineRule("r", "lucene", "k:x AND NOT brief:z", ("*",))
    engine.run([rule, replace(rule, rule_id="s", query="k:y")], source, None, NOW)
    before = store.puts
    engine.run([rule, replace(rule, rule_id="s", query="brief:z")], source, None, NOW)
    assert store.puts == before + 1
    engine.run([rule, replace(rule, rule_id="s", query="brief:new")], source, None, NOW)
    assert store.puts == before + 3


def test_changed_files_are_other_files(tmp_path: Path) -> None:
    """Whatever their name and size."""
    path = tmp_path / "a.ndjson"
    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept())
    rule = EngineRule("r", "lucene", "k:x", ("*",))
    found = []
    for value in ("x", "y", "x"):
        path.write_text(json.dumps({"k": value}))
        found.append(engine.run([rule], Files((path,)), None, NOW)["r"].count)
    assert found == [1, 0, 1]


def test_what_is_kept_outlives_the_moment(tmp_path: Path) -> None:
    """Files just written are read as they are; once they have rested, they are read once."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"k": "x"})])
    source, store = Files((tmp_path,)), Counting()
    rule = EngineRule("r", "lucene", "k:x", ("*",))
    young = EmbeddedEngine(lambda _: TABLE, kept=Kept(store))
    assert young.run([rule], source, None, NOW)["r"].count == 1
    assert store.puts == 0
    for hours in (1, 2):
        kept = Kept(store, clock=lambda after=hours: time.time_ns() + after * 3_600 * 10**9)  # type: ignore[misc]
        assert EmbeddedEngine(lambda _: TABLE, kept=kept).run([rule], source, None, NOW)["r"].count
        if hours == 1:
            first = store.puts
    assert store.puts == first > 0


def test_files_that_change_while_they_are_read_are_not_kept(tmp_path: Path) -> None:
    """Their columns would be of different events."""
    path = tmp_path / "a.ndjson"
    write(path, [Document("a", "1", {"k": "x"})])
    store = Counting()
    asked: list[int] = []

    def clock() -> int:
        """Asked for when the files were looked at and are about to be read."""
        if not asked:
            write(path, [Document("a", "1", {"k": "x"}), Document("a", "2", {"k": "x"})])
        asked.append(later())
        return asked[-1]

    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept(store, clock=clock))
    rule = EngineRule("r", "lucene", "k:x", ("*",))
    assert engine.run([rule], Files((path,)), None, NOW)["r"].count == 2
    assert store.puts == 0


def test_large_files_are_not_kept(tmp_path: Path) -> None:
    """Nor packed ones that become large."""
    path = tmp_path / "a.ndjson"
    write(path, [Document("a", "1", {"k": "x"})] * 50)
    size = path.stat().st_size
    rule = EngineRule("r", "lucene", "k:x", ("*",))
    for largest, is_kept in ((size, True), (size - 1, False)):
        store = Counting()
        kept = Kept(store, largest=largest, clock=later)
        found = EmbeddedEngine(lambda _: TABLE, kept=kept).run([rule], Files((path,)), None, NOW)
        assert found["r"].count == 50
        assert bool(store.puts) is is_kept


def test_items_that_expire_and_relative_dates_are_of_their_moment(tmp_path: Path) -> None:
    """An answer is not given again when its time has gone by."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"at": "2026-01-06", "k": "x"})] * 3)
    entry = {"type": "match", "operator": "included", "field": "k", "value": "x"}
    item = {"item_id": "i", "entries": [entry], "expire_time": "2026-01-07T00:00:00Z"}
    rules = [
        EngineRule("items", "lucene", "*:*", ("*",), (item,)),
        EngineRule("dates", "lucene", "at:>now-1d", ("*",)),
    ]
    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept(clock=later))
    plain = EmbeddedEngine(lambda _: TABLE)
    for moment in (NOW, NOW + timedelta(days=2), NOW):
        source = Files((tmp_path,))
        assert engine.run(rules, source, None, moment) == plain.run(rules, source, None, moment)


def test_constants_of_a_data_stream_hold_where_events_do_not_say(tmp_path: Path) -> None:
    """As they do without anything kept."""
    bare = Document(API, "1", {"process": {"name": "cmd.exe"}})
    said = Document(API, "2", {"data_stream": {"dataset": "other"}})
    write(tmp_path / "a.ndjson", [said, bare, said])
    query = "data_stream.dataset:endpoint.events.api OR NOT data_stream.type:logs"
    rules = [EngineRule("r", "lucene", query, ("logs-*",))]
    source = Files((tmp_path,), API)
    plain, kept = EmbeddedEngine(), EmbeddedEngine(kept=Kept(clock=later))
    assert kept.run(rules, source, None, NOW) == plain.run(rules, source, None, NOW)
