"""Kibana's query language becomes exactly Kibana's query DSL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.kql import parse_kql

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


@pytest.mark.parametrize("text", ["f: *a b*", "proc*: x", "f: null"])
def test_what_depends_on_more_than_the_text_is_refused(text: str) -> None:
    """By name: a wildcard beside a space on an unknown field, field patterns, null."""
    with pytest.raises(UnsupportedQuery):
        parse_kql(text)
