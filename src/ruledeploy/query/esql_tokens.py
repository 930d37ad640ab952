"""The tokens of ES|QL, and the commands of a query with the tokens of each."""

from __future__ import annotations

import re

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Token, unescape

_COMMENT = r"//[^\n]* | /\*.*?\*/"
_STRING = r"""
    (?P<raw>\"{3}.*?\"{3}(?:\"{0,2}(?!\"))?)
  | (?P<string>"[^"\\\n\r]*(?:\\[tnr"\\][^"\\\n\r]*)*")
"""
# What comes next, after white space; `none` is a comment or the end.
_PIECE = rf"""
    (?P<none>{_COMMENT} | \Z)
  | {_STRING}
  | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)? | \.\d+(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_@][A-Za-z0-9_@]* | `(?:[^`]|``)*`)
  | (?P<op>==|!=|<=|>=|=~|::|[<>=(),.:+\-*/%?\[\]|])
"""
_PIECES = re.compile(rf"\s*(?:{_PIECE})", re.VERBOSE | re.DOTALL)
# A clause as converted rules are made of, up to where it must end.
_CLAUSE = r"""
    (?P<lower>to_lower\()?
    (?P<column>[A-Za-z_@][A-Za-z0-9_@]*(?:\.[A-Za-z_@][A-Za-z0-9_@]*)*)
    (?(lower)\))\ (?P<sign>like|==|:)\ "(?P<text>[^"\\\n\r]*(?:\\[tnr"\\][^"\\\n\r]*)*)"
    (?=\)|\ and\ |\ or\ |\Z)
"""
_CLAUSES = re.compile(rf"\s*(?:(?P<clause>{_CLAUSE})|{_PIECE})", re.VERBOSE | re.DOTALL)
# A pipe, or a stretch of text without one that counts; what is no token is reported by its command.
_STRETCHES = re.compile(
    rf"\| | {_COMMENT} | {_STRING} | `(?:[^`]|``)*` | [^|\"`/]+ | .", re.VERBOSE | re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\"}
# Words that are no part of a column's name unless quoted, in any letter case (as 8.19 has it).
RESERVED = frozenset(
    {
        *("and", "asc", "by", "desc", "false", "first", "in", "is", "last", "like", "not", "null"),
        *("nulls", "on", "or", "rlike", "true", "where", "with"),
    }
)
_SOURCE = re.compile(r'"(?P<quoted>[^"]*)"|(?P<bare>(?:(?!//|/\*)[^\s,|()\[\]"=])+)')
_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)


class Clause(Token, frozen=True, gc=False):
    """A column (`lowered`: in lower case) compared with a text, as one token of kind `clause`.

    `text` is what it is compared with, `sign` the operator.
    """

    column: str = ""
    lowered: bool = False


def tokenize(text: str, start: int, end: int, *, clauses: bool = False) -> list[Token]:
    """The tokens of one command, an `end` last; strings without quotes and escapes.

    With `clauses`, what looks like one is a single token. It need not be one: what comes before it
    decides that (`a + b == "x"`).
    """
    pieces = _CLAUSES if clauses else _PIECES
    out: list[Token] = []
    at = start
    while at < end:
        found = pieces.match(text, at, end)
        if found is None:
            at = after_space(text, at, end)
        if found is None and text[at] == "{":
            raise UnsupportedQuery(f"ES|QL options in braces at {at}", position=at)
        if found is None:
            raise QueryError(
                f"unexpected {text[at : at + 10]!r} at {at}",
                position=at,
                hint=r'in a string a backslash is written \\, or use """raw text"""',
            )
        kind = str(found.lastgroup)
        start, at = found.span(kind)
        if kind == "clause":
            out.append(_clause(found))
        elif kind != "none":
            out.append(_token(kind, text[start:at], start))
    out.append(Token("end", "", end))
    return out


def _token(kind: str, text: str, at: int) -> Token:
    if kind == "raw":
        return Token("string", text[3:-3], at)
    if kind == "string":
        return Token("string", _meant(text[1:-1]), at)
    if kind == "number":
        return Token(kind, text, at)
    if kind == "name" and text.startswith("`"):
        return Token("quoted", text[1:-1].replace("``", "`"), at)
    return Token(kind, text, at, text.lower())


def _clause(found: re.Match[str]) -> Clause:
    lower, column, sign, text = found.group("lower", "column", "sign", "text")
    return Clause("clause", _meant(text), found.start("clause"), sign, column, lower is not None)


def _meant(text: str) -> str:
    return unescape(text, _ESCAPE, lambda found: _ESCAPES[found[1]])


def commands(text: str) -> list[tuple[int, int]]:
    """Start and end offset of each command, split at the pipes outside strings."""
    out: list[tuple[int, int]] = []
    start = 0
    for found in _STRETCHES.finditer(text):
        if found.group() == "|":
            out.append((start, found.start()))
            start = found.end()
    out.append((start, len(text)))
    return out


def after_space(text: str, at: int, end: int) -> int:
    """Where what counts begins: white space and comments stand between any two tokens."""
    found = _SPACE.match(text, at, end)
    return found.end() if found else at


def source_names(text: str, start: int, end: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Index patterns and metadata fields of a `from` command (without the word itself)."""
    sources: list[str] = []
    metadata: list[str] = []
    here, at = sources, after_space(text, start, end)
    while at < end:
        if text[at] in ",[]":
            at = after_space(text, at + 1, end)
            continue
        found = _SOURCE.match(text, at, end)
        if found is None:
            raise QueryError(f"unexpected {text[at]!r} in from at {at}", position=at)
        word = found["quoted"] if found["quoted"] is not None else found["bare"]
        if found["bare"] and word.lower() == "metadata":
            here = metadata
        else:
            here.extend(part.strip() for part in word.split(","))
        at = after_space(text, found.end(), end)
    if not sources:
        raise QueryError("from names no index", position=start)
    return tuple(sources), tuple(metadata)
