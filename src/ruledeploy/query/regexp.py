r"""Lucene's regular expressions, which are not Perl's.

The whole value must match. `^`, `$` and `(?i)` are ordinary characters; `~x` is everything but x,
`x&y` both, `@` any string, `#` no string, `"…"` literal text, `<1-9>` a number. `\d \w \s` and
their capitals are classes; any other backslash quotes one character.

An expression is matched by Brzozowski derivatives: the derivative of an expression by a character
is the expression that the rest of the value must match. Each is kept, so matching walks an
automaton that grows as it is used: linear in the value, whatever the expression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from ruledeploy.errors import QueryError

MAX_STATES = 10_000
_MAX_LENGTH = 1_000  # index.max_regex_length
_MAX_DEPTH = 60
_LAST = 0x10FFFF

# ---------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of the ranges, or out of all others."""

    ranges: tuple[tuple[int, int], ...]

    def has(self, code: int) -> bool:
        """Whether the character belongs to the class."""
        return any(low <= code <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class Empty:
    """The empty string."""


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    first: Expr
    rest: Expr


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
ANY_CHAR = Chars(((0, _LAST),))
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


# --------------------------------------------------------------------------------------- parser

_CLASSES: dict[str, tuple[tuple[int, int], ...]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0A), (0x0D, 0x0D), (0x20, 0x20)),
}


def _complement(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    out, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            out.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _LAST:
        out.append((start, _LAST))
    return tuple(out)


class _Parser:
    """Recursive descent over Lucene's grammar (union, intersection, concatenation, repeats)."""

    def __init__(self, text: str, *, fold: bool) -> None:
        self.text = text
        self.fold = fold
        self.at = 0
        self.depth = 0

    def parse(self) -> Expr:
        if not self.text:
            return EMPTY
        expr = self.union()
        if self.at < len(self.text):
            self.fail("end of the expression expected")
        return expr

    def fail(self, what: str) -> None:
        raise QueryError(f"regular expression: {what} at {self.at}", position=self.at)

    def peek(self, chars: str) -> bool:
        return self.at < len(self.text) and self.text[self.at] in chars

    def take(self, char: str) -> bool:
        if self.peek(char):
            self.at += 1
            return True
        return False

    def next(self) -> str:
        if self.at >= len(self.text):
            self.fail("unexpected end")
        self.at += 1
        return self.text[self.at - 1]

    def union(self) -> Expr:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.fail("nested too deep")
        options = [self.intersection()]
        while self.take("|"):
            options.append(self.intersection())
        self.depth -= 1
        return either(*options)

    def intersection(self) -> Expr:
        parts = [self.concatenation()]
        while self.take("&"):
            parts.append(self.concatenation())
        return both(*parts)

    def concatenation(self) -> Expr:
        items = [self.repetition()]
        while self.at < len(self.text) and not self.peek(")|&"):
            items.append(self.repetition())
        out: Expr = EMPTY
        for item in reversed(items):
            out = seq(item, out)
        return out

    def repetition(self) -> Expr:
        expr = self.complement()
        while self.peek("?*+{"):
            match self.next():
                case "?":
                    expr = repeat(expr, 0, 1)
                case "*":
                    expr = repeat(expr, 0, None)
                case "+":
                    expr = repeat(expr, 1, None)
                case _:
                    expr = self.counted(expr)
        return expr

    def counted(self, expr: Expr) -> Expr:
        least = self.number()
        most: int | None = least
        if self.take(","):
            most = self.number() if self.peek("0123456789") else None
        if not self.take("}"):
            self.fail("expected }")
        if most is not None and least > most:
            self.fail("repetition counts are the wrong way round")
        return repeat(expr, least, most)

    def number(self) -> int:
        start = self.at
        while self.peek("0123456789"):
            self.at += 1
        if start == self.at:
            self.fail("expected a number")
        return int(self.text[start : self.at])

    def complement(self) -> Expr:
        count = 0
        while self.take("~"):
            count += 1
        expr = self.simple()
        return other(expr) if count % 2 else expr

    def simple(self) -> Expr:  # one case per kind of atom
        if self.take("["):
            return self.char_class()
        if self.take("."):
            return ANY_CHAR
        if self.take("#"):
            return NOTHING
        if self.take("@"):
            return ANYTHING
        if self.take('"'):
            end = self.text.find('"', self.at)
            if end < 0:
                self.fail('expected "')
            literal, self.at = self.text[self.at : end], end + 1
            return self.string(literal)
        if self.take("("):
            if self.take(")"):
                return EMPTY
            expr = self.union()
            if not self.take(")"):
                self.fail("expected )")
            return expr
        if self.take("<"):
            return self.interval()
        if (ranges := self.predefined()) is not None:
            return Chars(ranges)
        return self.char(ord(self.literal()))

    def string(self, literal: str) -> Expr:
        out: Expr = EMPTY
        for char in reversed(literal):
            out = seq(self.char(ord(char)), out)
        return out

    def char(self, code: int) -> Chars:
        if self.fold and chr(code).isascii() and chr(code).isalpha():
            twin = ord(chr(code).swapcase())
            return Chars(((code, code), (twin, twin)))
        return Chars(((code, code),))

    def literal(self) -> str:
        char = self.next()
        return self.next() if char == "\\" else char

    def predefined(self) -> tuple[tuple[int, int], ...] | None:
        name = self.text[self.at + 1 : self.at + 2]
        if not self.peek("\\") or name.lower() not in _CLASSES:
            return None
        self.at += 2
        ranges = _CLASSES[name.lower()]
        return _complement(ranges) if name.isupper() else ranges

    def char_class(self) -> Expr:
        negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while True:
            if (known := self.predefined()) is not None:
                ranges.extend(known)
            else:
                low = ord(self.literal())
                high = low
                if self.take("-"):
                    high = ord(self.literal())
                    if high < low:
                        self.fail("class range is the wrong way round")
                ranges.extend(self.char(low).ranges if low == high else ((low, high),))
            if self.take("]"):
                break
            if self.at >= len(self.text):
                self.fail("expected ]")
        return Chars(_complement(tuple(ranges)) if negated else tuple(ranges))

    def interval(self) -> Expr:
        end = self.text.find(">", self.at)
        low, dash, high = self.text[self.at : max(end, self.at)].partition("-")
        if end < 0 or not dash or not (low.isdigit() and high.isdigit()):
            self.fail("expected <number-number>")
        self.at = end + 1
        first, last = sorted((int(low), int(high)))
        if last - first > MAX_STATES:
            self.fail("number interval too wide")
        width = len(low) if len(low) == len(high) else 0
        zeros = EMPTY if width else repeat(self.char(0x30), 0, None)
        return either(*(seq(zeros, self.string(f"{n:0{width}d}")) for n in range(first, last + 1)))


# -------------------------------------------------------------------------------------- matcher


class Automaton:
    """The derivatives reached so far, as numbered states."""

    def __init__(self, expr: Expr) -> None:
        self._numbers: dict[Expr, int] = {}
        self._exprs: list[Expr] = []
        self._accepts: list[bool] = []
        self._steps: list[dict[str, int]] = []
        self._start = self._state(expr)
        self._dead = self._state(NOTHING)

    def _state(self, expr: Expr) -> int:
        found = self._numbers.get(expr)
        if found is None:
            if len(self._exprs) >= MAX_STATES:
                raise QueryError("regular expression is too complex", hint="simplify it")
            found = self._numbers[expr] = len(self._exprs)
            self._exprs.append(expr)
            self._accepts.append(nullable(expr))
            self._steps.append({})
        return found

    def matches(self, value: str) -> bool:
        """Whether the whole value matches."""
        steps, state, dead = self._steps, self._start, self._dead
        for char in value:
            found = steps[state].get(char)
            if found is None:
                found = self._state(derive(self._exprs[state], ord(char)))
                steps[state][char] = found
            if found == dead:
                return False
            state = found
        return self._accepts[state]


def parse_regexp(pattern: str, *, fold: bool = False) -> Expr:
    """The expression; raises QueryError where Lucene would, or where it is longer than 1,000."""
    if len(pattern) > _MAX_LENGTH:
        raise QueryError(f"regular expression is longer than {_MAX_LENGTH} characters")
    return _Parser(pattern, fold=fold).parse()


@lru_cache(maxsize=1024)
def compile_regexp(pattern: str, *, fold: bool = False) -> Callable[[str], bool]:
    """A predicate for whole values; `fold` ignores the case of ASCII letters in literals."""
    return Automaton(parse_regexp(pattern, fold=fold)).matches
