"""The grammar of Lucene's regular expressions (all optional operators on)."""

from __future__ import annotations

from ruledeploy.errors import QueryError
from ruledeploy.query.regexp_expr import (
    ANY_CHAR,
    ANYTHING,
    EMPTY,
    LAST_CODE,
    NOTHING,
    Chars,
    Expr,
    both,
    either,
    other,
    repeat,
    seq,
)

_MAX_DEPTH = 60
_MAX_INTERVAL = 10_000

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
    if start <= LAST_CODE:
        out.append((start, LAST_CODE))
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
        if char != "\\":
            return char
        char = self.next()
        if char.isascii() and char.isalpha():
            self.fail(f"\\{char} is no character class")
        return char

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
        if last - first > _MAX_INTERVAL:
            self.fail("number interval too wide")
        width = len(low) if len(low) == len(high) else 0
        zeros = EMPTY if width else repeat(self.char(0x30), 0, None)
        return either(*(seq(zeros, self.string(f"{n:0{width}d}")) for n in range(first, last + 1)))


def parse_expr(text: str, *, fold: bool = False) -> Expr:
    """The expression of a pattern; `fold` lets a letter of ASCII be of either case.

    Raises QueryError with the offset.
    """
    return _Parser(text, fold=fold).parse()
