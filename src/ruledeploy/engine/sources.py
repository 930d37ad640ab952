"""Where documents come from, and which index patterns select them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruledeploy.engine.protocol import Document, Files, Memory, Source
from ruledeploy.errors import Location, RuledeployError, SourceError
from ruledeploy.model import event_id

_SUFFIXES = (".ndjson", ".jsonl", ".json")
_BACKING = ".ds-"
_BACKING_DASHES = 3


def documents(source: Source) -> Iterator[Document]:
    """Every document of a source that this process can read."""
    match source:
        case Memory(found):
            yield from found
        case Files(paths, index):
            for path in paths:
                yield from _read(path, index)
        case _:
            raise RuledeployError(
                "indices are on a cluster", hint="use the elasticsearch engine, or files"
            )


def _read(path: Path, index: str) -> Iterator[Document]:
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            if inner.name.removesuffix(".gz").endswith(_SUFFIXES) and inner.is_file():
                yield from _read(inner, index)
        return
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _document(line, Location(str(path), number), index)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read: {error}", location=Location(str(path))) from error


def _document(line: str, location: Location, index: str) -> Document:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not a JSON line: {error}", location=location) from error
    if not isinstance(value, dict):
        raise SourceError("an event is a JSON object", location=location)
    return to_document(value, f"{Path(location.path).name}:{location.line}", index)


def to_document(value: dict[str, Any], fallback_id: str, index: str = "") -> Document:
    """A line's value as a document; an event's id is its `event.id`, else `fallback_id`."""
    if isinstance(value.get("_source"), dict):
        source = value["_source"]
        name, identity = value.get("_index"), value.get("_id")
    else:
        source, name, identity = value, None, None
    return Document(
        str(name or data_stream_of(source) or index),
        str(identity if identity is not None else event_id(source) or fallback_id),
        source,
    )


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
