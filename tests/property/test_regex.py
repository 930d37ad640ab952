"""Laws of regular expressions: Lucene's say exactly what Sigma's do, or Sigma's are refused."""

from __future__ import annotations

import re
import warnings

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ruledeploy.query.regexp import MAX_REGEX_LENGTH, compile_regexp
from ruledeploy.sigma.regex import RegexUnsupported, translate
from support.regexes import expressions, values

# What a refusal may be for.
REFUSALS = ("repeated", "another condition", "so many ways", "back reference")


def compiled(expression: str) -> re.Pattern[str] | None:
    """Python's reading, with the classes of PCRE; None where it has none.

    `$` is the end of the value: Python's is also right before a last line end.
    """
    flags, _, _ = expression.partition(")")
    if "m" not in flags:
        expression = expression.replace("$", r"\Z")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(expression, re.ASCII)
        except re.error:
            return None


def reading(expression: str) -> tuple[str, str]:
    """Lucene's expression, or why there is none."""
    try:
        return translate(expression).regex, ""
    except RegexUnsupported as refused:
        return "", str(refused)


@settings(max_examples=600, deadline=None)
@given(expressions, st.lists(values, min_size=1, max_size=12))
def test_a_value_is_found_by_one_if_by_the_other(expression: str, found: list[str]) -> None:
    """Python's `re.search` is the judge."""
    pattern = compiled(expression)
    assume(pattern is not None)
    lucene, refused = reading(expression)
    assume(not refused and len(lucene) <= MAX_REGEX_LENGTH)
    matches = compile_regexp(lucene)
    for value in found:
        if not value and r"\B" in expression:
            continue  # Python's `\B` alone does not match the empty text (before 3.14)
        assert pattern is not None
        assert matches(value) == bool(pattern.search(value)), (expression, lucene, value)


@settings(max_examples=200, deadline=None)
@given(expressions)
def test_little_is_refused(expression: str) -> None:
    """What is refused has a condition that is repeated, looks out of another, or is too much."""
    assume(compiled(expression) is not None)
    _, refused = reading(expression)
    assert not refused or any(each in refused for each in REFUSALS)
