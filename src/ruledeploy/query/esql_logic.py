"""Conditions of ES|QL, lowered from three values to two.

A comparison is null when the field has no value or several. Each condition becomes a pair: the
node that says when it is true and the one that says when it is false; it is null where neither
holds. NOT swaps the pair, so `NOT a == "x"` keeps only rows with one other value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache, reduce
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query import glob
from ruledeploy.query.dates import moment_of
from ruledeploy.query.ir import (
    ALWAYS,
    NEVER,
    And,
    Column,
    Exists,
    Glob,
    Leaf,
    Matcher,
    Node,
    Not,
    OneValue,
    Prefix,
    Range,
    Regexp,
    Scalar,
    Term,
    all_of,
    any_of,
    negate,
)
from ruledeploy.query.kinds import between
from ruledeploy.query.regexp import ANYTHING, literal_of, parse_regexp
from ruledeploy.query.terms import parse_ip

# The category of letters that no result of a function has, as the optimizer takes it.
_NEVER_MADE = MappingProxyType({"lower": "Lu", "upper": "Ll"})
# Steps that drop a value they cannot convert.
FALLIBLE = frozenset({"ip"})


# The text of a LIKE pattern.
_ESCAPED = re.compile(r"(?:[^\\]|\\[*?\\])*", re.DOTALL)
_NONE = frozenset[str]()


class Tri(Struct, frozen=True, gc=False):
    """When a condition is true and when it is false.

    `inverse` is what NOT right before it makes of it, where that is not just the two swapped.
    `several` says when a column that is a condition by itself has several values: whatever AND or
    OR join it with is null then, even where the other side would decide. The rest is what the
    optimizer sees of it: `equal` and `within` are the columns that must equal a text or number and
    lie in a range for it to be true, `names` all columns. Of a conjunction `absent` and `present`
    are those that it asks for by `is null` and `is not null`, `others` those of its other parts; of
    a disjunction `spared` are those that an `is null` beside it makes it true of.
    """

    true: Node
    false: Node
    inverse: Tri | None = None
    several: Node | None = None
    equal: tuple[tuple[Field, Scalar], ...] = ()
    within: tuple[tuple[Field, Range], ...] = ()
    names: frozenset[str] = _NONE
    absent: frozenset[str] = _NONE
    present: frozenset[str] = _NONE
    others: frozenset[str] = _NONE
    spared: frozenset[str] = _NONE

    @property
    def is_null(self) -> bool:
        """Whether it is null whatever the row is."""
        return self.true == NEVER == self.false

    @property
    def is_check(self) -> bool:
        """Whether it is one `is null` or `is not null` and nothing else."""
        return not self.others and len(self.absent) + len(self.present) == 1

    def negated(self) -> Tri:
        """The condition under a NOT."""
        if self.inverse is None:
            # What the swap cannot keep, a second NOT gives back.
            # A check for null is not seen behind a NOT, but is no other condition either.
            others = _NONE if self.is_check else self.others | self.absent | self.present
            return Tri(self.false, self.true, inverse=self, names=self.names, others=others)
        return replace(self.inverse, inverse=self)


class Field(Struct, frozen=True, gc=False):
    """A column and the functions applied to it, innermost first."""

    name: str
    steps: tuple[str, ...] = ()


class Literal(Struct, frozen=True, gc=False):
    """A constant; `converted` is a text that a function reads as a date or an address."""

    value: Scalar
    converted: bool = False


Operand: TypeAlias = Field | Literal


NULL = Tri(NEVER, NEVER)
_FALSE = Tri(NEVER, ALWAYS)


def single(field: Field, matcher: Matcher, equal: tuple[tuple[Field, Scalar], ...] = ()) -> Tri:
    """A comparison: on one value true or false, on none or several null."""
    guard, names = _guarded(field)
    asked = Leaf(field.name, Column(matcher, field.steps))
    true, false = And((guard, asked)), And((guard, Not(asked)))
    return Tri(true, false, equal=equal, names=names, others=names)


@lru_cache(maxsize=4096)
def _guarded(field: Field) -> tuple[Leaf, frozenset[str]]:
    """What a comparison needs of its column to be true or false, and the names in it."""
    converted = field.steps if FALLIBLE & set(field.steps) else ()
    return Leaf(field.name, Column(OneValue(), converted)), frozenset({field.name})


def bare(name: str) -> Tri:
    """A column that is a condition by itself."""
    one = Leaf(name, Column(OneValue()))
    some = Leaf(name, Column(Exists()))
    return replace(single(Field(name), Term(True)), several=all_of(some, negate(one)))


def both(parts: Sequence[Tri]) -> Tri:
    """AND: true if all are, false if one is.

    The optimizer knows what cannot hold together, and writes false for all of it. Where a column
    `is null`, whatever else names the column is null to it, and then the whole.
    """
    lone = _lone([part for part in parts if part.true != ALWAYS])
    # What it finds to hold only later is no reason not to look at the columns in it.
    if lone is not None and not any(part.others for part in parts if part.true == ALWAYS):
        return lone
    missing = _NONE.union(*[part.absent for part in parts])
    if missing:
        parts = [part for part in parts if not part.spared & missing]
    equal = tuple(one for part in parts for one in part.equal)
    within = tuple(one for part in parts for one in part.within)
    names = _NONE.union(*[part.names for part in parts])
    absent = _NONE.union(*[part.absent for part in parts])
    present = _NONE.union(*[part.present for part in parts])
    others = _NONE.union(*[part.others for part in parts])
    denied = _NONE.union(*[part.inverse.absent for part in parts if part.inverse is not None])
    if _contradict(equal, within) or absent & present:
        return replace(_FALSE, names=names)
    found = _joined(parts)
    nothing = absent & (others | denied) or any(part.is_null for part in parts)
    if found.false != ALWAYS and nothing:
        return replace(NULL, names=names)
    return replace(
        found,
        equal=equal,
        within=within,
        names=names,
        absent=absent,
        present=present,
        others=others,
    )


def _contradict(
    equal: Sequence[tuple[Field, Scalar]], within: Sequence[tuple[Field, Range]]
) -> bool:
    """Whether a column must equal two values, or one out of a range it must be in.

    Of dates the optimizer does not say so.
    """
    if not equal:
        return False
    known: dict[Field, Scalar] = {}
    for field, value in equal:
        first = known.setdefault(field, value)
        if first != value and moment_of(str(first)) is None:
            return True
    return any(
        field in known and moment_of(str(known[field])) is None and _is_out(known[field], bounds)
        for field, bounds in within
    )


def _is_out(value: Scalar, bounds: Range) -> bool:
    """Whether a value lies below or above a range of its kind."""
    given = [one for one in (value, bounds.lower, bounds.upper) if one is not None]
    if len({isinstance(one, str) for one in given}) > 1:
        return False
    inside: tuple[Scalar | None, ...] = (value, bounds.lower, bounds.upper)
    if None not in map(parse_ip, given):
        inside = tuple(map(parse_ip, inside))
    asked, low, high = inside
    return not between(low, high, bounds).test(asked)


def _lone(parts: Sequence[Tri]) -> Tri | None:
    """What is left of AND or OR by itself, if the optimizer sees more of it than of others.

    That is a column that is a condition, a check for null, and the NOT of either.
    """
    if len(parts) != 1:
        return None
    (part,) = parts
    seen = part if part.inverse is None else part.inverse
    return part if seen.several is not None or part.is_check or seen.is_check else None


def _joined(parts: Sequence[Tri]) -> Tri:
    if all(part.several is None for part in parts):
        return Tri(all_of(*(p.true for p in parts)), any_of(*(p.false for p in parts)))
    if any(part.false == ALWAYS for part in parts):
        return _FALSE  # the optimizer never asks the column
    parts = [part for part in parts if part.true != ALWAYS]
    return reduce(
        lambda a, b: _strict(a, b, all_of(a.true, b.true), any_of(a.false, b.false)), parts
    )


def either(parts: Sequence[Tri]) -> Tri:
    """OR: true if one is, false if all are. The optimizer drops what is null by itself.

    What cannot hold it drops before it looks for nulls; but a text that no function makes it sees
    as false only later, so that its columns still count.
    """
    names = _NONE.union(*(part.names for part in parts))
    if any(part.is_null for part in parts):
        # Before it looks for nulls it drops what is written as false, after that what is found so.
        parts = [p for p in parts if not p.is_null and (p.false != ALWAYS or p.names)] or [NULL]
    kept = [part for part in parts if part.false != ALWAYS]
    later = _NONE.union(*(part.others for part in parts if part.false == ALWAYS))
    lone = _lone(kept)
    if lone is not None:
        return _beside(lone, later) if later else lone
    # A lone check of a column; of two in a conjunction neither is enough.
    alone = [part.absent for part in parts if len(part.absent) == 1 and not part.others]
    spared = _NONE.union(*alone)
    seen = later.union(*(part.names for part in kept))
    return replace(_alternatives(parts), names=names, others=seen, spared=spared)


def _beside(lone: Tri, later: frozenset[str]) -> Tri:
    """What is left by itself, to which the columns of what fell away later count."""
    other = lone.inverse
    return replace(lone, others=later, inverse=other and replace(other, others=later))


def _alternatives(parts: Sequence[Tri]) -> Tri:
    if all(part.several is None for part in parts):
        return Tri(any_of(*(p.true for p in parts)), all_of(*(p.false for p in parts)))
    if any(part.true == ALWAYS for part in parts):
        return Tri(ALWAYS, NEVER)
    # What the optimizer has taken out is nobody's other side.
    parts = [part for part in parts if part.false != ALWAYS]
    return reduce(
        lambda a, b: _strict(a, b, any_of(a.true, b.true), all_of(a.false, b.false)), parts
    )


def _strict(left: Tri, right: Tri, true: Node, false: Node) -> Tri:
    known = [negate(part.several) for part in (left, right) if part.several is not None]
    return Tri(all_of(*known, true), all_of(*known, false))


def plain(node: Node, *names: str) -> Tri:
    """A condition on some columns that is never null."""
    return _about(Tri(node, negate(node)), frozenset(names))


def null_check(field: Field, *, absent: bool) -> Tri:
    """`is null` or `is not null`, which the optimizer tells from the other conditions."""
    matcher = Column(Exists(), field.steps) if field.steps else Exists()
    leaf = Leaf(field.name, matcher)
    found = plain(negate(leaf) if absent else leaf, field.name)
    if field.steps:
        return found
    if absent:
        return replace(found, absent=found.names, others=_NONE)
    return replace(found, present=found.names, others=_NONE)


def _about(tri: Tri, names: frozenset[str]) -> Tri:
    """The condition, with the columns that it names and says nothing more of."""
    return replace(tri, names=names, others=names)


def apply(operand: Operand, step: str) -> Operand:
    """A function of a column is a step; one of a literal is computed."""
    if isinstance(operand, Field):
        return Field(operand.name, (*operand.steps, step))
    text = str(operand.value)
    match step:
        case "lower":
            return Literal(text.lower())
        case "upper":
            return Literal(text.upper())
        case "string":
            return Literal(text)
        case _:
            raise UnsupportedQuery(f"{step} of a constant")


def equals(field: Field, value: Scalar) -> Tri:
    """Equality. The optimizer knows that `to_lower(f) == "ABC"` cannot hold.

    It writes false for it, and `f is not null` for its negation, before any row is read.
    """
    equal = ((field, value),)
    if not field.steps or field.steps[-1] not in _NEVER_MADE:
        return single(field, Term(value), equal)
    if _never_made(field.steps[-1], str(value)):
        bare = len(field.steps) == 1
        present = Leaf(field.name, Exists() if bare else Column(Exists()))
        names = frozenset({field.name})
        return _about(Tri(NEVER, ALWAYS, _about(Tri(present, negate(present)), names)), names)
    # The function is dropped for a comparison that ignores case, but of ASCII letters only.
    return single(Field(field.name, field.steps[:-1]), Term(value, fold=True), equal)


def _never_made(step: str, text: str) -> bool:
    """Whether the text has a letter that no result of the function has."""
    if text.isascii():
        return text != (text.lower() if step == "lower" else text.upper())
    return any(unicodedata.category(char) == _NEVER_MADE[step] for char in text)


def pattern(field: Field, matcher: Matcher) -> Tri:
    """One pattern. The optimizer reads one that fits all as `is not null`, one text as `==`."""
    match matcher:
        case Glob(pattern):
            if not pattern:
                return single(field, matcher)
            fits_all = glob.matches_all(pattern)
            literal = glob.literal(pattern)
        case Regexp(pattern):
            expr = parse_regexp(pattern)
            fits_all, literal = expr == ANYTHING, literal_of(expr)
        case _:
            return single(field, matcher)
    if fits_all:
        # Of a bare column the index is asked, of a function the values are read.
        if not field.steps:
            return null_check(field, absent=False)
        return plain(Leaf(field.name, Column(Exists())), field.name)
    return single(field, matcher) if literal is None else equals(field, literal)


def ranged(field: Field, bounds: Range) -> Tri:
    """`<`, `<=`, `>` or `>=`."""
    return replace(single(field, bounds), within=((field, bounds),))


def affix(name: str, text: str) -> Matcher:
    """What `starts_with` and `ends_with` ask."""
    return Prefix(text) if name == "starts_with" else Glob("*" + glob.escape(text))


def like(pattern: Scalar) -> str:
    r"""A LIKE pattern; in it only `\*`, `\?` and `\\` are escapes, any other is an error."""
    text = str(pattern)
    if "\\" in text and _ESCAPED.fullmatch(text) is None:
        raise QueryError(
            f"in the pattern {text!r} a backslash is not followed by *, ? or a backslash",
            hint=r'a backslash is \\ in a pattern: "\\\\" in a string, """\\""" in raw text',
        )
    return text
