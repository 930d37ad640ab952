"""What is read without pySigma's parsers reads as they read it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.conditions import SigmaCondition
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections

from ruledeploy.sigma.condition import parsed
from ruledeploy.sigma.texts import line_of_texts

_TEXT = st.text("ab*?\\% ", min_size=1, max_size=8)
_MODIFIERS = st.sampled_from(["", "|contains", "|startswith", "|endswith", "|contains|all"])
_NAMES = ("a", "b-c", "selection_1", "1", "all", "notes", "_logsource")
_WORDS = st.sampled_from(
    [*_NAMES, *("and", "or", "not", "(", ")") * 3, "1 of", "all of", "of", "a*", "them", "AND"]
)


@given(_MODIFIERS, _TEXT | st.lists(_TEXT, min_size=1, max_size=3))
def test_lines_of_texts(modifiers: str, value: str | list[str]) -> None:
    """Wildcards, escapes, modifiers and what joins the values."""
    read = line_of_texts(f"field{modifiers}", value, None)
    assert read == SigmaDetectionItem.from_mapping(f"field{modifiers}", value)  # type: ignore[arg-type]  # its lists are invariant


@pytest.mark.parametrize("key", ["|contains", "field|re", "field|contains|cased", "field|nonsense"])
def test_leaves_other_lines_to_pysigma(key: str) -> None:
    """Modifiers that do more, and keywords."""
    assert line_of_texts(key, "text", None) is None


@pytest.mark.parametrize("value", [1, True, None, "", ["text", 1]])
def test_leaves_other_values_to_pysigma(value: object) -> None:
    """Numbers, booleans, null, and the empty text."""
    assert line_of_texts("field", value, None) is None


@given(st.lists(_WORDS, min_size=1, max_size=7))
def test_conditions(words: list[str]) -> None:
    """The same tree, or the same error."""
    detections = SigmaDetections(
        {name: SigmaDetection.from_definition({"field": name}) for name in _NAMES}, ["a"]
    )
    text = " ".join(words)
    assert _outcome(text, detections, ours=True) == _outcome(text, detections, ours=False)


def _outcome(text: str, detections: SigmaDetections, *, ours: bool) -> str:
    condition = SigmaCondition(text, detections)
    try:
        return repr(parsed(condition) if ours else condition.parsed)
    except SigmaError as error:
        return str(error)


@pytest.mark.parametrize("text", ["(" * 60 + "a" + ")" * 60, "not " * 60 + "a"])
def test_leaves_deep_conditions_to_pysigma(text: str) -> None:
    """Depth is bounded there."""
    detections = SigmaDetections({"a": SigmaDetection.from_definition({"field": "x"})}, ["a"])
    assert _outcome(text, detections, ours=True) == _outcome(text, detections, ours=False)
