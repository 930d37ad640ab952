"""Answers about files that are asked again and again, as in an edit loop.

The events are kept by column, the rows that each leaf holds for, and what each rule found, all
under keys of everything they depend on. A rule that was asked before is looked up; of a changed one
only the leaves that are new are put to the events.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Test
from ruledeploy.engine.columns import Column, Rows
from ruledeploy.engine.corpus import (
    Corpus,
    Group,
    Wanted,
    fingerprint,
    numbers_of_rows,
    read_corpus,
    rows_from_bytes,
    rows_to_bytes,
)
from ruledeploy.engine.program import Program
from ruledeploy.engine.protocol import EngineRule, Files, Hits, Window
from ruledeploy.engine.rules import BoundRules, Tables, constants, parse_rules
from ruledeploy.engine.run import TIMESTAMP, Found, time_of
from ruledeploy.engine.slots import PathTests
from ruledeploy.fields import FieldTable
from ruledeploy.query.dates import to_ms
from ruledeploy.query.exceptions import is_expired

# With so many new leaves on a field they are looked for together.
_MANY = 20


class Store(Protocol):
    """Bytes by key. What is lost is made again."""

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there."""
        ...

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep values."""
        ...


class MemoryStore:
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there."""
        return {key: self._entries[key] for key in keys if key in self._entries}

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep values."""
        self._entries.update(entries)


class Kept:
    """What was found out about files before; `version` changes with the code that finds it out."""

    def __init__(self, store: Store | None = None, version: bytes = b"") -> None:
        self._store = store or MemoryStore()
        self._version = version
        self._corpus: Corpus | None = None
        self._tables: dict[int, tuple[FieldTable, str]] = {}

    def run(
        self,
        tables: Tables,
        rules: Sequence[EngineRule],
        source: Files,
        window: Window | None,
        now: datetime,
    ) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`."""
        key = self._key(b"corpus", fingerprint(source))
        corpus = self._known(key)
        if corpus is None:
            bound = BoundRules(tables, parse_rules(rules, tables, now), now)
            corpus = read_corpus(key, source, wanted(bound.queries()) | clock(rules))
            self._corpus = corpus
            columns = {self._key(key, n): c.to_bytes() for n, c in corpus.columns.items()}
            self._store.put({key: corpus.base_to_bytes(), **columns})
        keys = {rule.rule_id: self._rule_key(corpus, rule, tables, window, now) for rule in rules}
        found = self._store.get(list(keys.values()))
        new = [rule for rule in rules if keys[rule.rule_id] not in found]
        if new:
            bound = BoundRules(tables, parse_rules(new, tables, now), now)
            fresh = _Asking(self, corpus, source, bound, window).hits()
            entries = {keys[id_]: msgspec.msgpack.encode(hits) for id_, hits in fresh.items()}
            self._store.put(entries)
            found |= entries
        return {id_: _hits(found[key]) for id_, key in keys.items()}

    def _known(self, key: bytes) -> Corpus | None:
        if self._corpus is None or self._corpus.key != key:
            data = self._store.get([key]).get(key)
            self._corpus = None if data is None else Corpus.from_bytes(key, data)
        return self._corpus

    def _key(self, *parts: bytes | str) -> bytes:
        found = hashlib.sha256(self._version)
        for part in parts:
            data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
            found.update(len(data).to_bytes(8, "big") + data)
        return found.digest()

    def _rule_key(
        self,
        corpus: Corpus,
        rule: EngineRule,
        tables: Tables,
        window: Window | None,
        now: datetime,
    ) -> bytes:
        text = repr(rule)
        live = [str(item["item_id"]) for item in rule.items if not is_expired(item, now)]
        names = sorted({*rule.index, *(group.index for group in corpus.groups)})
        known = [self.table_key(tables(name)) for name in names]
        # A date that is relative makes an answer one of this moment.
        moment = now.isoformat() if "now" in text else ""
        return self._key(corpus.key, text, repr(window), repr(live), repr(known), moment)

    def table_key(self, table: FieldTable) -> str:
        """What changes when a table does."""
        known = self._tables.get(id(table))
        if known is None:
            digest = hashlib.sha256(repr((table.family, sorted(table.fields.items()))).encode())
            known = self._tables[id(table)] = (table, digest.hexdigest())
        return known[1]

    # ------------------------------------------------------------------- columns and leaves

    def columns(self, corpus: Corpus, source: Files, wanted: Wanted) -> None:
        """Provide for columns: from memory, from the store, from the files."""
        keys = {name: self._key(corpus.key, name) for name in wanted.names - corpus.columns.keys()}
        found = self._store.get(list(keys.values()))
        for name, key in keys.items():
            if key in found:
                corpus.columns[name] = Column.from_bytes(found[key])
        missing = wanted.without(corpus.columns)
        if missing.names:
            made = read_corpus(corpus.key, source, missing).columns
            corpus.columns |= made
            entries = {self._key(corpus.key, name): c.to_bytes() for name, c in made.items()}
            self._store.put(entries)

    def leaves(self, corpus: Corpus, tests: Mapping[str, Test | Objects]) -> dict[str, Rows]:
        """The rows that each test holds for, by how it is written."""
        keys = {text: self._key(corpus.key, "leaf", text) for text in tests}
        stored = self._store.get(list(keys.values()))
        out = {text: rows_from_bytes(stored[key]) for text, key in keys.items() if key in stored}
        new = {text: test for text, test in tests.items() if text not in out}
        made = dict(_evaluated(corpus, new))
        self._store.put({keys[text]: rows_to_bytes(rows) for text, rows in made.items()})
        return out | made


class _Asking:
    """Some rules, asked of a corpus."""

    def __init__(
        self,
        kept: Kept,
        corpus: Corpus,
        source: Files,
        rules: BoundRules,
        window: Window | None,
    ) -> None:
        self._corpus = corpus
        self._rules = rules
        self._bounds = None if window is None else (to_ms(window.start), to_ms(window.end))
        self._found = [Found() for _ in rules.parsed]
        asked = [
            (group, table, number, *rules.bind(number, table))
            for group in corpus.groups
            for table, numbers in rules.by_table(group.index)
            for number in numbers
        ]
        self._asked = asked
        bounds = [bound for *_, query, items in asked for bound in (query, *(b for _, b in items))]
        tests = {written(test): test for bound in bounds for test in _tests(bound)}
        kept.columns(corpus, source, wanted(bounds) | clock(p.rule for p in rules.parsed))
        self._leaves = kept.leaves(corpus, tests)

    def hits(self) -> dict[str, Hits]:
        """What each rule finds."""
        for group, table, number, query, items in self._asked:
            given = {} if group.streamed else constants(table, group.index)
            scope = _Scope(self._corpus, group, self._leaves, given | {"_index": group.index})
            rows = scope.rows(query) & group.rows
            if rows:
                hidden = [(item_id, scope.rows(bound) & rows) for item_id, bound in items]
                self._record(number, rows, hidden)
        return {
            item.rule.rule_id: found.hits(item.query.esql.limit if item.query.esql else None)
            for item, found in zip(self._rules.parsed, self._found, strict=True)
        }

    def _record(self, number: int, rows: Rows, hidden: Sequence[tuple[str, Rows]]) -> None:
        field = self._rules.parsed[number].rule.timestamp_field
        columns, ids, bounds = self._corpus.columns, self._corpus.ids, self._bounds
        found = self._found[number]
        clocks = {name: columns[name] for name in (field, TIMESTAMP)}
        entries: dict[int, tuple[int, str]] = {}
        for row in numbers_of_rows(rows):
            at = time_of({name: column.at(row) for name, column in clocks.items()}, field)
            if bounds is None or (at is not None and bounds[0] <= at <= bounds[1]):
                entries[row] = (at if at is not None else -(2**63), ids[row])
        covered = 0
        for item_id, some in hidden:
            covered |= some
            of_item = [entries[row] for row in numbers_of_rows(some) if row in entries]
            if of_item:
                found.suppressed.setdefault(item_id, []).extend(of_item)
        alerts = numbers_of_rows(rows & ~covered)
        found.alerts.extend(entries[row] for row in alerts if row in entries)


class _Scope:
    """Queries over the rows of one group; `given` are fields that all its rows have alike."""

    def __init__(
        self, corpus: Corpus, group: Group, leaves: Mapping[str, Rows], given: Mapping[str, str]
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


def _tests(bound: Bound) -> Iterator[Test | Objects]:
    match bound:
        case Test() | Objects():
            yield bound
        case Except(part):
            yield from _tests(part)
        case AllOf(parts) | AnyPart(parts):
            for part in parts:
                yield from _tests(part)


def wanted(bounds: Iterable[Bound]) -> Wanted:
    """The fields that queries ask about."""
    tests = [test for bound in bounds for test in _tests(bound)]
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


def _evaluated(corpus: Corpus, tests: Mapping[str, Test | Objects]) -> Iterator[tuple[str, Rows]]:
    """The rows that each test holds for."""
    by_path: dict[str, dict[str, Test]] = {}
    for text, test in tests.items():
        if isinstance(test, Objects):
            yield text, _of_objects(corpus.columns[test.path], test)
        else:
            by_path.setdefault(test.slot.path, {})[text] = test
    for path, some in by_path.items():
        column = corpus.column(path)
        if len(some) < _MANY:
            for text, test in some.items():
                yield text, column.rows(column.passing(test))
        else:
            yield from _together(column, some)


def _together(column: Column, tests: Mapping[str, Test]) -> Iterator[tuple[str, Rows]]:
    """Many tests of one column, each value put to all of them at once."""
    every = PathTests("")
    for number, test in enumerate(tests.values()):
        every.slot_of(test.slot).add(test.meaning, number)
    passing: dict[int, list[int]] = {number: [] for number in range(len(tests))}
    for place, value in enumerate(column.values):
        for number in every.numbers(value):
            passing[number].append(place)
    rows = column.rows_of_each(passing)
    return zip(tests, rows.values(), strict=True)


def _of_objects(column: Column, test: Objects) -> Rows:
    program = Program()
    query = program.add(test.node)
    return column.rows(
        place
        for place, objects in enumerate(column.values)
        if any(query(program.within(inner, test.path)) for inner in objects)
    )


def _hits(data: bytes) -> Hits:
    return msgspec.msgpack.decode(data, type=Hits)
