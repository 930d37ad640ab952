"""ES|QL: a source, then commands in a pipe.

Commands that only choose columns are accepted, since they change nothing about which events match.
Commands that compute or aggregate are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.esql_tokens import Token, commands, source_names, tokenize
from ruledeploy.query.esql_where import parse_condition
from ruledeploy.query.ir import ALWAYS, Node, all_of, fields_used


@dataclass(frozen=True, slots=True)
class EsqlQuery:
    """`sources` are index patterns, `metadata` fields such as `_id`; `where` is null-safe.

    `conditions` are the texts of the `where` commands.
    """

    sources: tuple[str, ...]
    metadata: tuple[str, ...] = ()
    where: Node = ALWAYS
    limit: int | None = None
    conditions: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pipe:
    """What the commands read so far say."""

    where: Node = ALWAYS
    limit: int | None = None
    conditions: tuple[str, ...] = ()
    kept: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()


def parse_esql(text: str) -> EsqlQuery:
    """The query; raises QueryError with an offset, UnsupportedQuery naming a command or function.

    Every column of a condition must still be there (`keep`, `drop` before it).
    """
    spans = commands(text)
    start, end = spans[0]
    first = tokenize_head(text, start, end)
    if not first.is_word("from"):
        kind = UnsupportedQuery if first.is_word("row", "show", "ts", "explain") else QueryError
        raise kind(f"a query starts with from, not {first.text!r}", position=first.at)
    sources, metadata = source_names(text, first.at + len(first.text), end)
    pipe = _Pipe()
    for start, end in spans[1:]:
        _command(text, start, end, pipe)
    return EsqlQuery(sources, metadata, pipe.where, pipe.limit, pipe.conditions)


def tokenize_head(text: str, start: int, end: int) -> Token:
    """The first word of a command."""
    at = start
    while at < end and text[at].isspace():
        at += 1
    stop = at
    while stop < end and (text[stop].isalnum() or text[stop] == "_"):
        stop += 1
    return Token("name", text[at:stop], at)


def _command(text: str, start: int, end: int, pipe: _Pipe) -> None:
    head = tokenize_head(text, start, end)
    rest = head.at + len(head.text)
    match head.text.lower():
        case "where":
            _where(tokenize(text, rest, end), pipe, head.at)
            pipe.conditions += (text[rest:end].strip(),)
        case "limit":
            _limit(tokenize(text, rest, end), pipe)
        case "keep":
            pipe.kept = _columns(tokenize(text, rest, end))
        case "drop":
            pipe.dropped += _columns(tokenize(text, rest, end))
        case "":
            raise QueryError(f"a command is missing at {head.at}", position=head.at)
        case name:
            raise UnsupportedQuery(f"ES|QL command {name} at {head.at}", position=head.at)


def _where(tokens: list[Token], pipe: _Pipe, at: int) -> None:
    if pipe.limit is not None:
        raise UnsupportedQuery("where after limit", position=at, hint="filter first")
    condition = parse_condition(tokens)
    for field in sorted(fields_used(condition)):
        gone = any(fnmatchcase(field, glob) for glob in pipe.dropped)
        if gone or not (pipe.kept is None or any(fnmatchcase(field, g) for g in pipe.kept)):
            raise QueryError(f"column {field} is no longer there", position=at)
    pipe.where = all_of(pipe.where, condition)


def _limit(tokens: list[Token], pipe: _Pipe) -> None:
    first, *rest = tokens
    if not first.text.isdigit() or [token.kind for token in rest] != ["end"]:
        raise QueryError("limit takes one number", position=first.at)
    number = int(first.text)
    pipe.limit = number if pipe.limit is None else min(number, pipe.limit)


def _columns(tokens: list[Token]) -> tuple[str, ...]:
    """Names or patterns of columns, separated by commas."""
    text = "".join(token.text for token in tokens)
    names = tuple(text.split(","))
    if not all(names):
        raise QueryError("a column's name is missing", position=tokens[0].at)
    return names
