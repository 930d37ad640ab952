"""What is kept about files changes how fast an answer comes, never the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Files, Kept, Window
from ruledeploy.engine.kept import MemoryStore
from ruledeploy.errors import QueryError
from support.engine_cases import Generator
from support.engine_values import TABLE

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
API = "logs-endpoint.events.api-default"


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
    kept = EmbeddedEngine(lambda _: TABLE, kept=Kept(store))
    half, rest = rules[: len(rules) // 2], rules[len(rules) // 2 :]
    middle = Window(datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 5, 0, 0, 20, tzinfo=UTC))
    assert kept.run(half, source, None, NOW) == plain.run(half, source, None, NOW)
    assert kept.run(rules, source, None, NOW) == plain.run(rules, source, None, NOW)
    again = EmbeddedEngine(lambda _: TABLE, kept=Kept(store))
    assert again.run(rest, source, middle, NOW) == plain.run(rest, source, middle, NOW)
    one_by_one = EmbeddedEngine(lambda _: TABLE, kept=Kept(MemoryStore()))
    for rule in rest:
        assert one_by_one.run([rule], source, None, NOW) == plain.run([rule], source, None, NOW)


def test_only_what_is_new_is_put_to_the_events(tmp_path: Path) -> None:
    """The rule itself, and the leaves that no rule had before."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"k": "x", "brief": "y"})])
    source = Files((tmp_path,))
    store = Counting()
    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept(store))
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


def test_items_that_expire_and_relative_dates_are_of_their_moment(tmp_path: Path) -> None:
    """An answer is not given again when its time has gone by."""
    write(tmp_path / "a.ndjson", [Document("a", "1", {"at": "2026-01-06", "k": "x"})] * 3)
    entry = {"type": "match", "operator": "included", "field": "k", "value": "x"}
    item = {"item_id": "i", "entries": [entry], "expire_time": "2026-01-07T00:00:00Z"}
    rules = [
        EngineRule("items", "lucene", "*:*", ("*",), (item,)),
        EngineRule("dates", "lucene", "at:>now-1d", ("*",)),
    ]
    engine = EmbeddedEngine(lambda _: TABLE, kept=Kept())
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
    plain, kept = EmbeddedEngine(), EmbeddedEngine(kept=Kept())
    assert kept.run(rules, source, None, NOW) == plain.run(rules, source, None, NOW)
