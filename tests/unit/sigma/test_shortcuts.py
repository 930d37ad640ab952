"""What is read without pySigma's parsers reads as they read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.conditions import ConditionAND, ConditionItem, ConditionNOT, SigmaCondition
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaString

from ruledeploy.errors import Location
from ruledeploy.sigma.condition import condition_tree
from ruledeploy.sigma.selection import to_pattern
from ruledeploy.sigma.texts import line_of_texts
from ruledeploy.sigma.tree import And, Comparison, Not, Or, Tree

_HERE = Location("rule.yml", 1, 1)
_TEXT = st.text("ab*?\\% ", min_size=1, max_size=8)
_MODIFIERS = st.sampled_from(["", "|contains", "|startswith", "|endswith", "|contains|all"])
_NAMES = ("a", "b-c", "selection_1", "1", "all", "notes", "_logsource")
_WORDS = st.sampled_from(
    [*_NAMES, *("and", "or", "not", "(", ")") * 3, "1 of", "all of", "of", "a*", "them", "AND"]
)


@given(_MODIFIERS, _TEXT | st.lists(_TEXT, min_size=1, max_size=3))
def test_lines_of_texts(modifiers: str, value: str | list[str]) -> None:
    """Wildcards, escapes, modifiers and what joins the values."""
    read = line_of_texts(f"field{modifiers}", value, _HERE)
    theirs = SigmaDetectionItem.from_mapping(f"field{modifiers}", value)  # type: ignore[arg-type]  # its lists are invariant
    assert read is not None
    texts = [each for each in theirs.value if isinstance(each, SigmaString)]
    assert read.values == tuple(map(to_pattern, texts))
    assert (read.field, read.negated) == (theirs.field, theirs.negated)
    assert read.every is (theirs.value_linking is ConditionAND)


@pytest.mark.parametrize("key", ["|contains", "field|re", "field|contains|cased", "field|nonsense"])
def test_leaves_other_lines_to_pysigma(key: str) -> None:
    """Modifiers that do more, and keywords."""
    assert line_of_texts(key, "text", _HERE) is None


@pytest.mark.parametrize("value", [1, True, None, "", ["text", 1]])
def test_leaves_other_values_to_pysigma(value: object) -> None:
    """Numbers, booleans, null, and the empty text."""
    assert line_of_texts("field", value, _HERE) is None


@given(st.lists(_WORDS, min_size=1, max_size=7))
def test_conditions(words: list[str]) -> None:
    """The same tree, or the same error."""
    text = " ".join(words)
    assert _ours(text) == _theirs(text)


@pytest.mark.parametrize("text", ["(" * 60 + "a" + ")" * 60, "not " * 60 + "a"])
def test_leaves_deep_conditions_to_pysigma(text: str) -> None:
    """Depth is bounded there."""
    assert _ours(text) == _theirs(text)


def _ours(text: str) -> Tree | str | None:
    try:
        return condition_tree(text, {name: _selection(name) for name in _NAMES})
    except SigmaError as error:
        return str(error)


def _theirs(text: str) -> Tree | str | None:
    detections = SigmaDetections(
        {name: SigmaDetection.from_definition({"field": name}) for name in _NAMES}, ["a"]
    )
    try:
        return _tree(SigmaCondition(text, detections).parsed)
    except SigmaError as error:
        return str(error)


def _selection(name: str) -> Comparison:
    return Comparison("field", (to_pattern(SigmaString(name)),), every=False, place=_HERE)


def _tree(item: Any) -> Tree | None:
    """PySigma's tree as ours, of which it leaves out what asks nothing."""
    if item is None:
        return None
    if not isinstance(item, ConditionItem):
        return _selection(str(item.value))
    parts = [part for arg in item.args if (part := _tree(arg)) is not None]
    if isinstance(item, ConditionNOT):
        return Not(parts[0]) if parts else None
    if len(parts) < 2:
        return parts[0] if parts else None
    return (And if isinstance(item, ConditionAND) else Or)(tuple(parts))
