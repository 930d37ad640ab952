"""ES|QL: sources, and what stands between tokens."""

from __future__ import annotations

import pytest

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.esql import parse_esql

PLAIN = 'from logs-a-*, logs-b-* metadata _id | where x == "a | b"'


@pytest.mark.parametrize(
    "text",
    [
        "// what it finds\n" + PLAIN,
        "/* what\nit finds */ " + PLAIN,
        PLAIN.replace("from", "FROM // all of them (1, 2)\n"),
        PLAIN.replace("logs-b-*", "/* and */ logs-b-*"),
        PLAIN.replace("_id |", "_id\n\n// without noise: levels (4 and 5)\n|"),
        PLAIN.replace("logs-b-*", "logs-b-*// a comment needs no space before it\n"),
        PLAIN.replace("| where", "|\n// by name | by path\nwhere"),
        PLAIN + " // the end",
    ],
)
def test_a_comment_is_no_part_of_a_command(text: str) -> None:
    """Least of all an index or a metadata field."""
    found, plain = parse_esql(text), parse_esql(PLAIN)
    assert (found.sources, found.metadata) == (("logs-a-*", "logs-b-*"), ("_id",))
    assert found.where == plain.where


def test_named_parameters_of_a_function_are_refused_by_name() -> None:
    """They are legal, and beyond us."""
    with pytest.raises(UnsupportedQuery, match="options in braces") as raised:
        parse_esql('from a | where match(x, "y", {"fuzziness": 1})')
    assert raised.value.position == 29


@pytest.mark.parametrize("text", ["// nothing but words", "", "from // a\n| where x == 1"])
def test_a_query_of_comments_is_none(text: str) -> None:
    """A commented index is no index."""
    with pytest.raises(QueryError):
        parse_esql(text)
