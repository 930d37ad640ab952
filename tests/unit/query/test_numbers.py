"""Texts are numbers as Java reads them; what it means for a query is in the fixtures."""

from __future__ import annotations

import math

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.query.numbers import asked_whole, java_double, java_long, whole_of


@pytest.mark.parametrize(
    ("text", "number"),
    [("1d", 1.0), (" .5\t", 0.5), ("0x1p3", 8.0), ("1e400", math.inf), ("-0x1p9999", -math.inf)],
)
def test_doubles(text: str, number: float) -> None:
    """Suffixes, blanks, hexadecimal with an exponent."""
    assert java_double(text) == number


@pytest.mark.parametrize("text", ["", ".", "0x10", "1_0", "\uff11", "e1", "1 2", "inf", "nan"])
def test_no_doubles(text: str) -> None:
    """What Python would take and Java does not is no number."""
    assert java_double(text) is None


def test_longs_keep_every_digit() -> None:
    """No double stands between a text and a long; an enormous exponent is refused at once."""
    assert java_long("9223372036854775807") == 2**63 - 1
    for text in ("9223372036854775808", "1e999999999", "1d", "NaN"):
        with pytest.raises(QueryError):
            java_long(text)
    assert whole_of("1e999999999", "unsigned_long") is None
    assert whole_of("18446744073709551615", "unsigned_long") == 2**64 - 1


def test_a_number_beyond_doubles_is_out_of_range() -> None:
    """A query's JSON may hold any."""
    with pytest.raises(QueryError, match="out of range"):
        asked_whole(10**400, "long")
