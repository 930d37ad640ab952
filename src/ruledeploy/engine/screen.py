"""Which events are worth asking rules about: most are found by none, and few fields show it.

`Filing` knows tests of which one must hold where a rule does. A screen looks for those alone, in
lines by column: the fields of other tests are not decoded, a value that was seen before is not
looked at again, and the new ones of a column are searched together, as one text. It lets too many
events through, never too few, and who gets through is asked in full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate, compress, repeat
from operator import and_, invert, or_
from typing import Any, TypeAlias

from ahocorasick_rs import AhoCorasick

from ruledeploy.engine.lines import LineReader, Rows
from ruledeploy.engine.program import Program
from ruledeploy.engine.slots import END, START, Calls, framed

# A set of rules: bit n is the rule at place n.
Bits: TypeAlias = int
# For each row the rules that a field calls for, and those that it bars; None is none for any row.
Verdicts: TypeAlias = tuple[Sequence[Bits] | None, Sequence[Bits] | None]
# Values remembered per field.
_SEEN = 50_000
_STRINGS = frozenset({str, type(None)})


class Screens:
    """The screens of some programs, which look at the same lines."""

    def __init__(self, learnt: Sequence[tuple[Program, Calls]]) -> None:
        names = (screened(program, calls) for program, calls in learnt)
        whole = frozenset[str]().union(*(program.reader.whole for program, _ in learnt))
        self._reader = LineReader(frozenset[str]().union(*names), whole)
        roots = self._reader.roots
        self._screens = {id(program): Screen(program, calls, roots) for program, calls in learnt}

    def __len__(self) -> int:
        """The number of programs."""
        return len(self._screens)

    def of(self, program: Program) -> Screen | None:
        """The screen of one program, if it has one."""
        return self._screens.get(id(program))

    def read(self, lines: Sequence[bytes]) -> Rows:
        """The fields that the screens look at."""
        return self._reader.rows(lines)


def screened(program: Program, calls: Calls) -> frozenset[str]:
    """The fields that a screen looks at."""
    return program.fields(frozenset(calls.called) | frozenset(calls.barred))


class Screen:
    """Lets through the events that some rule of a program may hold for.

    `roots` are the fields that there are columns of.
    """

    def __init__(self, program: Program, calls: Calls, roots: Iterable[str]) -> None:
        self._program = program
        self._always = calls.always
        names = screened(program, calls)
        self._columns: dict[str, _Column] = {}
        for root in roots:
            below = any(name.startswith(f"{root}.") for name in names)
            if below or root in names:
                self._columns[root] = _Column(program, calls, root, is_plain=not below)

    def passing(
        self, columns: Mapping[str, Sequence[Any]], count: int, given: Mapping[str, str]
    ) -> Sequence[int]:
        """The numbers of the rows that are let through, of so many.

        `given` are fields that the mapping gives to an event that lacks them. It may have them, and
        another value, so that nothing is barred for these.
        """
        left: Iterable[Bits] = repeat(self._called_for(given), count)
        barred: list[Sequence[Bits]] = []
        for name, column in self._columns.items():
            calls, bars = column.verdicts(columns[name])
            if calls is not None:
                left = map(or_, left, calls)
            if bars is not None:
                barred.append(bars)
        for bars in barred:
            left = map(and_, left, map(invert, bars))
        return list(compress(range(count), left))

    def _called_for(self, given: Mapping[str, str]) -> Bits:
        paths = self._program.paths
        answers = [paths[name].answer(value) for name, value in given.items() if name in paths]
        return _bits(self._always.union(*(answer.called for answer in answers)))


def _bits(places: Iterable[int]) -> Bits:
    return sum(1 << place for place in places)


class _Column:
    """One field of a program; plain where it holds scalars and nothing lies below it."""

    def __init__(self, program: Program, calls: Calls, name: str, *, is_plain: bool) -> None:
        self._program = program
        self._name = name
        tests = program.paths.get(name) if is_plain and program.reader.is_plain(name) else None
        self._tests = tests
        numbers = frozenset(calls.called) | frozenset(calls.barred)
        texts = None if tests is None else tests.texts_of(numbers)
        self._find, self._remembers = _finder(texts)
        self._forget()

    def _forget(self) -> None:
        self._seen: set[str | None] = {None}
        self._called: dict[str, Bits] = {}
        self._barred: dict[str, Bits] = {}

    def verdicts(self, cells: Sequence[Any]) -> Verdicts:
        """What the cells of some rows call for, and what they bar."""
        if self._tests is not None:
            try:
                return self._of_strings(cells)
            except TypeError:
                lone = [c[0] if c.__class__ is list and len(c) == 1 else c for c in cells]
            try:
                return self._of_strings(lone)
            except TypeError:
                pass
        return self._of_any(cells)

    def _of_strings(self, cells: Sequence[str | None]) -> Verdicts:
        """Raises TypeError where there is anything but strings."""
        if len(self._seen) + len(self._called) + len(self._barred) > _SEEN:
            self._forget()
        distinct = set(cells)
        fresh = distinct - self._seen
        if fresh:
            self._learn(fresh)
        return _each(self._called, distinct, cells), _each(self._barred, distinct, cells)

    def _learn(self, fresh: set[Any]) -> None:
        if not _STRINGS.issuperset(map(type, fresh)):
            raise TypeError
        fresh.discard(None)
        for value in self._find(fresh):
            called, barred = self._verdict(value)
            if called:
                self._called[value] = called
            if barred:
                self._barred[value] = barred
        if self._remembers:
            self._seen |= fresh

    def _verdict(self, cell: Any) -> tuple[Bits, Bits]:
        if cell.__class__ is str and self._tests is not None:
            answers = [self._tests.answer(cell)]
        elif cell is None:
            return 0, 0
        else:
            answers = self._program.answers_at(self._name, cell)
        none: frozenset[int] = frozenset()
        called = none.union(*(answer.called for answer in answers))
        return _bits(called), _bits(none.union(*(answer.barred for answer in answers)))

    def _of_any(self, cells: Sequence[Any]) -> Verdicts:
        found = list(map(self._verdict, cells))
        return [called for called, _ in found], [barred for _, barred in found]


def _each(
    known: Mapping[str, Bits], distinct: set[str | None], cells: Sequence[str | None]
) -> Sequence[Bits] | None:
    if known.keys().isdisjoint(distinct):
        return None
    return list(map(known.get, cells, repeat(0)))  # type: ignore[arg-type]  # None has none


# -------------------------------------------------------------------------------------- texts

Find: TypeAlias = Callable[[Collection[str]], Iterable[str]]


def _finder(texts: frozenset[str] | None) -> tuple[Find, bool]:
    """Finds the values that have one of the texts, or may; and whether that is worth remembering.

    It is not where values are only compared: those that are, such as hashes, hardly ever repeat.
    """
    if texts is None:
        return iter, True
    whole = all(text[:1] == START and text[-1:] == END for text in texts)
    find = _equal(texts) if whole else _having(texts)

    def found(values: Collection[str]) -> Iterable[str]:
        if "".join(values).isascii():
            return find(values)
        plain = [value for value in values if value.isascii()]
        return [*find(plain), *(value for value in values if not value.isascii())]

    return found, not whole


def _equal(texts: Iterable[str]) -> Find:
    wanted = frozenset(text[1:-1] for text in texts)

    def find(values: Collection[str]) -> Iterable[str]:
        if wanted.isdisjoint(map(str.lower, values)):
            return ()
        return [value for value in values if value.lower() in wanted]

    return find


def _having(texts: Iterable[str]) -> Find:
    automaton = AhoCorasick(sorted(texts), store_patterns=False)

    def find(values: Collection[str]) -> Iterable[str]:
        joined = framed(f"{END}{START}".join(values)).lower()
        hits = automaton.find_matches_as_indexes(joined, overlapping=True)
        if not hits:
            return ()
        ordered = list(values)
        ends = list(accumulate(len(value) + 2 for value in ordered))
        return [ordered[place] for place in {bisect_right(ends, at) for _, at, _ in hits}]

    return find
