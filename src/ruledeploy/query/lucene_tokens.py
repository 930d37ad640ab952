"""The tokens of Lucene's classic query syntax, longest match first, as its grammar has them."""

from __future__ import annotations

import re

from msgspec import Struct

from ruledeploy.errors import QueryError

_SPACE = " \t\n\r\u3000"
_PLAIN = rf'[^{_SPACE}!():^\[\]"{{}}~*?\\/]'
_ESCAPED = r"\\[\s\S]"
# What a word goes on with, and the same where wildcards may be in it.
_REST = rf"{_PLAIN}*(?:{_ESCAPED}{_PLAIN}*)*"
_WILD = rf"(?:{_PLAIN}|{_ESCAPED}|[*?])"
# The longest token after white space; its kind is the name of the last group that took part.
_TOKEN = re.compile(
    rf"""[{_SPACE}]*
  (?:
    "(?P<quoted>[^"\\]*(?:{_ESCAPED}[^"\\]*)*)"
  | (?P<term>(?![-+])(?:{_PLAIN}|{_ESCAPED}){_REST})
        (?: (?P<prefix>\*)(?!{_WILD}) | (?P<affixed>[*?]{_WILD}*) )?
  | (?P<star>\*)(?!{_WILD})
  | (?P<wild>[*?]{_WILD}*)
  | (?P<regexp>/(?:\\/|[^/])*/)
  | (?P<bare>[-+!][{_SPACE}])
  | (?P<sign>[-+!():^\[{{]|~{_REST})
  | (?P<end>\Z)
  )""",
    re.VERBOSE,
)
# A character, or `u` and its digits; neither at the end of the text.
_DIGITS = 4
_ESCAPE = re.compile(r"\\(?:([^u])|(u[0-9a-fA-F]{0,4}|))", re.DOTALL)
_OPERATORS = {"&&": "and", "AND": "and", "||": "or", "OR": "or", "NOT": "not"}
_SPACES = re.compile(f"[{_SPACE}]*")
_IN_RANGE = re.compile(r'(?P<quoted>"(?:\\"|[^"])+")|[\]}]|[^ \]}]+')


class Token(Struct, frozen=True, gc=False):
    """A piece of the query: its kind, its text as written, and its offset."""

    kind: str
    text: str
    at: int


def tokenize(text: str) -> list[Token]:
    """All tokens, an `end` last. Inside a range they are `goop`, `quoted`, `]` and `}`."""
    out: list[Token] = []
    at, in_range = 0, False
    while True:
        token = _range_token(text, at) if in_range else _token(text, at)
        out.append(token)
        kind = token.kind
        if kind == "end":
            return out
        if kind in "[{]}":
            in_range = kind in "[{"
        at = token.at + len(token.text)


def _token(text: str, at: int) -> Token:
    found = _TOKEN.match(text, at)
    if found is None:
        at = _after_space(text, at)
        raise QueryError(
            f"unexpected {text[at]!r} at {at}",
            position=at,
            hint="quote the value or put a backslash before the character",
        )
    kind, written = str(found.lastgroup), found.group().lstrip(_SPACE)
    match kind:
        case "term":
            kind = _OPERATORS.get(written, kind)
        case "affixed":
            kind = "wild"
        case "sign":
            kind = "not" if written == "!" else written[0]
    return Token(kind, written, found.end() - len(written))


def _after_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at


def _range_token(text: str, at: int) -> Token:
    at = _after_space(text, at)
    if at == len(text):
        return Token("end", "", at)
    found = _IN_RANGE.match(text, at)
    if found is None:
        raise QueryError(f"range not closed at {at}", position=at, hint="[low TO high]")
    word = found.group()
    if word in "]}":
        return Token(word, word, at)
    return Token("quoted" if found["quoted"] else "goop", word, at)


def unescape(text: str, at: int) -> str:
    r"""The text of a token without escapes: `\x` is x, `\uXXXX` a code unit.

    Raises QueryError where Lucene does: a lone backslash at the end, a short `\u`.
    """
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(lambda found: found[1] or _code_unit(found[2], at), text)
    if "\\u" not in text:
        return plain
    # Two halves of a pair written apart are one character.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _code_unit(escape: str, at: int) -> str:
    if not escape:
        raise QueryError("a term cannot end with a backslash", position=at)
    digits = escape[1:]
    if len(digits) < _DIGITS:
        raise QueryError(
            r"\u needs four hexadecimal digits",
            position=at,
            hint=r"a backslash in a value is written \\",
        )
    return chr(int(digits, 16))
