"""The condition of an ES|QL `where`, parsed: or, and, not, then one comparison."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Cursor, Token
from ruledeploy.query.esql_logic import (
    FALLIBLE,
    Field,
    Literal,
    Operand,
    Tri,
    affix,
    apply,
    bare,
    both,
    either,
    equals,
    like,
    null_check,
    pattern,
    plain,
    ranged,
    single,
)
from ruledeploy.query.esql_tokens import RESERVED, Clause, tokenize
from ruledeploy.query.ir import (
    ALWAYS,
    MAX_DEPTH,
    NEVER,
    AnyOf,
    Glob,
    Leaf,
    Match,
    Matcher,
    Phrase,
    Range,
    Regexp,
    Scalar,
)
from ruledeploy.query.lucene import parse_lucene

_STEPS = {
    "to_lower": "lower",
    "to_upper": "upper",
    "to_string": "string",
    "to_str": "string",
    "trim": "trim",
    "ltrim": "ltrim",
    "rtrim": "rtrim",
    "length": "length",
    "to_ip": "ip",
}
# Conversions that a literal needs and the column's type then decides.
_CASTS = frozenset(
    {"to_ip", "to_datetime", "to_dt", "to_long", "to_integer", "to_int", "to_double"}
)
# Those that a text needs only because it is compared with such a column.
_READ = frozenset({"to_ip", "to_datetime", "to_dt"})
# Types that a text is read as in any case.
_READ_AS = frozenset({"ip", "datetime", "date"})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def parse_condition(text: str, start: int, end: int) -> Tri:
    """The condition of a `where`, which keeps the rows for which it is true."""
    try:
        return _parsed(tokenize(text, start, end, clauses=True))
    except QueryError:
        # What looks like a clause may be none, and what is wrong in one has its own place.
        return _parsed(tokenize(text, start, end))


def _parsed(tokens: list[Token]) -> Tri:
    parser = _Parser(tokens)
    tri = parser.disjunction()
    if parser.token.kind != "end":
        parser.fail()
    return tri


class _Parser(Cursor):
    """Recursive descent: or, and, not, then one comparison."""

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.depth = 0

    def fail(self, hint: str | None = None, token: Token | None = None) -> NoReturn:
        """Raise for a token (the next one) that cannot stand where it does."""
        token = token or self.token
        what = "end of the condition" if token.kind == "end" else repr(token.text)
        raise QueryError(f"unexpected {what} at {token.at}", position=token.at, hint=hint)

    def expect_op(self, text: str) -> None:
        """Consume an operator that must be next."""
        if not self.accept(text):
            self.fail(f"{text} expected")

    # ------------------------------------------------------------------------------ conditions

    def disjunction(self) -> Tri:
        """`a or b`: true if one is, false if both are."""
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else either(parts)

    def conjunction(self) -> Tri:
        """`a and b`: true if both are, false if one is."""
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else both(parts)

    def negation(self) -> Tri:
        """`not a`, and parentheses."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnsupportedQuery(f"condition nested deeper than {MAX_DEPTH}")
        if self.accept("not"):
            found = self.negation().negated()
        elif self.token.sign == "(":
            found = self.parenthesis()
        elif isinstance(self.token, Clause):
            found = self.clause(self.token)
        else:
            found = self.comparison()
        self.depth -= 1
        return found

    def parenthesis(self) -> Tri:
        """`(condition)`; a parenthesised value is not supported."""
        self.take()
        found = self.disjunction()
        self.expect_op(")")
        if self.token.sign in _COMPARISONS:
            raise UnsupportedQuery(
                f"a parenthesised value is compared at {self.token.at}", position=self.token.at
            )
        return found

    def clause(self, clause: Clause) -> Tri:
        """A comparison that is one token, read as `comparison` reads it from several."""
        if not _is_name(clause.column):
            self.fail()
        self.take()
        field = Field(clause.column, ("lower",) if clause.lowered else ())
        match clause.sign:
            case ":":
                return _matched(self.column(field), clause.text)
            case "like":
                return pattern(field, Glob(like(clause.text)))
            case _:
                return equals(field, clause.text)

    def comparison(self) -> Tri:
        """One operand and what is asked of it."""
        function = self.boolean_function()
        if function is not None:
            return function
        left = self.operand()
        if self.accept("is"):
            absent = not self.accept("not")
            if not self.accept("null"):
                self.fail("is null, is not null")
            return self.null_check(left, absent=absent)
        if self.token.sign in _COMPARISONS:
            return self.binary(left, self.take().text)
        if self.accept(":"):
            return _matched(self.column(left), self.value())
        negated = self.accept("not")
        tri = self.membership(left)
        return tri.negated() if negated else tri

    def membership(self, left: Operand) -> Tri:
        """`in (…)`, `like`, `rlike`; or a boolean column on its own."""
        if self.accept("in"):
            field, among = self.field(left), tuple(self.values())
            equal = () if len(among) > 1 else ((field, among[0]),)
            return single(field, AnyOf(among), equal)
        if self.accept("like"):
            patterns = self.values() if self.token.sign == "(" else [self.value()]
            return self.patterns(self.field(left), [Glob(like(p)) for p in patterns])
        if self.accept("rlike"):
            patterns = self.values() if self.token.sign == "(" else [self.value()]
            return self.patterns(self.field(left), [Regexp(str(p)) for p in patterns])
        if isinstance(left, Literal) and isinstance(left.value, bool):
            return plain(ALWAYS if left.value else NEVER)
        if isinstance(left, Field) and not left.steps:
            return bare(left.name)
        return self.fail("a comparison expected")

    def patterns(self, field: Field, matchers: list[Matcher]) -> Tri:
        """Any of the patterns fits the one value."""
        if len(matchers) == 1:
            return pattern(field, matchers[0])
        parts = [single(field, matcher) for matcher in matchers]
        return either(parts)

    def null_check(self, left: Operand, *, absent: bool) -> Tri:
        """`is null` is never null itself."""
        field = self.field(left)
        if field.steps and not FALLIBLE & set(field.steps):
            raise UnsupportedQuery("a bare column is expected", position=self.token.at)
        return null_check(field, absent=absent)

    def binary(self, left: Operand, operator: str) -> Tri:
        """A comparison of a column with a literal, in either order."""
        right = self.operand()
        if isinstance(left, Literal) and isinstance(right, Field):
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        if not isinstance(left, Field) or not isinstance(right, Literal):
            raise UnsupportedQuery(
                f"{operator} compares two columns or two constants", position=self.token.at
            )
        if right.converted and left.steps:
            raise UnsupportedQuery("a converted text", position=self.token.at)
        value = right.value
        match operator:
            case "==":
                return equals(left, value)
            case "!=":
                return equals(left, value).negated()
            case ">" | ">=":
                return ranged(left, Range(value, None, include_lower=operator == ">="))
            case _:
                return ranged(left, Range(None, value, include_upper=operator == "<="))

    # -------------------------------------------------------------------------------- operands

    def field(self, operand: Operand) -> Field:
        """The operand, which must be a column."""
        if not isinstance(operand, Field):
            raise UnsupportedQuery("a column is expected, not a constant", position=self.token.at)
        return operand

    def column(self, operand: Operand) -> str:
        """The name of a column without functions."""
        field = self.field(operand)
        if field.steps:
            raise UnsupportedQuery("a bare column is expected", position=self.token.at)
        return field.name

    def operand(self) -> Operand:
        """A literal, a column, or a function of one; then casts (`::ip`)."""
        found = self.bare_operand()
        while self.accept("::"):
            token = self.take()
            kind = token.text.lower()
            if kind in ("string", "keyword"):
                found = apply(found, "string")
            elif isinstance(found, Field) or (
                isinstance(found.value, str) and kind not in _READ_AS
            ):
                raise UnsupportedQuery(f"a cast to {kind} at {token.at}", position=token.at)
        if self.token.kind == "op" and self.token.text in "+-*/%":
            raise UnsupportedQuery(f"arithmetic at {self.token.at}", position=self.token.at)
        return found

    def bare_operand(self) -> Operand:
        token = self.token
        if token.kind in ("string", "number") or token.text == "-":
            return Literal(self.value())
        if token.sign in ("true", "false"):
            return Literal(self.take().text.lower() == "true")
        if token.sign == "null":
            raise UnsupportedQuery("a comparison with null", hint="use is null", position=token.at)
        if token.kind not in ("name", "quoted"):
            self.fail()
        if token.kind == "name" and self.following.sign == "(":
            return self.function()
        return Field(self.name())

    def name(self) -> str:
        """A column's name, its parts joined by dots."""
        parts = []
        while True:
            if self.token.kind not in ("name", "quoted"):
                self.fail("a column's name expected")
            if self.token.sign in RESERVED:
                self.fail(f"a part of a name that is a keyword is quoted: `{self.token.text}`")
            parts.append(self.take().text)
            if not self.accept("."):
                return ".".join(parts)

    def function(self) -> Operand:
        """A function of one value."""
        token = self.take()
        name = token.text.lower()
        if name not in _STEPS and name not in _CASTS:
            raise UnsupportedQuery(f"function {name} at {token.at}", position=token.at)
        self.expect_op("(")
        inner = self.operand()
        self.expect_op(")")
        if name in _CASTS:
            if not isinstance(inner, Field):
                if isinstance(inner.value, str) and name not in _READ:
                    raise UnsupportedQuery(f"{name} of a text at {token.at}", position=token.at)
                return Literal(inner.value, converted=isinstance(inner.value, str))
            if name not in _STEPS:
                raise UnsupportedQuery(f"{name} of a column at {token.at}", position=token.at)
        return apply(inner, _STEPS[name])

    def value(self) -> Scalar:
        """A literal string or number."""
        negative = self.accept("-")
        token = self.take()
        if token.kind == "number":
            number = float(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
            return -number if negative else number
        if token.kind == "string" and not negative:
            return token.text
        if token.sign in ("true", "false"):
            return token.text.lower() == "true"
        if token.sign in _CASTS and self.token.sign == "(":
            self.take()
            inner = self.value()
            self.expect_op(")")
            if isinstance(inner, str) and token.sign not in _READ:
                raise UnsupportedQuery(f"{token.text} of a text at {token.at}", position=token.at)
            return inner
        return self.fail("a literal expected", token)

    def values(self) -> list[Scalar]:
        """`(literal, literal, …)`."""
        self.expect_op("(")
        out = [self.value()]
        while self.accept(","):
            out.append(self.value())
        self.expect_op(")")
        return out

    # ------------------------------------------------------------------------------- functions

    def boolean_function(self) -> Tri | None:
        """A function that is a condition, or None if there is none here."""
        name = self.token.text.lower()
        if self.token.kind != "name" or self.following.text != "(":
            return None
        match name:
            case "starts_with" | "ends_with":
                field, (text,) = self.call(1)
                return single(field, affix(name, str(text)))
            case "cidr_match":
                field, networks = self.call(None)
                return single(field, AnyOf(networks))
            case "match" | "match_phrase":
                field, (value,) = self.call(1)
                matcher = Match(value) if name == "match" else Phrase(value)
                return plain(Leaf(field.name, matcher, lenient=True), field.name)
            case "qstr":
                self.take()
                (text,) = self.values()
                return plain(parse_lucene(str(text)))
            case _:
                return None

    def call(self, count: int | None) -> tuple[Field, tuple[Scalar, ...]]:
        """The column and the literals of a function's parentheses."""
        name = self.take().text
        self.expect_op("(")
        field = self.field(self.operand())
        out: list[Scalar] = []
        while self.accept(","):
            out.append(self.value())
        self.expect_op(")")
        if (count is not None and len(out) != count) or not out:
            self.fail(f"{name} takes a column and {count or 'at least 1'} literal")
        return field, tuple(out)


def _matched(name: str, value: Scalar) -> Tri:
    """`:`, which any of several values may fit, and which is never null."""
    return plain(Leaf(name, Match(value), lenient=True), name)


@lru_cache(maxsize=4096)
def _is_name(column: str) -> bool:
    """Whether a column may be written without backquotes."""
    return RESERVED.isdisjoint(column.lower().split("."))
