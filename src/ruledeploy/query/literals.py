r"""Patterns that are plain texts among stars, in whatever language they were written.

Most patterns of detection rules are: `*\cmd.exe`, `/.*[Rr][Uu][Nn].*/`, a lower-cased column `like
"*run*"`. Seen as texts they can be looked for all at once, and one by one without an automaton.
Texts are in lower case throughout: whatever a pattern fits, its lower case has the lower-cased
texts, for lower-casing goes character by character.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ruledeploy.query import glob
from ruledeploy.query.regexp_expr import EMPTY, Chars, Expr, Seq
from ruledeploy.query.text import lower

# What a regular expression that is but texts is made of: `.*`, `[Aa]`, and what stands for itself.
_MADE_OF = r"""(?: \.\*
  | \[([A-Za-z])(?!\1)(?=[A-Za-z])(?i:\1)\]
  | \\[^A-Za-z]
  | [^%s.?+*|{}\[\]()"\\#@&<>~^$] )*+"""
_TEXTS = re.compile(_MADE_OF % "A-Za-z", re.VERBOSE | re.DOTALL)
_FOLDED_TEXTS = re.compile(_MADE_OF % "", re.VERBOSE | re.DOTALL)
# One of its characters, with what is around it.
_CHAR = re.compile(r"(?:\[.|\\)?(.)\]?", re.DOTALL)
_MOST = 4  # characters of a class that are looked at for one lower case


@dataclass(frozen=True, slots=True)
class Anchored:
    """One text that decides: a term passes if its lower case has the text in the right place.

    True of terms in ASCII; unless `fold`, only of terms that are in lower case themselves. Starting
    and ending with the text is being it.
    """

    text: str
    starts: bool
    ends: bool
    fold: bool


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that a term has in this order, with anything between.

    `fold`: letters of ASCII are the same in either case; else they are as written, in lower case.
    """

    texts: tuple[str, ...]
    starts: bool
    ends: bool
    fold: bool

    @property
    def longest(self) -> str:
        """What every term that passes contains."""
        return max(self.texts, key=len, default="")

    @property
    def anchored(self) -> Anchored | None:
        """The one text, if there is one and it tells all."""
        if len(self.texts) > 1:
            return None
        text = self.texts[0] if self.texts else ""
        return Anchored(text, self.starts, self.ends, self.fold)

    def tester(self, exact: Callable[[str], bool]) -> Callable[[str], bool]:
        """A test of terms; what is not ASCII is left to `exact`."""

        def test(term: str) -> bool:
            if not term.isascii():
                return exact(term)
            return self._in(term.lower() if self.fold else term)

        return test

    def _in(self, term: str) -> bool:
        at = 0
        last = len(self.texts) - 1
        for place, text in enumerate(self.texts):
            if place == 0 and self.starts:
                if not term.startswith(text) or (last == 0 and self.ends and term != text):
                    return False
                at = len(text)
            elif place == last and self.ends:
                return len(term) - len(text) >= at and term.endswith(text)
            else:
                found = term.find(text, at)
                if found < 0:
                    return False
                at = found + len(text)
        return True


def texts_of_glob(pattern: str, *, fold: bool) -> Texts | None:
    """A glob's texts; None if `?` or, unless case is ignored, a capital makes it more than that."""
    pieces = glob.parts(pattern)
    if not pieces or any(wild and text == glob.ONE for text, wild in pieces):
        return None
    texts = tuple(text for text, wild in pieces if not wild)
    lowered = tuple(map(lower, texts))
    if not fold and texts != lowered:
        return None
    return Texts(lowered, not pieces[0][1], not pieces[-1][1], fold)


def needle_of_glob(pattern: str) -> str:
    """The longest text that every term contains that fits."""
    texts = (lower(text) for text, wild in glob.parts(pattern) if not wild)
    return max(texts, key=len, default="")


def texts_of_regexp(pattern: str, *, fold: bool) -> Texts | None:
    """The texts of a regular expression made of characters, `[Aa]` and `.*` alone."""
    made_of = _FOLDED_TEXTS if fold else _TEXTS
    if not pattern or made_of.fullmatch(pattern) is None or _hides_ascii(pattern):
        return None
    pieces = lower(pattern).split(".*")
    texts = tuple("".join(_CHAR.findall(piece)) for piece in pieces if piece)
    return Texts(texts, bool(pieces[0]), bool(pieces[-1]), fold=True)


def _hides_ascii(pattern: str) -> bool:
    """Whether a character that is not ASCII has a lower case that is: it is no such letter."""
    return not pattern.isascii() and any(
        lower(char).isascii() for char in pattern if not char.isascii()
    )


def needle_of_regexp(expr: Expr) -> str:
    """The longest text, in lower case, of every term that matches."""
    runs = [""]
    while expr != EMPTY:
        head, expr = (expr.first, expr.rest) if isinstance(expr, Seq) else (expr, EMPTY)
        char = _common_lower(head)
        if char:
            runs[-1] += char
        else:
            runs.append("")
    return max(runs, key=len)


def _common_lower(expr: Expr) -> str:
    """The one lower case of all characters of a class, or nothing."""
    if not isinstance(expr, Chars):
        return ""
    if sum(high - low + 1 for low, high in expr.ranges) > _MOST:
        return ""
    lowered = {lower(chr(code)) for low, high in expr.ranges for code in range(low, high + 1)}
    return lowered.pop() if len(lowered) == 1 else ""
