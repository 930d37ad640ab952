"""The tokens of EQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from ruledeploy.errors import QueryError, UnsupportedQuery

_PIECES = re.compile(
    r"""
    (?P<space>[ \t\r\n]+ | //[^\r\n]* | /\*.*?\*/)
  | (?P<raw>\"{3}[^\r\n]*?\"{3}\"{0,2})
  | (?P<string>"(?:[^"\\\r\n]|\\[btnfr"\\']|\\u\{[0-9A-Fa-f]{2,8}\})*")
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[A-Za-z_@][A-Za-z0-9_]*~?)
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<op>==|!=|<=|>=|!\[|[<>=:+\-*/%.,\[\]()|?])
    """,
    re.VERBOSE | re.DOTALL,
)
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


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is string, number, name, quoted (a name in backquotes), op or end.

    The text of a string is what it says, without quotes and escapes.
    """

    kind: str
    text: str
    at: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of the keywords; their letter case counts."""
        return self.kind == "name" and self.text in words

    def is_op(self, *texts: str) -> bool:
        """Whether it is one of the operators."""
        return self.kind == "op" and self.text in texts


def tokenize(text: str) -> list[Token]:
    """The tokens of a query, an `end` last. Raises QueryError at what is none."""
    out: list[Token] = []
    at = 0
    while at < len(text):
        found = _PIECES.match(text, at)
        if found is None:
            _fail(text, at)
        kind = str(found.lastgroup)
        if kind != "space":
            out.append(_token(kind, found.group(), at))
        at = found.end()
    out.append(Token("end", "", len(text)))
    return out


def _token(kind: str, text: str, at: int) -> Token:
    match kind:
        case "raw":
            return Token("string", text[3:-3], at)
        case "string":
            return Token("string", _ESCAPE.sub(lambda found: _char(found, at), text[1:-1]), at)
        case "quoted":
            return Token("quoted", text[1:-1].replace("``", "`"), at)
        case _:
            return Token(kind, text, at)


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


class Cursor:
    """Reads tokens one after the other."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        """The token after it."""
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def take_op(self, *texts: str) -> bool:
        """Consume an operator if it is next."""
        if self.token.is_op(*texts):
            self.at += 1
            return True
        return False

    def take_word(self, *words: str) -> bool:
        """Consume a keyword if it is next."""
        if self.token.is_word(*words):
            self.at += 1
            return True
        return False

    def fail(self, hint: str | None = None) -> NoReturn:
        """Raise for a token that cannot stand where it does."""
        token = self.token
        what = "end of the query" if token.kind == "end" else repr(token.text)
        raise QueryError(f"unexpected {what} at {token.at}", position=token.at, hint=hint)

    def refuse(self, what: str, token: Token, hint: str | None = None) -> NoReturn:
        """Raise for a construct that we do not evaluate."""
        raise UnsupportedQuery(f"EQL {what} at {token.at}", position=token.at, hint=hint)

    def expect_op(self, text: str) -> None:
        """Consume an operator that must be next."""
        if not self.take_op(text):
            self.fail(f"{text} expected")
