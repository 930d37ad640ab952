"""ES|QL fails on a column that no index has, so what asks for one is decided before.

A field that the family lacks is missing in every event: what Sigma asks of it has one answer. The
answers are folded through the condition, and what is left names only columns there are.
"""

from __future__ import annotations

from collections.abc import Callable

from sigma.types import SigmaExists, SigmaExpansion, SigmaNull

from ruledeploy.sigma.tree import And, Comparison, Not, Or, Tree, Value, joined

Absent = Callable[[Comparison], bool]


def without_absent(tree: Tree, absent: Absent) -> Tree | bool:
    """The condition without its comparisons of absent fields; a bool where they decide it.

    `absent` tells of a comparison whether its field is.
    """
    match tree:
        case Comparison():
            if not absent(tree):
                return tree
            return (all if tree.every else any)(map(_holds_of_nothing, tree.values))
        case Not(part):
            inner = without_absent(part, absent)
            return not inner if isinstance(inner, bool) else Not(inner)
        case And() | Or():
            return _joined(tree, absent)


def _joined(tree: And | Or, absent: Absent) -> Tree | bool:
    decisive = isinstance(tree, Or)
    kept = []
    for part in tree.parts:
        inner = without_absent(part, absent)
        if inner is decisive:
            return decisive
        if not isinstance(inner, bool):
            kept.append(inner)
    return joined(type(tree), kept) if kept else not decisive


def _holds_of_nothing(value: Value) -> bool:
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
