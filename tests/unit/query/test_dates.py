"""Date math of queries at the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.query.dates import resolve_date

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["now-999999999999d", "now+9000000d/d", "now-3000y", "99999999999999999||+1d"]
)
def test_date_math_beyond_the_calendar_is_an_error_in_the_query(text: str) -> None:
    """In every unit, and from every anchor: a mistake of the author's, not of ours."""
    with pytest.raises(QueryError, match="leaves the calendar"):
        resolve_date(text, NOW)
