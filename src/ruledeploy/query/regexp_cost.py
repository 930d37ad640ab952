"""What it costs Elasticsearch to make a pattern's automaton deterministic.

ES|QL does it while it parses and refuses what takes too long ("too complex to determinize").
Lucene's measure is the sizes, summed, of the sets of states that the subset construction visits.
The automaton here has one state per character class of the expression, counted repeats written
out, which is what Lucene's comes to but for some minimization on its way: the sum is the same or
a little higher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ruledeploy.query.regexp import parse_regexp
from ruledeploy.query.regexp_expr import (
    Both,
    Chars,
    Either,
    Empty,
    Expr,
    Other,
    Repeat,
    Seq,
)

# Ten times the work limit of 10,000 that Elasticsearch gives Lucene.
MAX_EFFORT = 100_000
# More are not counted: their sets alone would take hundreds of megabytes.
_MAX_POSITIONS = 10_000


def is_too_complex(expr: Expr) -> bool:
    """Whether ES|QL refuses the expression; those with `&` or `~` are not judged."""
    positions = _Positions()
    if not positions.fits(expr):
        return True
    try:
        part = positions.part(expr)
    except _NotJudgedError:
        return False
    return _effort(part, positions) >= MAX_EFFORT


@lru_cache(maxsize=4096)
def regex_is_too_complex(pattern: str) -> bool:
    """The same of a regular expression's text. Raises `QueryError` for one that is none."""
    return is_too_complex(parse_regexp(pattern))


class _NotJudgedError(Exception):
    """The expression has an operator that is no automaton of positions."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Positions as bits: those that can come first and last, and whether none need to."""

    first: int
    last: int
    optional: bool


@dataclass(slots=True)
class _Positions:
    """Every occurrence of a class, and the positions that may follow each."""

    classes: list[Chars] = field(default_factory=list)
    follow: list[int] = field(default_factory=list)

    def fits(self, expr: Expr) -> bool:
        """Whether the repeats, written out, can be counted."""
        return _size(expr) < _MAX_POSITIONS

    def part(self, expr: Expr) -> _Part:
        """Adds the positions of an expression."""
        match expr:
            case Empty():
                return _Part(0, 0, optional=True)
            case Chars():
                self.classes.append(expr)
                self.follow.append(0)
                bit = 1 << (len(self.classes) - 1)
                return _Part(bit, bit, optional=False)
            case Seq():
                return self._chain(map(self.part, _steps(expr)))
            case Either(options):
                parts = [self.part(option) for option in sorted(options, key=repr)]
                return _Part(
                    _all_bits(part.first for part in parts),
                    _all_bits(part.last for part in parts),
                    any(part.optional for part in parts),
                )
            case Repeat():
                return self._repeat(expr)
            case Both() | Other():
                raise _NotJudgedError

    def _repeat(self, expr: Repeat) -> _Part:
        """The repeats that must be, then those that may, or one that comes again and again.

        Each optional one follows the one before, so that a position tells how many there were:
        this is how Lucene writes them out, and what makes them dear.
        """
        whole = self._chain(self.part(expr.inner) for _ in range(expr.least))
        if expr.most is None:
            part = self.part(expr.inner)
            self._link(part.last, part.first)
            return self._chain(iter((whole, _Part(part.first, part.last, optional=True))))
        newest, last = whole.last, whole.last
        for _ in range(expr.most - expr.least):
            part = self.part(expr.inner)
            self._link(newest, part.first)
            whole = _Part(whole.first or part.first, last, whole.optional)
            newest = part.last
            last |= newest
        return _Part(whole.first, last, whole.optional)

    def _chain(self, parts: Iterator[_Part]) -> _Part:
        whole = _Part(0, 0, optional=True)
        for part in parts:
            self._link(whole.last, part.first)
            first = whole.first | part.first if whole.optional else whole.first
            last = whole.last | part.last if part.optional else part.last
            whole = _Part(first, last, whole.optional and part.optional)
        return whole

    def _link(self, before: int, after: int) -> None:
        for position in _bits(before):
            self.follow[position] |= after


def _effort(part: _Part, positions: _Positions) -> int:
    """The sum of the sizes of all sets of positions that some text leads to, up to the limit.

    A set counts as soon as it is found, and the largest is left first: what is over the limit shows
    early.
    """
    letters, jumps = _letters(positions.classes), _jumps(positions.follow)
    narrow = _narrow(letters, len(positions.classes))
    # What the letters leave of a set, by the positions of it that few of them fit.
    kinds: dict[int, set[int]] = {}
    # Many sets lead to the same one, which the letters then divide.
    whole = part.first
    todo: list[int] = []
    seen, left, effort = {0}, {0}, 1
    while effort < MAX_EFFORT:
        if whole not in left:
            left.add(whole)
            asked = whole & narrow
            if asked not in kinds:
                kinds[asked] = {letter & (asked | ~narrow) for letter in letters}
            new = {whole & kind for kind in kinds[asked]} - seen
            seen |= new
            todo += sorted(new, key=int.bit_count) if len(new) > 1 else new
            effort += sum(map(int.bit_count, new))
        if not todo:
            break
        state = todo.pop()
        whole = (state & jumps.on) << 1 | state & jumps.stay
        for goal, sources in jumps.others:
            if state & sources:
                whole |= goal
    return effort


@dataclass(frozen=True, slots=True)
class _Jumps:
    """What follows a set of positions, told by a few sets instead of position by position.

    Most positions lead to the one after them (`on`) or back to themselves (`stay`); those that lead
    elsewhere mostly do so together: `others` has where to, and from which positions.
    """

    on: int
    stay: int
    others: tuple[tuple[int, int], ...]


def _jumps(follow: list[int]) -> _Jumps:
    on = stay = 0
    others: dict[int, int] = {}
    for position, goals in enumerate(follow):
        here = 1 << position
        on |= here if goals & here << 1 else 0
        stay |= goals & here
        elsewhere = goals & ~(here | here << 1)
        if elsewhere:
            others[elsewhere] = others.get(elsewhere, 0) | here
    return _Jumps(on, stay, tuple(others.items()))


def _letters(classes: list[Chars]) -> list[int]:
    """For each kind of character that some class tells from others: the positions it fits."""
    bounds = {0}
    for one in set(classes):
        bounds.update(low for low, _ in one.ranges)
        bounds.update(high + 1 for _, high in one.ranges)
    fits: dict[Chars, int] = {}
    for position, one in enumerate(classes):
        fits[one] = fits.get(one, 0) | 1 << position
    return list(
        {_all_bits(bits for one, bits in fits.items() if one.has(code)) for code in bounds} - {0}
    )


def _narrow(letters: list[int], count: int) -> int:
    """The positions that few letters fit."""
    fitting = (sum(letter >> position & 1 for letter in letters) for position in range(count))
    return _all_bits(
        1 << position for position, fit in enumerate(fitting) if fit * 2 <= len(letters)
    )


def _steps(expr: Expr) -> Iterator[Expr]:
    while isinstance(expr, Seq):
        yield expr.first
        expr = expr.rest
    yield expr


def _size(expr: Expr) -> int:
    match expr:
        case Seq():
            return sum(map(_size, _steps(expr)))
        case Either(options):
            return sum(map(_size, options))
        case Repeat(inner, least, most):
            return _size(inner) * max(least + (most is None), most or 0)
        case _:
            return 1


def _all_bits(some: Iterator[int] | list[int]) -> int:
    out = 0
    for bits in some:
        out |= bits
    return out


def _bits(bits: int) -> Iterator[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
