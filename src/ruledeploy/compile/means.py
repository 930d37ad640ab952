"""Work on many files, one by one: looked up in the cache, or spread over processes.

A task's result for a file depends on the file's path and content and the task's fingerprint alone.
Every result goes through the same bytes, so where it comes from can make no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import MsgspecError
from msgspec.msgpack import Decoder

from ruledeploy.compile.cache import Cache, entry_key
from ruledeploy.compile.workers import results

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Means:
    """How to compile, which never changes the result: with which cache, in how many processes."""

    cache: Cache | None = None
    processes: int = 1


PLAIN = Means()


@dataclass(frozen=True, slots=True)
class Task(Generic[Result]):
    """`make(path, data)` gives the result for a file, of type `kind`.

    Another process must be able to import `make`, or `partial` of it. `prepare` loads what `make`
    needs.
    """

    fingerprint: str
    make: Callable[[str, bytes], Result]
    kind: Any
    prepare: Callable[[], object] = dict


def each_file(
    task: Task[Result], files: Mapping[str, bytes], means: Means = PLAIN
) -> dict[str, Result]:
    """The result for every file, by path, in the order of paths."""
    keys: dict[str, bytes] = {}
    if means.cache is not None:
        keys = {path: entry_key(task.fingerprint, path, data) for path, data in files.items()}
    decoder: Decoder[Result] = Decoder(task.kind)
    found = _kept(means.cache, keys, decoder)
    missing = {path: files[path] for path in files if path not in found}
    made = results(task.make, missing, means.processes, task.prepare)
    if means.cache is not None:
        used = [keys[path] for path in found]
        means.cache.put({keys[path]: data for path, data in made.items()}, used)
    found |= {path: decoder.decode(data) for path, data in made.items()}
    return {path: found[path] for path in sorted(found)}


def _kept(
    cache: Cache | None, keys: Mapping[str, bytes], decoder: Decoder[Result]
) -> dict[str, Result]:
    """What the cache has, by path; a value that does not read as a result is a miss."""
    found: dict[str, Result] = {}
    kept = cache.get(list(keys.values())) if cache is not None else {}
    for path, key in keys.items():
        if key in kept:
            with suppress(MsgspecError):
                found[path] = decoder.decode(kept[key])
    return found
