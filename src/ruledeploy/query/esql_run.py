"""A pipe's commands run on rows: each takes the rows and the columns there are, and gives both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import product
from typing import Any, TypeAlias

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.esql_aggregates import AGGREGATES, Fold, aggregate, percentile
from ruledeploy.query.esql_compile import compile_expr, condition
from ruledeploy.query.esql_expr import Call, Const, Expr, Name, Star
from ruledeploy.query.esql_pipe import (
    Command,
    Drop,
    Eval,
    Keep,
    Limit,
    Rename,
    Sort,
    SortKey,
    Stats,
    Where,
)
from ruledeploy.query.esql_types import Row, Typed, Types, Value, each

Names: TypeAlias = Callable[[], Iterable[str]]

# What Elasticsearch gives of a query without a limit.
DEFAULT_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns there are: those made in the pipe, and those of the index still in sight.

    `names` gives the latter; None where nobody knows all of them.
    """

    made: Mapping[str, str]
    mapped: Types
    names: Names | None = None

    def type(self, name: str) -> str | None:
        """The type of a column, or None if there is none."""
        return self.made.get(name) or self.mapped(name)

    def only(self, kept: Callable[[str], bool]) -> Columns:
        """Those whose name passes."""
        made = {name: type_ for name, type_ in self.made.items() if kept(name)}
        mapped, names = self.mapped, self.names
        left = None if names is None else lambda: filter(kept, names())
        return Columns(made, lambda name: mapped(name) if kept(name) else None, left)

    def refuse_misfit(self, pattern: str) -> None:
        """Raise QueryError for a name, or a pattern, of no column."""
        if "*" not in pattern:
            if self.type(pattern) is None:
                raise QueryError(f"unknown column {pattern}")
        elif pattern != "*" and self.names is not None:
            known = (*self.made, *self.names())
            if not any(fnmatchcase(name, pattern) for name in known):
                raise QueryError(f"no column fits {pattern}")

    def plus(self, more: Mapping[str, str]) -> Columns:
        """With others, which hide those of the same name."""
        return replace(self, made={**self.made, **more})


@dataclass(frozen=True, slots=True)
class Table:
    """Rows between two commands."""

    columns: Columns
    rows: list[Row]


def run_pipe(
    commands: Sequence[Command],
    types: Types,
    rows: Iterable[Row],
    now: datetime,
    names: Names | None = None,
) -> Table:
    """The rows a pipe gives; at most a thousand, unless it says so.

    Raises QueryError where Elasticsearch refuses the pipe for its columns or types; with no rows
    at all that is a check of the pipe.
    """
    table = Table(Columns({}, types, names), list(rows))
    for number, command in enumerate(commands):
        if isinstance(command, Limit) and not _ordered(commands[:number], commands[number + 1 :]):
            raise UnsupportedQuery("rows computed after a limit without a sort: which are kept?")
        table = _run(command, table, now)
    if any(isinstance(command, Limit) for command in commands):
        return table
    return replace(table, rows=table.rows[:DEFAULT_LIMIT])


def _ordered(before: Sequence[Command], after: Sequence[Command]) -> bool:
    return any(isinstance(command, Sort) for command in before) or not any(
        isinstance(command, Where | Stats) for command in after
    )


def _run(command: Command, table: Table, now: datetime) -> Table:
    columns, rows = table.columns, table.rows
    match command:
        case Where(expr):
            holds = condition(expr, columns.type, now)
            return replace(table, rows=[row for row in rows if holds(row)])
        case Eval():
            return _eval(command, table, now)
        case Keep(patterns):
            _there(patterns, columns)
            return replace(table, columns=columns.only(lambda name: _fits(name, patterns)))
        case Drop(patterns):
            _there(patterns, columns)
            if "*" in patterns:
                raise QueryError("drop * would leave no column")
            return replace(table, columns=columns.only(lambda name: not _fits(name, patterns)))
        case Rename(pairs):
            return _rename(pairs, table)
        case Sort(keys):
            return replace(table, rows=_sorted(rows, keys, columns, now))
        case Limit(count):
            return replace(table, rows=rows[:count])
        case Stats():
            return _Grouping(command, columns, now).run(rows)


def _there(patterns: Sequence[str], columns: Columns) -> None:
    for pattern in patterns:
        columns.refuse_misfit(pattern)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _eval(command: Eval, table: Table, now: datetime) -> Table:
    columns, rows = table.columns, table.rows
    for name, expr in command.columns:
        made = compile_expr(expr, columns.type, now)
        rows = [{**row, name: made.of(row)} for row in rows]
        columns = columns.plus({name: made.type})
    return Table(columns, rows)


def _rename(pairs: Sequence[tuple[str, str]], table: Table) -> Table:
    columns, rows = table.columns, table.rows
    for old, new in pairs:
        type_ = columns.type(old)
        if type_ is None:
            raise QueryError(f"unknown column {old}")
        if old == new:
            continue
        rows = [{**row, new: row.get(old)} for row in rows]
        columns = _without(columns, old).plus({new: type_})
    return Table(columns, rows)


def _without(columns: Columns, gone: str) -> Columns:
    return columns.only(lambda name: name != gone)


# ------------------------------------------------------------------------------------- sorting


def _sorted(
    rows: Sequence[Row], keys: Sequence[SortKey], columns: Columns, now: datetime
) -> list[Row]:
    out = list(rows)
    for key in reversed(keys):
        made = compile_expr(key.expr, columns.type, now)
        present = [(row, value) for row in out if (value := made.of(row)) is not None]
        absent = [row for row in out if made.of(row) is None]
        pick = max if key.descending else min
        present.sort(key=lambda pair: pick(each(pair[1])), reverse=key.descending)
        ordered = [row for row, _ in present]
        out = absent + ordered if key.nulls_first else ordered + absent
    return out


# ------------------------------------------------------------------------------------ grouping


@dataclass(frozen=True, slots=True)
class _Slot:
    """One aggregate of a `stats`: its argument, the rows it takes, and its fold."""

    arg: Typed | None
    narrowed: Callable[[Row], bool]
    fold: Fold
    type: str

    def of(self, rows: Sequence[Row]) -> Value:
        """What it comes to for a group."""
        taken = [row for row in rows if self.narrowed(row)]
        if self.arg is None:
            return len(taken)
        return self.fold([value for row in taken for value in each(self.arg.of(row))])


class _Grouping:
    """A `stats` over columns: aggregates are taken out of their expressions, then computed."""

    def __init__(self, command: Stats, columns: Columns, now: datetime) -> None:
        self.columns = columns
        self.now = now
        self.slots: dict[str, _Slot] = {}
        # Of groups of one name the last counts.
        groups = dict(command.groups)
        self.groups = [(name, compile_expr(e, columns.type, now)) for name, e in groups.items()]
        kinds = {name: _kind(typed.type) for name, typed in self.groups}
        taken = [(name, self._taken(expr)) for name, expr in command.aggregates]
        kinds |= {name: slot.type for name, slot in self.slots.items()}
        self.results = [(name, compile_expr(expr, kinds.get, now)) for name, expr in taken]

    def _taken(self, expr: Expr) -> Expr:
        """The expression with names in place of its aggregates."""
        match expr:
            case Call(name, args, at) if name in AGGREGATES or name == "percentile":
                key = f"({len(self.slots)})"  # no column is called so
                self.slots[key] = self._slot(expr)
                return Name(key, at)
            case Call(name, args, at):
                return Call(name, tuple(self._taken(arg) for arg in args), at)
            case _:
                return expr

    def _slot(self, call: Call) -> _Slot:
        where = call.where
        holds: Callable[[Row], bool] = lambda _: True  # noqa: E731 - the default of a value
        if where is not None:
            holds = condition(where, self.columns.type, self.now)
        match call.args:
            case () | (Star(),) if call.name == "count":
                return _Slot(None, holds, len, "long")
            case (arg,):
                typed = compile_expr(arg, self.columns.type, self.now)
                type_, fold = aggregate(call.name, typed, call.at)
                return _Slot(typed, holds, fold, type_)
            case (arg, Const(int() | float() as share)) if call.name == "percentile":
                typed = compile_expr(arg, self.columns.type, self.now)
                type_, _ = aggregate("median", typed, call.at)
                fold = partial(_share_of, share=float(share))
                return _Slot(typed, holds, fold, type_)
            case _:
                raise UnsupportedQuery(f"this form of {call.name} at {call.at}", position=call.at)

    def run(self, rows: Sequence[Row]) -> Table:
        """One row per group; without groups, one row."""
        gathered: dict[tuple[Any, ...], list[Row]] = {} if self.groups else {(): []}
        for row in rows:
            for key in self._keys(row):
                gathered.setdefault(key, []).append(row)
        out = [self._row(key, members) for key, members in gathered.items()]
        made = {name: typed.type for name, typed in self.results}
        made |= {name: _kind(typed.type) for name, typed in self.groups}
        return Table(Columns(made, lambda _: None, tuple), out)

    def _keys(self, row: Row) -> Iterator[tuple[Any, ...]]:
        """The groups of a row: one for each of a column's values."""
        options = [tuple(dict.fromkeys(each(typed.of(row)))) or (None,) for _, typed in self.groups]
        return product(*options)

    def _row(self, key: tuple[Any, ...], rows: Sequence[Row]) -> Row:
        group = dict(zip((name for name, _ in self.groups), key, strict=True))
        values = {name: slot.of(rows) for name, slot in self.slots.items()}
        inner = {**group, **values}
        return {name: typed.of(inner) for name, typed in self.results} | group


def _share_of(values: Sequence[Any], share: float) -> Value:
    return percentile(values, share) if values else None


def _kind(type_: str) -> str:
    return "keyword" if type_ == "text" else type_
