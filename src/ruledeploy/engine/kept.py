"""Answers about files that are asked again and again, as in an edit loop.

The events are kept by column, the rows that each leaf holds for, and what each rule found, all
under keys of everything they depend on. A rule that was asked before is looked up; of a changed one
only the leaves that are new are put to the events.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from ruledeploy.engine.binding import Objects, Test
from ruledeploy.engine.columns import Column, Rows
from ruledeploy.engine.corpus import (
    Corpus,
    Wanted,
    fingerprint,
    read_corpus,
    rows_from_bytes,
    rows_to_bytes,
)
from ruledeploy.engine.counting import Counting
from ruledeploy.engine.program import Program
from ruledeploy.engine.protocol import EngineRule, Hits, Summary
from ruledeploy.engine.resting import resting
from ruledeploy.engine.rowwise import Asking, Question, clock, wanted
from ruledeploy.engine.rules import BoundRules, parse_rules
from ruledeploy.engine.slots import PathTests
from ruledeploy.fields import FieldTable
from ruledeploy.query.exceptions import is_expired

# With so many new leaves on a field they are looked for together.
_MANY = 20
# Bytes of events that are kept: their columns take up to one and a half times as much memory.
LARGEST = 256 << 20


class Store(Protocol):
    """Bytes by key, which come back whole or not at all. What is lost is made again."""

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


class Changed(Exception):
    """The files are changing, or are not of those that are kept."""


Answer = TypeVar("Answer")
Answering: TypeAlias = Callable[[Asking], Mapping[str, Answer]]


class Kept:
    """What was found out about files before.

    `version` changes with the code that finds it out. Files of more than `largest` bytes are not
    kept, and neither are such as were changed a moment ago by the `clock`.
    """

    def __init__(
        self,
        store: Store | None = None,
        version: bytes = b"",
        *,
        largest: int = LARGEST,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store or MemoryStore()
        # Without a store nobody sees columns but this object, which has them anyway.
        self._stores_columns = store is not None
        self._version = version
        self._largest = largest
        self._clock = clock
        self._corpus: Corpus | None = None
        self._tables: dict[int, tuple[FieldTable, str]] = {}

    def run(self, question: Question) -> dict[str, Hits]:
        """The hits of every rule; see `Engine.run`. Raises `Changed`."""

        def hits(asking: Asking) -> dict[str, Hits]:
            self._columns(asking.corpus, question, asking.wanted())
            return asking.hits(self._leaves(asking.corpus, asking.tests))

        return self._answers(question, Hits, "", hits)

    def summarize(self, question: Question, counting: Counting) -> dict[str, Summary]:
        """What every rule finds, summed up; see `Summarizer.summarize`. Raises `Changed`."""

        def summaries(asking: Asking) -> dict[str, Summary]:
            self._columns(asking.corpus, question, asking.wanted(counting))
            return asking.summaries(self._leaves(asking.corpus, asking.tests), counting)

        return self._answers(question, Summary, repr(counting.shape), summaries)

    def _answers(
        self, question: Question, kind: type[Answer], shape: str, answers: Answering[Answer]
    ) -> dict[str, Answer]:
        files = fingerprint(question.source, self._largest, self._clock)
        if files is None:
            raise Changed
        key = self._key(b"corpus", files)
        corpus = self._known(key)
        parsed: BoundRules | None = None
        if corpus is None:
            parsed = _bound(question, question.rules)
            corpus = self._read(key, question, wanted(parsed.queries()) | clock(question.rules))
            self._corpus = corpus
            self._store.put({key: corpus.base_to_bytes()})
        keys = {r.rule_id: self._rule_key(corpus, r, question, shape) for r in question.rules}
        found = self._store.get(list(keys.values()))
        new = [rule for rule in question.rules if keys[rule.rule_id] not in found]
        if new:
            if parsed is None or len(new) < len(question.rules):
                parsed = _bound(question, new)
            fresh = answers(Asking(corpus, question, parsed))
            entries = {keys[id_]: msgspec.msgpack.encode(one) for id_, one in fresh.items()}
            self._store.put(entries)
            found |= entries
        return {id_: msgspec.msgpack.decode(found[key], type=kind) for id_, key in keys.items()}

    def _read(self, key: bytes, question: Question, some: Wanted) -> Corpus:
        """Columns out of the files, kept. Raises `Changed` if the files did meanwhile."""
        made = read_corpus(key, question.source, some)
        files = fingerprint(question.source, self._largest, self._clock)
        if files is None or self._key(b"corpus", files) != key:
            raise Changed
        if self._stores_columns:
            columns = made.columns.items()
            self._store.put({self._key(key, name): column.to_bytes() for name, column in columns})
        return made

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

    def _rule_key(self, corpus: Corpus, rule: EngineRule, question: Question, shape: str) -> bytes:
        tables, now = question.tables, question.now
        text = repr(rule)
        live = [str(item["item_id"]) for item in rule.items if not is_expired(item, now)]
        names = sorted({*rule.index, *(group.index for group in corpus.groups)})
        known = [self._table_key(tables(name)) for name in names]
        # A date that is relative makes an answer one of this moment.
        moment = now.isoformat() if "now" in text else ""
        window = repr(question.window)
        return self._key(corpus.key, shape, text, window, repr(live), repr(known), moment)

    def _table_key(self, table: FieldTable) -> str:
        """What changes when a table does."""
        known = self._tables.get(id(table))
        if known is None:
            digest = hashlib.sha256(repr((table.family, sorted(table.fields.items()))).encode())
            known = self._tables[id(table)] = (table, digest.hexdigest())
        return known[1]

    # ------------------------------------------------------------------- columns and leaves

    def _columns(self, corpus: Corpus, question: Question, wanted: Wanted) -> None:
        """Provide for columns: from memory, from the store, from the files."""
        keys = {name: self._key(corpus.key, name) for name in wanted.names - corpus.columns.keys()}
        found = self._store.get(list(keys.values()))
        for name, key in keys.items():
            if key in found:
                corpus.columns[name] = Column.from_bytes(found[key])
        missing = wanted.without(corpus.columns)
        if missing.names:
            corpus.columns |= self._read(corpus.key, question, missing).columns

    def _leaves(self, corpus: Corpus, tests: Mapping[str, Test | Objects]) -> dict[str, Rows]:
        """The rows that each test holds for, by how it is written."""
        keys = {text: self._key(corpus.key, "leaf", text) for text in tests}
        stored = self._store.get(list(keys.values()))
        out = {text: rows_from_bytes(stored[key]) for text, key in keys.items() if key in stored}
        new = {text: test for text, test in tests.items() if text not in out}
        made = dict(_evaluated(corpus, new))
        self._store.put({keys[text]: rows_to_bytes(rows) for text, rows in made.items()})
        return out | made


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


def _bound(question: Question, rules: Sequence[EngineRule]) -> BoundRules:
    tables, now = question.tables, question.now
    with resting():
        return BoundRules(tables, parse_rules(rules, tables, now), now)
