"""ES|QL pipes in process: what they give, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ruledeploy.engine import Document, EmbeddedEngine, EngineRule, Hits, Memory, Window
from ruledeploy.errors import QueryError, UnsupportedQuery
from support.query_fixtures import table_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TABLE = table_of(
    {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword"},
        "user": {"type": "keyword"},
        "n": {"type": "long"},
        "ip": {"type": "ip"},
    }
)
EVENTS: tuple[dict[str, Any], ...] = (
    {"@timestamp": "2026-01-01T10:00:00Z", "host": "a", "user": "x", "n": 1, "ip": "10.0.0.1"},
    {"@timestamp": "2026-01-01T10:04:00Z", "host": "a", "user": "y", "n": 2},
    {"@timestamp": "2026-01-01T10:06:00Z", "host": "b", "user": ["x", "z"], "n": 3},
    {"@timestamp": "2026-01-01T11:00:00Z", "n": 4},
)


def run(query: str, **more: Any) -> Hits:
    """The hits over the events, ids `0`, `1`, …."""
    documents = [Document("i", str(n), event) for n, event in enumerate(EVENTS)]
    window = more.pop("window", None)
    rule = EngineRule("r", "esql", f"from i {query}", (), **more)
    return EmbeddedEngine(lambda _: TABLE).run([rule], Memory(documents), window, NOW)["r"]


def test_groups_are_rows() -> None:
    """One row per group, an event of two values in both groups, one without in none's."""
    hits = run("| stats c = count(*), oldest = min(@timestamp) by user | sort user")
    assert hits.count == 4
    assert hits.event_ids == ()
    assert hits.rows == (
        {"c": 2, "oldest": "2026-01-01T10:00:00.000Z", "user": "x"},
        {"c": 1, "oldest": "2026-01-01T10:04:00.000Z", "user": "y"},
        {"c": 1, "oldest": "2026-01-01T10:06:00.000Z", "user": "z"},
        {"c": 1, "oldest": "2026-01-01T11:00:00.000Z", "user": None},
    )


def test_a_group_named_twice_is_one_group() -> None:
    """Not pairs of an event's values."""
    once, twice = run("| stats c = count(*) by user"), run("| stats c = count(*) by user, user")
    assert once.rows == twice.rows


def test_buckets_and_a_condition_on_groups() -> None:
    """A correlation in the words of ES|QL."""
    hits = run("| stats c = count(*) by t = bucket(@timestamp, 5 minutes), host | where c >= 2")
    assert hits.rows == ({"c": 2, "t": "2026-01-01T10:00:00.000Z", "host": "a"},)


@pytest.mark.parametrize(
    "tail",
    [
        "| eval m = n | keep _id, _index, _version, m",
        "| keep _*, n | where n > 0",
        "| eval v = _version + 1 | where v == 2",
        '| sort _id desc | eval x = _index | where x == "i"',
    ],
)
def test_metadata_are_columns(tail: str) -> None:
    """As rules ask for them so that their alerts can be told apart; of one write, the first."""
    assert run(f"metadata _id, _version, _index {tail}").event_ids == ("0", "1", "2", "3")


def test_metadata_that_we_do_not_know_is_refused() -> None:
    """By name, and only where it is used."""
    assert run("metadata _id, _score | eval m = n").count == 4
    for tail in ("| eval s = _score", "| where _score > 1", "| where _version > 1"):
        with pytest.raises(UnsupportedQuery, match="the metadata _"):
            run(f"metadata _score, _version {tail}")


def test_a_column_is_not_missed_where_tables_are_not_complete() -> None:
    """A pattern may fit fields that a table does not list."""
    table = replace(TABLE, dynamic_keyword=("winlog.event_data.*",))
    rule = EngineRule("r", "esql", "from i | keep winlog.event_data.*", ())
    engine = EmbeddedEngine(lambda _: table)
    assert engine.run([rule], Memory([Document("i", "1", {})]), None, NOW)["r"].count == 1


def test_without_groups_there_is_one_row_even_of_nothing() -> None:
    """Counts are 0, everything else null."""
    hits = run("| where n > 9 | stats count(*), s = sum(n), v = values(host)")
    assert hits.rows == ({"count(*)": 0, "s": None, "v": None},)


def test_computed_conditions_leave_events() -> None:
    """An event that passes the pipe alerts by its id."""
    query = '| eval who = concat(coalesce(host, "?"), "/", mv_first(user)) | where who != "a/x"'
    assert run(query).event_ids == ("1", "2")
    assert run("| where n * 2 > 5 | keep n").event_ids == ("2", "3")


def test_a_sort_decides_what_a_limit_leaves() -> None:
    """The last two by number."""
    assert run("| sort n desc | limit 2").event_ids == ("2", "3")


def test_a_thousand_rows_are_the_most_without_a_limit() -> None:
    """As on a cluster."""
    documents = [Document("i", f"{n:04}", {"n": n}) for n in range(1100)]
    rule = EngineRule("r", "esql", "from i | stats c = count(*) by n", ())
    engine = EmbeddedEngine(lambda _: TABLE)
    assert engine.run([rule], Memory(documents), None, NOW)["r"].count == 1000


def test_exceptions_and_the_window_apply_before_the_groups() -> None:
    """As the request's filter does: hidden events are not counted."""
    item = {
        "item_id": "it",
        "os_types": [],
        "entries": [
            {"field": "user", "operator": "included", "type": "match", "value": "y"},
        ],
    }
    window = Window(NOW - timedelta(hours=3), NOW - timedelta(hours=1, seconds=1))
    hits = run("| stats c = count(*) by host | sort host", items=(item,), window=window)
    assert hits.rows == ({"c": 1, "host": "a"}, {"c": 1, "host": "b"})
    assert hits.suppressed == {"it": ("1",)}


@pytest.mark.parametrize(
    "command",
    [
        'dissect user "%{a}"', 'grok user "%{WORD:a}"', "enrich p", "lookup join l on user",
        "inlinestats count(*)", "change_point n", "mv_expand user", "fork (where n > 1)",
    ],
)  # fmt: skip
def test_commands_beyond_us_are_refused_by_name(command: str) -> None:
    """Never guessed."""
    with pytest.raises(UnsupportedQuery, match=command.split(maxsplit=1)[0]):
        run(f"| {command}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("| eval a = nothing", "unknown column nothing"),
        ("| keep n | eval a = host", "unknown column host"),
        ("| drop host | sort host", "unknown column host"),
        ("| stats c = count(*) by host | where n > 1", "unknown column n"),
        ("| rename host as h | where host == to_lower(h)", "unknown column host"),
        ("| eval a = n + host", "needs numbers"),
        ("| eval a = length(n)", "takes text"),
        ('| where concat(host, "") == n', "compares keyword with long"),
        ("| stats s = sum(host)", "does not take keyword"),
        ('| eval a = cidr_match(ip, "x")', "no network"),
        ("| eval a = 1 +", "a value expected"),
        ("| stats", "a value expected"),
        ("| limit x", "one number"),
        ("| evil a = 1", "evil"),
        ("| eval a = sha512(host)", "sha512"),
        ("| eval a = n in (n, 1)", "a column in its list"),
        ("| limit 2 | where n > 1", "which are kept"),
    ],
)
def test_what_elasticsearch_refuses_is_refused(query: str, said: str) -> None:
    """Columns that are gone, types that do not go together, words that are none."""
    with pytest.raises(QueryError, match=said):
        run(query)


def test_an_error_says_where() -> None:
    """The offset in the query."""
    text = "from i | eval a = (1 + 2"
    with pytest.raises(QueryError) as raised:
        EmbeddedEngine(lambda _: TABLE).run(
            [EngineRule("r", "esql", text, ())], Memory(()), None, NOW
        )
    assert raised.value.position == len(text)


def test_in_memory_an_open_table_has_any_field() -> None:
    """Indices that nobody has described map what they get."""
    rule = EngineRule("r", "esql", 'from logs-x | where some.thing : "a" | stats c = count(*)', ())
    documents = [Document("logs-x", "1", {"some": {"thing": "a"}})]
    hits = EmbeddedEngine().run([rule], Memory(documents), None, NOW)["r"]
    assert hits.rows == ({"c": 1},)
