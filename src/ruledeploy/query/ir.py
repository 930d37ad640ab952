"""The IR: a boolean tree over leaves, each asking one question of one field.

The logic is two-valued: a leaf is true of a document or it is not, and a field that is missing
satisfies no leaf. Languages with three values (ES|QL) are lowered to it with explicit guards.
What a leaf asks is written down as the query says it; what that means depends on the field's
type, and is told by `meaning`.

Parsers make and compare these by the million, so they are structs, which do that in C; nothing in
a tree points back up it, so the collector need not look at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

Scalar: TypeAlias = str | int | float | bool


# ------------------------------------------------------------------------------------ matchers


class Match(Struct, frozen=True, gc=False):
    """The analysed text: the whole value of a keyword; any (or `every`) word of a text field."""

    value: Scalar
    every: bool = False


class Phrase(Struct, frozen=True, gc=False):
    """The whole value of a keyword; consecutive words of a text field."""

    value: Scalar


class Term(Struct, frozen=True, gc=False):
    """One indexed term, not analysed. `fold` ignores the case of ASCII letters."""

    value: Scalar
    fold: bool = False


class AnyOf(Struct, frozen=True, gc=False):
    """One of many indexed terms."""

    values: tuple[Scalar, ...]


class Prefix(Struct, frozen=True, gc=False):
    """A term that starts so. `analysed` splits it into words on a text field first."""

    value: str
    fold: bool = False
    analysed: bool = False


class Glob(Struct, frozen=True, gc=False):
    r"""A term that fits a pattern: `*` any run, `?` one character, `\x` the character x.

    `analysed` lower-cases the literal parts on a text field; a keyword's normalizer always does.
    """

    pattern: str
    fold: bool = False
    analysed: bool = False


class Regexp(Struct, frozen=True, gc=False):
    """A term that a Lucene regular expression matches as a whole."""

    pattern: str
    fold: bool = False
    analysed: bool = False


class Range(Struct, frozen=True, gc=False):
    """A term between two bounds; None is open."""

    lower: Scalar | None = None
    upper: Scalar | None = None
    include_lower: bool = True
    include_upper: bool = True
    analysed: bool = False


class Exists(Struct, frozen=True, gc=False):
    """The field has an indexed value."""


class OneValue(Struct, frozen=True, gc=False):
    """The field has exactly one value, as ES|QL's comparisons demand."""


class Column(Struct, frozen=True, gc=False):
    """`inner` asked of what ES|QL sees as the column's value, after `steps` are applied to it.

    Steps are names of functions of one string: `lower`, `upper`, `trim`, `ltrim`, `rtrim`,
    `length`, `utf16_length`, `string`.
    """

    inner: Matcher
    steps: tuple[str, ...] = ()


class Within(Struct, frozen=True, gc=False):
    """One nested object at the leaf's field satisfies `node`, whose fields are full names."""

    node: Node


Matcher: TypeAlias = (
    Match
    | Phrase
    | Term
    | AnyOf
    | Prefix
    | Glob
    | Regexp
    | Range
    | Exists
    | OneValue
    | Column
    | Within
)


# --------------------------------------------------------------------------------------- nodes


class Always(Struct, frozen=True, gc=False):
    """True of every document."""


class Never(Struct, frozen=True, gc=False):
    """True of no document."""


class Leaf(Struct, frozen=True, gc=False):
    """One question about one field; the field may be a pattern (`process.*`, `*`).

    `lenient` is how `query_string` asks: a value the type cannot hold matches nothing, where the
    query DSL fails; and a text that analyses to no word takes its clause out of the query.
    """

    field: str
    matcher: Matcher
    lenient: bool = False


class Not(Struct, frozen=True, gc=False):
    """True where the child is not."""

    child: Node


class And(Struct, frozen=True, gc=False):
    """True where all children are."""

    children: tuple[Node, ...]


class Or(Struct, frozen=True, gc=False):
    """True where any child is."""

    children: tuple[Node, ...]


Node: TypeAlias = And | Or | Not | Leaf | Always | Never

ALWAYS = Always()
NEVER = Never()

# Parsers refuse deeper trees, so that whatever walks one may recurse.
MAX_DEPTH = 150


def all_of(*children: Node) -> Node:
    """The conjunction, flattened; a lone child is itself, none is `Always`."""
    kept: list[Node] = []
    for child in children:
        if isinstance(child, And):
            kept.extend(child.children)
        elif isinstance(child, Never):
            return NEVER
        elif not isinstance(child, Always):
            kept.append(child)
    if len(kept) > 1:
        kept = list(dict.fromkeys(kept))
    if not kept:
        return ALWAYS
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def any_of(*children: Node) -> Node:
    """The disjunction, flattened; a lone child is itself, none is `Never`."""
    kept: list[Node] = []
    for child in children:
        if isinstance(child, Or):
            kept.extend(child.children)
        elif isinstance(child, Always):
            return ALWAYS
        elif not isinstance(child, Never):
            kept.append(child)
    if len(kept) > 1:
        kept = list(dict.fromkeys(kept))
    if not kept:
        return NEVER
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


def negate(child: Node) -> Node:
    """The negation; a double one cancels."""
    match child:
        case Always():
            return NEVER
        case Never():
            return ALWAYS
        case Not(inner):
            return inner
        case _:
            return Not(child)


def simplify(node: Node) -> Node:
    """The same question with constants folded, nesting flattened and repeats removed."""
    match node:
        case And(children):
            return all_of(*map(simplify, children))
        case Or(children):
            return any_of(*map(simplify, children))
        case Not(child):
            return negate(simplify(child))
        case Leaf(_, Within(inner)):
            return replace(node, matcher=Within(simplify(inner)))
        case _:
            return node


def leaves(node: Node) -> tuple[Leaf, ...]:
    """Every leaf in order of appearance, without repeats; those of nested queries after theirs."""
    return tuple(dict.fromkeys(each_leaf(node)))


def each_leaf(node: Node) -> Iterator[Leaf]:
    """Every leaf as often as it appears."""
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, Leaf):
            yield node
            if isinstance(node.matcher, Within):
                todo.append(node.matcher.node)
        elif isinstance(node, (And, Or)):
            todo.extend(node.children[::-1])
        elif isinstance(node, Not):
            todo.append(node.child)


def fields_used(node: Node) -> frozenset[str]:
    """The fields (or field patterns) that the leaves ask about."""
    return frozenset([leaf.field for leaf in each_leaf(node)])
