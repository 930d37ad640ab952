"""Exception items become exactly the filter Kibana builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.query.exceptions import build_exception_filter, item_clause

FIXTURES = Path(__file__).parents[2] / "fixtures" / "exceptions"
CASES = json.loads((FIXTURES / "filters.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_filter_is_kibanas(case: dict[str, Any]) -> None:
    """Each case's items give its filter, key for key, and its items left for after the search."""
    built = build_exception_filter(case["items"], case["started_at"], case["value_lists"])
    assert built.filter == case["filter"]
    assert list(built.after_search) == case["post_filtered_items"]


def test_an_item_with_os_types_is_one_clause() -> None:
    """The alternatives that `os_types` unfolds are joined into one query of the item."""
    item = {"os_types": ["windows"], "entries": [{"type": "exists", "field": "a"}]}
    clause = item_clause(item)
    assert len(clause["bool"]["should"]) == 2


def test_too_many_dash_ranges_are_applied_after_the_search() -> None:
    """201 ranges written with a dash do not go into the query."""
    entry = {"type": "list", "field": "ip", "operator": "included"}
    item = {"entries": [{**entry, "list": {"id": "r", "type": "ip_range"}}]}
    ranges = [f"10.0.{n}.1-10.0.{n}.9" for n in range(201)]
    assert build_exception_filter([item], "2026-01-01T00:00:00Z", {"r": ranges}).filter is None


def test_an_unknown_value_list_is_an_error() -> None:
    """A list entry whose values nobody gave is refused, not read as empty."""
    entry = {"type": "list", "field": "ip", "operator": "included"}
    item = {"entries": [{**entry, "list": {"id": "r", "type": "ip"}}]}
    with pytest.raises(QueryError, match="'r' is not known"):
        build_exception_filter([item], "2026-01-01T00:00:00Z")
