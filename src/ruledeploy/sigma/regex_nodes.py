"""Regular expressions as values, and how Lucene writes them.

Case folding and flags are already in the sets of characters. `Before`, `After` and `Look` are
conditions on a place between characters; Lucene has none, and `regex_ways` takes them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

LAST = 0x10FFFF
_RESERVED = frozenset('.?+*|{}[]()"\\#@&<>~/^$-')

Ranges: TypeAlias = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Set:
    """One character out of sorted ranges that do not touch."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Cat:
    """One after the other; none is the empty text."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """Any of them; none matches nothing."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """`low` to `high` times; None is without end."""

    inner: Node
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Both:
    """All of them at once."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Every text but those."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Before:
    """The character before is in the set, or (`edge`) the value starts here."""

    chars: Ranges
    edge: bool


@dataclass(frozen=True, slots=True)
class After:
    """The character after is in the set, or (`edge`) the value ends here."""

    chars: Ranges
    edge: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What follows (or, not `ahead`, precedes) matches, or does not."""

    inner: Node
    ahead: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a `Ref` of its number repeats."""

    number: int
    inner: Node


@dataclass(frozen=True, slots=True)
class Ref:
    """The text of a group again; `fold` in any letter case."""

    number: int
    fold: bool


Node: TypeAlias = Set | Cat | Alt | Rep | Both | Not | Before | After | Look | Group | Ref

ANY = Set(((0, LAST),))
ANYTHING = Rep(ANY, 0, None)
EMPTY = Cat(())
NOTHING = Alt(())


def below(node: Node) -> tuple[Node, ...]:
    """The nodes that a node is made of."""
    match node:
        case Cat(items):
            return items
        case Alt(options):
            return options
        case Both(parts):
            return parts
        case Rep(inner) | Not(inner) | Look(inner) | Group(_, inner):
            return (inner,)
        case _:
            return ()


def rebuilt(node: Node, inner: list[Node]) -> Node:
    """The node made of others in the place of `below`."""
    match node:
        case Cat():
            return Cat(tuple(inner))
        case Alt():
            return Alt(tuple(inner))
        case Both():
            return Both(tuple(inner))
        case Rep(_, low, high):
            return Rep(inner[0], low, high)
        case Not():
            return Not(inner[0])
        case Look(_, ahead, negative):
            return Look(inner[0], ahead, negative)
        case Group(number, _):
            return Group(number, inner[0])
        case _:
            return node


# ------------------------------------------------------------------------------ sets of characters


def ranges(pairs: list[tuple[int, int]]) -> Ranges:
    """The pairs sorted, those that touch made one."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return tuple(out)


def outside(some: Ranges) -> Ranges:
    """Every other character."""
    bounds = [-1, *(bound for pair in some for bound in pair), LAST + 1]
    gaps = zip(bounds[::2], bounds[1::2], strict=True)
    return tuple((low + 1, high - 1) for low, high in gaps if low + 1 < high)


def common(one: Ranges, two: Ranges) -> Ranges:
    """What is in both."""
    pairs = [(max(a, c), min(b, d)) for a, b in one for c, d in two]
    return tuple(pair for pair in sorted(pairs) if pair[0] <= pair[1])


# ------------------------------------------------------------------------------------- as written


def escape(char: str) -> str:
    """A literal character; control characters need nothing, Lucene takes them as they are."""
    return f"\\{char}" if char in _RESERVED else char


def written(node: Node) -> str:
    """The expression in Lucene's syntax."""
    match node:
        case Set(some):
            return _set(some)
        case Cat(items):
            return "".join(_in_a_row(item) for item in items) or "()"
        case Alt(()):
            return "#"
        case Alt(options):
            return _alternatives(options)
        case Rep(inner, low, high):
            return f"{_single(inner)}{_times(low, high)}"
        case Both(parts):
            return "&".join(f"({written(p)})" if isinstance(p, Alt) else written(p) for p in parts)
        case Not(inner):
            return f"~({written(inner)})"
    raise AssertionError(node)  # the others are taken out before


def _alternatives(options: tuple[Node, ...]) -> str:
    """`a|b`; with the empty text among them, `(a|b)?`."""
    full = [written(option) for option in options if option != EMPTY]
    if len(full) == len(options):
        return "|".join(full)
    one = next((o for o in options if o != EMPTY), None)
    single = len(full) == 1 and isinstance(one, Set)
    return f"{full[0]}?" if single else f"({'|'.join(full)})?"


def _in_a_row(node: Node) -> str:
    """An item of a sequence: what binds looser gets parentheses."""
    text = written(node)
    loose = isinstance(node, Both) or (isinstance(node, Alt) and EMPTY not in node.options)
    return f"({text})" if loose else text


def _single(node: Node) -> str:
    text = written(node)
    return text if isinstance(node, Set) else f"({text})"


def _times(low: int, high: int | None) -> str:
    match low, high:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{low},}}"
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def _set(some: Ranges) -> str:
    if some == ((0, LAST),):
        return "."
    if not some:
        return "#"
    if len(some) == 1 and some[0][0] == some[0][1]:
        return escape(chr(some[0][0]))
    inside, others = _members(some), _members(outside(some))
    return f"[^{others}]" if len(others) < len(inside) or some[-1][1] == LAST else f"[{inside}]"


def _members(some: Ranges) -> str:
    out = []
    for low, high in some:
        first, last = escape(chr(low)), escape(chr(high))
        if low == high:
            out.append(first)
        else:
            out.append(f"{first}{last}" if high == low + 1 else f"{first}-{last}")
    return "".join(out)
