"""Which columns a pipe shows."""

from __future__ import annotations

import pytest

from ruledeploy.query.esql import parse_esql
from ruledeploy.query.esql_columns import columns_shown

COLUMNS = ("a", "ab", "b", "c.d", "_id")


@pytest.mark.parametrize(
    ("pipe", "shown"),
    [
        ("", "a ab b c.d _id"),
        ("where a == 1", "a ab b c.d _id"),
        ("keep b, a", "b a"),
        ("keep *", "a ab b c.d _id"),
        ("keep b, *", "b a ab c.d _id"),
        ("keep *, b", "a ab c.d _id b"),
        ("keep a*, ab", "a ab"),
        ("keep ab, a*", "ab a"),
        ("keep a*, *b", "a ab b"),
        ("drop a*", "b c.d _id"),
        ("rename b as z", "a ab z c.d _id"),
        ("rename b as a", "ab a c.d _id"),
        ("eval a = 1", "ab b c.d _id a"),
        ("eval x = 1, y = x", "a ab b c.d _id x y"),
        ("stats n = count(*) by b", "n b"),
        ("stats n = count(*) by b | eval m = n | keep m", "m"),
    ],
)
def test_names_and_order(pipe: str, shown: str) -> None:
    """As a node answered when asked the same (the same law is held to it live)."""
    query = parse_esql(f"from x | {pipe}" if pipe else "from x")
    assert columns_shown(query.commands, COLUMNS) == shown.split()
