"""The gate over all languages."""

from __future__ import annotations

import pytest

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.ir import simplify
from ruledeploy.query.parse import parse_query


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("lucene", "(a:1 OR (a:2 OR a:1)) AND NOT (NOT b:3) AND (c:4 AND (d:5 AND c:4))"),
        ("lucene", "*:* OR a:1"),
        ("lucene", "NOT *:* AND a:1"),
        ("eql", "any where (a == 1 or (b like ('x', 'x*') or a == 1)) and not (not c == 2 and d)"),
        ("eql", "any where true or a == 1"),
        ("esql", 'from i | where (a == 1 or (b like "x*" or a == 1)) and not (not c == 2 and d)'),
        ("esql", 'from i | where (a == 1 and true) | where b in ("x", "y") and a == 1'),
    ],
)
def test_leaves_nothing_to_simplify(language: str, text: str) -> None:
    """The parsers build with constructors that simplify, so the gate does not again."""
    node = parse_query(language, text.replace("'", '"')).node
    assert simplify(node) == node


def test_refuses_other_languages_by_name() -> None:
    """A language nobody wrote a parser for."""
    with pytest.raises(UnsupportedQuery, match="'sql'"):
        parse_query("sql", "select 1")


@pytest.mark.parametrize(
    ("language", "text"), [("esql", 'from i | where f like "("'), ("eql", 'any where f like "("')]
)
def test_takes_a_text_for_a_text_whatever_it_says(language: str, text: str) -> None:
    """A string that looks like an operator opens no list."""
    assert parse_query(language, text).node


def test_says_that_the_query_ends_too_early() -> None:
    """Not that the word before the end is wrong."""
    with pytest.raises(QueryError, match="unexpected end of the condition"):
        parse_query("esql", "from i | where f like ")
