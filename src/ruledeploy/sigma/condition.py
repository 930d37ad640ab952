"""Conditions as Sigma's rules have them, read without pySigma's general parser.

What is not plainly one is left to pySigma, which then says what is wrong with it.
"""

from __future__ import annotations

import re
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionSelector,
    SigmaCondition,
)

_TOKENS = re.compile(r"([A-Za-z0-9_*-]+|[()])[ \t\r\n]*")
_PATTERN = re.compile(r"[A-Za-z0-9_*]+")
_WORDS = ("and", "or", "not")
_QUANTIFIERS = ("1", "any", "all")
_MAX_DEPTH = 50


def parsed(condition: SigmaCondition) -> Any:
    """PySigma's tree of the condition over its detections. Raises `SigmaError`."""
    tree = _read(condition.condition)
    if tree is None:
        return condition.parsed
    return tree.postprocess(condition.detections, source=condition.source)


def _read(text: str) -> ConditionItem | None:
    """The condition before its names are looked up; None where it is not plainly one."""
    tokens, at = [], len(text) - len(text.lstrip(" \t\r\n"))
    while at < len(text):
        found = _TOKENS.match(text, at)
        if found is None:
            return None
        tokens.append(found[1])
        at = found.end()
    # To pySigma `notes` is `not es`.
    if any(token.startswith(_WORDS) and token not in _WORDS for token in tokens):
        return None
    reader = _Reader(tokens)
    try:
        tree = reader.disjunction()
    except _NotPlainError:
        return None
    return tree if reader.token == "" else None


class _NotPlainError(Exception):
    """Something stands where it cannot."""


class _Reader:
    """Recursive descent: or, and, not, then a name, a selector or parentheses."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = [*tokens, "", "", ""]
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> str:
        """The token to read next."""
        return self.tokens[self.at]

    def accept(self, token: str) -> bool:
        """Consume a token if it is next."""
        found = self.token == token
        self.at += found
        return found

    def disjunction(self) -> ConditionItem:
        """`a or b`."""
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else ConditionOR([*parts])

    def conjunction(self) -> ConditionItem:
        """`a and b`."""
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else ConditionAND([*parts])

    def negation(self) -> ConditionItem:
        """`not a`."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _NotPlainError
        found = ConditionNOT([self.negation()]) if self.accept("not") else self.operand()
        self.depth -= 1
        return found

    def operand(self) -> ConditionItem:
        """`(a or b)`, `1 of a*`, `a`."""
        if self.accept("("):
            inner = self.disjunction()
            if not self.accept(")"):
                raise _NotPlainError
            return inner
        word, after, pattern = self.tokens[self.at : self.at + 3]
        if word in _QUANTIFIERS and after == "of":
            if pattern in _WORDS or not _PATTERN.fullmatch(pattern):
                raise _NotPlainError
            self.at += 3
            return ConditionSelector([word, pattern])
        if not word or word in ")(" or "*" in word or word in _WORDS:
            raise _NotPlainError
        self.at += 1
        return ConditionIdentifier([word])
