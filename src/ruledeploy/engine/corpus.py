"""The events of some files by column, for those who ask them again and again."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ruledeploy.engine.columns import Column, ColumnBuilder, Rows
from ruledeploy.engine.document import FieldReader
from ruledeploy.engine.lines import LineReader
from ruledeploy.engine.protocol import Files
from ruledeploy.engine.run import has_stream
from ruledeploy.engine.sources import Place, identity_of, parts, read_document

_EVENT_ID = "event.id"
# Clocks of file systems are coarse: a file changed just now may change again under the same time.
_UNSETTLED = 2_000_000_000
# Packed events are about so many times larger than they look.
_UNPACKED = 10
_SOME = re.compile(rb"[^\x00]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of fields to keep columns of: scalars, nested objects, flattened fields, their keys."""

    paths: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    keyed: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    def __or__(self, other: Wanted) -> Wanted:
        """Both."""
        return Wanted(
            self.paths | other.paths,
            self.objects | other.objects,
            self.keyed | other.keyed,
            self.keys | other.keys,
        )

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.paths | self.objects | self.keyed | self.keys

    def without(self, names: Collection[str]) -> Wanted:
        """Those that are not among `names`; a flattened field comes with any of its keys."""
        known = frozenset(names)
        keys = self.keys - known
        roots = {root for root in self.keyed if any(key.startswith(root) for key in keys)}
        return Wanted(self.paths - known, self.objects - known, (self.keyed - known) | roots, keys)


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one index, apart by whether the events say which data stream they are of."""

    index: str
    streamed: bool
    rows: Rows


@dataclass(slots=True)
class Corpus:
    """The events' ids, row by row, their groups, and the columns that were asked for so far."""

    key: bytes
    ids: list[str]
    groups: list[Group]
    columns: dict[str, Column] = field(default_factory=dict)

    @property
    def every(self) -> Rows:
        """All rows."""
        return (1 << len(self.ids)) - 1

    def base_to_bytes(self) -> bytes:
        """Ids and groups."""
        groups = [(g.index, g.streamed, rows_to_bytes(g.rows)) for g in self.groups]
        return msgspec.msgpack.encode((self.ids, groups))

    def column(self, name: str) -> Column:
        """A field's column; `_id` is one as well, and what no event has is empty."""
        if name == "_id" and name not in self.columns:
            self.columns[name] = Column(self.ids, array("I", range(1, len(self.ids) + 1)))
        return self.columns.get(name) or Column([], array("I", bytes(4 * len(self.ids))))

    @staticmethod
    def from_bytes(key: bytes, data: bytes) -> Corpus:
        """What `base_to_bytes` wrote; columns are added by whoever has them."""
        ids, groups = msgspec.msgpack.decode(
            data, type=tuple[list[str], list[tuple[str, bool, bytes]]]
        )
        return Corpus(key, ids, [Group(i, s, rows_from_bytes(r)) for i, s, r in groups])


def rows_to_bytes(rows: Rows) -> bytes:
    """Few rows as their numbers, many as bits."""
    bits = rows.to_bytes((rows.bit_length() + 7) // 8, "little")
    if rows.bit_count() * 4 < len(bits):
        return b"n" + array("I", numbers_of_rows(rows)).tobytes()
    return b"b" + bits


def rows_from_bytes(data: bytes) -> Rows:
    """What `rows_to_bytes` wrote."""
    if data[:1] == b"b":
        return int.from_bytes(data[1:], "little")
    return rows_of_numbers(array("I", data[1:]))


def rows_of_numbers(numbers: Sequence[int]) -> Rows:
    """The set of some rows."""
    bits = bytearray(max(numbers, default=0) // 8 + 1)
    for row in numbers:
        bits[row >> 3] |= 1 << (row & 7)
    return int.from_bytes(bits, "little")


def numbers_of_rows(rows: Rows) -> Iterator[int]:
    """The numbers of the rows in a set, ascending."""
    bits = rows.to_bytes((rows.bit_length() + 7) // 8, "little")
    for found in _SOME.finditer(bits):
        start, byte = found.start() * 8, found[0][0]
        for bit in range(8):
            if byte >> bit & 1:
                yield start + bit


def fingerprint(source: Files, largest: int, clock: Callable[[], int]) -> bytes | None:
    """What changes when the files do: their names, sizes and times.

    None for files that are not to be kept: more than `largest` bytes, or changed so lately by the
    `clock` (in nanoseconds) that they might change again under the same times.
    """
    found = hashlib.sha256(source.index.encode("utf-8", "surrogatepass"))
    room = largest
    for part in parts(source.paths):
        try:
            state = part.path.stat()
        except OSError:
            return None  # whoever reads it will say so
        room -= state.st_size * (_UNPACKED if part.path.suffix == ".gz" else 1)
        if room < 0 or clock() - max(state.st_mtime_ns, state.st_ctime_ns) < _UNSETTLED:
            return None
        facts = (str(part.path.resolve()), state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        found.update(repr((str(part.path), *facts, state.st_ino)).encode("utf-8", "surrogatepass"))
    return found.digest()


def read_corpus(key: bytes, source: Files, wanted: Wanted) -> Corpus:
    """All events of the files, with the columns that are wanted."""
    builder = _Builder(wanted)
    for part in parts(source.paths):
        for place, line in part.lines():
            builder.put(line, place, source.index)
    return builder.corpus(key)


class _Builder:
    """Takes events line by line."""

    def __init__(self, wanted: Wanted) -> None:
        self._fields = FieldReader(wanted.paths, wanted.objects, wanted.keyed)
        whole = self._fields.whole
        self._lines = LineReader({*wanted.paths, *whole, _EVENT_ID}, whole)
        self._builders = {name: ColumnBuilder() for name in sorted(wanted.names)}
        self._ids: list[str] = []
        self._rows: dict[tuple[str, bool], array[int]] = {}
        known = self._fields.names
        self._cells = [
            (at, root, self._builders[root] if self._fields.is_plain(root) else None)
            for at, root in enumerate(self._lines.roots)
            if any(name == root or name.startswith(f"{root}.") for name in known)
        ]
        roots = self._lines.roots
        self._event_id = roots.index(_EVENT_ID) if _EVENT_ID in roots else None

    def put(self, line: bytes, place: Place, index: str) -> None:
        """One event."""
        read = self._lines.read(line) if self._event_id is not None else None
        if read is None:
            document = read_document(line, place, index)
            self._row(document.index, document.id, streamed=has_stream(document))
            self._values(self._fields.read(document.source))
            return
        named, streamed, identity, cells = read
        identity = identity_of(identity, cells[self._event_id or 0], place)
        self._row(named or index, identity, streamed=streamed)
        row = len(self._ids) - 1
        for at, root, builder in self._cells:
            cell = cells[at]
            if cell is None:
                continue
            if builder is not None and cell.__class__ is str:
                builder.put(row, cell)
            else:
                values: dict[str, list[Any]] = {}
                self._fields.read_at(root, cell, values)
                self._values(values)

    def _row(self, index: str, identity: str, *, streamed: bool) -> None:
        self._rows.setdefault((index, streamed), array("I")).append(len(self._ids))
        self._ids.append(identity)

    def _values(self, values: Mapping[str, Sequence[Any]]) -> None:
        row = len(self._ids) - 1
        for name, found in values.items():
            builder = self._builders.get(name)
            if builder is not None:
                lone = len(found) == 1 and found[0].__class__ is str
                builder.put(row, found[0] if lone else found)

    def corpus(self, key: bytes) -> Corpus:
        """What was put."""
        count = len(self._ids)
        groups = [
            Group(index, streamed, rows_of_numbers(rows))
            for (index, streamed), rows in sorted(self._rows.items())
        ]
        columns = {name: builder.column(count) for name, builder in self._builders.items()}
        return Corpus(key, self._ids, groups, columns)
