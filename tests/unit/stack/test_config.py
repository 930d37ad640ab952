"""Profiles and their switches, as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ruledeploy.stack import PROFILES, parse_profile


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("7.17", "unknown profile '7.17', known: 8.19, 9.5"),
        ("9.5,zodd=3", "unknown switch 'zodd', known: zod, too_large"),
        ("9.5,too_large=500", "too_large is '500', not one of: 400, 413"),
    ],
)
def test_an_unknown_profile_is_refused(text: str, told: str) -> None:
    """With what is known."""
    with pytest.raises(ValueError, match=told):
        parse_profile(text)


def test_switches_change_a_profile() -> None:
    """Those that are named, and no others."""
    changed = parse_profile("9.5,zod=3,too_large=400,put_no_op=false")
    assert changed == replace(PROFILES["9.5"], zod="3", too_large=400, put_no_op=False)
    assert parse_profile("8.19") == PROFILES["8.19"]
