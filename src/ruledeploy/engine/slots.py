"""All tests on one way to look at one field, asked of a value at once.

A rule set puts thousands of patterns to the same field. Most hold a literal text, the needle, so
each is filed under one of its needle's trigrams, the rarest among all needles: a value's own
trigrams then name the few patterns that are worth trying. Equality is a look-up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.engine.binding import Slot
from ruledeploy.query.meaning import Each, Equal, Meaning, Whole
from ruledeploy.query.terms import IndexTerm, Terms, column_values, index_terms

# Distinct values remembered per slot; a field whose values never repeat would fill memory.
_MEMO = 50_000
_GRAM = 3


@dataclass(slots=True)
class SlotTests:
    """The tests on one slot, by how they are answered; each has a number."""

    slot: Slot
    equal: dict[IndexTerm, list[int]] = field(default_factory=dict)
    each: list[tuple[Each, int]] = field(default_factory=list)
    whole: list[tuple[Whole, int]] = field(default_factory=list)
    _needles: _Needles | None = None
    _memo: dict[str | Terms, tuple[int, ...]] = field(default_factory=dict)

    def add(self, asked: Meaning, number: int) -> None:
        """Take a test in, before the first value is asked."""
        match asked:
            case Equal(wanted):
                for term in wanted:
                    self.equal.setdefault(term, []).append(number)
            case Each():
                self.each.append((asked, number))
            case Whole():
                self.whole.append((asked, number))
        self._needles = None
        self._memo.clear()

    def holding(self, values: list[Any]) -> tuple[int, ...]:
        """The numbers of the tests that hold for a field's values."""
        # One string is by far the most frequent; it is looked up before it is even analysed.
        lone = values[0] if len(values) == 1 and isinstance(values[0], str) else None
        if lone is not None and (known := self._memo.get(lone)) is not None:
            return known
        read = column_values if self.slot.column else index_terms
        terms = read(self.slot.type, values)
        if lone is None and (known := self._memo.get(terms)) is not None:
            return known
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        found = tuple(self._holding(terms)) if terms else ()
        self._memo[terms if lone is None else lone] = found
        return found

    def _holding(self, terms: Terms) -> set[int]:
        out: set[int] = set()
        if self._needles is None:
            self._needles = _Needles(self.each)
        for term in terms:
            if self.equal:
                out.update(self.equal.get(term, ()))
            self._needles.put(term, out)
        out.update(number for whole, number in self.whole if whole.test(terms))
        return out


class _Needles:
    """Tests filed under a trigram of their needles; those without one are always tried."""

    def __init__(self, tests: list[tuple[Each, int]]) -> None:
        frequent = Counter(gram for each, _ in tests for gram in _grams(each.needle))
        self._filed: dict[str, list[tuple[str, Callable[[Any], bool], int]]] = {}
        self._always: list[tuple[Callable[[Any], bool], int]] = []
        for each, number in tests:
            grams = _grams(each.needle)
            if grams:
                rarest = min(grams, key=lambda gram: (frequent[gram], gram))
                self._filed.setdefault(rarest, []).append((each.needle, each.test, number))
            else:
                self._always.append((each.test, number))

    def put(self, term: IndexTerm, out: set[int]) -> None:
        """Add the numbers of the tests that hold for a term; only strings are given needles."""
        for test, number in self._always:
            if test(term):
                out.add(number)
        if isinstance(term, str) and self._filed:
            for gram in self._filed.keys() & _grams(term):
                for needle, test, number in self._filed[gram]:
                    if needle in term and test(term):
                        out.add(number)


def _grams(text: str) -> set[str]:
    return {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}
