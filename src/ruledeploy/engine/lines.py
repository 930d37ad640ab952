"""JSON lines, of which only the fields that some query mentions are decoded.

A type is made for the fields in use, and each line decoded into it: what nobody asks for is skipped
and never built. A line that the type does not fit (an array of objects, a key with a dot in it, a
null where an object should be) is left to whoever asked, to decode in full: correct before fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

_STREAM, _INDEX = "data_stream", "_index"
_PARTS = tuple(f"{_STREAM}.{part}" for part in ("type", "dataset", "namespace"))


# One event: its index ("" if it names none), whether it has `data_stream`, the `_id` of a hit, and
# its cells: what the JSON has at each of the reader's roots, None where there is nothing.
Line: TypeAlias = tuple[str, bool, Any, Sequence[Any]]

# What decoding raises for a line that the type does not fit.
_ODD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some lines by column: `columns[root]` are the cells at one of the reader's roots.

    `places` are the places of those lines among all, `indices` the indices that they name. The
    lines at the places `odd` are not in it: each must be decoded in full.
    """

    places: Sequence[int]
    indices: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    odd: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Form:
    """One of the forms of a line: the event itself, or a hit with the event in it.

    `names` are the attributes that lead to each field, and to the `_index` of a hit.
    """

    decode: Callable[[bytes], Any]
    names: Mapping[str, str]


class LineReader:
    """Reads some fields; those that lie below another of them come with it.

    `roots` are the fields that cells are of, in order. `whole` are those of which every key counts:
    a line that spells a part of one with a dot must be decoded in full.
    """

    def __init__(self, paths: Iterable[str], whole: Iterable[str] = ()) -> None:
        self._marks = _marks(whole)
        wanted = _outermost({*paths, *_PARTS})
        event, names = _event_type([tuple(path.split(".")) for path in wanted])
        self.roots = wanted
        self._fits = len(wanted) > 1 and _STREAM not in wanted
        if not self._fits:
            return
        above = names[_PARTS[0]].rpartition(".")[0]
        self._none = attrgetter(above)(event())
        self._stream = attrgetter(above, *(names[path] for path in _PARTS))
        self._get = attrgetter(*(names[path] for path in wanted))
        self._bare = msgspec.json.Decoder(_extend(event, "Bare", [("source", None, None)]))
        hit = [("source", event), ("index", str | None, None), ("id", object, None)]
        self._wrapped = msgspec.json.Decoder(_extend(msgspec.Struct, "Wrapped", hit))
        self._is_wrapped = False
        inside = {path: f"source.{name}" for path, name in names.items()}
        self._forms = [
            _Form(self._bare.decode, names),
            _Form(self._wrapped.decode, inside | {_INDEX: "index"}),
        ]

    def read(self, line: bytes) -> Line | None:
        """The line's fields; None if it must be decoded in full, or is no JSON at all.

        Bytes that are not UTF-8 are noticed in the fields that are decoded.
        """
        if not self._fits or self._is_marked(line):
            return None
        # Lines of one file are mostly of one kind: that of the line before is tried first.
        for is_wrapped in (self._is_wrapped, not self._is_wrapped):
            decoder = self._wrapped if is_wrapped else self._bare
            try:
                event = decoder.decode(line)
            except _ODD:
                continue
            self._is_wrapped = is_wrapped
            if is_wrapped:
                return self._line(event.source, event.index, event.id)
            return self._line(event, None, None)
        return None

    def _is_marked(self, line: bytes) -> bool:
        return any(mark in line for mark in self._marks)

    def _line(self, event: Any, index: str | None, identity: Any) -> Line:
        stream, *named = self._stream(event)
        return index or _joined(named), stream is not self._none, identity, self._get(event)

    def rows(self, lines: Sequence[bytes]) -> Rows:
        """Many lines at once, if they are of one form; those of the other are odd."""
        if not self._fits:
            return Rows((), (), {}, range(len(lines)))
        marked = [self._is_marked(line) for line in lines] if self._marks else []
        for form in () if any(marked) else self._forms:
            try:
                events = list(map(form.decode, lines))
            except _ODD:
                continue
            return self._rows(form, events, range(len(lines)), ())
        places, odd, events = [], [], []
        form = self._forms[0]
        for place, line in enumerate(lines):
            if any(marked) and marked[place]:
                odd.append(place)
                continue
            try:
                events.append(form.decode(line))
                places.append(place)
            except _ODD:
                odd.append(place)
        if not places:
            self._forms.reverse()  # perhaps hits, and one is broken: the next lines will do
        return self._rows(form, events, places, odd)

    def _rows(
        self, form: _Form, events: Sequence[Any], places: Sequence[int], odd: Sequence[int]
    ) -> Rows:
        found = {"": events}
        columns = {root: _column(form.names[root], found) for root in self.roots}
        named = [
            _column(form.names[name], found) for name in (_INDEX, *_PARTS) if name in form.names
        ]
        return Rows(places, _indices(named, len(events)), columns, odd)


def _column(name: str, found: dict[str, Sequence[Any]]) -> Sequence[Any]:
    """What some attributes lead to, of each event; `found` has what is above, and remembers."""
    if name not in found:
        above, _, last = name.rpartition(".")
        found[name] = list(map(attrgetter(last), _column(above, found)))
    return found[name]


def _indices(named: Sequence[Sequence[Any]], count: int) -> Sequence[str]:
    """The index of each event, by the columns that name it; mostly it is one and the same."""
    try:
        if count and all(len(set(column)) == 1 for column in named):
            return [_index_of([column[0] for column in named])] * count
    except TypeError:  # a list, for instance
        pass
    return list(map(_index_of, zip(*named, strict=True)))


def _index_of(named: Sequence[Any]) -> str:
    *index, kind, dataset, namespace = named
    return (index and index[0]) or _joined((kind, dataset, namespace))


def _joined(parts: Sequence[Any]) -> str:
    """The index that the parts of `data_stream` name; "" if one is missing or no text."""
    return "-".join(parts) if all(part.__class__ is str for part in parts) else ""


def _marks(whole: Iterable[str]) -> tuple[bytes, ...]:
    """What a line has in it that spells a key of these with a dot: `"a.b.` and `"b.` of `a.b`."""
    parts = [name.split(".") for name in sorted(whole)]
    found = [f'"{".".join(each[at:])}.' for each in parts for at in range(len(each))]
    return tuple(text.encode() for text in dict.fromkeys(found))


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """The paths that lie below no other."""
    out: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split(".")):
        if not out or not path.startswith(f"{out[-1]}."):
            out.append(path)
    return tuple(out)


def _extend(base: Any, name: str, fields: list[Any]) -> Any:
    """A type with further fields of a hit: `source` for `_source`, and so on."""
    rename = {"source": "_source", "index": "_index", "id": "_id"}
    return msgspec.defstruct(name, fields, bases=(base,), rename=rename, frozen=True, gc=False)


def _event_type(paths: Sequence[tuple[str, ...]]) -> tuple[Any, dict[str, str]]:
    """A type for objects that have these paths, and by path the attributes that lead to it.

    A missing object is an empty one. A key with dots in it may only be null: else the line does
    not fit.
    """
    fields: list[tuple[str, Any, Any]] = []
    keys: dict[str, str] = {}
    names: dict[str, str] = {}

    def add(key: str, kind: Any, default: Any) -> str:
        name = f"f{len(fields)}"
        fields.append((name, kind, default))
        keys[name] = key
        return name

    for key in dict.fromkeys(path[0] for path in paths):
        below = [path[1:] for path in paths if path[0] == key and len(path) > 1]
        if not below:
            names[key] = add(key, object, None)
            continue
        inner, inner_names = _event_type(below)
        name = add(key, inner, inner())
        names |= {f"{key}.{path}": f"{name}.{found}" for path, found in inner_names.items()}
    dotted = {".".join(path[:size]) for path in paths for size in range(2, len(path) + 1)}
    for key in sorted(dotted):
        add(key, None, None)
    return msgspec.defstruct("Event", fields, rename=keys, frozen=True, gc=False), names
