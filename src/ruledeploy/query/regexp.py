r"""Lucene's regular expressions, which are not Perl's.

The whole value must match. `^`, `$` and `(?i)` are ordinary characters; `~x` is everything but x,
`x&y` both, `@` any string, `#` no string, `"…"` literal text, `<1-9>` a number. `\d \w \s` and
their capitals are classes; any other backslash quotes one character.

Matching walks an automaton of derivatives that grows as it is used: its time is linear in the
value, whatever the expression.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from ruledeploy.errors import QueryError
from ruledeploy.query.regexp_expr import (
    ANYTHING,
    EMPTY,
    NOTHING,
    Chars,
    Expr,
    Seq,
    derive,
    nullable,
)
from ruledeploy.query.regexp_syntax import parse_expr

MAX_STATES = 10_000
MAX_REGEX_LENGTH = 1_000  # index.max_regex_length

__all__ = [
    "ANYTHING",
    "MAX_REGEX_LENGTH",
    "check_length",
    "compile_regexp",
    "literal_of",
    "parse_regexp",
]


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


def literal_of(expr: Expr) -> str | None:
    """The one string that the expression matches, or None if there is not exactly one."""
    out: list[str] = []
    while expr != EMPTY:
        head, expr = (expr.first, expr.rest) if isinstance(expr, Seq) else (expr, EMPTY)
        if not isinstance(head, Chars) or len(head.ranges) != 1:
            return None
        low, high = head.ranges[0]
        if low != high:
            return None
        out.append(chr(low))
    return "".join(out)


def check_length(pattern: str) -> None:
    """Raise QueryError for a pattern longer than `MAX_REGEX_LENGTH` characters."""
    if len(pattern) > MAX_REGEX_LENGTH:
        raise QueryError(f"regular expression is longer than {MAX_REGEX_LENGTH} characters")


# One rule's are parsed again and again: to be translated, judged and read.
@lru_cache(maxsize=64)
def parse_regexp(pattern: str, *, fold: bool = False) -> Expr:
    """The expression; raises QueryError where Lucene would, and for one too long."""
    check_length(pattern)
    return parse_expr(pattern, fold=fold)


@lru_cache(maxsize=1024)
def compile_regexp(pattern: str, *, fold: bool = False) -> Callable[[str], bool]:
    """A predicate for whole values; `fold` ignores the case of ASCII letters in literals."""
    return Automaton(parse_regexp(pattern, fold=fold)).matches
