r"""Lucene's wildcard patterns: `*` any run of characters, `?` one, `\x` the character x."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

ANY = "*"
ONE = "?"
_PIECES = re.compile(r"([*?])|((?:[^*?\\]+|\\[\s\S]?)+)")
_ESCAPED = re.compile(r"\\([\s\S])")


@lru_cache(maxsize=16_384)
def parts(pattern: str) -> tuple[tuple[str, bool], ...]:
    r"""The pattern as `(text, is_wildcard)` pairs; runs of literal characters are one part.

    A backslash at the very end stands for itself, as in Lucene.
    """
    return tuple(
        (wild, True) if wild else (_ESCAPED.sub(r"\1", text) if "\\" in text else text, False)
        for wild, text in _PIECES.findall(pattern)
    )


def escape(text: str) -> str:
    """The text as a pattern that matches it alone."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


def literal(pattern: str) -> str | None:
    """The one text that the pattern fits, or None."""
    if pattern.startswith((ANY, ONE)):
        return None  # as most do: it need not be taken apart
    pieces = parts(pattern)
    return None if any(wild for _, wild in pieces) else "".join(text for text, _ in pieces)


def matches_all(pattern: str) -> bool:
    """Whether the pattern is made of `*` alone."""
    return pattern.strip(ANY) == "" and pattern != ""


def compile_glob(pattern: str, *, fold: bool = False) -> Callable[[str], bool]:
    """A predicate for whole values; `fold` ignores the case of ASCII letters only."""
    pieces = parts(pattern)
    literals = [text for text, wild in pieces if not wild]
    stars_only = all(text == ANY for text, wild in pieces if wild)
    if not fold and stars_only and len(literals) == 1:
        return _anchored(pieces, literals[0])
    matched = _regex(pattern, fold).fullmatch
    return lambda value: matched(value) is not None


def _anchored(pieces: tuple[tuple[str, bool], ...], literal: str) -> Callable[[str], bool]:
    """One literal among stars: a plain string operation."""
    starts, ends = not pieces[0][1], not pieces[-1][1]
    if starts and ends:
        return lambda value: value == literal
    if starts:
        return lambda value: value.startswith(literal)
    if ends:
        return lambda value: value.endswith(literal)
    return lambda value: literal in value


@lru_cache(maxsize=8192)
def _regex(pattern: str, fold: bool) -> re.Pattern[str]:
    flags = re.DOTALL | re.ASCII | (re.IGNORECASE if fold else 0)
    out = []
    for text, wild in parts(pattern):
        if not wild:
            out.append(re.escape(text))
        elif text == ONE:
            out.append(".")
        elif not out or out[-1] != ".*":
            out.append(".*")
    return re.compile("".join(out), flags)
