"""Work on many files, one by one: looked up in the cache, or spread over processes.

A task's result for a file depends on the file's path and content and the task's fingerprint alone.
Every result goes through the same bytes, so where it comes from can make no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from msgspec import MsgspecError
from msgspec.msgpack import Decoder

from ruledeploy.compile.cache import Cache, entry_key
from ruledeploy.compile.workers import Crew

Result = TypeVar("Result")
# Results that are kept in one transaction.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Means:
    """How to compile, which never changes the result: with which cache, and who does the work."""

    cache: Cache | None = None
    crew: Crew = field(default_factory=Crew)

    def expect(self, places: Collection[str]) -> None:
        """The files at `places` are about to be read: if some are new, a process loads ahead.

        It is a guess, for what is kept is known by its content alone.
        """
        if self.crew.is_worth(len(places)) and (not self.cache or self.cache.is_older(places)):
            self.crew.start_ahead()


PLAIN = Means()


@dataclass(frozen=True, slots=True)
class Task(Generic[Result]):
    """`make(path, data)` gives the result for a file, of type `kind`.

    Another process must be able to import `make`, or `partial` of it.
    """

    fingerprint: str
    make: Callable[[str, bytes], Result]
    kind: Any


def each_file(
    task: Task[Result], files: Mapping[str, bytes], means: Means = PLAIN
) -> dict[str, Result]:
    """The result for every file, by path, in the order of paths."""
    cache, keys = means.cache, {}
    if cache is not None:
        keys = {path: entry_key(task.fingerprint, path, data) for path, data in files.items()}
    decoder: Decoder[Result] = Decoder(task.kind)
    found = _kept(cache, keys, decoder)
    used = [keys[path] for path in found]
    missing = {path: files[path] for path in files if path not in found}
    fresh: dict[bytes, bytes] = {}
    # What is made is read and kept while other processes make the rest.
    with closing(means.crew.results(task.make, missing)) as made:
        for path, data in made:
            found[path] = decoder.decode(data)
            if cache is not None:
                fresh[keys[path]] = data
                if len(fresh) == _BATCH:
                    cache.put(fresh)
                    fresh = {}
    if cache is not None:
        cache.put(fresh, used)
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
