"""Regular expressions as values, and their derivatives.

The derivative of an expression by a character is the expression that the rest of a value must
match once the character is read (Brzozowski). It exists for complement and intersection too,
which Lucene has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

LAST_CODE = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of the ranges, or out of all others."""

    ranges: tuple[tuple[int, int], ...]

    def has(self, code: int) -> bool:
        """Whether the character belongs to the class."""
        for low, high in self.ranges:  # noqa: SIM110 - `any` takes twice as long
            if low <= code <= high:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Empty:
    """The empty string."""


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other.

    The hash is taken once: sequences are hashed with each step of an automaton, and one of a
    thousand characters is nested as deep.
    """

    first: Expr
    rest: Expr
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Take the hash, of which that of the rest is known."""
        object.__setattr__(self, "_hash", hash((Seq, self.first, self.rest)))

    def __hash__(self) -> int:
        """The hash taken when it was made."""
        return self._hash


@dataclass(frozen=True, slots=True)
class Either:
    """Any of them."""

    options: frozenset[Expr]


@dataclass(frozen=True, slots=True)
class Both:
    """All of them at once."""

    parts: frozenset[Expr]


@dataclass(frozen=True, slots=True)
class Other:
    """Every string but those."""

    inner: Expr


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` times; `most` None is without end."""

    inner: Expr
    least: int
    most: int | None


Expr: TypeAlias = Chars | Empty | Seq | Either | Both | Other | Repeat

EMPTY = Empty()
NOTHING = Either(frozenset())
ANY_CHAR = Chars(((0, LAST_CODE),))
ANYTHING = Repeat(ANY_CHAR, 0, None)


def seq(first: Expr, rest: Expr) -> Expr:
    """Concatenation, with the neutral and the absorbing element taken out."""
    if NOTHING in (first, rest):
        return NOTHING
    if first == EMPTY:
        return rest
    if rest == EMPTY:
        return first
    if isinstance(first, Seq):
        return Seq(first.first, seq(first.rest, rest))
    return Seq(first, rest)


def either(*options: Expr) -> Expr:
    """Union, flattened."""
    flat: set[Expr] = set()
    for option in options:
        flat |= option.options if isinstance(option, Either) else {option}
    if ANYTHING in flat:
        return ANYTHING
    return next(iter(flat)) if len(flat) == 1 else Either(frozenset(flat))


def both(*parts: Expr) -> Expr:
    """Intersection, flattened."""
    flat: set[Expr] = set()
    for part in parts:
        flat |= part.parts if isinstance(part, Both) else {part}
    flat.discard(ANYTHING)
    if NOTHING in flat:
        return NOTHING
    if not flat:
        return ANYTHING
    return next(iter(flat)) if len(flat) == 1 else Both(frozenset(flat))


def other(inner: Expr) -> Expr:
    """Complement; a double one cancels."""
    if isinstance(inner, Other):
        return inner.inner
    return ANYTHING if inner == NOTHING else Other(inner)


def repeat(inner: Expr, least: int, most: int | None) -> Expr:
    """Repetition, with the trivial cases taken out."""
    if most == 0 or inner == EMPTY:
        return EMPTY
    if inner == NOTHING:
        return EMPTY if least == 0 else NOTHING
    return inner if (least, most) == (1, 1) else Repeat(inner, least, most)


def nullable(expr: Expr) -> bool:
    """Whether the empty string matches."""
    match expr:
        case Chars():
            return False
        case Empty():
            return True
        case Seq(first, rest):
            return nullable(first) and nullable(rest)
        case Either(options):
            return any(map(nullable, options))
        case Both(parts):
            return all(map(nullable, parts))
        case Other(inner):
            return not nullable(inner)
        case Repeat(inner, least, _):
            return least == 0 or nullable(inner)


def derive(expr: Expr, code: int) -> Expr:
    """What the rest must match, once the character is read."""
    match expr:
        case Chars():
            return EMPTY if expr.has(code) else NOTHING
        case Empty():
            return NOTHING
        case Seq(first, rest):
            head = seq(derive(first, code), rest)
            return either(head, derive(rest, code)) if nullable(first) else head
        case Either(options):
            return either(*(derive(option, code) for option in options))
        case Both(parts):
            return both(*(derive(part, code) for part in parts))
        case Other(inner):
            return other(derive(inner, code))
        case Repeat(inner, least, most):
            fewer = None if most is None else most - 1
            return seq(derive(inner, code), repeat(inner, max(least - 1, 0), fewer))
