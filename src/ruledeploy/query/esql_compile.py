"""Expressions of ES|QL made ready to run on rows: names looked up, types checked.

Logic has three values: `and`, `or` and `not` of null are null unless the other side decides, and
a comparison of null or of several values is null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.dates import from_ms, moment_of, to_ms
from ruledeploy.query.esql_dates import DATE_FUNCTIONS, moment
from ruledeploy.query.esql_expr import Call, Const, Expr, Name, Span, Star
from ruledeploy.query.esql_functions import FUNCTIONS, scalar
from ruledeploy.query.esql_logic import like
from ruledeploy.query.esql_texts import TEXT_FUNCTIONS
from ruledeploy.query.esql_types import (
    NUMERIC_TYPES,
    STRING_TYPES,
    Row,
    Typed,
    Types,
    Value,
    numeric,
)
from ruledeploy.query.glob import compile_glob
from ruledeploy.query.regexp import compile_regexp
from ruledeploy.query.terms import parse_ip

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
}  # fmt: skip
_FUNCTIONS = MappingProxyType({**FUNCTIONS, **TEXT_FUNCTIONS, **DATE_FUNCTIONS})
_HINTS = {"contains": 'not in Elasticsearch 8.19: write like "*text*"'}
_DAY = 86_400_000
_WEEK = 7 * _DAY


def compile_expr(expr: Expr, types: Types, now: datetime) -> Typed:
    """The expression over rows whose columns have `types`.

    Raises QueryError for a column that is not there and for types that do not go together,
    UnsupportedQuery naming a function that we do not evaluate.
    """
    return _Compiler(types, now).compile(expr)


def condition(expr: Expr, types: Types, now: datetime) -> Callable[[Row], bool]:
    """A `where`: the rows for which the expression is true."""
    found = compile_expr(expr, types, now)
    if found.type not in ("boolean", "null"):
        raise QueryError(f"a condition is boolean, not {found.type}", position=expr.at)
    return lambda row: found.of(row) is True


class _Compiler:
    """One set of columns."""

    def __init__(self, types: Types, now: datetime) -> None:
        self.types = types
        self.now = now

    def compile(self, expr: Expr) -> Typed:
        match expr:
            case Const(value, type_):
                return Typed(type_, lambda _: value, (value,))
            case Name(name, at):
                return self._column(name, at)
            case Span(at=at) | Star(at):
                raise QueryError(f"a value is expected at {at}", position=at)
            case Call("and" | "or" | "not"):
                return self._logic(expr)
            case Call():
                return self._operator(expr) or self._function(expr)

    def _operator(self, expr: Call) -> Typed | None:
        match expr:
            case Call("is null" | "is not null", (arg,)):
                inner, absent = self.compile(arg), expr.name == "is null"
                return Typed("boolean", lambda row: (inner.of(row) is None) is absent)
            case Call("==" | "!=" | "<" | "<=" | ">" | ">="):
                left, right = self._comparable(expr)
                return scalar("boolean", _COMPARE[expr.name], (left, right))
            case Call("in"):
                return self._membership(expr)
            case Call("like" | "rlike"):
                return self._pattern(expr)
            case Call("+" | "-" | "*" | "/" | "%" | "neg"):
                return self._arithmetic(expr)
            case _:
                return None

    def _function(self, call: Call) -> Typed:
        match call:
            case Call("date_trunc" | "bucket"):
                return self._bucket(call)
            case Call("now", ()):
                present = to_ms(self.now)
                return Typed("date", lambda _: present, (present,))
        maker = _FUNCTIONS.get(call.name)
        if maker is None:
            hint = _HINTS.get(call.name)
            raise UnsupportedQuery(f"{call.name} at {call.at}", position=call.at, hint=hint)
        return maker(call.name, [self.compile(arg) for arg in call.args], call.at)

    def _column(self, name: str, at: int) -> Typed:
        type_ = self.types(name)
        if type_ is None:
            raise QueryError(f"unknown column {name}", position=at)
        return Typed(type_, lambda row: row.get(name))

    # ------------------------------------------------------------------------------ logic

    def _logic(self, call: Call) -> Typed:
        parts = [self.compile(arg) for arg in call.args]
        for part in parts:
            if part.type not in ("boolean", "null"):
                raise QueryError(
                    f"{call.name} at {call.at} joins conditions, not {part.type}",
                    position=call.at,
                )
        getters = [part.of for part in parts]
        if call.name == "not":
            return scalar("boolean", operator.not_, parts)
        decisive = call.name == "or"

        def of(row: Row) -> Value:
            unknown = False
            for get in getters:
                value = get(row)
                if value is decisive:
                    return decisive
                unknown = unknown or not isinstance(value, bool)
            return None if unknown else not decisive

        return Typed("boolean", of)

    def _comparable(self, call: Call) -> tuple[Typed, Typed]:
        """Both sides, a literal text read as the other's type."""
        left, right = (self.compile(arg) for arg in call.args)
        left, right = self._cast(left, right), self._cast(right, left)
        if _kind(left.type) != _kind(right.type):
            raise QueryError(
                f"{call.name} at {call.at} compares {left.type} with {right.type}",
                position=call.at,
            )
        return left, right

    def _cast(self, literal: Typed, other: Typed) -> Typed:
        if literal.const is None or literal.type != "keyword" or other.type in STRING_TYPES:
            return literal
        text = str(literal.const[0])
        value: int | bool | None
        match other.type:
            case "date":
                value = moment_of(text)
                if value is None:
                    raise QueryError(f"{text!r} is not a date")
            case "ip":
                value = parse_ip(text)
                if value is None:
                    raise QueryError(f"{text!r} is not an IP address")
            case "boolean":
                value = text.lower() == "true"
            case _:
                return literal
        return Typed(other.type, lambda _: value, (value,))

    def _membership(self, call: Call) -> Typed:
        pairs = [
            self._comparable(Call("in", (call.args[0], option), call.at))
            for option in call.args[1:]
            if not (isinstance(option, Const) and option.value is None)
        ]
        has_null = len(pairs) < len(call.args) - 1
        if not pairs:
            return Typed("boolean", lambda _: None)
        if any(option.const is None for _, option in pairs):
            # Of several values in one, Elasticsearch's answer depends on its optimizer.
            raise UnsupportedQuery(f"in at {call.at} with a column in its list", position=call.at)
        tests = [scalar("boolean", operator.eq, pair).of for pair in pairs]

        def of(row: Row) -> Value:
            found = [test(row) for test in tests]
            if any(value is True for value in found):
                return True
            return None if has_null or any(value is None for value in found) else False

        return Typed("boolean", of)

    def _pattern(self, call: Call) -> Typed:
        subject = self.compile(call.args[0])
        if subject.type not in STRING_TYPES:
            raise QueryError(
                f"{call.name} at {call.at} is for text, not {subject.type}", position=call.at
            )
        tests = [_matcher(call.name, arg) for arg in call.args[1:]]
        return scalar("boolean", lambda text: any(test(text) for test in tests), (subject,))

    # ----------------------------------------------------------------------------- values

    def _arithmetic(self, call: Call) -> Typed:
        if any(isinstance(arg, Span) for arg in call.args):
            return self._moved(call)
        args = [self.compile(arg) for arg in call.args]
        type_ = numeric((arg.type for arg in args), call.name, call.at)
        match call.name:
            case "neg":
                return scalar(type_, operator.neg, args)
            case "/":
                return scalar(type_, _divide, args)
            case "%":
                return scalar(type_, _remainder, args)
            case _:
                return scalar(type_, _ARITHMETIC[call.name], args)

    def _moved(self, call: Call) -> Typed:
        """A date and a length of time."""
        match call:
            case Call("+" | "-", (arg, Span(milliseconds, 0))):
                pass
            case Call("+", (Span(milliseconds, 0), arg)):
                pass
            case _:
                raise UnsupportedQuery(f"{call.name} at {call.at} with months", position=call.at)
        by = -milliseconds if call.name == "-" else milliseconds
        return scalar("date", lambda value: value + by, (self._moment(arg),))

    def _bucket(self, call: Call) -> Typed:
        match call:
            case Call("date_trunc", (Span() as span, arg)) | Call("bucket", (arg, Span() as span)):
                return scalar("date", _rounding(span), (self._moment(arg),))
            case Call("bucket", (arg, Const(int() | float() as size))) if size > 0:
                inner = self.compile(arg)
                numeric([inner.type], "bucket", call.at)
                return scalar("double", lambda value: float(value // size * size), (inner,))
            case _:
                raise UnsupportedQuery(f"this form of {call.name} at {call.at}", position=call.at)

    def _moment(self, expr: Expr) -> Typed:
        return moment(self.compile(expr), expr.at)


def _kind(type_: str) -> str:
    if type_ in NUMERIC_TYPES:
        return "number"
    return "keyword" if type_ in STRING_TYPES else type_


def _matcher(name: str, arg: Expr) -> Callable[[str], bool]:
    if not isinstance(arg, Const) or not isinstance(arg.value, str):
        raise QueryError(f"a pattern is a literal text, at {arg.at}", position=arg.at)
    return compile_glob(like(arg.value)) if name == "like" else compile_regexp(arg.value)


def _divide(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        found = abs(left) // abs(right)
        return found if (left < 0) == (right < 0) else -found
    return left / right


def _remainder(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        return abs(left) % abs(right) * (1 if left >= 0 else -1)
    whole = left / right
    return left - right * (whole // 1 if whole >= 0 else -(-whole // 1))


def _rounding(span: Span) -> Callable[[int], int]:
    """Down to a multiple of the length; days and longer start as the calendar's do."""
    if span.months:
        return lambda value: _first_of_months(value, span.months)
    if span.milliseconds == _WEEK:
        # The epoch was a Thursday.
        return lambda value: (value + 3 * _DAY) // _WEEK * _WEEK - 3 * _DAY
    if span.milliseconds <= 0:
        raise QueryError(f"a length of time is positive, at {span.at}", position=span.at)
    return lambda value: value // span.milliseconds * span.milliseconds


def _first_of_months(value: int, months: int) -> int:
    if months not in (1, 3, 12):
        raise UnsupportedQuery(f"buckets of {months} months")
    there = from_ms(value)
    month = (there.month - 1) // months * months + 1
    return to_ms(datetime(there.year, month, 1, tzinfo=UTC))
