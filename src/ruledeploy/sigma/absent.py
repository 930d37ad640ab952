"""ES|QL fails on a column that no index has, so what asks for one is decided before.

A field that the family lacks is missing in every event: what Sigma asks of it has one answer. The
answers are folded through the condition, and what is left names only columns there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import SigmaExists, SigmaExpansion, SigmaNull, SigmaType

Comparison = ConditionFieldEqualsValueExpression | ConditionValueExpression
Absent = Callable[[Comparison], bool]


def without_absent(condition: Any, absent: Absent) -> Any:
    """The condition without its comparisons of absent fields; a bool where they decide it.

    `absent` tells of a comparison whether its field is.
    """
    match condition:
        case ConditionFieldEqualsValueExpression() | ConditionValueExpression() if absent(
            condition
        ):
            return _holds_of_nothing(condition.value)
        case ConditionNOT():
            inner = without_absent(condition.args[0], absent)
            return not inner if isinstance(inner, bool) else _again(condition, [inner])
        case ConditionAND() | ConditionOR():
            return _joined(condition, absent)
        case _:
            return condition


def _joined(condition: ConditionAND | ConditionOR, absent: Absent) -> Any:
    decisive = isinstance(condition, ConditionOR)
    kept = []
    for arg in condition.args:
        inner = without_absent(arg, absent)
        if inner is decisive:
            return decisive
        if not isinstance(inner, bool):
            kept.append(inner)
    if not kept:
        return not decisive
    return kept[0] if len(kept) == 1 else _again(condition, kept)


def _again(condition: ConditionItem, args: list[Any]) -> ConditionItem:
    return type(condition)(args, source=condition.source)


def _holds_of_nothing(value: SigmaType) -> bool:
    """What a comparison says of a field without a value."""
    match value:
        case SigmaNull():
            return True
        case SigmaExists():
            return not value.exists
        case SigmaExpansion():
            return any(_holds_of_nothing(each) for each in value.values)
        case _:
            return False
