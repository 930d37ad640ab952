"""Which rules are worth asking about a document.

A rule that cannot hold unless one of some tests does is filed under those tests, its access: of a
conjunction the access of the part that holds most rarely, of a disjunction that of all parts. A
rule without access, all negation, is asked each time. How rarely is learnt from the first
documents, which are put to every rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ruledeploy.engine.binding import AllOf, AnyPart, Bound, Except, Objects, Test
from ruledeploy.engine.program import Numbers, Program, Query

Rule = TypeVar("Rule")
_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Entry(Generic[Rule]):
    """A rule with its query, bound and as a function over numbers."""

    rule: Rule
    bound: Bound
    query: Query


class Filing(Generic[Rule]):
    """Rules of one program, found by the numbers that hold for a document."""

    def __init__(self, program: Program, entries: Sequence[Entry[Rule]]) -> None:
        self._program = program
        self._entries = entries
        self._held: Counter[int] = Counter()
        self._left = _SAMPLE
        self._always: list[int] = []
        self._filed: dict[int, list[int]] = {}

    def matching(self, numbers: Numbers) -> Iterator[Rule]:
        """The rules that hold, in no order."""
        for entry in self._candidates(numbers):
            if entry.query(numbers):
                yield entry.rule

    def _candidates(self, numbers: Numbers) -> Iterator[Entry[Rule]]:
        if self._left > 0:
            self._held.update(numbers)
            self._left -= 1
            if self._left == 0:
                self._file()
            yield from self._entries
            return
        places = set(self._always)
        for number in self._filed.keys() & numbers:
            places.update(self._filed[number])
        for place in places:
            yield self._entries[place]

    def _file(self) -> None:
        for place, entry in enumerate(self._entries):
            access = self._access(entry.bound)
            if access is None:
                self._always.append(place)
                continue
            for number in access:
                self._filed.setdefault(number, []).append(place)

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

    def _cost(self, access: frozenset[int]) -> tuple[int, int]:
        """How often the tests held in the sample, then how many they are."""
        return sum(self._held[number] for number in access), len(access)
