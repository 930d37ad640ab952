"""ES|QL: a source, then commands in a pipe.

The first conditions ask columns of the index alone; they become a node, which is evaluated as
every query is. What follows them, once something computes or aggregates, stays a pipe of commands
over rows (`esql_run`). Commands beyond both are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Token
from ruledeploy.query.esql_logic import Tri, both, plain
from ruledeploy.query.esql_pipe import Command, Drop, Keep, Limit, Stats, parse_command
from ruledeploy.query.esql_tokens import after_space, commands, source_names
from ruledeploy.query.esql_where import parse_condition
from ruledeploy.query.ir import ALWAYS, Node


@dataclass(frozen=True, slots=True)
class EsqlQuery:
    """`sources` are index patterns, `metadata` fields such as `_id`; `where` is null-safe.

    `conditions` are the texts of the `where` commands that `where` stands for, `columns` what
    these name. `commands` are all the others, `pipe` the same but none for a query that only finds;
    `rest` is the text after `from` and its sources, from the first pipe sign on.
    """

    sources: tuple[str, ...]
    metadata: tuple[str, ...] = ()
    where: Node = ALWAYS
    limit: int | None = None
    conditions: tuple[str, ...] = ()
    pipe: tuple[Command, ...] = ()
    rest: str = ""
    columns: frozenset[str] = frozenset()
    commands: tuple[Command, ...] = ()

    @property
    def aggregates(self) -> bool:
        """Whether rows are groups of events, not events."""
        return any(isinstance(command, Stats) for command in self.pipe)


@dataclass(slots=True)
class _Pipe:
    """What the commands read so far say; `commands` and `computes` once rows are computed."""

    where: tuple[Tri, ...] = ()
    limit: int | None = None
    conditions: tuple[str, ...] = ()
    kept: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    computes: bool = False


def parse_esql(text: str) -> EsqlQuery:
    """The query; raises QueryError with an offset, UnsupportedQuery naming a command or function.

    Every column of a condition must still be there (`keep`, `drop` before it).
    """
    spans = commands(text)
    sources, metadata = _from(text, *spans[0])
    pipe = _Pipe()
    for start, end in spans[1:]:
        _command(text, start, end, pipe)
    where = both(pipe.where) if pipe.where else plain(ALWAYS)
    return EsqlQuery(
        sources,
        metadata,
        where.true,
        None if pipe.computes else pipe.limit,
        pipe.conditions,
        pipe.commands if pipe.computes else (),
        text[spans[0][1] :],
        where.names,
        pipe.commands,
    )


def esql_sources(text: str) -> tuple[str, ...]:
    """What the query reads from, whatever comes after; raises QueryError as `parse_esql` does."""
    return _from(text, *commands(text)[0])[0]


def _from(text: str, start: int, end: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sources and metadata fields of the first command."""
    first = tokenize_head(text, start, end)
    if first.sign != "from":
        kind = UnsupportedQuery if first.sign in ("row", "show", "ts", "explain") else QueryError
        raise kind(f"a query starts with from, not {first.text!r}", position=first.at)
    return source_names(text, first.at + len(first.text), end)


def tokenize_head(text: str, start: int, end: int) -> Token:
    """The first word of a command."""
    stop = at = after_space(text, start, end)
    while stop < end and (text[stop].isalnum() or text[stop] == "_"):
        stop += 1
    return Token("name", text[at:stop], at, text[at:stop].lower())


def _command(text: str, start: int, end: int, pipe: _Pipe) -> None:
    head = tokenize_head(text, start, end)
    rest = head.at + len(head.text)
    name = head.text.lower()
    if not name:
        raise QueryError(f"a command is missing at {head.at}", position=head.at)
    if name == "where" and not pipe.computes and _found(text, head, end, pipe):
        return
    command = parse_command(name, text, rest, end)
    pipe.commands += (command,)
    match command:
        case Limit(count):
            pipe.limit = count if pipe.limit is None else min(count, pipe.limit)
        case Keep(patterns):
            pipe.kept = patterns
        case Drop(patterns):
            pipe.dropped += patterns
        case _:
            pipe.computes = True


def _found(text: str, head: Token, end: int, pipe: _Pipe) -> bool:
    """Take a condition in that the index answers; False for one that needs computing."""
    rest = head.at + len(head.text)
    try:
        _where(text, (rest, end), pipe, head.at)
    except UnsupportedQuery:
        return False
    except QueryError:
        # What the index is asked is a part of the language; this may be in the rest of it.
        if _is_computed(text, rest, end):
            return False
        raise
    pipe.conditions += (text[rest:end].strip(),)
    return True


def _is_computed(text: str, start: int, end: int) -> bool:
    try:
        parse_command("where", text, start, end)
    except QueryError:
        return False
    return True


def _where(text: str, span: tuple[int, int], pipe: _Pipe, at: int) -> None:
    if pipe.limit is not None:
        raise UnsupportedQuery("where after limit", position=at, hint="filter first")
    condition = parse_condition(text, *span)
    narrowed = pipe.kept is not None or pipe.dropped
    for field in sorted(condition.names) if narrowed else ():
        gone = any(fnmatchcase(field, glob) for glob in pipe.dropped)
        if gone or not (pipe.kept is None or any(fnmatchcase(field, g) for g in pipe.kept)):
            raise QueryError(f"column {field} is no longer there", position=at)
    pipe.where += (condition,)
