"""All tests on the values of one field, asked of a value at once.

A rule set puts thousands of patterns to one field. Those that hold a text are looked for together:
one automaton runs over the value, in lower case, and says which texts it has. For most patterns
that decides; the others are tried where their text was found. Equality is a look-up. What a value
gives is remembered, for values repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick

from ruledeploy.engine.binding import Slot
from ruledeploy.query.meaning import Each, Equal, Meaning, Whole
from ruledeploy.query.terms import STRINGS, TEXTS, IndexTerm, Terms, column_values, index_terms
from ruledeploy.query.text import lower

# Values remembered per field; one whose values never repeat would fill memory.
_MEMO = 50_000
# What stands around a value, so that an anchored text is a text like any other.
_START, _END = "\x00", "\x01"


class Answer(NamedTuple):
    """What one field of a document gives: the tests that hold, the rules that they call for."""

    numbers: frozenset[int]
    places: frozenset[int]


@dataclass(slots=True)
class SlotTests:
    """The tests on one slot, by how they are answered; each has a number."""

    slot: Slot
    equal: dict[IndexTerm, list[int]] = field(default_factory=dict)
    each: list[tuple[Each, int]] = field(default_factory=list)
    whole: list[tuple[Whole, int]] = field(default_factory=list)

    def add(self, asked: Meaning, number: int) -> None:
        """Take a test in."""
        match asked:
            case Equal(wanted):
                for term in wanted:
                    self.equal.setdefault(term, []).append(number)
            case Each():
                self.each.append((asked, number))
            case Whole():
                self.whole.append((asked, number))

    @property
    def is_string(self) -> bool:
        """Whether the terms are whole strings."""
        name = self.slot.type.type
        return name in STRINGS or (self.slot.column and name in TEXTS)

    def terms(self, values: list[Any]) -> Terms:
        """The terms of a field's values."""
        read = column_values if self.slot.column else index_terms
        return read(self.slot.type, values)


class _Hit(NamedTuple):
    """A test whose text was found, and the slot it is on."""

    slot: int
    test: Callable[[Any], bool]
    number: int


@dataclass(slots=True)
class _Found:
    """What finding one text means.

    The numbers in `sure` hold for any value in ASCII that no slot leaves out; those in `lower` if
    the value is in lower case as well. `every` are all tests, to be tried where that is not so.
    """

    sure: list[int] = field(default_factory=list)
    lower: list[_Hit] = field(default_factory=list)
    check: list[_Hit] = field(default_factory=list)
    every: list[_Hit] = field(default_factory=list)


class PathTests:
    """All slots on one path. `filed` gives the rules to ask when a number holds."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.slots: list[SlotTests] = []
        self.filed: Mapping[int, frozenset[int]] = {}
        self._memo: dict[str | tuple[str, ...], Answer] = {}
        # Many values give the same answer; they share it.
        self._answers: dict[frozenset[int], Answer] = {}
        self._texts: list[_Found] = []
        self._automaton: AhoCorasick | None = None
        self._untexted: list[tuple[int, list[tuple[Callable[[Any], bool], int]]]] = []
        self._shortest: float = 0
        self._ready = False

    def slot_of(self, slot: Slot) -> SlotTests:
        """The tests on a slot, made if there are none; whatever was remembered is forgotten."""
        self.forget()
        for tests in self.slots:
            if (tests.slot.field, tests.slot.column) == (slot.field, slot.column):
                return tests
        self.slots.append(SlotTests(slot))
        return self.slots[-1]

    def forget(self) -> None:
        """Forget what values gave: tests or `filed` have changed."""
        self._memo.clear()
        self._answers.clear()
        self._ready = False

    @property
    def known(self) -> Callable[[Any], Answer | None]:
        """What a string is remembered to give."""
        return self._memo.get

    def answer(self, value: Any) -> Answer:
        """What a field's value gives: a string, or the list of its values."""
        known = self._memo.get(value) if value.__class__ is str else None
        if known is not None:
            return known
        if value.__class__ is str:
            return self._remember(value, self._of_one(value))
        if not isinstance(value, list):
            return self._answer(self._of_many([value]))
        if len(value) == 1 and value[0].__class__ is str:
            return self.answer(value[0])
        if any(element.__class__ is not str for element in value):
            return self._answer(self._of_many(value))
        key = tuple(value)
        return self._memo.get(key) or self._remember(key, self._of_many(value))

    def _remember(self, key: str | tuple[str, ...], numbers: Iterable[int]) -> Answer:
        if len(self._memo) >= _MEMO:
            self._memo.clear()
            self._answers.clear()
        answer = self._memo[key] = self._answer(numbers)
        return answer

    def _answer(self, numbers: Iterable[int]) -> Answer:
        found = frozenset(numbers)
        known = self._answers.get(found)
        if known is None:
            filed = self.filed
            places = [filed[number] for number in found if number in filed]
            known = self._answers[found] = Answer(found, frozenset[int]().union(*places))
        return known

    # ----------------------------------------------------------------------------- one string

    def _of_one(self, value: str) -> set[int]:
        """The numbers that hold for one string."""
        if not self._ready:
            self._prepare()
        out: set[int] = set()
        low = lower(value)
        terms = [self._term(tests, value, low) for tests in self.slots]
        for tests, known in zip(self.slots, terms, strict=True):
            term = known
            if term is None and not tests.is_string:
                read = tests.terms([value])
                self._plain(tests, read, out)
            elif term is not None:
                if tests.equal:
                    out.update(tests.equal.get(term, ()))
                if tests.whole:
                    out.update(number for whole, number in tests.whole if whole.test((term,)))
        for place, rest in self._untexted:
            term = terms[place]
            if term is not None:
                out.update(number for test, number in rest if test(term))
        if self._automaton is not None:
            self._by_text(value, low, terms, out)
        return out

    def _term(self, tests: SlotTests, value: str, low: str) -> str | None:
        """A string's term in a slot of strings; None if it has none, or the slot is of others."""
        if not tests.is_string:
            return None
        type_ = tests.slot.type
        if tests.slot.column and type_.type in TEXTS:
            return value
        if type_.ignore_above is not None and len(value) > type_.ignore_above // 2:
            read = tests.terms([value])
            return str(read[0]) if read else None
        return low if type_.normalizer == "lowercase" else value

    def _by_text(self, value: str, low: str, terms: list[str | None], out: set[int]) -> None:
        """Add the tests whose text the value has."""
        found = self._found(low)
        plain = value.isascii() and len(value) <= self._shortest
        if not plain or _START in value or _END in value:
            for text in found:
                out.update(self._tried(text.every, terms))
            return
        is_lower = value == low
        for text in found:
            out.update(text.sure)
            if text.lower:
                hits = text.lower
                out.update((h.number for h in hits) if is_lower else self._tried(hits, terms))
            if text.check:
                out.update(self._tried(text.check, terms))

    def _found(self, low: str) -> list[_Found]:
        if self._automaton is None:
            return []
        hits = self._automaton.find_matches_as_indexes(f"{_START}{low}{_END}", overlapping=True)
        return [self._texts[place] for place in {hit[0] for hit in hits}]

    @staticmethod
    def _tried(hits: list[_Hit], terms: list[str | None]) -> list[int]:
        out = []
        for slot, test, number in hits:
            term = terms[slot]
            if term is not None and test(term):
                out.append(number)
        return out

    # ---------------------------------------------------------------------------- many values

    def _of_many(self, values: list[Any]) -> set[int]:
        """The numbers that hold for several values, or for what is no string."""
        if not self._ready:
            self._prepare()
        out: set[int] = set()
        for tests in self.slots:
            self._plain(tests, tests.terms(values), out)
        return out

    def _plain(self, tests: SlotTests, terms: Terms, out: set[int]) -> None:
        """Ask every test of a slot that may hold, term by term."""
        if not terms:
            return
        for term in terms:
            if tests.equal:
                out.update(tests.equal.get(term, ()))
            if not tests.each:
                continue
            if not isinstance(term, str):
                out.update(number for each, number in tests.each if each.test(term))
                continue
            place = self.slots.index(tests)
            alone = [term if n == place else None for n in range(len(self.slots))]
            for text in self._found(lower(term)):
                out.update(self._tried(text.every, alone))
            for at, rest in self._untexted:
                if at == place:
                    out.update(number for test, number in rest if test(term))
        out.update(number for whole, number in tests.whole if whole.test(terms))

    # -------------------------------------------------------------------------------- prepare

    def _prepare(self) -> None:
        """Build the automaton over the texts of all slots."""
        by_text: dict[str, _Found] = {}
        self._untexted = []
        for place, tests in enumerate(self.slots):
            rest = [(each.test, number) for each, number in tests.each if not each.needle]
            if rest and tests.is_string:
                self._untexted.append((place, rest))
            for each, number in tests.each:
                if each.needle:
                    self._file(by_text, place, each, number)
        limits = [tests.slot.type.ignore_above for tests in self.slots if tests.is_string]
        self._shortest = min((limit for limit in limits if limit is not None), default=1 << 62)
        self._texts = list(by_text.values())
        self._automaton = AhoCorasick(list(by_text), store_patterns=False) if by_text else None
        self._ready = True

    def _file(self, by_text: dict[str, _Found], place: int, each: Each, number: int) -> None:
        hit = _Hit(place, each.test, number)
        anchored = each.anchored
        if anchored is None or _START in each.needle or _END in each.needle:
            found = by_text.setdefault(each.needle, _Found())
            found.check.append(hit)
        else:
            start, end = _START * anchored.starts, _END * anchored.ends
            found = by_text.setdefault(f"{start}{anchored.text}{end}", _Found())
            if anchored.fold or self.slots[place].slot.type.normalizer == "lowercase":
                found.sure.append(number)
            else:
                found.lower.append(hit)
        found.every.append(hit)
