"""Expressions of ES|QL: the tree that `eval`, `stats`, `sort` and computed conditions are made of.

Operators are calls too, by their own signs (`==`, `and`, `+`, `in`, `like`, `is null`); a minus
before a value is the call `neg`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Cursor, Token
from ruledeploy.query.esql_tokens import RESERVED
from ruledeploy.query.ir import MAX_DEPTH

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_INT = 2**31
# Units of time spans, in milliseconds; those of the calendar are months.
SPANS = {
    "millisecond": 1, "milliseconds": 1, "ms": 1,
    "second": 1000, "seconds": 1000, "sec": 1000, "s": 1000,
    "minute": 60_000, "minutes": 60_000, "min": 60_000, "m": 60_000,
    "hour": 3_600_000, "hours": 3_600_000, "h": 3_600_000,
    "day": 86_400_000, "days": 86_400_000, "d": 86_400_000,
    "week": 604_800_000, "weeks": 604_800_000, "w": 604_800_000,
}  # fmt: skip
MONTHS = {
    "month": 1, "months": 1, "mo": 1,
    "quarter": 3, "quarters": 3, "q": 3,
    "year": 12, "years": 12, "yr": 12, "y": 12,
}  # fmt: skip
CASTS = {
    "string": "to_string", "keyword": "to_string", "integer": "to_integer", "int": "to_integer",
    "long": "to_long", "double": "to_double", "boolean": "to_boolean", "bool": "to_boolean",
    "ip": "to_ip", "datetime": "to_datetime", "date": "to_datetime",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Name:
    """A column."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Const:
    """A literal; `type` is keyword, integer, long, double, boolean or null."""

    value: str | int | float | bool | None
    type: str
    at: int


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time: milliseconds, or months."""

    milliseconds: int
    months: int
    at: int


@dataclass(frozen=True, slots=True)
class Star:
    """The `*` of `count(*)`."""

    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator. `where` narrows an aggregate to some rows."""

    name: str
    args: tuple[Expr, ...]
    at: int
    where: Expr | None = None


Expr: TypeAlias = Name | Const | Span | Star | Call


def names_in(expr: Expr | None) -> Iterator[str]:
    """The columns an expression names."""
    match expr:
        case Name(name):
            yield name
        case Call(_, args, _, where):
            for arg in (*args, where):
                yield from names_in(arg)
        case _:
            pass


class ExprParser(Cursor):
    """Recursive descent over one command's tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__(tokens)
        self.depth = 0

    def fail(self, expected: str) -> NoReturn:
        """Raise for a token that cannot stand where it does."""
        token = self.token
        found = "the end" if token.kind == "end" else repr(token.text)
        raise QueryError(f"{expected} expected, not {found} at {token.at}", position=token.at)

    def expect_op(self, text: str) -> None:
        """Consume an operator that must be next."""
        if not self.accept(text):
            self.fail(text)

    def end(self) -> None:
        """Raise unless everything was read."""
        if self.token.kind != "end":
            self.fail("the end of the command")

    # ------------------------------------------------------------------------- conditions

    def expression(self) -> Expr:
        """The whole grammar, from `or` down."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnsupportedQuery(f"expression nested deeper than {MAX_DEPTH}")
        at = self.token.at
        parts = [self._conjunction()]
        while self.accept("or"):
            parts.append(self._conjunction())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Call("or", tuple(parts), at)

    def _conjunction(self) -> Expr:
        at = self.token.at
        parts = [self._negation()]
        while self.accept("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Call("and", tuple(parts), at)

    def _negation(self) -> Expr:
        at = self.token.at
        turns = 0
        while self.accept("not"):
            turns += 1
        found = self._comparison()
        for _ in range(turns):
            found = Call("not", (found,), at)
        return found

    def _comparison(self) -> Expr:
        left = self._sum()
        at = self.token.at
        operator = self.accept(*_COMPARISONS, ":")
        if operator:
            left = Call(operator, (left, self._sum()), at)
        if self.accept("is"):
            name = "is not null" if self.accept("not") else "is null"
            if not self.accept("null"):
                self.fail("null")
            return Call(name, (left,), at)
        if self.token.sign == "not" and self.following.sign in ("in", "like", "rlike"):
            self.take()
            return Call("not", (self._membership(left),), at)
        return self._membership(left)

    def _membership(self, left: Expr) -> Expr:
        at = self.token.at
        for word in ("in", "like", "rlike"):
            if self.accept(word):
                is_list = word == "in" or self.token.sign == "("
                return Call(word, (left, *(self._list() if is_list else (self._sum(),))), at)
        return left

    def _list(self) -> tuple[Expr, ...]:
        self.expect_op("(")
        out = [self._sum()]
        while self.accept(","):
            out.append(self._sum())
        self.expect_op(")")
        return tuple(out)

    # ----------------------------------------------------------------------------- values

    def _sum(self) -> Expr:
        found = self._product()
        while (at := self.token.at) >= 0 and (operator := self.accept("+", "-")):
            found = Call(operator, (found, self._product()), at)
        return found

    def _product(self) -> Expr:
        found = self._signed()
        while (at := self.token.at) >= 0 and (operator := self.accept("*", "/", "%")):
            found = Call(operator, (found, self._signed()), at)
        return found

    def _signed(self) -> Expr:
        at = self.token.at
        if self.accept("-"):
            inner = self._signed()
            if isinstance(inner, Const) and isinstance(inner.value, int | float):
                return Const(-inner.value, inner.type, at)
            return Call("neg", (inner,), at)
        return self._cast()

    def _cast(self) -> Expr:
        found = self._primary()
        while (at := self.token.at) >= 0 and self.accept("::"):
            kind = self.take().text.lower()
            if kind not in CASTS:
                raise UnsupportedQuery(f"the cast ::{kind} at {at}", position=at)
            found = Call(CASTS[kind], (found,), at)
        return found

    def _primary(self) -> Expr:
        token = self.token
        match token.kind:
            case "string":
                return Const(self.take().text, "keyword", token.at)
            case "number":
                return self._number()
            case "op" if token.text == "(":
                self.take()
                inner = self.expression()
                self.expect_op(")")
                return inner
            case "name" | "quoted":
                return self._word()
            case _:
                return self.fail("a value")

    def _number(self) -> Expr:
        token = self.take()
        unit = self.token.text.lower() if self.token.kind == "name" else ""
        if unit in SPANS or unit in MONTHS:
            self.take()
            count = int(token.text)
            return Span(count * SPANS.get(unit, 0), count * MONTHS.get(unit, 0), token.at)
        if re.search(r"[.eE]", token.text):
            return Const(float(token.text), "double", token.at)
        number = int(token.text)
        return Const(number, "integer" if number < _INT else "long", token.at)

    def _word(self) -> Expr:
        token = self.token
        if token.sign in ("true", "false"):
            return Const(self.take().text.lower() == "true", "boolean", token.at)
        if token.sign == "null":
            self.take()
            return Const(None, "null", token.at)
        if token.kind == "name" and self.following.sign == "(":
            return self._call()
        return Name(self.column(), token.at)

    def column(self) -> str:
        """A column's name, its parts joined by dots."""
        parts = []
        while True:
            if self.token.kind not in ("name", "quoted") or self.token.sign in RESERVED:
                self.fail("a column's name, its keywords in backquotes,")
            parts.append(self.take().text)
            if not self.accept("."):
                return ".".join(parts)

    def _call(self) -> Expr:
        token = self.take()
        self.expect_op("(")
        args: list[Expr] = []
        if self.token.sign == "*":
            args.append(Star(self.take().at))
        elif self.token.text != ")" or self.token.kind != "op":
            args.append(self.expression())
            while self.accept(","):
                args.append(self.expression())
        self.expect_op(")")
        return Call(token.text.lower(), tuple(args), token.at)
