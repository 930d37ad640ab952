"""Many bound queries over many documents.

Each distinct value of a field is put to all tests on that field once, and gives the numbers of
those that hold. A document's numbers are the union over its fields, and a query is then boolean
algebra over a set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Test
from ruledeploy.engine.document import FieldReader, Values
from ruledeploy.engine.protocol import Document
from ruledeploy.engine.slots import Answer, Calls, PathTests
from ruledeploy.query.meaning import Meaning

Numbers: TypeAlias = frozenset[int]
Query: TypeAlias = Callable[[Numbers], bool]

_META = ("_id", "_index")
_TESTS = (Test, Objects)


class Program:
    """Queries bound to one table, asked of a document at once."""

    def __init__(self) -> None:
        self._paths: dict[str, PathTests] = {}
        self._roots: dict[str, str] = {}
        self._numbers: dict[tuple[str, bool, Meaning], int] = {}
        # By identity: a test that many queries share is the same one.
        self._known: dict[int, tuple[Test, int]] = {}
        self._nested: dict[str, list[tuple[Program, Query, int]]] = {}
        self._objects: list[tuple[Objects, int]] = []
        self._calls = Calls()
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
        tests = [part for part in parts if isinstance(part, _TESTS)]
        others = [part for part in parts if not isinstance(part, _TESTS)]
        return frozenset(map(self.number, tests)), [self.add(part) for part in others]

    def number(self, test: Test | Objects) -> int:
        """The number of a test; equal tests share one."""
        if isinstance(test, Objects):
            return self._number_of_objects(test)
        known = self._known.get(id(test))
        if known is None:
            known = self._known[id(test)] = (test, self._number_of_test(test))
        return known[1]

    def _number_of_test(self, test: Test) -> int:
        slot = test.slot
        key = (slot.field, slot.column, test.meaning)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = self._next()
            tests = self._paths.get(slot.path)
            if tests is None:
                tests = self._paths[slot.path] = PathTests(slot.path)
                tests.calls = self._calls
                self._roots[slot.path] = slot.root
            tests.slot_of(slot).add(test.meaning, found)
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

    def file(self, calls: Calls) -> None:
        """From now on answers name the rules that their numbers call for."""
        self._calls = calls
        for tests in self._paths.values():
            tests.calls = calls
            tests.forget()

    # ---------------------------------------------------------------------------- documents

    @property
    def reader(self) -> FieldReader:
        """Reads what the tests ask about."""
        if self._reader is None:
            keyed = {root for root in self._roots.values() if root}
            paths = {path for path, root in self._roots.items() if not root}
            self._reader = FieldReader(paths - {*_META}, self._nested, keyed)
        return self._reader

    @property
    def asks_meta(self) -> bool:
        """Whether some test is on a document's id or index."""
        return not self._paths.keys().isdisjoint(_META)

    def tests(self, path: str) -> PathTests | None:
        """The tests on one path, if there are any."""
        return self._paths.get(path)

    @property
    def paths(self) -> Mapping[str, PathTests]:
        """The tests by path."""
        return self._paths

    def fields(self, numbers: frozenset[int]) -> frozenset[str]:
        """The fields that the reader collects for the tests of some numbers."""
        paths = (path for path, tests in self._paths.items() if tests.has(numbers))
        nested = {objects.path for objects, number in self._objects if number in numbers}
        return frozenset(self._roots[path] or path for path in paths) | nested

    def answers_at(self, name: str, cell: Any) -> list[Answer]:
        """What an event gives that has this at a name, and nothing else."""
        values: Values = {}
        self.reader.read_at(name, cell, values)
        return self.answers(values)

    def read(self, document: Document) -> Numbers:
        """The numbers of all tests that hold for a document."""
        values = self.reader.read(document.source)
        return numbers_of([*self.answers(values), *self.meta(document.index, document.id)])

    def meta(self, index: str, identity: str) -> Iterable[Answer]:
        """What a document's index and id give."""
        named = ((self._paths.get(path), path) for path in _META)
        return [
            tests.answer(identity if path == "_id" else index) for tests, path in named if tests
        ]

    def answers(self, values: Mapping[str, Sequence[Any]]) -> list[Answer]:
        """What the values give, path by path."""
        paths = self._paths
        out = [paths[path].answer(found) for path, found in values.items() if path in paths]
        for path, queries in self._nested.items():
            objects = values.get(path, ())
            held = [
                number
                for program, query, number in queries
                if any(query(program.within(inner, path)) for inner in objects)
            ]
            if held:
                out.append(self._calls.answer(frozenset(held)))
        return out

    def within(self, source: Any, path: str) -> Numbers:
        """The numbers that hold for one nested object at `path`."""
        return numbers_of(self.answers(self.reader.read(source, path)))


def numbers_of(answers: Iterable[Answer]) -> Numbers:
    """All numbers of some answers."""
    return frozenset[int]().union(*[answer.numbers for answer in answers])


def _all(plain: frozenset[int], queries: list[Query]) -> Query:
    if not queries:
        return plain.issubset
    return lambda numbers: plain <= numbers and all(query(numbers) for query in queries)


def _any(plain: frozenset[int], queries: list[Query]) -> Query:
    if not queries:
        return lambda numbers: not plain.isdisjoint(numbers)
    return lambda numbers: not plain.isdisjoint(numbers) or any(query(numbers) for query in queries)
