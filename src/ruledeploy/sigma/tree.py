"""A rule's condition as a tree of comparisons, in a family's names, under AND, OR and NOT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct
from sigma.types import SigmaType

from ruledeploy.errors import Location
from ruledeploy.sigma.match import Pattern


class TwoFields(Struct, frozen=True, gc=False):
    r"""One side compared with the other; of two names it is their texts with `\` between.

    ECS keeps domain and name of a user apart, Windows' own fields have `DOMAIN\name`.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    starts: bool = False
    ends: bool = False


# A text, what pySigma reads of any other value, or another field.
Value: TypeAlias = Pattern | SigmaType | TwoFields


class Comparison(Struct, frozen=True, gc=False):
    """A field and the values of which it is to have one, or `every` one; without it, keywords."""

    field: str | None
    values: tuple[Value, ...]
    every: bool
    place: Location


class Not(Struct, frozen=True, gc=False):
    """The part does not hold."""

    part: Tree


class And(Struct, frozen=True, gc=False):
    """All parts hold."""

    parts: tuple[Tree, ...]


class Or(Struct, frozen=True, gc=False):
    """One of the parts holds."""

    parts: tuple[Tree, ...]


Tree: TypeAlias = And | Or | Not | Comparison


class Line(Struct, frozen=True, gc=False):
    """A line of a selection, which may be `negated`."""

    field: str | None
    values: tuple[Value, ...]
    every: bool
    negated: bool
    place: Location

    def tree(self) -> Tree:
        """The line as one comparison."""
        found = Comparison(self.field, self.values, self.every, self.place)
        return Not(found) if self.negated else found

    def apart(self) -> Tree:
        """The line as a comparison for each value."""
        each = (Comparison(self.field, (value,), self.every, self.place) for value in self.values)
        found = joined(And if self.every else Or, each)
        return Not(found) if self.negated else found


def joined(kind: type[And | Or], parts: Iterable[Tree]) -> Tree:
    """The parts under AND or OR; of one there is nothing to join."""
    kept = tuple(parts)
    return kept[0] if len(kept) == 1 else kind(kept)


def comparisons(tree: Tree) -> Iterator[Comparison]:
    """Every comparison in the order of the condition."""
    match tree:
        case Comparison():
            yield tree
        case Not(part):
            yield from comparisons(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from comparisons(part)
