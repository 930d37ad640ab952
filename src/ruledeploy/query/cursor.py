"""Tokens of EQL and ES|QL, and what reads them one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import Struct


class Token(Struct, frozen=True, gc=False):
    """`kind` is string, number, name, quoted (a name in backquotes), op or end.

    `text` is what was written; of a string what it says, without quotes and escapes. `sign` is the
    operator or the plain word as the grammar spells it, and empty for what only looks like one.
    """

    kind: str
    text: str
    at: int
    sign: str = ""


class Cursor:
    """Reads tokens one after the other; `token` is the one to read next."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self.token = tokens[0]

    @property
    def following(self) -> Token:
        """The token after the next."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def place(self) -> int:
        """Where the cursor stands, for `back_to`."""
        return self._at

    def back_to(self, place: int) -> None:
        """Read on from a place where the cursor stood."""
        self._at = place
        self.token = self._tokens[place]

    def take(self) -> Token:
        """The next token, consumed; the end stays."""
        token = self.token
        if token.kind != "end":
            self._at += 1
            self.token = self._tokens[self._at]
        return token

    def accept(self, *signs: str) -> str:
        """Consume an operator or word if it is next, and give it; else give nothing."""
        found = self.token.sign
        if found not in signs:
            return ""
        self._at += 1
        self.token = self._tokens[self._at]
        return found


def unescape(text: str, escape: re.Pattern[str], meant: Callable[[re.Match[str]], str]) -> str:
    """The inside of a string with each escape as what is meant by it.

    Most are of backslashes, in paths; what is left without those pairs tells whether all are.
    """
    if "\\" not in text:
        return text
    if "\\" not in text.replace("\\\\", ""):
        return text.replace("\\\\", "\\")
    return escape.sub(meant, text)
