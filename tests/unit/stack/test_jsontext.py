"""JSON as JavaScript reads it."""

from __future__ import annotations

from typing import Any

import pytest

from ruledeploy.stack.jsontext import read_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        (b"[1e999, -1e999, 1e-999]", [None, None, 0.0]),
        (
            b"[" + b"9" * 400 + b", -" + b"9" * 9999 + b", 1" + b"0" * 308 + b"]",
            [None, None, 10**308],
        ),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'{"a\ud800": ["\udc00b"]}', {"a\ufffd": ["\ufffdb"]}),
    ],
)
def test_what_is_read(text: bytes, expected: Any) -> None:
    """Every value can be written again as JSON in UTF-8."""
    assert read_json(text) == expected


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json(text: bytes) -> None:
    """One kind of error for all of it."""
    with pytest.raises(ValueError, match=r".+"):
        read_json(text)
