"""Questions to fields of strings: what Lucene takes of them."""

from __future__ import annotations

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query.ir import Range
from ruledeploy.query.kinds import Each
from ruledeploy.query.on_strings import on_string

LONG = "x" * 1001


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(LONG, LONG, True), ("x", LONG, True), ("y", LONG, False), (None, LONG, True)],
)
def test_a_range_of_one_term_or_none_may_begin_with_a_long_one(
    low: str | None, high: str, holds: bool
) -> None:
    """Elasticsearch 8.19 builds an automaton only between two different bounds in order."""
    asked = on_string(Range(low, high), FieldType("keyword"))
    assert isinstance(asked, Each)
    assert asked.test(LONG) is holds


@pytest.mark.parametrize("high", ["y", None])
def test_a_long_lower_bound_of_a_wider_range_is_refused(high: str | None) -> None:
    """As "input automaton is too large"."""
    with pytest.raises(QueryError, match="longer than 1000"):
        on_string(Range(LONG, high), FieldType("keyword"))
