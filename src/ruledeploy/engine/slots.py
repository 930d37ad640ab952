"""All tests on the values of one field, asked of a value at once.

A rule set puts thousands of patterns to one field. Those that hold a text are looked for together:
one automaton runs over the value, in lower case, and says which texts it has. For most patterns
that decides; the others are tried where their text was found. Equality is a look-up. What a value
gives is remembered, for values repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick

from ruledeploy.engine.binding import Slot
from ruledeploy.query.meaning import Each, Equal, Meaning, Whole
from ruledeploy.query.terms import STRINGS, TEXTS, IndexTerm, Terms, column_values, index_terms
from ruledeploy.query.text import lower

# Values remembered per field; one whose values never repeat would fill memory.
_MEMO = 50_000
# What stands around a value; see `framed`.
START, END = "\x00", "\x01"


class Answer(NamedTuple):
    """What one field of a document gives: the tests that hold, the rules they call for or bar."""

    numbers: frozenset[int]
    called: frozenset[int]
    barred: frozenset[int]


NO_ANSWER = Answer(frozenset(), frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Calls:
    """The rules to ask when a number holds, those that cannot hold then, those to ask always."""

    called: Mapping[int, frozenset[int]] = field(default_factory=dict)
    barred: Mapping[int, frozenset[int]] = field(default_factory=dict)
    always: frozenset[int] = frozenset()

    def answer(self, numbers: frozenset[int]) -> Answer:
        """The numbers with what they call for and bar."""
        called = [self.called[number] for number in numbers if number in self.called]
        barred = [self.barred[number] for number in numbers if number in self.barred]
        none: frozenset[int] = frozenset()
        return Answer(numbers, none.union(*called), none.union(*barred))


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

    def has(self, numbers: frozenset[int]) -> bool:
        """Whether one of the numbers is of a test here."""
        by_term = any(not numbers.isdisjoint(some) for some in self.equal.values())
        return by_term or any(number in numbers for _, number in (*self.each, *self.whole))

    @property
    def is_string(self) -> bool:
        """Whether the terms are whole strings."""
        name = self.slot.type.type
        return name in STRINGS or (self.slot.column and name in TEXTS)

    def terms(self, values: list[Any]) -> Terms:
        """The terms of a field's values."""
        read = column_values if self.slot.column else index_terms
        return read(self.slot.type, values)

    def texts(self, numbers: frozenset[int]) -> set[str] | None:
        """Texts of which the framed lower case of a string has one if a number holds for it.

        None where texts do not tell.
        """
        terms = [term for term, some in self.equal.items() if not numbers.isdisjoint(some)]
        asked: list[Meaning] = [Equal(frozenset(terms))] if terms else []
        asked += [each for each, number in self.each if number in numbers]
        asked += [whole for whole, number in self.whole if number in numbers]
        found = [framed_texts(one) if self.is_string else None for one in asked]
        return None if None in found else {text for texts in found for text in texts or ()}


def framed(value: str) -> str:
    """A value with marks around it, so that an anchored text is a text like any other."""
    return f"{START}{value}{END}"


def framed_texts(asked: Meaning) -> list[str] | None:
    """Texts of which the framed lower case of a string has one if the string passes.

    None if there are none such.
    """
    match asked:
        case Equal(terms):
            return [framed(lower(term)) for term in terms if isinstance(term, str)]
        case Each(_, needle, anchored) if needle:
            if anchored is None:
                return [needle]
            return [START * anchored.starts + anchored.text + END * anchored.ends]
        case _:
            return None


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


class _Texts:
    """The texts of all tests on a path: what a value has of them."""

    def __init__(self, slots: Sequence[SlotTests]) -> None:
        inside: dict[str, _Found] = {}
        self.whole: dict[str, _Found] = {}
        for place, tests in enumerate(slots):
            lowered = tests.slot.type.normalizer == "lowercase"
            for each, number in tests.each:
                if each.needle:
                    hit = _Hit(place, each.test, number)
                    self._file(inside, each, hit, lowered=lowered)
        self._inside = list(inside.values())
        self._automaton = AhoCorasick(list(inside), store_patterns=False) if inside else None
        self.is_whole = not inside

    def _file(self, inside: dict[str, _Found], each: Each, hit: _Hit, *, lowered: bool) -> None:
        anchored = each.anchored
        if anchored is None or START in each.needle or END in each.needle:
            found = inside.setdefault(each.needle, _Found())
            found.check.append(hit)
        else:
            if anchored.starts and anchored.ends:
                found = self.whole.setdefault(anchored.text, _Found())
            else:
                start, end = START * anchored.starts, END * anchored.ends
                found = inside.setdefault(f"{start}{anchored.text}{end}", _Found())
            if anchored.fold or lowered:
                found.sure.append(hit.number)
            else:
                found.lower.append(hit)
        found.every.append(hit)

    def found(self, low: str) -> list[_Found]:
        """What the lower case of a value has."""
        out = []
        if self._automaton is not None:
            find = self._automaton.find_matches_as_indexes
            hits = find(framed(low), overlapping=True)
            inside = self._inside
            out = [inside[place] for place in {hit[0] for hit in hits}]
        whole = self.whole.get(low)
        return out if whole is None else [*out, whole]


class PathTests:
    """All slots on one path. `calls` tells which rules a number calls for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.slots: list[SlotTests] = []
        self.calls = Calls()
        self._memo: dict[str | tuple[str, ...], Answer] = {}
        # Many values give the same answer; they share it.
        self._answers: dict[frozenset[int], Answer] = {}
        self._ready = False

    def slot_of(self, slot: Slot) -> SlotTests:
        """The tests on a slot, made if there are none; whatever was remembered is forgotten."""
        self.forget()
        self._ready = False
        for tests in self.slots:
            if (tests.slot.field, tests.slot.column) == (slot.field, slot.column):
                return tests
        self.slots.append(SlotTests(slot))
        return self.slots[-1]

    def forget(self) -> None:
        """Forget what values gave: `calls` has changed."""
        self._memo.clear()
        self._answers.clear()

    @property
    def texts(self) -> frozenset[str] | None:
        """The lower case of all that a string may equal, if nothing but equality is asked.

        Hashes and other identifiers are asked so, and hardly ever repeat: not worth remembering.
        """
        if not self._ready:
            self._prepare()
        return self._equals

    def texts_of(self, numbers: frozenset[int]) -> frozenset[str] | None:
        """`SlotTests.texts` of all slots."""
        found = [tests.texts(numbers) for tests in self.slots]
        return None if None in found else frozenset[str]().union(*(texts or () for texts in found))

    def has(self, numbers: frozenset[int]) -> bool:
        """Whether one of the numbers is of a test here."""
        return any(tests.has(numbers) for tests in self.slots)

    @property
    def known(self) -> Callable[[Any], Answer | None]:
        """What a string is remembered to give."""
        return self._memo.get

    def answer(self, value: Any) -> Answer:
        """What a field's value gives: a string, or the list of its values."""
        if not self._ready:
            self._prepare()
        if isinstance(value, list):
            if len(value) == 1:
                return self.answer(value[0])
            if any(element.__class__ is not str for element in value):
                return self._answer(self._of_many(value))
            key = tuple(value)
            return self._memo.get(key) or self._remember(key, self._of_many(value))
        if value.__class__ is not str:
            return self._answer(self._of_many([value]))
        known = self._memo.get(value)
        if known is not None:
            return known
        if self._equals is not None and lower(value) not in self._equals:
            return NO_ANSWER
        return self._remember(value, self._of_one(value))

    def numbers(self, value: Any) -> Iterable[int]:
        """The numbers that hold for a string or a list of values, each once; nothing is kept."""
        if not self._ready:
            self._prepare()
        if value.__class__ is not str:
            return self._of_many(value)
        if self._equals is not None and lower(value) not in self._equals:
            return ()
        return self._of_one(value)

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
            known = self._answers[found] = self.calls.answer(found)
        return known

    def _prepare(self) -> None:
        self._texts = _Texts(self.slots)
        self._strings = [
            (place, tests, tests.slot.type.normalizer == "lowercase")
            for place, tests in enumerate(self.slots)
            if tests.is_string
        ]
        self._untexted = [
            (place, each.test, number)
            for place, tests, _ in self._strings
            for each, number in tests.each
            if not each.needle
        ]
        limits = [tests.slot.type.ignore_above for _, tests, _ in self._strings]
        self._shortest = min((limit for limit in limits if limit is not None), default=1 << 62)
        self._is_simple = len(self._strings) == len(self.slots)
        whole = any(tests.whole for tests in self.slots)
        only = self._is_simple and self._texts.is_whole and not self._untexted and not whole
        terms = (lower(str(term)) for _, tests, _ in self._strings for term in tests.equal)
        self._equals = frozenset({*self._texts.whole, *terms}) if only else None
        self._ready = True

    # ----------------------------------------------------------------------------- one string

    def _is_plain(self, value: str) -> bool:
        """Whether the lower case of a string tells all: see `_Found`."""
        plain = self._is_simple and value.isascii() and len(value) <= self._shortest
        return plain and START not in value and END not in value

    def _of_one(self, value: str) -> Iterable[int]:
        """The numbers that hold for one string."""
        if not self._is_plain(value):
            return self._of_many([value])
        low = value.lower()
        out: list[int] = []
        for _, tests, fold in self._strings:
            term = low if fold else value
            if tests.equal:
                out += tests.equal.get(term, ())
            out += [number for whole, number in tests.whole if whole.test((term,))]
        strings = self._strings
        terms = [low if fold else value for _, _, fold in strings]
        out += [number for place, test, number in self._untexted if test(terms[place])]
        for found in self._texts.found(low):
            out += found.sure
            if found.lower:
                hits = found.lower
                out += [h.number for h in hits if value == low or h.test(terms[h.slot])]
            if found.check:
                out += [h.number for h in found.check if h.test(terms[h.slot])]
        return out

    # ---------------------------------------------------------------------------- many values

    def _of_many(self, values: list[Any]) -> set[int]:
        """The numbers that hold for several values, or for one that takes care."""
        out: set[int] = set()
        for place, tests in enumerate(self.slots):
            terms = tests.terms(values)
            if not terms:
                continue
            for term in terms:
                if tests.equal:
                    out.update(tests.equal.get(term, ()))
                if tests.each:
                    self._each(place, term, out)
            out.update(number for whole, number in tests.whole if whole.test(terms))
        return out

    def _each(self, place: int, term: IndexTerm, out: set[int]) -> None:
        """Add the tests of one slot that a term passes."""
        if not isinstance(term, str):
            tests = self.slots[place].each
            out.update(number for each, number in tests if each.test(term))
            return
        for found in self._texts.found(lower(term)):
            out.update(h.number for h in found.every if h.slot == place and h.test(term))
        out.update(number for at, test, number in self._untexted if at == place and test(term))
