"""Rules asked of a corpus by column: a test is the rows it holds for, a query is their algebra."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Resolved, Test
from ruledeploy.engine.columns import Column, Rows
from ruledeploy.engine.corpus import Corpus, Group, Wanted, numbers_of_rows, rows_of_numbers
from ruledeploy.engine.counting import Counting
from ruledeploy.engine.protocol import EngineRule, Files, Hits, Summary, Window
from ruledeploy.engine.rules import BoundRules, Tables, constants, refuse_pipe
from ruledeploy.engine.run import TIMESTAMP, Found, time_of
from ruledeploy.engine.tally import Tally
from ruledeploy.fields import FieldTable
from ruledeploy.query.dates import to_ms

# The rows that each test holds for, by how the test is written.
Leaves: TypeAlias = Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Question:
    """Rules and the files they are asked of."""

    tables: Tables
    rules: Sequence[EngineRule]
    source: Files
    window: Window | None
    now: datetime


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a rule finds in one group: rows with their times, and those that each item hides."""

    table: FieldTable
    times: Mapping[int, int | None]
    hidden: Sequence[tuple[str, Rows]]

    def alerting(self) -> Iterator[int]:
        """The rows that no item hides."""
        covered = 0
        for _, some in self.hidden:
            covered |= some
        return (row for row in self.times if not covered >> row & 1)


class Asking:
    """Some rules, asked of a corpus."""

    def __init__(self, corpus: Corpus, question: Question, rules: BoundRules) -> None:
        self.corpus = corpus
        self._tables = question.tables
        self._rules = rules
        window = question.window
        self._bounds = None if window is None else (to_ms(window.start), to_ms(window.end))
        self._asked = [
            (group, table, number, *rules.bind(number, table))
            for group in corpus.groups
            for table, numbers in rules.by_table(group.index)
            for number in numbers
        ]
        self._queries = [
            bound for *_, query, items in self._asked for bound in (query, *(b for _, b in items))
        ]

    @property
    def tests(self) -> dict[str, Test | Objects]:
        """All tests, by how they are written."""
        return {written(test): test for bound in self._queries for test in tests_of(bound)}

    def wanted(self, counting: Counting | None = None) -> Wanted:
        """The fields that must have columns, those that are counted included."""
        some = wanted(self._queries) | clock(item.rule for item in self._rules.parsed)
        if counting is None:
            return some
        found = [one for _, table, *_ in self._asked for one in counting.resolved(table)]
        return some | Wanted(
            frozenset(one.path for one in found if not one.root),
            keyed=frozenset(one.root for one in found if one.root),
            keys=frozenset(one.path for one in found if one.root),
        )

    def hits(self, leaves: Leaves) -> dict[str, Hits]:
        """What each rule finds; `leaves` are the rows of each test."""
        found = [Found() for _ in self._rules.parsed]
        ids = self.corpus.ids
        for number, rows in self._found(leaves):
            entries = {
                row: (-(2**63) if at is None else at, ids[row]) for row, at in rows.times.items()
            }
            for item_id, some in rows.hidden:
                if some:
                    of_item = [entries[row] for row in numbers_of_rows(some)]
                    found[number].suppressed.setdefault(item_id, []).extend(of_item)
            found[number].alerts.extend(entries[row] for row in rows.alerting())
        return {
            item.rule.rule_id: one.hits(item.query.esql.limit if item.query.esql else None)
            for item, one in zip(self._rules.parsed, found, strict=True)
        }

    def summaries(self, leaves: Leaves, counting: Counting) -> dict[str, Summary]:
        """What each rule finds, summed up."""
        for item in self._rules.parsed:
            refuse_pipe(item.rule, item.query)
            for pattern in item.patterns:
                counting.check(self._tables(pattern))
        tallies = [Tally() for _ in self._rules.parsed]
        for number, rows in self._found(leaves):
            for item_id, hidden in rows.hidden:
                tallies[number].suppressed[item_id] += hidden.bit_count()
            for row in rows.alerting():
                terms = partial(counting.strings, rows.table, partial(self._values, row))
                identity, at = self.corpus.ids[row], rows.times[row]
                tallies[number].alert(counting.shape, identity, at, terms)
        return {
            item.rule.rule_id: tally.summary(counting.shape)
            for item, tally in zip(self._rules.parsed, tallies, strict=True)
        }

    def _values(self, row: int, found: Resolved) -> list[Any]:
        return self.corpus.column(found.path).at(row)

    def _found(self, leaves: Leaves) -> Iterator[tuple[int, _Rows]]:
        """By the rule's place, what it finds in the window, group by group."""
        for group, table, number, query, items in self._asked:
            given = {} if group.streamed else constants(table, group.index)
            scope = _Scope(self.corpus, group, leaves, given | {"_index": group.index})
            rows = scope.rows(query) & group.rows
            times = dict(self._timed(number, rows))
            if not times:
                continue
            if self._bounds is not None:
                rows = rows_of_numbers(list(times))
            hidden = [(item_id, scope.rows(bound) & rows) for item_id, bound in items]
            yield number, _Rows(table, times, hidden)

    def _timed(self, number: int, rows: Rows) -> Iterator[tuple[int, int | None]]:
        """The rows that lie in the window, with their times."""
        field = self._rules.parsed[number].rule.timestamp_field
        columns, bounds = self.corpus.columns, self._bounds
        clocks = {name: columns[name] for name in (field, TIMESTAMP)}
        for row in numbers_of_rows(rows):
            at = time_of({name: column.at(row) for name, column in clocks.items()}, field)
            if bounds is None or (at is not None and bounds[0] <= at <= bounds[1]):
                yield row, at


class _Scope:
    """Queries over the rows of one group; `given` are fields that all its rows have alike."""

    def __init__(
        self, corpus: Corpus, group: Group, leaves: Leaves, given: Mapping[str, str]
    ) -> None:
        self._every = corpus.every
        self._group = group
        self._leaves = leaves
        self._given = given

    def rows(self, bound: Bound) -> Rows:
        """The rows where a query holds, of those of the group at least."""
        match bound:
            case Test() | Objects():
                return self._leaf(bound)
            case Except(part):
                return self._every ^ self.rows(part)
            case AllOf(parts):
                out = self._every
                for part in parts:
                    if not out:
                        break
                    out &= self.rows(part)
                return out
            case AnyPart(parts):
                out = 0
                for part in parts:
                    out |= self.rows(part)
                return out

    def _leaf(self, test: Test | Objects) -> Rows:
        rows = self._leaves[written(test)]
        if isinstance(test, Test) and test.slot.path in self._given:
            value = self._given[test.slot.path]
            if Column([value], array("I", [1])).passing(test):
                rows |= self._group.rows
        return rows


def written(test: Test | Objects) -> str:
    """A test as text: all that its answers depend on, but the events."""
    if isinstance(test, Test):
        return repr((test.slot, test.leaf, test.now))
    return f"{test.path} {_written(test.node)}"


def _written(bound: Bound) -> str:
    match bound:
        case Test() | Objects():
            return written(bound)
        case Except(part):
            return f"not ({_written(part)})"
        case AllOf(parts):
            return f"all ({', '.join(map(_written, parts))})"
        case AnyPart(parts):
            return f"any ({', '.join(map(_written, parts))})"


def tests_of(bound: Bound) -> Iterator[Test | Objects]:
    """The tests in a query."""
    match bound:
        case Test() | Objects():
            yield bound
        case Except(part):
            yield from tests_of(part)
        case AllOf(parts) | AnyPart(parts):
            for part in parts:
                yield from tests_of(part)


def wanted(bounds: Iterable[Bound]) -> Wanted:
    """The fields that queries ask about."""
    tests = [test for bound in bounds for test in tests_of(bound)]
    slots = [test.slot for test in tests if isinstance(test, Test)]
    return Wanted(
        frozenset(slot.path for slot in slots if not slot.root) - {"_id", "_index"},
        frozenset(test.path for test in tests if isinstance(test, Objects)),
        frozenset(slot.root for slot in slots if slot.root),
        frozenset(slot.path for slot in slots if slot.root),
    )


def clock(rules: Iterable[EngineRule]) -> Wanted:
    """The fields that tell when an event was."""
    return Wanted(frozenset({TIMESTAMP, *(rule.timestamp_field for rule in rules)}))
