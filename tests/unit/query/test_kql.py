"""Kibana's query language becomes exactly Kibana's query DSL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable, FieldType
from ruledeploy.query.kql import named_in, parse_kql

FIXTURE = json.loads((Path(__file__).parents[2] / "fixtures/kql/cases.json").read_text("utf-8"))


def type_of(field: str) -> str | None:
    """The type that the fixture gives a field."""
    found = FIXTURE["fields"].get(field)
    return found[0] if found else None


@pytest.mark.parametrize("case", FIXTURE["cases"], ids=lambda case: case["kql"])
def test_the_dsl_is_kibanas(case: dict[str, Any]) -> None:
    """Each query of the fixture gives its DSL, key for key."""
    assert parse_kql(case["kql"], type_of) == case["dsl"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'f: "C:\temp"', "C:\temp"),
        (r'f: "C:\\temp"', r"C:\temp"),
        (r'f: "C:\Users"', r"C:\Users"),
        (r'f: "\u0041"', "A"),
        (r'f: "a \"b\""', 'a "b"'),
    ],
)
def test_escapes_in_quotes(text: str, value: str) -> None:
    r"""`\t` is a tab even in a path; a backslash that escapes nothing stays."""
    (clause,) = parse_kql(text)["bool"]["should"]
    assert clause == {"match_phrase": {"f": value}}


def test_nested_fields_are_relative() -> None:
    """Inside the braces names are below the path."""
    query = parse_kql("a: { b: x and c > 5 }")
    assert query["nested"]["path"] == "a"
    first, second = query["nested"]["query"]["bool"]["filter"]
    assert first["bool"]["should"] == [{"match": {"a.b": "x"}}]
    assert second["bool"]["should"] == [{"range": {"a.c": {"gt": "5"}}}]


def test_and_binds_tighter_than_or() -> None:
    """`a or b and c` is `a or (b and c)`, unlike in Lucene's syntax."""
    query = parse_kql("a: x or b: y and c: z")
    assert [*query["bool"]["should"][1]["bool"]] == ["filter"]


def test_a_word_of_the_language_ends_a_value_only_between_spaces() -> None:
    """`sand or x` is two values, `and` alone is a value, and so is what only contains it."""
    assert parse_kql("f: sandor")["bool"]["should"] == [{"match": {"f": "sandor"}}]
    assert parse_kql("f: a and")["bool"]["should"] == [{"match": {"f": "a and"}}]


@pytest.mark.parametrize("text", ["a:", "a: (b", "a: b)", "a: {b: c", "a: b or ", "a: b and not "])
def test_what_is_no_query_is_refused(text: str) -> None:
    """With the offset of what stands wrong."""
    with pytest.raises(QueryError):
        parse_kql(text)


TABLE = FieldTable(
    "f",
    "logs-*",
    {
        "process.name": FieldType("keyword", fields={"text": FieldType("match_only_text")}),
        "process.pid": FieldType("long"),
        "process": FieldType("object"),
        "processes": FieldType("nested"),
        "processes.name": FieldType("keyword"),
    },
    dynamic_keyword=("winlog.event_data.*",),
)


def named(text: str) -> Any:
    """The DSL of a query over the table."""

    def type_of(name: str) -> str | None:
        found = TABLE.get(name)
        return found.type if found else None

    return parse_kql(text, type_of, named_in(TABLE))


def test_a_wildcard_in_a_name_stands_for_the_fields_it_fits() -> None:
    """Multi-fields too; each is asked as its type is, and a nested one within its object."""
    assert named("process*.na*: a")["bool"]["should"] == [
        {"term": {"process.name": {"value": "a"}}},
        {"match": {"process.name.text": "a"}},
        {
            "nested": {
                "path": "processes",
                "query": {"term": {"processes.name": {"value": "a"}}},
                "score_mode": "none",
            }
        },
    ]
    assert named("process.*: *")["bool"]["should"] == [
        {"exists": {"field": name}} for name in ("process.name", "process.name.text", "process.pid")
    ]
    assert named("p*.pid >= 5")["bool"]["should"] == [{"range": {"process.pid": {"gte": "5"}}}]
    assert named("process.n*: (a or not b*)")["bool"]["minimum_should_match"] == 1
    assert named("processes: {n*: a}")["nested"]["query"]["bool"]["should"] == [
        {"term": {"processes.name": {"value": "a"}}}
    ]


def test_a_name_that_fits_no_field_is_sent_as_it_is_written() -> None:
    """And so finds nothing."""
    assert named("file.*: a")["bool"]["should"] == [{"match": {"file.*": "a"}}]


@pytest.mark.parametrize(
    "text", ["winlog.*: a", "*.pid: 1", "winlog.event_data.Im*: a", "*: a", "*d: a"]
)
def test_a_wildcard_is_refused_where_events_may_have_other_fields(text: str) -> None:
    """Those that are mapped as they come, and those of every index."""
    with pytest.raises(UnsupportedQuery):
        named(text)


@pytest.mark.parametrize("text", ["f: *a b*", "proc*: x", "f: null"])
def test_what_depends_on_more_than_the_text_is_refused(text: str) -> None:
    """By name: a wildcard beside a space on an unknown field, field patterns, null."""
    with pytest.raises(UnsupportedQuery):
        parse_kql(text)
