"""A corpus by column: the distinct values of one field, and the rows that have each.

A test is put to each distinct value once. A lone test with a text goes faster still: the text is
looked for in all values at once, strung together in lower case.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain
from typing import Any, TypeAlias

import msgspec

from ruledeploy.engine.binding import Test
from ruledeploy.engine.slots import END, START, SlotTests, framed, framed_texts
from ruledeploy.query.kinds import PRESENT, Each, Equal, Whole
from ruledeploy.query.terms import Terms

# A set of rows: bit n is row n.
Rows: TypeAlias = int
_BINARY = bytes.maketrans(b"\x00\x01", b"01")


@dataclass(slots=True)
class ColumnBuilder:
    """Takes a field's value row by row; rows are in order, and some have none."""

    values: list[Any] = field(default_factory=list)
    codes: array[int] = field(default_factory=lambda: array("I"))
    _known: dict[str | bytes, int] = field(default_factory=dict)

    def put(self, row: int, value: Any) -> None:
        """The value of a row: a string, or the list of its values."""
        key = value if value.__class__ is str else msgspec.json.encode(value)
        code = self._known.get(key)
        if code is None:
            self.values.append(value)
            code = self._known[key] = len(self.values)
        if len(self.codes) < row:
            self._fill(row)
        self.codes.append(code)

    def _fill(self, rows: int) -> None:
        self.codes.extend([0] * (rows - len(self.codes)))

    def column(self, rows: int) -> Column:
        """The column, of so many rows."""
        self._fill(rows)
        return Column(self.values, self.codes)


class Column:
    """`values` are distinct; row n has value number `codes[n] - 1`, or none where that is 0."""

    def __init__(self, values: list[Any], codes: array[int]) -> None:
        self.values = values
        self.codes = codes

    def to_bytes(self) -> bytes:
        """Both as bytes."""
        return msgspec.msgpack.encode((self.values, self.codes.tobytes()))

    @staticmethod
    def from_bytes(data: bytes) -> Column:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        values, codes = msgspec.msgpack.decode(data, type=tuple[list[Any], bytes])
        return Column(values, array("I", codes))

    # ------------------------------------------------------------------------------- rows

    def at(self, row: int) -> list[Any]:
        """The values of one row."""
        code = self.codes[row]
        return _listed(self.values[code - 1]) if code else []

    def rows(self, numbers: Iterable[int]) -> Rows:
        """The rows that have one of some values, by the values' numbers."""
        flags = bytearray(len(self.values) + 1)
        for number in numbers:
            flags[number + 1] = 1
        if 1 not in flags:
            return 0
        bits = bytes(map(flags.__getitem__, self.codes))
        return int(bits[::-1].translate(_BINARY), 2)

    def rows_of_each(self, numbers: dict[int, list[int]]) -> dict[int, Rows]:
        """The rows of many sets of values at once, each by its key."""
        size = len(self.codes) // 8 + 1
        rows_of = self._rows_by_value().__getitem__
        out: dict[int, Rows] = {}
        for key, some in numbers.items():
            bits = bytearray(size)
            for row in chain.from_iterable(map(rows_of, some)):
                bits[row >> 3] |= 1 << (row & 7)
            out[key] = int.from_bytes(bits, "little")
        return out

    def _rows_by_value(self) -> list[list[int]]:
        out: list[list[int]] = [[] for _ in range(len(self.values) + 1)]
        for row, code in enumerate(self.codes):
            out[code].append(row)
        return out[1:]

    # ------------------------------------------------------------------------------ tests

    def passing(self, test: Test) -> list[int]:
        """The numbers of the values that a test holds for."""
        slot = SlotTests(test.slot)
        asked = test.meaning
        everything: Iterable[int] = range(len(self.values))
        if asked is PRESENT and slot.is_string and test.slot.type.ignore_above is None:
            return list(everything)
        texts = framed_texts(asked) if slot.is_string else None
        if texts is not None:
            everything = sorted({*self._others, *(n for text in texts for n in self._with(text))})
        values = self.values
        return [n for n in everything if _holds(asked, slot.terms(_listed(values[n])))]

    @cached_property
    def _plain(self) -> tuple[str, list[int], list[int]]:
        """The strings in ASCII, strung together; where each starts; their numbers."""
        numbers = [n for n, value in enumerate(self.values) if _is_plain(value)]
        texts = [framed(self.values[n].lower()) for n in numbers]
        starts = list(accumulate(map(len, texts), initial=0))
        return "".join(texts), starts, numbers

    @cached_property
    def _others(self) -> list[int]:
        return [n for n, value in enumerate(self.values) if not _is_plain(value)]

    def _with(self, text: str) -> Iterator[int]:
        """The strings in ASCII whose lower case has a text; a frame around it anchors it."""
        joined, starts, numbers = self._plain
        at = joined.find(text)
        while at >= 0:
            place = bisect_right(starts, at) - 1
            yield numbers[place]
            at = joined.find(text, starts[place + 1])


def _is_plain(value: Any) -> bool:
    return value.__class__ is str and value.isascii() and START not in value and END not in value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _holds(asked: object, terms: Terms) -> bool:
    match asked:
        case Equal(wanted):
            return not wanted.isdisjoint(terms)
        case Each(test):
            return any(map(test, terms))
        case Whole(test):
            return bool(terms) and test(terms)
        case _:
            return False
