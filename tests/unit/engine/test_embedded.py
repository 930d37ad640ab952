"""What the embedded engine does with rules, windows, indices and items."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Files, Hits, Memory, Window
from ruledeploy.errors import Problems, QueryError, SourceError
from support.engine_values import TABLE
from support.query_fixtures import table_of

NOW = datetime(2026, 1, 6, 12, tzinfo=UTC)
API = "logs-endpoint.events.api-default"
ENGINE = EmbeddedEngine(lambda _: TABLE)


def rule(query: str = "*:*", **changes: Any) -> EngineRule:
    """A Lucene rule over all indices."""
    given = {"rule_id": "r", "language": "lucene", "query": query, "index": ("*",)}
    return EngineRule(**(given | changes))


def event(identity: str, index: str = "a", **source: Any) -> Document:
    """An event at noon."""
    return Document(index, identity, {"@timestamp": "2026-01-06T12:00:00Z"} | source)


def run(one: EngineRule, *documents: Document, window: Window | None = None) -> Hits:
    """The hits of one rule."""
    return ENGINE.run([one], Memory(documents), window, NOW)[one.rule_id]


def test_hits_come_by_time_then_id() -> None:
    """The count is theirs."""
    hits = run(rule(), event("b"), event("a"), event("c", **{"@timestamp": "2026-01-01"}))
    assert hits == Hits(3, ("c", "a", "b"), {})


def test_a_window_includes_both_ends() -> None:
    """To the millisecond; an event without a time is in no window."""
    window = Window(NOW, NOW + timedelta(milliseconds=1))
    stamps = ("11:59:59.999Z", "12:00:00Z", "12:00:00.001Z", "12:00:00.002Z")
    events = [event(text, **{"@timestamp": f"2026-01-06T{text}"}) for text in stamps]
    events.append(Document("a", "timeless", {}))
    assert run(rule(), *events, window=window).event_ids == stamps[1:3]


def test_the_timestamp_override_falls_back() -> None:
    """Where the override is missing, `@timestamp` decides."""
    window = Window(NOW, NOW)
    late = event("late", at="2026-01-07T00:00:00Z")
    found = run(rule(timestamp_field="at"), late, event("plain"), window=window)
    assert found.event_ids == ("plain",)


def test_index_patterns_select() -> None:
    """With wildcards, exclusions, and data streams behind their backing indices."""
    documents = (
        event("1", "logs-a-x"),
        event("2", ".ds-logs-a-y-2026.01.01-000001"),
        event("3", "logs-b-x"),
        event("4", "other"),
    )
    assert run(rule(index=("logs-*", "-logs-b-*")), *documents).event_ids == ("1", "2")


def test_an_event_is_under_every_item_that_hides_it() -> None:
    """It alerts only where no living item does."""
    entry = {"type": "match", "operator": "included", "field": "k", "value": "x"}
    gone = {"item_id": "gone", "entries": [entry], "expire_time": "2026-01-06T11:59:59Z"}
    items = ({"item_id": "one", "entries": [entry]}, {"item_id": "two", "entries": []}, gone)
    hits = run(rule(items=items), event("1", k="x"), event("2", k="y"))
    assert hits == Hits(0, (), {"one": ("1",), "two": ("1", "2")})


def test_value_lists_are_part_of_items() -> None:
    """Values by list id, addresses as ranges too."""
    entry = {"type": "list", "field": "ip", "operator": "included"}
    item = {"item_id": "i", "entries": [{**entry, "list": {"id": "L", "type": "ip_range"}}]}
    lists = {"L": ("10.0.0.1-10.0.0.9", "192.168.0.0/16")}
    hits = run(
        rule(items=(item,), value_lists=lists),
        event("1", ip="10.0.0.5"),
        event("2", ip="192.168.1.1"),
        event("3", ip="10.0.0.10"),
    )
    assert hits == Hits(1, ("3",), {"i": ("1", "2")})


def test_a_limit_of_esql_cuts_alerts_off() -> None:
    """The first by time are kept."""
    query = "from a | limit 1"
    assert run(rule(query, language="esql"), event("1"), event("2")).event_ids == ("1",)


def test_kql_knows_the_types_of_fields() -> None:
    """On a keyword a wildcard holds over spaces, on a wildcard field it is split at them."""
    documents = (event("1", k="x a b y", line="xa"), event("2", k="b", line="x a b y"))
    assert run(rule("k: *a b*", language="kuery"), *documents).event_ids == ("1",)
    assert run(rule("line: *a b*", language="kuery"), *documents).event_ids == ("1",)


def test_kql_asks_every_field_that_a_name_with_a_wildcard_fits() -> None:
    """A value, any value, none; and a text asked of a number fails, as on Elasticsearch."""
    fields = {
        "p.name": {"type": "keyword"},
        "p.pid": {"type": "long"},
        "p.parent.name": {"type": "keyword"},
        "parts": {"type": "nested"},
        "parts.name": {"type": "keyword"},
    }
    engine = EmbeddedEngine(lambda _: table_of(fields))
    events = Memory(
        [
            event("1", **{"p.name": "a"}),
            event("2", p={"parent": {"name": "a"}}),
            event("3", parts=[{"name": "a"}]),
            event("4", p={"pid": 7}),
        ]
    )
    for query, found in {
        "p.*name: a": ("1", "2"),
        "pa*: a": ("3",),
        "p*name: (a or b)": ("1", "2", "3"),
        "p.*: *": ("1", "2", "4"),
        "not p.*: *": ("3",),
        "p.*id >= 7": ("4",),
        "q.*: a": (),
        "q.*: *": (),
    }.items():
        asked = rule(query, language="kuery")
        assert engine.run([asked], events, None, NOW)["r"].event_ids == found, query
    with pytest.raises(QueryError):
        engine.run([rule("p.*: a", language="kuery")], events, None, NOW)


def test_every_rule_that_cannot_run_is_named() -> None:
    """Before any event is looked at."""
    rules = [rule("k:(", rule_id="one"), rule("k:a~", rule_id="two"), rule(rule_id="three")]
    with pytest.raises(Problems) as caught:
        ENGINE.run(rules, Memory([Document("a", "1", {"not": "read"})]), None, NOW)
    assert [str(error)[:9] for error in caught.value.errors] == ["rule one:", "rule two:"]


def test_a_column_that_no_index_has_is_an_error() -> None:
    """As Elasticsearch has it."""
    with pytest.raises(QueryError, match="unknown column typo"):
        run(rule('from a | where typo == "x"', language="esql"))


def test_files_are_read(tmp_path: Path) -> None:
    """Bare events and hits, plain and gzipped, in folders; ids from `event.id` or the line."""
    bare = {"event": {"id": "e1"}, "k": "x"}
    hit = {"_index": "a", "_id": "e2", "_source": {"k": "x"}}
    (tmp_path / "some.ndjson").write_text(f"{json.dumps(bare)}\n\n{json.dumps(hit)}\n")
    with gzip.open(tmp_path / "more.ndjson.gz", "wt") as file:
        file.write(json.dumps({"k": "x"}))
    found = ENGINE.run([rule("k:x")], Files((tmp_path,)), None, NOW)["r"]
    assert sorted(found.event_ids) == ["e1", "e2", "more.ndjson.gz:1"]


def test_a_broken_line_is_located(tmp_path: Path) -> None:
    """File and line."""
    (tmp_path / "bad.ndjson").write_text('{"k": 1}\n{"k":\n')
    with pytest.raises(SourceError, match=r"bad\.ndjson:2: not a JSON line"):
        ENGINE.run([rule()], Files((tmp_path,)), None, NOW)


def test_the_bundled_tables_are_the_default() -> None:
    """An index belongs to a family; a data stream's constants are there without being written."""
    engine = EmbeddedEngine()
    query = "data_stream.dataset:endpoint.events.api AND process.name.caseless:CMD.EXE"
    document = Document(API, "1", {"process": {"name": "Cmd.exe"}})
    found = engine.run([rule(query, index=("logs-*",))], Memory([document]), None, NOW)
    assert found["r"].count == 1


def test_a_quarter_of_a_megabyte_is_read_in_no_time() -> None:
    """Long queries and deep parentheses neither overflow nor crawl."""
    query = " OR ".join(f"k:*value{n}*" for n in range(15_000))
    assert run(rule(query), event("1", k="a value14999 b")).count == 1
    with pytest.raises(QueryError, match="nested deeper"):
        run(rule("(" * 5_000 + "k:a" + ")" * 5_000))


def test_indices_of_one_family_have_their_own_fields() -> None:
    """A table is known by itself, not by the name of its family."""
    tables = {name: table_of({"k": {"type": name}}) for name in ("keyword", "text")}
    engine = EmbeddedEngine(tables.__getitem__)
    documents = [Document(name, name, {"k": "foo bar"}) for name in tables]
    rules = [rule("k:foo", index=("keyword", "text")), rule("k:foo", rule_id="s", index=("text",))]
    found = engine.run(rules[:1], Memory(documents), None, NOW)
    assert found["r"].event_ids == ("text",)
    bare = [replace(document, index="") for document in documents]
    assert engine.run(rules, Memory(bare), None, NOW)["s"].count == 2


def test_several_processes_find_what_one_finds(tmp_path: Path) -> None:
    """A large file is cut between two lines; ids from lines are those of the whole file."""
    lines = [json.dumps({"k": "x" if n % 7 else "y", "pad": "p" * 900}) for n in range(30_000)]
    (tmp_path / "large.ndjson").write_text("\n".join(lines))
    rules = [rule("k:y", rule_id="y"), rule("NOT k:y", rule_id="not y")]
    one, three = (
        EmbeddedEngine(lambda _: TABLE, jobs=jobs).run(rules, Files((tmp_path,)), None, NOW)
        for jobs in (1, 3)
    )
    assert one == three
    assert one["y"].count == 4286
    assert one["y"].event_ids[0] == "large.ndjson:1"


def test_an_error_in_another_process_is_raised_here(tmp_path: Path) -> None:
    """With its file and line."""
    lines = ['{"k": "x"}' + " " * 900] * 30_000
    (tmp_path / "large.ndjson").write_text("\n".join([*lines, "{"]))
    engine = EmbeddedEngine(lambda _: TABLE, jobs=3)
    with pytest.raises(SourceError, match=r"large\.ndjson:30001: not a JSON line"):
        engine.run([rule()], Files((tmp_path,)), None, NOW)


def test_an_array_is_read_element_by_element(tmp_path: Path) -> None:
    """Pretty or not, over blocks; what is broken or cut off is located."""
    events = [{"event": {"id": str(n)}, "k": "x" * 500} for n in range(5_000)]
    (tmp_path / "array.json").write_text(json.dumps(events, indent=1))
    assert ENGINE.run([rule()], Files((tmp_path,)), None, NOW)["r"].count == 5_000
    (tmp_path / "array.json").write_text('[{"k": 1},\n{"k": 2}')
    with pytest.raises(SourceError, match=r"array\.json:2: an element of the array is broken"):
        ENGINE.run([rule()], Files((tmp_path,)), None, NOW)
    (tmp_path / "array.json").write_text('[{"k": 1},\n3]')
    with pytest.raises(SourceError, match=r"array\.json:2: an event is a JSON object"):
        ENGINE.run([rule()], Files((tmp_path,)), None, NOW)


@pytest.mark.parametrize(
    "line",
    [
        '{"n": {"long": 5}, "k": "x"}',
        '{"n.long": 5, "k": "x"}',
        '{"n": [{"long": 5}], "k": ["x"]}',
        '{"n": [{"long": [4, 5]}, null], "k": [["x"], "y"]}',
        '{"n": {"long": "5"}, "n.int": 3, "k": "x"}',
        '{"_source": {"n": {"long": 5}, "k": "x"}, "_index": "a", "_id": "1"}',
        '{"_source": {"n.long": 5, "k": "x"}, "_index": "a"}',
        '{"_source": {"n": {"long": 5}, "k": "x"}}',
        '{"_source": null, "n": {"long": 5}, "k": "x"}',
        '{"n": {"long": 5}, "k": "x", "other": "\\ud800", "big": 1e999}',
        '{"n": {"long": 5, "int": NaN}, "k": "x", "sub": {"k": 1}}',
        '{"data_stream": null, "n": {"long": 5}, "k": "x"}',
    ],
)
def test_json_is_read_however_it_spells_fields(tmp_path: Path, line: str) -> None:
    """Lines that fit the fields in use and lines that do not give the same answer."""
    (tmp_path / "one.ndjson").write_text(f"{line}\n" * 300)
    rules = [
        rule("n.long:5 AND k:x", rule_id="both"),
        rule("sub.k:1 OR n.int:[1 TO 2]", rule_id="none"),
    ]
    found = ENGINE.run(rules, Files((tmp_path,)), None, NOW)
    assert {name: hits.count for name, hits in found.items()} == {"both": 300, "none": 0}
