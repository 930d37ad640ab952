"""One pass over events: every rule asked of every event of its indices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from ruledeploy.engine.document import FieldReader, Values
from ruledeploy.engine.filing import Entry, Filing
from ruledeploy.engine.lines import LineReader
from ruledeploy.engine.pipes import EventRow, RowReader
from ruledeploy.engine.program import Program, Query
from ruledeploy.engine.protocol import Document, Hits, Window
from ruledeploy.engine.resting import resting
from ruledeploy.engine.rules import BoundRules, Parsed, Tables, constants
from ruledeploy.engine.screen import Screens
from ruledeploy.engine.slots import Answer
from ruledeploy.engine.sources import Block, Part, read_document
from ruledeploy.engine.view import View
from ruledeploy.fields import FieldTable
from ruledeploy.query.dates import parse_date, to_ms
from ruledeploy.query.esql_types import Row

TIMESTAMP = "@timestamp"


@dataclass(frozen=True, slots=True)
class BoundRule:
    """A rule in a program, with the queries of its items; of a pipe, what reads its rows."""

    parsed: Parsed
    items: tuple[tuple[str, Query], ...]
    reader: RowReader | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an event of one index is put to.

    `constants` are the `data_stream` fields that the mapping gives an event without them.
    """

    table: FieldTable
    program: Program
    rules: Filing[BoundRule]
    constants: dict[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that a rule found: its time in milliseconds, and the field table it lies under.

    `row` are the columns that the rule's pipe reads, if it has one.
    """

    document: Document
    at: int | None
    table: FieldTable
    row: Row | None = None


class Recorder(Protocol):
    """Takes what one rule finds."""

    def record(self, event: Event, excepted: Sequence[str]) -> None:
        """Note one event, and the items that hide it."""
        ...

    def add(self, other: Any) -> None:
        """Take in what another of its kind found in other events."""
        ...


Record = TypeVar("Record", bound=Recorder)


@dataclass(slots=True)
class Found:
    """Events of one rule while the run goes on; each with its time, to sort by."""

    alerts: list[tuple[int, str]] = field(default_factory=list)
    suppressed: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    rows: list[EventRow] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take in what another run found in other events."""
        self.alerts += other.alerts
        self.rows += other.rows
        for item_id, entries in other.suppressed.items():
            self.suppressed.setdefault(item_id, []).extend(entries)

    def record(self, event: Event, excepted: Sequence[str]) -> None:
        """Note one event, and the items that hide it."""
        entry = (event.at if event.at is not None else -(2**63), event.document.id)
        for item_id in excepted:
            self.suppressed.setdefault(item_id, []).append(entry)
        if not excepted:
            self.alerts.append(entry)
            if event.row is not None:
                self.rows.append((entry, event.row))

    def hits(self, limit: int | None) -> Hits:
        """By time and then id."""
        ids = tuple(event for _, event in sorted(self.alerts)[:limit])
        suppressed = {
            item_id: tuple(event for _, event in sorted(entries))
            for item_id, entries in sorted(self.suppressed.items())
        }
        return Hits(len(ids), ids, suppressed)


class Run(Generic[Record]):
    """One pass; what each rule finds is put into `found`, by rule id.

    Raises QueryError before any event is looked at.
    """

    def __init__(
        self,
        tables: Tables,
        parsed: Sequence[Parsed],
        window: Window | None,
        now: datetime,
        record: Callable[[], Record],
    ) -> None:
        self._made_of = (tables, parsed, window, now, record)
        self.found: dict[str, Record] = {}
        self.forget_found()
        self._rules = BoundRules(tables, parsed, now)
        self._bounds = None if window is None else (to_ms(window.start), to_ms(window.end))
        self._plans: dict[str, list[Plan]] = {}
        # By the identity of a table and the rules; the table is kept, so that it stays its own.
        self._programs: dict[
            tuple[int, tuple[int, ...]], tuple[FieldTable, Program, Filing[BoundRule]]
        ] = {}
        self._lines: LineReader | None = None
        self._views: dict[int, View] = {}
        self._screens = Screens(())
        self._clock = FieldReader({item.rule.timestamp_field for item in parsed} | {TIMESTAMP})

    def __reduce__(self) -> tuple[Any, ...]:
        """A run is sent as what it was made of, and has found nothing where it arrives."""
        return Run, self._made_of

    def forget_found(self) -> None:
        """From now on `found` is what later events give."""
        _, parsed, _, _, record = self._made_of
        self.found = {item.rule.rule_id: record() for item in parsed}

    # ------------------------------------------------------------------------------- plans

    def _plans_of(self, index: str) -> list[Plan]:
        """One plan; for an event without an index, one per table of the rules."""
        known = self._plans.get(index)
        if known is None:
            with resting():
                known = self._plans[index] = self._make_plans(index)
        return known

    def _make_plans(self, index: str) -> list[Plan]:
        chosen = self._rules.by_table(index)
        return [self._plan(table, numbers, index) for table, numbers in chosen]

    def _plan(self, table: FieldTable, chosen: list[int], index: str) -> Plan:
        key = (id(table), tuple(chosen))
        if key not in self._programs:
            self._programs[key] = (table, *self._program(table, chosen))
        _, program, rules = self._programs[key]
        return Plan(table, program, rules, constants(table, index))

    def _program(self, table: FieldTable, chosen: list[int]) -> tuple[Program, Filing[BoundRule]]:
        program = Program()
        entries = []
        shared: dict[int, Query] = {}
        for number in chosen:
            item = self._rules.parsed[number]
            query, items = self._rules.bind(number, table)
            for _, bound in items:
                if id(bound) not in shared:
                    shared[id(bound)] = program.add(bound)
            queries = tuple((id_, shared[id(bound)]) for id_, bound in items)
            rule = BoundRule(item, queries, _row_reader(item, table))
            entries.append(Entry(rule, query, program.add(query)))
        # Another program is another set of fields to decode.
        self._lines = None
        return program, Filing(program, entries)

    # ------------------------------------------------------------------------------ events

    def put(self, document: Document) -> None:
        """Ask every rule that searches the document's index about it."""
        for plan in self._plans_of(document.index):
            program = plan.program
            values = program.reader.read(document.source)
            answers = program.answers(values)
            if not has_stream(document):
                answers += _constant_answers(plan)
            answers += program.meta(document.index, document.id)
            self._ask(plan, answers, lambda: document)

    def add(self, found: Mapping[str, Record]) -> None:
        """Take in what another process found."""
        for rule_id, more in found.items():
            self.found[rule_id].add(more)

    def put_part(self, part: Part, index: str) -> None:
        """Ask about every line of a file; `index` is where one lies that names none."""
        for block in part.blocks():
            for place in self._passing(block, index):
                self._put_line(block.lines[place], part, block.numbers[place], index)

    def _passing(self, block: Block, index: str) -> Iterable[int]:
        """The places of the lines to ask about, in order: for no other does any rule hold."""
        screens = self._screens_now()
        if not screens:
            return range(len(block.lines))
        rows = screens.read(block.lines)
        places = set(rows.odd)
        for name in set(rows.indices):
            members = [row for row, other in enumerate(rows.indices) if other == name]
            columns = rows.columns
            if len(members) < len(rows.indices):
                columns = {root: [cells[row] for row in members] for root, cells in columns.items()}
            for plan in self._plans_of(name or index):
                screen = screens.of(plan.program)
                left: Sequence[int] = range(len(members))
                if screen is not None:
                    left = screen.passing(columns, len(members), plan.constants)
                places.update(rows.places[members[row]] for row in left)
        return sorted(places)

    def _screens_now(self) -> Screens:
        """Screens for all programs of which it is known by now what calls for their rules."""
        learnt = [
            (program, rules.calls)
            for _, program, rules in self._programs.values()
            if rules.calls is not None and not program.asks_meta
        ]
        if len(learnt) != len(self._screens):
            self._screens = Screens(learnt)
        return self._screens

    def _put_line(self, line: bytes, part: Part, number: int, index: str) -> None:
        def document() -> Document:
            return read_document(line, part.place(number), index)

        read = self._reader().read(line)
        if read is None:
            self.put(document())
            return
        named, streamed, _, cells = read
        plans = self._plans.get(named or index)
        if plans is None:
            self._plans_of(named or index)
            self._put_line(line, part, number, index)  # perhaps with more fields
            return
        if any(plan.program.asks_meta for plan in plans):
            self.put(document())
            return
        for plan in plans:
            answers = self._views[id(plan.program)].answers(cells)
            if not streamed:
                answers += _constant_answers(plan)
            self._ask(plan, answers, document)

    def _reader(self) -> LineReader:
        """Reads the fields of all programs there are."""
        if self._lines is None:
            programs = [program for _, program, _ in self._programs.values()]
            names = {name for program in programs for name in program.reader.names}
            whole = {name for program in programs for name in program.reader.whole}
            self._lines = LineReader(names, whole)
            roots = self._lines.roots
            self._views = {id(program): View(program, roots) for program in programs}
        return self._lines

    def _ask(self, plan: Plan, answers: list[Answer], document: Callable[[], Document]) -> None:
        numbers, rules = plan.rules.matching(answers)
        if not rules:
            return
        event = document()
        times = self._clock.read(event.source)
        for bound in rules:
            rule = bound.parsed.rule
            at = time_of(times, rule.timestamp_field)
            if self._in_window(at):
                excepted = [item_id for item_id, query in bound.items if query(numbers)]
                row = bound.reader.read(event, plan.constants) if bound.reader else None
                found = Event(event, at, plan.table, row)
                self.found[rule.rule_id].record(found, excepted)

    def _in_window(self, at: int | None) -> bool:
        if self._bounds is None:
            return True
        return at is not None and self._bounds[0] <= at <= self._bounds[1]


def _row_reader(item: Parsed, table: FieldTable) -> RowReader | None:
    esql = item.query.esql
    return RowReader(esql.pipe, table) if esql is not None and esql.pipe else None


def time_of(times: Values, name: str) -> int | None:
    """The event's time in milliseconds, from the override if it has one."""
    for key in (name, TIMESTAMP):
        spans = [span for span in map(parse_date, times.get(key, ())) if span is not None]
        if spans:
            return min(span.first for span in spans)
    return None


def has_stream(document: Document) -> bool:
    """Whether an event says itself which data stream it is of."""
    source = document.source
    return isinstance(source.get("data_stream"), dict) or "data_stream.dataset" in source


def _constant_answers(plan: Plan) -> Iterable[Answer]:
    tests = ((plan.program.tests(name), value) for name, value in plan.constants.items())
    return [found.answer(value) for found, value in tests if found is not None]
