"""Which rules are worth asking about a document.

A rule that cannot hold unless one of some tests does is filed under those tests, its access: of a
conjunction the access of the part that holds most rarely, of a disjunction that of all parts. A
rule without access, all negation, is asked each time. How rarely is learnt from the first
documents; the very first are put to every rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Test
from ruledeploy.engine.program import Numbers, Program, Query, numbers_of
from ruledeploy.engine.slots import Answer, Calls

Rule = TypeVar("Rule")
_SAMPLE = 200
# By then the most frequent tests are known, and not every rule is asked any more.
_FIRST = 16
_NONE: Numbers = frozenset()


@dataclass(frozen=True, slots=True)
class Entry(Generic[Rule]):
    """A rule with its query, bound and as a function over numbers."""

    rule: Rule
    bound: Bound
    query: Query


def _places(calls: Calls, answers: Sequence[Answer]) -> frozenset[int]:
    """The rules that are worth asking."""
    called = [answer.called for answer in answers if answer.called]
    places = calls.always.union(*called) if called else calls.always
    if places:
        places = places.difference(*[answer.barred for answer in answers if answer.barred])
    return places


class Filing(Generic[Rule]):
    """Rules of one program, found by the numbers that hold for a document."""

    def __init__(self, program: Program, entries: Sequence[Entry[Rule]]) -> None:
        self._program = program
        self._entries = entries
        self._held: Counter[int] = Counter()
        self._seen = 0
        self._calls: Calls | None = None

    @property
    def calls(self) -> Calls | None:
        """Which rules are filed under which numbers, once that is known for good."""
        return None if self._seen < _SAMPLE else self._calls

    def matching(self, answers: Sequence[Answer]) -> tuple[Numbers, list[Rule]]:
        """The numbers that hold and the rules that do, in no order.

        Where no rule is worth asking, the numbers are not put together.
        """
        entries, calls = self._entries, self._calls
        if calls is None:
            numbers = numbers_of(answers)
            rules = [entry.rule for entry in entries if entry.query(numbers)]
        else:
            places = _places(calls, answers)
            numbers = numbers_of(answers) if places or self._seen < _SAMPLE else _NONE
            rules = [entries[at].rule for at in places if entries[at].query(numbers)]
        if self._seen < _SAMPLE:
            self._learn(numbers)
        return numbers, rules

    def _learn(self, numbers: Numbers) -> None:
        self._held.update(numbers)
        self._seen += 1
        if self._seen in (_FIRST, _SAMPLE):
            self._file()

    def _file(self) -> None:
        called: dict[int, list[int]] = {}
        barred: dict[int, list[int]] = {}
        always = []
        for place, entry in enumerate(self._entries):
            access = self._access(entry.bound)
            if access is None:
                always.append(place)
            for number in access or ():
                called.setdefault(number, []).append(place)
            if access is None or self._is_often(self._cost(access)[0]):
                for number in self._bars(entry.bound):
                    barred.setdefault(number, []).append(place)
        self._calls = Calls(_frozen(called), _frozen(barred), frozenset(always))
        self._program.file(self._calls)

    def _bars(self, bound: Bound) -> Iterator[int]:
        """Frequent tests that must not hold where the query does."""
        match bound:
            case AllOf(parts):
                for part in parts:
                    yield from self._bars(part)
            case Except(Test() | Objects() as test):
                number = self._program.number(test)
                if self._is_often(self._held[number]):
                    yield number
            case Except(AnyPart(parts)):
                for part in parts:
                    yield from self._bars(Except(part))
            case _:
                return

    def _access(self, bound: Bound) -> frozenset[int] | None:
        """Tests of which at least one holds where the query does; None if there need be none."""
        match bound:
            case Test() | Objects():
                return frozenset({self._program.number(bound)})
            case Except():
                return None
            case AllOf(parts):
                known = [found for found in map(self._access, parts) if found is not None]
                return min(known, key=self._cost, default=None)
            case AnyPart(parts):
                some = [self._access(part) for part in parts]
                known = [found for found in some if found is not None]
                return frozenset[int]().union(*known) if len(known) == len(some) else None

    def _is_often(self, times: int) -> bool:
        """A rule that is filed under so frequent tests is barred by such that it excludes."""
        return times > self._seen // 4

    def _cost(self, access: frozenset[int]) -> tuple[int, int]:
        """How often the tests held in the sample, then how many they are."""
        return sum(self._held[number] for number in access), len(access)


def _frozen(lists: Mapping[int, list[int]]) -> dict[int, frozenset[int]]:
    return {number: frozenset(places) for number, places in lists.items()}
