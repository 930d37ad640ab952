"""Conditions as Sigma's rules have them, read without pySigma's general parser.

What is not plainly one is left to pySigma, which then says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sigma.conditions import ConditionAND, ConditionItem, ConditionNOT
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaNull

from ruledeploy.sigma.tree import And, Not, Or, Tree, joined

_TOKENS = re.compile(r"([A-Za-z0-9_*-]+|[()])[ \t\r\n]*")
_PATTERN = re.compile(r"[A-Za-z0-9_*]+")
_WORDS = ("and", "or", "not")
_NO_NAMES = (*_WORDS, "(", ")", "")
_QUANTIFIERS: Mapping[str, type[And | Or]] = {"1": Or, "any": Or, "all": And}
_MAX_DEPTH = 50

Selections = Mapping[str, Tree]


def condition_tree(text: str, selections: Selections) -> Tree | None:
    """The condition over its selections; None where it asks nothing. Raises `SigmaError`."""
    try:
        return _read(text, selections)
    except _NotPlainError:
        return _as_pysigma_reads(text, selections)


class _NotPlainError(Exception):
    """Something stands where it cannot."""


def _read(text: str, selections: Selections) -> Tree | None:
    tokens = _tokens(text)
    if tokens is None:
        raise _NotPlainError
    reader = _Reader(tokens, selections)
    tree = reader.disjunction()
    if reader.token != "":
        raise _NotPlainError
    return tree


@lru_cache(maxsize=1024)
def _tokens(text: str) -> tuple[str, ...] | None:
    """The words and parentheses of a condition; None where something else is in it."""
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
    return tuple(tokens)


class _Reader:
    """Recursive descent: or, and, not, then a name, a selector or parentheses."""

    def __init__(self, tokens: tuple[str, ...], selections: Selections) -> None:
        self.tokens = (*tokens, "", "", "")
        self.selections = selections
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

    def disjunction(self) -> Tree | None:
        """`a or b`."""
        parts = [self.conjunction()]
        while self.accept("or"):
            parts.append(self.conjunction())
        return _joined(Or, parts)

    def conjunction(self) -> Tree | None:
        """`a and b`."""
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return _joined(And, parts)

    def negation(self) -> Tree | None:
        """`not a`."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _NotPlainError
        found = _negated(self.negation()) if self.accept("not") else self.operand()
        self.depth -= 1
        return found

    def operand(self) -> Tree | None:
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
            return _joined(_QUANTIFIERS[word], self.selected(pattern))
        # One that is not there is an error, whatever it looks like.
        if word not in self.selections or word in _NO_NAMES or "*" in word:
            raise _NotPlainError
        self.at += 1
        return self.selections[word]

    def selected(self, pattern: str) -> list[Tree | None]:
        """The selections that a pattern names; those that start with `_` only if it does."""
        names = re.compile(".*" if pattern == "them" else pattern.replace("*", ".*"))
        return [
            tree
            for name, tree in self.selections.items()
            if names.fullmatch(name) and (pattern.startswith("_") or not name.startswith("_"))
        ]


def _joined(kind: type[And | Or], parts: list[Tree | None]) -> Tree | None:
    """What asks nothing falls away."""
    kept = [part for part in parts if part is not None]
    return joined(kind, kept) if kept else None


def _negated(part: Tree | None) -> Tree | None:
    return None if part is None else Not(part)


def _as_pysigma_reads(text: str, selections: Selections) -> Tree | None:
    """The same by pySigma's parser, in which a comparison stands for each selection."""
    stand_ins = {
        name: SigmaDetection([SigmaDetectionItem(name, [], [SigmaNull()])]) for name in selections
    }
    return _translated(SigmaDetections(stand_ins, [text]).parsed_condition[0].parsed, selections)


def _translated(item: Any, selections: Selections) -> Tree | None:
    match item:
        case None:
            return None
        case ConditionNOT():
            return _negated(_translated(item.args[0], selections))
        case ConditionItem():
            parts = [_translated(arg, selections) for arg in item.args]
            return _joined(And if isinstance(item, ConditionAND) else Or, parts)
        case _:
            return selections[item.field]
