"""The commands of an ES|QL pipe after its first conditions, parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.cursor import Token
from ruledeploy.query.esql_aggregates import AGGREGATES
from ruledeploy.query.esql_expr import Call, Expr, ExprParser, Name, names_in
from ruledeploy.query.esql_tokens import tokenize

# Known to Elasticsearch, and beyond us: refused by name.
_REFUSED = frozenset(
    {
        *("change_point", "completion", "dissect", "enrich", "explain", "fork", "fuse", "grok"),
        *("inline", "inlinestats", "join", "lookup", "meta", "mv_expand", "rerank", "row"),
        *("sample", "show", "ts"),
    }
)


@dataclass(frozen=True, slots=True)
class Where:
    """Keeps the rows for which the condition is true."""

    condition: Expr


@dataclass(frozen=True, slots=True)
class Eval:
    """Adds columns, each from those before it."""

    columns: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """Leaves columns whose names fit a pattern."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """Takes columns away."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rename:
    """Gives columns other names: pairs of old and new."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of a sort."""

    expr: Expr
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Sort:
    """Orders the rows."""

    keys: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """Leaves the first rows."""

    count: int


@dataclass(frozen=True, slots=True)
class Stats:
    """One row per group: aggregates by name, then the group's columns."""

    aggregates: tuple[tuple[str, Expr], ...]
    groups: tuple[tuple[str, Expr], ...] = ()


Command: TypeAlias = Where | Eval | Keep | Drop | Rename | Sort | Limit | Stats


def parse_command(name: str, text: str, start: int, end: int) -> Command:
    """One command, whose words after its name are `text[start:end]`.

    Raises QueryError with an offset, UnsupportedQuery naming a command that we do not run.
    """
    make = _COMMANDS.get(name)
    if make is None:
        kind = UnsupportedQuery if name in _REFUSED else QueryError
        raise kind(f"ES|QL command {name} at {start - len(name)}", position=start - len(name))
    parser = _Reader(text, tokenize(text, start, end))
    command = make(parser)
    parser.end()
    return command


def columns_used(command: Command) -> Iterator[str]:
    """The columns a command names."""
    match command:
        case Where(expr):
            yield from names_in(expr)
        case Eval(columns):
            for _, expr in columns:
                yield from names_in(expr)
        case Stats(aggregates, groups):
            for _, expr in (*aggregates, *groups):
                yield from names_in(expr)
        case Sort(keys):
            for key in keys:
                yield from names_in(key.expr)
        case Rename(pairs):
            yield from (old for old, _ in pairs)
        case Keep(patterns) | Drop(patterns):
            yield from (pattern for pattern in patterns if "*" not in pattern)
        case Limit():
            pass


class _Reader(ExprParser):
    """Expressions with the text they were written as, which names what has no name."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.text = text

    def named(self) -> tuple[str, Expr, bool]:
        """`name = expression`, or an expression; whether it was given a name."""
        start = self.place()
        if self.token.kind in ("name", "quoted"):
            name = self.column() if not self._is_call() else ""
            if name and self.accept("="):
                return name, self.expression(), True
            self.back_to(start)
        begin = self.token.at
        expr = self.expression()
        return self.text[begin : self.token.at].strip(), expr, False

    def _is_call(self) -> bool:
        return self.following.sign == "("

    def pattern(self) -> str:
        """A column's name in which stars may stand."""
        out = []
        while self.token.kind in ("name", "quoted") or (
            self.token.kind == "op" and self.token.text in ("*", ".")
        ):
            out.append(self.take().text)
        if not out:
            self.fail("a column")
        return "".join(out)

    def listed(self, one: Callable[[], str]) -> tuple[str, ...]:
        """Some, separated by commas."""
        out = [one()]
        while self.accept(","):
            out.append(one())
        return tuple(out)


def _where(reader: _Reader) -> Where:
    return Where(reader.expression())


def _eval(reader: _Reader) -> Eval:
    return Eval(tuple((name, expr) for name, expr, _ in _many(reader)))


def _many(reader: _Reader) -> Iterator[tuple[str, Expr, bool]]:
    yield reader.named()
    while reader.accept(","):
        yield reader.named()


def _keep(reader: _Reader) -> Keep:
    return Keep(reader.listed(reader.pattern))


def _drop(reader: _Reader) -> Drop:
    return Drop(reader.listed(reader.pattern))


def _rename(reader: _Reader) -> Rename:
    pairs = []
    while True:
        first = reader.column()
        if reader.accept("as"):
            pairs.append((first, reader.column()))
        elif reader.accept("="):
            pairs.append((reader.column(), first))
        else:
            reader.fail("as")
        if not reader.accept(","):
            return Rename(tuple(pairs))


def _sort(reader: _Reader) -> Sort:
    keys = [_sort_key(reader)]
    while reader.accept(","):
        keys.append(_sort_key(reader))
    return Sort(tuple(keys))


def _sort_key(reader: _Reader) -> SortKey:
    expr = reader.expression()
    descending = bool(reader.accept("desc"))
    if not descending:
        reader.accept("asc")
    nulls_first = descending
    if reader.accept("nulls"):
        nulls_first = bool(reader.accept("first"))
        if not nulls_first and not reader.accept("last"):
            reader.fail("first or last")
    return SortKey(expr, descending, nulls_first)


def _limit(reader: _Reader) -> Limit:
    token = reader.take()
    if not re.fullmatch(r"\d+", token.text):
        raise QueryError(f"limit takes one number, at {token.at}", position=token.at)
    return Limit(int(token.text))


def _stats(reader: _Reader) -> Stats:
    aggregates: list[tuple[str, Expr]] = []
    if reader.token.sign != "by":
        aggregates = [_aggregated(reader)]
        while reader.accept(","):
            aggregates.append(_aggregated(reader))
    groups: list[tuple[str, Expr]] = []
    if reader.accept("by"):
        groups = [(_group_name(*found), found[1]) for found in _many(reader)]
    return Stats(tuple(aggregates), tuple(groups))


def _aggregated(reader: _Reader) -> tuple[str, Expr]:
    name, expr, _ = reader.named()
    if reader.accept("where"):
        narrowed = reader.expression()
        if not isinstance(expr, Call) or expr.name not in AGGREGATES:
            raise UnsupportedQuery(f"where after a computed aggregate at {expr.at}")
        expr = Call(expr.name, expr.args, expr.at, narrowed)
    return name, expr


def _group_name(name: str, expr: Expr, given: bool) -> str:
    return expr.name if isinstance(expr, Name) and not given else name


_COMMANDS: Mapping[str, Callable[[_Reader], Command]] = MappingProxyType(
    {
        "where": _where,
        "eval": _eval,
        "keep": _keep,
        "drop": _drop,
        "rename": _rename,
        "sort": _sort,
        "limit": _limit,
        "stats": _stats,
    }
)
