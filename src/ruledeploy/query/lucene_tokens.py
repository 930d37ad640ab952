"""The tokens of Lucene's classic query syntax, longest match first, as its grammar has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ruledeploy.errors import QueryError

_START = r'(?:[^ \t\n\r\u3000+\-!():^\[\]"{}~*?\\/]|\\[\s\S])'
_CHAR = rf"(?:{_START}|[-+])"

# What no word starts with.
_NO_WORD = frozenset(' \t\n\r\u3000+-!():^[]"{}~*?/')
# Kind, what it may start with (nothing: a word's first character), and its grammar. Tried in
# order at each place; the longest match wins and the first of equals.
_TOKENS = tuple(
    (kind, starts, re.compile(pattern))
    for kind, starts, pattern in (
        ("and", "A&", r"AND|&&"),
        ("or", "O|", r"OR|\|\|"),
        ("not", "N!", r"NOT|!"),
        ("+", "+", r"\+"),
        ("-", "-", r"-"),
        ("bare", "-+!", r"[-+!][ \t\n\r\u3000]"),
        ("(", "(", r"\("),
        (")", ")", r"\)"),
        (":", ":", r":"),
        ("star", "*", r"\*"),
        ("^", "^", r"\^"),
        ("quoted", '"', r'"(?:[^"\\]|\\[\s\S])*"'),
        ("term", "", rf"{_START}{_CHAR}*"),
        ("~", "~", rf"~(?:{_CHAR})*"),
        ("prefix", "", rf"{_START}{_CHAR}*\*"),
        ("wild", "", rf"{_START}(?:{_CHAR}|[*?])*"),
        ("wild", "*?", rf"[*?](?:{_CHAR}|[*?])*"),
        ("regexp", "/", r"/(?:\\/|[^/])*/"),
        ("[", "[", r"\["),
        ("{", "{", r"\{"),
    )
)
_SPACE = re.compile(r"[ \t\n\r\u3000]*")
_IN_RANGE = re.compile(r'(?P<quoted>"(?:\\"|[^"])+")|[\]}]|[^ \]}]+')


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the query: its kind, its text as written, and its offset."""

    kind: str
    text: str
    at: int


def tokenize(text: str) -> list[Token]:
    """All tokens, an `end` last. Inside a range they are `goop`, `quoted`, `]` and `}`."""
    out: list[Token] = []
    at, in_range = _skip(text, 0), False
    while at < len(text):
        token = _range_token(text, at) if in_range else _token(text, at)
        out.append(token)
        if token.kind in ("[", "{", "]", "}"):
            in_range = token.kind in ("[", "{")
        at = _skip(text, at + len(token.text))
    out.append(Token("end", "", len(text)))
    return out


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _token(text: str, at: int) -> Token:
    best, length = "", 0
    for kind, pattern in _candidates(text[at]):
        found = pattern.match(text, at)
        if found is not None and found.end() - at > length:
            best, length = kind, found.end() - at
    if not best:
        raise QueryError(
            f"unexpected {text[at]!r} at {at}",
            position=at,
            hint="quote the value or put a backslash before the character",
        )
    return Token(best, text[at : at + length], at)


@cache
def _candidates(first: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The tokens that may start with a character."""
    return tuple(
        (kind, pattern)
        for kind, starts, pattern in _TOKENS
        if (first in starts if starts else first not in _NO_WORD)
    )


def _range_token(text: str, at: int) -> Token:
    found = _IN_RANGE.match(text, at)
    if found is None:
        raise QueryError(f"range not closed at {at}", position=at, hint="[low TO high]")
    word = found.group()
    if word in "]}":
        return Token(word, word, at)
    return Token("quoted" if found["quoted"] else "goop", word, at)


def unescape(token: Token) -> str:
    r"""The text without escapes: `\x` is x, `\uXXXX` a code unit.

    Raises QueryError where Lucene does: a lone backslash at the end, a short `\u`.
    """
    text = token.text
    if "\\" not in text:
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
            if at >= len(text):
                raise QueryError("a term cannot end with a backslash", position=token.at)
            char = text[at]
            if char == "u":
                digits = text[at + 1 : at + 5]
                if re.fullmatch(r"[0-9a-fA-F]{4}", digits) is None:
                    raise QueryError(
                        r"\u needs four hexadecimal digits",
                        position=token.at,
                        hint=r"a backslash in a value is written \\",
                    )
                char, at = chr(int(digits, 16)), at + 4
        out.append(char)
        at += 1
    text = "".join(out)
    # Two halves of a pair written apart are one character.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
