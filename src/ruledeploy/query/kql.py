"""Kibana's query language (`kuery`), turned into the query DSL that Kibana turns it into.

It is Kibana's, not the server's `kql` query: an unquoted value is a `match`, a quoted one a
`match_phrase`, and one with a wildcard a `query_string` on the field, except on keywords, where
they are `term` and `wildcard`. A literal ends where `and`, `or` or `not` stands, even inside a
value; only quoting keeps it together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeAlias

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.fields import FieldTable
from ruledeploy.model import JsonObject
from ruledeploy.query.ir import MAX_DEPTH

# The Elasticsearch type of a field; None where it is not known.
Types = Callable[[str], str | None]
# A text in parts, None for each wildcard.
Parts: TypeAlias = tuple[str | None, ...]
# The fields whose names fit, each with the nested object that holds it, if one does. Raises
# UnsupportedQuery where nobody knows all names.
Named = Callable[[Parts], Sequence[tuple[str, str | None]]]

_SPACE = re.compile(r"\s*")
_KEYWORD = re.compile(r"\s+(?:or|and)\s+|not\s+", re.IGNORECASE)
_JOIN = {word: re.compile(rf"\s+{word}\s+", re.IGNORECASE) for word in ("or", "and")}
_NOT = re.compile(r"not\s+", re.IGNORECASE)
_QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_RANGES = {"<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}
_SPECIAL = frozenset('\\():<>"*{}')
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
# Fields that every index has and Kibana knows: a name that fits them means too much.
_OF_THE_INDEX = ("_id", "_index", "_ignored", "_score", "_source", "_type")
_RESERVED = re.compile(r'[-+=&|><!(){}\[\]^"~*?:\\/]')


@dataclass(frozen=True, slots=True)
class _Literal:
    """A value or a field's name."""

    parts: Parts
    quoted: bool

    @property
    def text(self) -> str:
        """The text, where there is no wildcard."""
        return "".join(part or "" for part in self.parts)

    @property
    def wild(self) -> bool:
        """Whether there is a wildcard."""
        return None in self.parts

    @property
    def anything(self) -> bool:
        """Whether it is one star."""
        return self.parts == (None,)

    def pattern(self) -> str:
        """The text for `query_string` and `wildcard`, which escape alike."""
        escaped = (_RESERVED.sub(r"\\\g<0>", p) if p is not None else "*" for p in self.parts)
        return "".join(escaped)


def unknown(_: str) -> None:
    """No field's type is known."""


def unnamed(_: Parts) -> Sequence[tuple[str, str | None]]:
    """No field's name is known."""
    raise UnsupportedQuery("a wildcard in a field's name", hint="name the fields")


def named_in(table: FieldTable) -> Named:
    """The fields of a table, unless events may have others of such a name."""

    def named(parts: Parts) -> Sequence[tuple[str, str | None]]:
        start = parts[0] or ""
        prefixes = [glob.partition("*")[0] for glob in table.dynamic_keyword]
        if table.open or any(one.startswith(start) or start.startswith(one) for one in prefixes):
            message = "a wildcard in the name of fields that no table lists"
            raise UnsupportedQuery(message, hint="name the fields")
        fits = _names(parts)
        return [(name, table.nested_path(name)) for name in table.names() if fits(name)]

    return named


def _names(parts: Parts) -> Callable[[str], bool]:
    text = "".join(".*" if part is None else re.escape(part) for part in parts)
    fullmatch = re.compile(text, re.DOTALL).fullmatch
    return lambda name: fullmatch(name) is not None


def parse_kql(text: str, types: Types = unknown, named: Named = unnamed) -> JsonObject:
    """The DSL of a query. A blank one matches all.

    Raises QueryError with the offset; UnsupportedQuery for a wildcard in a field's name where the
    names are not known, and for a wildcard beside a space where the field's type is not, since it
    decides what is meant.
    """
    if not text.strip():
        return {"match_all": {}}
    return _Parser(text, types, named).parse()


class _Parser:
    """Recursive descent, as Kibana's grammar."""

    def __init__(self, text: str, types: Types, named: Named) -> None:
        self.text = text
        self.types = types
        self.named = named
        self.at = 0
        self.depth = 0
        self.path = ""

    def parse(self) -> JsonObject:
        """The whole text."""
        self.space()
        found = self.disjunction()
        self.space()
        if self.at < len(self.text):
            self.fail()
        return found

    def fail(self) -> NoReturn:
        """Raise at the present place."""
        rest = self.text[self.at : self.at + 10]
        what = repr(rest) if rest else "the end of the query"
        raise QueryError(
            f"unexpected {what} at {self.at}", position=self.at, hint="quote the value"
        )

    def space(self) -> None:
        """Skip white space."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, text: str) -> bool:
        """Consume a symbol if it is next."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def joined(self, word: str) -> bool:
        """Consume `or` or `and` if it is next."""
        found = _JOIN[word].match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found is not None

    def disjunction(self) -> JsonObject:
        """`a or b`."""
        self.depth += 1
        if self.depth > MAX_DEPTH // 4:
            raise UnsupportedQuery(f"parentheses nested deeper than {MAX_DEPTH // 4}")
        parts = [self.conjunction(self.negation)]
        while self.joined("or"):
            parts.append(self.conjunction(self.negation))
        self.depth -= 1
        return parts[0] if len(parts) == 1 else _any(parts)

    def conjunction(self, inner: Callable[[], JsonObject]) -> JsonObject:
        """`a and b`, which binds tighter."""
        parts = [inner()]
        while self.joined("and"):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}

    def negation(self) -> JsonObject:
        """`not a`."""
        found = _NOT.match(self.text, self.at)
        if found is None:
            return self.group()
        self.at = found.end()
        return {"bool": {"must_not": self.group()}}

    def group(self) -> JsonObject:
        """A parenthesis, or one expression."""
        if not self.take("("):
            return self.expression()
        self.space()
        found = self.disjunction()
        self.space()
        if not self.take(")"):
            self.fail()
        return found

    def expression(self) -> JsonObject:
        """`field: value`, `field: (values)`, `field: {nested}`, `field >= value`, or a value."""
        left = self.literal()
        before = self.at
        self.space()
        for sign, key in _RANGES.items():
            if self.take(sign):
                self.space()
                return self.each(left, partial(_range, key, self.literal().text))
        if not self.take(":"):
            self.at = before
            return self.anywhere(left)
        self.space()
        if self.take("{"):
            return self.nested(self.name(left))
        return self.values(left)

    def nested(self, path: str) -> JsonObject:
        """`path: { … }`; the fields inside are relative to the path."""
        outer, self.path = self.path, path
        self.space()
        query = self.disjunction()
        self.space()
        if not self.take("}"):
            self.fail()
        self.path = outer
        return _within(path, query)

    def values(self, field: _Literal) -> JsonObject:
        """One value, or several joined by `or`, `and` and `not` in parentheses."""
        if not self.take("("):
            return self.condition(field, self.literal())
        self.space()
        found = self.value_list(field)
        self.space()
        if not self.take(")"):
            self.fail()
        return found

    def value_list(self, field: _Literal) -> JsonObject:
        """The inside of the parentheses."""
        parts = [self.conjunction(lambda: self.value(field))]
        while self.joined("or"):
            parts.append(self.conjunction(lambda: self.value(field)))
        return parts[0] if len(parts) == 1 else _any(parts)

    def value(self, field: _Literal) -> JsonObject:
        """A value, a negated one, or parentheses again."""
        found = _NOT.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            return {"bool": {"must_not": self.values(field)}}
        return self.values(field)

    # -------------------------------------------------------------------------------- literals

    def literal(self) -> _Literal:
        """A quoted or an unquoted literal; the latter without white space around it."""
        found = _QUOTED.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            return _Literal((_unquoted(found[1]),), quoted=True)
        parts: list[str | None] = []
        start = self.at
        while (part := self.piece()) != "":
            parts.append(part)
        literal = _Literal(_trimmed(parts), quoted=False)
        if not literal.parts:
            self.at = start
            self.fail()
        return literal

    def piece(self) -> str | None:
        """The next character of an unquoted literal, None for a wildcard, nothing at its end."""
        text, at = self.text, self.at
        if at >= len(text) or _KEYWORD.match(text, at):
            return ""
        char = text[at]
        if char == "*":
            self.at += 1
            return None
        if char == "\\" and at + 1 < len(text):
            following = text[at + 1]
            code = re.compile(r"u([0-9a-fA-F]{4})").match(text, at + 1)
            self.at += 6 if code else 2
            return chr(int(code[1], 16)) if code else _ESCAPES.get(following, following)
        if char in _SPECIAL:
            return ""
        self.at += 1
        return char

    # ------------------------------------------------------------------------------------- DSL

    def name(self, field: _Literal) -> str:
        """The full name of a field."""
        if field.wild:
            message = f"a wildcard in a nested field's name at {self.at}"
            raise UnsupportedQuery(message, position=self.at)
        return f"{self.path}.{field.text}" if self.path else field.text

    def each(self, field: _Literal, ask: Callable[[str], JsonObject]) -> JsonObject:
        """Any of the fields that a name stands for; one that fits none is sent as it is written."""
        if not field.wild:
            return _should(ask(self.name(field)))
        parts = _trimmed([f"{self.path}.", *field.parts]) if self.path else field.parts
        if any(map(_names(parts), _OF_THE_INDEX)):
            raise UnsupportedQuery(f"any field at all at {self.at}", position=self.at)
        clauses = [
            ask(name) if nested is None or self.path else _within(nested, ask(name))
            for name, nested in self.named(parts)
        ]
        return _any(clauses or [ask("".join("*" if one is None else one for one in parts))])

    def condition(self, field: _Literal, value: _Literal) -> JsonObject:
        """A field and one value."""
        if field.anything and value.anything:
            return {"match_all": {}}
        return self.each(field, lambda name: self.asked(name, value))

    def asked(self, name: str, value: _Literal) -> JsonObject:
        """What one value is to one field, by its type."""
        type_ = self.types(name)
        if value.anything:
            return {"exists": {"field": name}}
        if value.wild:
            return self.pattern(name, type_, value)
        _refuse_null(value)
        if type_ == "keyword":
            return {"term": {name: {"value": value.text}}}
        if type_ in ("date", "date_nanos"):
            bounds = {"gte": value.text, "lte": value.text, "time_zone": "Zulu"}
            return {"range": {name: bounds}}
        return {"match_phrase" if value.quoted else "match": {name: _typed(value)}}

    def pattern(self, name: str, type_: str | None, value: _Literal) -> JsonObject:
        """A value with wildcards; on what is no keyword `query_string` splits it at spaces."""
        if type_ == "keyword":
            return {"wildcard": {name: {"value": value.pattern()}}}
        if type_ is None and any(char.isspace() for char in value.text):
            raise UnsupportedQuery(
                f"a wildcard beside a space, on {name} of unknown type",
                position=self.at,
                hint=r"use Lucene, where the space is written '\ '",
            )
        return {"query_string": {"fields": [name], "query": value.pattern()}}

    def anywhere(self, value: _Literal) -> JsonObject:
        """A value without a field."""
        if value.anything:
            return {"match_all": {}}
        if value.wild:
            return {"query_string": {"query": value.pattern()}}
        kind = "phrase" if value.quoted else "best_fields"
        return {"multi_match": {"type": kind, "query": _typed(value), "lenient": True}}


def _range(key: str, bound: str, name: str) -> JsonObject:
    return {"range": {name: {key: bound}}}


def _within(path: str, query: JsonObject) -> JsonObject:
    return {"nested": {"path": path, "query": query, "score_mode": "none"}}


def _any(parts: list[JsonObject]) -> JsonObject:
    return {"bool": {"should": parts, "minimum_should_match": 1}}


def _should(clause: JsonObject) -> JsonObject:
    return _any([clause])


def _refuse_null(value: _Literal) -> None:
    """Kibana sends JSON's null, which Elasticsearch refuses in every clause."""
    if not value.quoted and value.text == "null":
        raise UnsupportedQuery("a comparison with null", hint="not field: *")


def _typed(value: _Literal) -> Any:
    """Unquoted `true` and `false` are booleans; numbers stay text."""
    if value.quoted:
        return value.text
    _refuse_null(value)
    return {"true": True, "false": False}.get(value.text, value.text)


def _unquoted(text: str) -> str:
    r"""The inside of quotes: `\"`, `\\`, `\t \r \n`, `\uXXXX`; any other backslash is itself."""

    def replace(found: re.Match[str]) -> str:
        if found["code"]:
            return chr(int(found["code"], 16))
        char = found["char"]
        return _ESCAPES.get(char) or (char if char in '"\\' else f"\\{char}")

    return re.sub(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|(?P<char>.))", replace, text, flags=re.DOTALL)


def _trimmed(parts: list[str | None]) -> tuple[str | None, ...]:
    """Runs of characters joined, white space at both ends taken off."""
    out: list[str | None] = []
    for part in parts:
        if part is not None and out and out[-1] is not None:
            out[-1] += part
        else:
            out.append(part)
    if out and out[0] is not None:
        out[0] = out[0].lstrip()
    if out and out[-1] is not None:
        out[-1] = out[-1].rstrip()
    return tuple(part for part in out if part != "")
