"""The tokens of EQL."""

from __future__ import annotations

import re
from typing import NoReturn

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Cursor, Token, unescape

_SPACE = " \t\r\n"
# What comes next, after white space; `none` is a comment or the end.
_PIECE = r"""
    (?P<none>//[^\r\n]* | /\*.*?\*/ | \Z)
  | (?P<raw>\"{3}[^\r\n]*?\"{3}\"{0,2})
  | (?P<string>"[^"\\\r\n]*(?:\\(?:[btnfr"\\']|u\{[0-9A-Fa-f]{2,8}\})[^"\\\r\n]*)*")
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_@][A-Za-z0-9_]*~?)
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<op>==|!=|<=|>=|!\[|[<>=:+\-*/%.,\[\]()|?])
"""
_PIECES = re.compile(rf"[ \t\r\n]*(?:{_PIECE})", re.VERBOSE | re.DOTALL)
_TEXT = r'"[^"\\\r\n]*(?:\\[btnfr"\\\'][^"\\\r\n]*)*"'
_TEXTS = re.compile(_TEXT)
# A clause as converted rules are made of, up to where it must end.
_CLAUSE = rf"""
    (?P<optional>\?)?(?P<column>[A-Za-z_@][A-Za-z0-9_]*(?:\.[A-Za-z_@][A-Za-z0-9_]*)*)
    \ (?P<sign>:|like|in|==)\ (?P<texts>{_TEXT} | \({_TEXT}(?:,\ {_TEXT})*\))
    (?=\)|\ and\ |\ or\ |\Z)
"""
_CLAUSES = re.compile(rf"[ \t\r\n]*(?:(?P<clause>{_CLAUSE})|{_PIECE})", re.VERBOSE | re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]+)\}|(.))", re.DOTALL)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_LAST_CHAR = 0x10FFFF
KEYWORDS = frozenset(
    {
        *("and", "any", "by", "false", "in", "in~", "join", "like", "like~", "maxspan", "not"),
        *("null", "of", "or", "regex", "regex~", "sample", "sequence", "true", "until", "where"),
        "with",
    }
)


class Clause(Token, frozen=True, gc=False):
    """A column compared with texts, as one token of kind `clause`; `sign` is the operator.

    `listed`: they are written as a list.
    """

    column: str = ""
    optional: bool = False
    texts: tuple[str, ...] = ()
    listed: bool = False


def tokenize(text: str, *, clauses: bool = False) -> list[Token]:
    """The tokens of a query, an `end` last. Raises QueryError at what is none.

    With `clauses`, what looks like one is a single token. It need not be one: what comes before it
    decides that (`1 + a == "x"`).
    """
    pieces = _CLAUSES if clauses else _PIECES
    out: list[Token] = []
    at = 0
    while at < len(text):
        found = pieces.match(text, at)
        if found is None:
            _fail(text, len(text) - len(text[at:].lstrip(_SPACE)))
        kind = str(found.lastgroup)
        start, at = found.span(kind)
        if kind == "clause":
            out.append(_clause(found, start))
        elif kind != "none":
            out.append(_token(kind, text[start:at], start))
    out.append(Token("end", "", len(text)))
    return out


def _token(kind: str, text: str, at: int) -> Token:
    match kind:
        case "raw":
            return Token("string", text[3:-3], at)
        case "string":
            return Token("string", _meant(text, at), at)
        case "quoted":
            return Token("quoted", text[1:-1].replace("``", "`"), at)
        case "number":
            return Token(kind, text, at)
        case _:
            return Token(kind, text, at, text)


def _clause(found: re.Match[str], at: int) -> Clause:
    optional, column, sign, texts = found.group("optional", "column", "sign", "texts")
    meant = tuple([_meant(text, at) for text in _TEXTS.findall(texts)])
    return Clause("clause", column, at, sign, column, optional is not None, meant, texts[0] == "(")


def _meant(text: str, at: int) -> str:
    """What a string at `at` says."""
    return unescape(text[1:-1], _ESCAPE, lambda found: _char(found, at))


def _char(found: re.Match[str], at: int) -> str:
    """What an escape stands for; `at` is where its string starts."""
    if found[1] is None:
        return _ESCAPES[found[2]]
    code = int(found[1], 16)
    if code > _LAST_CHAR or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - surrogates are half a character
        place = at + 1 + found.start()
        raise QueryError(f"{found[0]} at {place} is no character", position=place)
    return chr(code)


def _fail(text: str, at: int) -> NoReturn:
    """Raise for the text at `at`, which starts no token."""
    if text[at] == "'":
        raise QueryError(
            f"a string in single quotes at {at}", position=at, hint='write it in double quotes: "…"'
        )
    if text[at] == '"':
        raise QueryError(
            f"a string at {at} does not end, or has an escape that is none",
            position=at,
            hint=r'in a string a backslash is written \\; """raw text""" needs no escapes',
        )
    raise QueryError(f"unexpected {text[at : at + 10]!r} at {at}", position=at)


class EqlCursor(Cursor):
    """Reads EQL, and says what it cannot."""

    def fail(self, hint: str | None = None, token: Token | None = None) -> NoReturn:
        """Raise for a token (the next one) that cannot stand where it does."""
        token = token or self.token
        what = "end of the query" if token.kind == "end" else repr(token.text)
        raise QueryError(f"unexpected {what} at {token.at}", position=token.at, hint=hint)

    def refuse(self, what: str, token: Token, hint: str | None = None) -> NoReturn:
        """Raise for a construct that we do not evaluate."""
        raise UnsupportedQuery(f"EQL {what} at {token.at}", position=token.at, hint=hint)

    def expect_op(self, text: str) -> None:
        """Consume an operator that must be next."""
        if not self.accept(text):
            self.fail(f"{text} expected")
