"""Many bound queries over many documents.

Rules are indexed, values interned: each distinct value of a field is put to all tests on that
field once, and gives the numbers of those that hold. A document's tests that hold are the union,
and a query is then boolean algebra over a set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Slot, Test
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.protocol import Document
from ruledeploy.query.meaning import Each, Equal, Meaning, Whole
from ruledeploy.query.terms import IndexTerm, Terms, column_values, index_terms

Numbers: TypeAlias = set[int]
Query: TypeAlias = Callable[[Numbers], bool]

# Distinct values remembered per slot; a field whose values never repeat would fill memory.
_MEMO = 50_000


@dataclass(slots=True)
class _SlotTests:
    """All tests on one slot, by how they are answered."""

    slot: Slot
    equal: dict[IndexTerm, list[int]] = field(default_factory=dict)
    each: list[tuple[Each, int]] = field(default_factory=list)
    whole: list[tuple[Whole, int]] = field(default_factory=list)
    memo: dict[Terms, tuple[int, ...]] = field(default_factory=dict)

    def add(self, asked: Meaning, number: int) -> None:
        match asked:
            case Equal(wanted):
                for term in wanted:
                    self.equal.setdefault(term, []).append(number)
            case Each():
                self.each.append((asked, number))
            case Whole():
                self.whole.append((asked, number))

    def holding(self, values: list[Any]) -> tuple[int, ...]:
        """The numbers of the tests that hold for a field's values."""
        read = column_values if self.slot.column else index_terms
        terms = read(self.slot.type, values)
        if not terms:
            return ()
        found = self.memo.get(terms)
        if found is None:
            if len(self.memo) >= _MEMO:
                self.memo.clear()
            found = self.memo[terms] = tuple(self._holding(terms))
        return found

    def _holding(self, terms: Terms) -> set[int]:
        out: set[int] = set()
        if self.equal:
            for term in terms:
                out.update(self.equal.get(term, ()))
        for each, number in self.each:
            needle, test = each.needle, each.test
            if any((not needle or needle in term) and test(term) for term in terms):  # type: ignore[operator] # only strings are given needles
                out.add(number)
        out.update(number for whole, number in self.whole if whole.test(terms))
        return out


class Program:
    """Queries bound to one table, asked of a document at once."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, bool], _SlotTests] = {}
        self._numbers: dict[tuple[str, bool, Meaning], int] = {}
        self._nested: dict[str, list[tuple[Program, Query, int]]] = {}
        self._count = 0
        self._reader: FieldReader | None = None

    def add(self, bound: Bound) -> Query:
        """The query over the numbers that `read` gives."""
        match bound:
            case AllOf(parts):
                queries = [self.add(part) for part in parts]
                return queries[0] if len(queries) == 1 else _all(queries)
            case AnyPart(parts):
                queries = [self.add(part) for part in parts]
                return queries[0] if len(queries) == 1 else _any(queries)
            case Except(part):
                inner = self.add(part)
                return lambda numbers: not inner(numbers)
            case Test():
                number = self._number(bound)
                return lambda numbers: number in numbers
            case Objects(path, node):
                number = self._next()
                program = Program()
                self._nested.setdefault(path, []).append((program, program.add(node), number))
                return lambda numbers: number in numbers

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _number(self, test: Test) -> int:
        slot = (test.slot.field, test.slot.column)
        key = (*slot, test.meaning)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self._next()
            self._slots.setdefault(slot, _SlotTests(test.slot)).add(test.meaning, found)
        return found

    def read(self, document: Document) -> Numbers:
        """The numbers of all tests that hold for a document."""
        meta = {"_id": [document.id], "_index": [document.index]}
        return self._holding(document.source, "", meta)

    def _holding(self, source: Any, prefix: str, meta: dict[str, list[Any]]) -> Numbers:
        if self._reader is None:
            slots = [tests.slot for tests in self._slots.values()]
            keyed = {slot.root for slot in slots if slot.root}
            paths = {slot.path for slot in slots if not slot.root}
            self._reader = FieldReader(paths, self._nested, keyed)
        values = self._reader.read(source, prefix) | meta
        out: Numbers = set()
        for tests in self._slots.values():
            found = values.get(tests.slot.path)
            if found is not None:
                out.update(tests.holding(found))
        for path, queries in self._nested.items():
            objects = values.get(path, ())
            for program, query, number in queries:
                if any(query(program._holding(inner, path, {})) for inner in objects):  # noqa: SLF001 - another of its kind
                    out.add(number)
        return out


def _all(queries: list[Query]) -> Query:
    return lambda numbers: all(query(numbers) for query in queries)


def _any(queries: list[Query]) -> Query:
    return lambda numbers: any(query(numbers) for query in queries)
