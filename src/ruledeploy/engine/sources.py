"""Where documents come from, and which index patterns select them."""

from __future__ import annotations

import codecs
import errno
import gzip
import json
import os
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from ruledeploy.engine.protocol import Document, Files, Memory, Source
from ruledeploy.errors import Location, RuledeployError, SourceError
from ruledeploy.model import event_id
from ruledeploy.paths import printable, refuse_special

_SUFFIXES = (".ndjson", ".jsonl", ".json")
_BACKING = ".ds-"
_BACKING_DASHES = 3
_BLOCK = 1 << 19
# Blocks of lines grow: out of the first it is learnt how to go through the others fast.
_FIRST = 1 << 15
# An element of a JSON array that is longer is taken for a broken one.
_LONGEST = 64 << 20
_GAP = re.compile(r"[ \t\r\n,]*")

# Where an event is, told to whoever must know it: few must, and it may have to be counted.
Place: TypeAlias = Callable[[], Location]


@dataclass(frozen=True, slots=True)
class Block:
    """Some events of a file as JSON; `numbers` are the lines they start in, for `Part.place`."""

    numbers: Sequence[int]
    lines: Sequence[bytes]


class Ruler:
    """Counts the lines of a file before a place in it, from the last place that it was asked of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._lines = 0

    def lines_before(self, at: int) -> int:
        """The ends of lines in the first `at` bytes."""
        if at == self._at:
            return self._lines
        if at < self._at:
            self._at, self._lines = 0, 0
        with _reading(self._path), _open(self._path) as stream:
            stream.seek(self._at)
            while self._at < at and (block := stream.read(min(_BLOCK, at - self._at))):
                self._at += len(block)
                self._lines += block.count(b"\n")
        return self._lines


@dataclass(frozen=True, slots=True)
class Part:
    """The lines of a file that begin in `[start, end)`, in bytes; no end is the file's.

    Parts of one file share its `ruler`.
    """

    path: Path
    start: int = 0
    end: int | None = None
    ruler: Ruler | None = field(default=None, compare=False)

    def is_array(self) -> bool:
        """Whether the file holds a JSON array rather than lines."""
        with _reading(self.path), _open(self.path) as stream:
            return _begins_array(stream)

    def place(self, number: int) -> Place:
        """Where an event is that a block of this part gives such a number."""
        return partial(self._location, number)

    def _location(self, number: int) -> Location:
        if self.start:
            # The line that the byte before is of is the last that is not of this part.
            number += (self.ruler or Ruler(self.path)).lines_before(self.start - 1) + 1
        return Location(str(self.path), number)

    def lines(self) -> Iterator[tuple[Place, bytes]]:
        """Each event as JSON, with where it is; of an array, each element."""
        for block in self.blocks():
            yield from zip(map(self.place, block.numbers), block.lines, strict=True)

    def blocks(self) -> Iterator[Block]:
        """The events as JSON, some at a time.

        Raises SourceError for what cannot be read, naming file and line.
        """
        with _reading(self.path), _open(self.path) as stream:
            if self.start:
                yield from self._blocks(stream)
            elif _begins_array(stream):
                stream.seek(0)
                yield from _gathered(_Array(stream, self.path).elements())
            else:
                stream.seek(0)
                yield from self._blocks(stream)

    def _blocks(self, stream: IO[bytes]) -> Iterator[Block]:
        number, size = 1, _FIRST
        if self.start:
            # From the byte before, so that a line which begins right here is not left out.
            stream.seek(self.start - 1)
            stream.readline()
            size = _BLOCK
        left = None if self.end is None else self.end - stream.tell()
        while (left is None or left > 0) and (lines := stream.readlines(size)):
            size = min(2 * size, _BLOCK)
            if left is not None:
                starts = list(accumulate(map(len, lines), initial=0))
                lines = lines[: bisect_left(starts, left)]
                left -= starts[-1]
            if number == 1 and not self.start:
                lines[:1] = [line.removeprefix(codecs.BOM_UTF8) for line in lines[:1]]
            numbers: Sequence[int] = range(number, number + len(lines))
            number += len(lines)
            if any(map(bytes.isspace, lines)):
                numbers = [n for n, line in zip(numbers, lines, strict=True) if not line.isspace()]
                lines = [line for line in lines if not line.isspace()]
            yield Block(numbers, lines)


def _gathered(elements: Iterator[tuple[int, bytes]]) -> Iterator[Block]:
    numbers: list[int] = []
    lines: list[bytes] = []
    size = 0
    for number, line in elements:
        numbers.append(number)
        lines.append(line)
        size += len(line)
        if size >= _BLOCK:
            yield Block(numbers, lines)
            numbers, lines, size = [], [], 0
    yield Block(numbers, lines)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises SourceError, naming the file, for what cannot be read in the block."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise _unread(path, error) from error


def _begins_array(stream: IO[bytes]) -> bool:
    return stream.read(_BLOCK).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"["


def _unread(path: Path | str, error: Exception) -> SourceError:
    said, hint = str(error), None
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror
        # Whatever a pipe holds could be read but once.
        hint = "write the events to a file" if error.errno == errno.EINVAL else None
    location = Location(printable(str(path)))
    return SourceError(f"cannot be read: {said}", location=location, hint=hint)


def _open(path: Path) -> IO[bytes]:
    refuse_special(path)
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    return path.open("rb", buffering=_BLOCK)


class _Array:
    """The elements of a JSON array, of which only a block is in memory."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._path = path
        self._decoder = json.JSONDecoder()
        self._text = self._decode(stream.read(_BLOCK))
        self._at = 0
        self._line = 1

    def elements(self) -> Iterator[tuple[int, bytes]]:
        """Each element with the line it starts in."""
        self._go(self._text.index("[") + 1)
        while True:
            gap = _GAP.match(self._text, self._at)
            self._go(gap.end() if gap else self._at)
            if self._at == len(self._text):
                if not self._more():
                    raise self._error("the array does not end")
            elif self._text[self._at] == "]":
                return
            else:
                end = self._end()
                yield self._line, self._text[self._at : end].encode()
                self._go(end)

    def _go(self, at: int) -> None:
        self._line += self._text.count("\n", self._at, at)
        self._at = at

    def _more(self) -> bool:
        rest = self._text[self._at :]
        block = self._stream.read(max(_BLOCK, len(rest)))
        self._text, self._at = rest + self._decode(block, final=not block), 0
        return bool(block)

    def _end(self) -> int:
        """Where the element ends that starts here."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError):
                end = len(self._text)
            if end < len(self._text):
                return end
            if len(self._text) - self._at > _LONGEST or not self._more():
                raise self._error("an element of the array is broken or does not end")

    def _error(self, message: str) -> SourceError:
        return SourceError(message, location=Location(str(self._path), self._line))


def parts(paths: Iterable[Path]) -> list[Part]:
    """The files, and those in the folders, in order."""
    out: list[Part] = []
    for path in paths:
        if path.is_dir():
            out.extend(map(Part, sorted(_below(path))))
        else:
            _refuse_unshown(path, path.name)
            out.append(Part(path))
    return out


def _below(folder: Path) -> Iterator[Path]:
    """What is named like events below a folder; links to folders are not followed.

    Raises SourceError for a folder that cannot be read: what is in it must not pass for nothing.
    """
    for place, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            if name.removesuffix(".gz").endswith(_SUFFIXES):
                path = Path(place, name)
                _refuse_unshown(path, str(path.relative_to(folder)))
                yield path


def _refuse_unshown(path: Path, name: str) -> None:
    """Names go into messages, and into the ids of events that have none."""
    if not name.isprintable():
        message = "the file's name has characters that cannot be shown"
        raise SourceError(message, location=Location(printable(str(path))), hint="rename it")


def _raise(error: OSError) -> None:
    raise _unread(str(error.filename), error) from error


def documents(source: Source) -> Iterator[Document]:
    """Every document of a source that this process can read."""
    match source:
        case Memory(found):
            yield from found
        case Files(paths, index):
            for part in parts(paths):
                for place, line in part.lines():
                    yield read_document(line, place, index)
        case _:
            raise RuledeployError(
                "indices are on a cluster", hint="use the elasticsearch engine, or files"
            )


def read_document(line: bytes, place: Place, index: str) -> Document:
    """A line as a document. Raises SourceError with its place."""
    try:
        value = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not a JSON line: {error}", location=place()) from error
    if not isinstance(value, dict):
        raise SourceError("an event is a JSON object", location=place())
    return _document(value, place, index)


def _document(value: dict[str, Any], place: Place, index: str) -> Document:
    """A line's value as a document."""
    if isinstance(value.get("_source"), dict):
        source = value["_source"]
        name, identity = value.get("_index"), value.get("_id")
    else:
        source, name, identity = value, None, None
    return Document(
        str(name or data_stream_of(source) or index),
        identity_of(identity, event_id(source), place),
        source,
    )


def identity_of(given: Any, own: Any, place: Place) -> str:
    """An event's id: the `_id` of a hit, else its `event.id`, else the file and line it is at."""
    if given is not None:
        return str(given)
    if isinstance(own, str) and own:
        return own
    where = place()
    return f"{Path(where.path).name}:{where.line}"


def data_stream_of(source: dict[str, Any]) -> str:
    """`type-dataset-namespace` of an event's `data_stream` fields, or nothing."""
    inner = source.get("data_stream")
    parts = ("type", "dataset", "namespace")
    if isinstance(inner, dict):
        found = [inner.get(part) for part in parts]
    else:
        found = [source.get(f"data_stream.{part}") for part in parts]
    named = [part for part in found if isinstance(part, str)]
    return "-".join(named) if len(named) == len(parts) else ""


@lru_cache(maxsize=4096)
def stream_name(index: str) -> str:
    """The data stream of a backing index (`.ds-<name>-<date>-<generation>`), else the index."""
    if not index.startswith(_BACKING) or index.count("-") < _BACKING_DASHES:
        return index
    name, _, _ = index.removeprefix(_BACKING).rsplit("-", 2)
    return name


def selects(patterns: Sequence[str], index: str) -> bool:
    """Whether index patterns name an index: wildcards, lists with commas, `-` to leave out again.

    An index without a name is selected by all.
    """
    if not index:
        return True
    name, chosen = stream_name(index), False
    for pattern in (part.strip() for text in patterns for part in text.split(",")):
        if pattern.startswith("-"):
            chosen = chosen and not _names(pattern[1:], name, index)
        else:
            chosen = chosen or _names(pattern, name, index)
    return chosen


def _names(pattern: str, name: str, index: str) -> bool:
    if pattern == "_all":
        return True
    glob = pattern.replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(name, glob) or fnmatchcase(index, glob)
