"""Many bound queries over many documents.

Values are interned: each distinct value of a field is put to all tests on that field once, and
gives the numbers of those that hold. A document's numbers are the union over its fields, and a
query is then boolean algebra over a set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Test
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.protocol import Document
from ruledeploy.engine.slots import SlotTests
from ruledeploy.query.meaning import Meaning

Numbers: TypeAlias = set[int]
Query: TypeAlias = Callable[[Numbers], bool]


class Program:
    """Queries bound to one table, asked of a document at once."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, bool], SlotTests] = {}
        self._numbers: dict[tuple[str, bool, Meaning], int] = {}
        self._nested: dict[str, list[tuple[Program, Query, int]]] = {}
        self._objects: list[tuple[Objects, int]] = []
        self._count = 0
        self._reader: FieldReader | None = None

    def add(self, bound: Bound) -> Query:
        """The query over the numbers that `read` gives."""
        self._reader = None
        match bound:
            case Test() | Objects():
                number = self.number(bound)
                return lambda numbers: number in numbers
            case Except(part):
                inner = self.add(part)
                return lambda numbers: not inner(numbers)
            case AllOf(parts):
                plain, queries = self._split(parts)
                return _all(plain, queries)
            case AnyPart(parts):
                plain, queries = self._split(parts)
                return _any(plain, queries)

    def _split(self, parts: tuple[Bound, ...]) -> tuple[frozenset[int], list[Query]]:
        """The numbers of the parts that are tests, and the other parts as queries."""
        tests = [part for part in parts if isinstance(part, Test | Objects)]
        others = [part for part in parts if not isinstance(part, Test | Objects)]
        return frozenset(map(self.number, tests)), [self.add(part) for part in others]

    def number(self, test: Test | Objects) -> int:
        """The number of a test; equal tests share one."""
        if isinstance(test, Objects):
            return self._number_of_objects(test)
        slot = (test.slot.field, test.slot.column)
        key = (*slot, test.meaning)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self._next()
            self._slots.setdefault(slot, SlotTests(test.slot)).add(test.meaning, found)
        return found

    def _number_of_objects(self, objects: Objects) -> int:
        for known, number in self._objects:
            if known is objects:
                return number
        number = self._next()
        self._objects.append((objects, number))
        program = Program()
        query = program.add(objects.node)
        self._nested.setdefault(objects.path, []).append((program, query, number))
        return number

    def _next(self) -> int:
        self._count += 1
        return self._count

    def read(self, document: Document) -> Numbers:
        """The numbers of all tests that hold for a document."""
        meta = {"_id": [document.id], "_index": [document.index]}
        return self._holding(document.source, "", meta)

    def _fields(self) -> FieldReader:
        if self._reader is None:
            slots = [tests.slot for tests in self._slots.values()]
            keyed = {slot.root for slot in slots if slot.root}
            paths = {slot.path for slot in slots if not slot.root}
            self._reader = FieldReader(paths, self._nested, keyed)
        return self._reader

    def _holding(self, source: Any, prefix: str, meta: dict[str, list[Any]]) -> Numbers:
        values = self._fields().read(source, prefix) | meta
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


def _all(plain: frozenset[int], queries: list[Query]) -> Query:
    if not queries:
        return plain.issubset
    return lambda numbers: plain <= numbers and all(query(numbers) for query in queries)


def _any(plain: frozenset[int], queries: list[Query]) -> Query:
    if not queries:
        return lambda numbers: not plain.isdisjoint(numbers)
    return lambda numbers: not plain.isdisjoint(numbers) or any(query(numbers) for query in queries)
