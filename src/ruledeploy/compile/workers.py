"""Many files, in one process or several: the same outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from msgspec import msgpack

if TYPE_CHECKING:
    from ruledeploy.compile.pool import Pool

# Below so many files, starting a process costs more than it saves.
MIN_FILES = 150
MAX_PROCESSES = 8

Files = Sequence[tuple[str, bytes]]
Make = Callable[[str, bytes], object]
# A file's path, and what it became, as bytes (MessagePack).
Made = tuple[str, bytes]


def available_processes() -> int:
    """The processes this process may use, at most `MAX_PROCESSES`."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    return min(os.cpu_count() or 1, MAX_PROCESSES)


class Crew:
    """Those who do the work: this process, and others where there are many files.

    In a `with` block the others stay for the next task, and one of them may start ahead of the
    first: it loads what it needs while this process still reads what there is to do.
    """

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes
        self._pool: Pool | None = None
        self._stays = False

    def __enter__(self) -> Self:
        self._stays = True
        return self

    def __exit__(self, *_: object) -> None:
        self._stays = False
        self._end()

    def is_worth(self, files: int) -> bool:
        """Whether so many files are work for several processes."""
        return self.processes > 1 and files >= MIN_FILES

    def start_ahead(self) -> None:
        """Let a process load what the first task of this block will need."""
        if self._stays:
            with suppress(OSError):
                self._hired().ahead(_load)

    def results(self, make: Make, files: Mapping[str, bytes]) -> Generator[Made]:
        """What `make` gives for every file, as soon as it is made.

        Raises `RuledeployError` for a file whose process is killed each time.
        """
        left = dict(files)
        if left and (self._pool is not None or self.is_worth(len(left))):
            try:
                for path, data in self._hired().spread(make, list(files.items())):
                    del left[path]
                    yield path, data
            except OSError:
                self._end()  # where another process cannot be had, it is done here
            except BaseException:
                self._end()
                raise
            if not self._stays:
                self._end()
        yield from made(make, left.items())

    def _hired(self) -> Pool:
        if self._pool is None:
            from ruledeploy.compile.pool import Pool  # noqa: PLC0415 - loads slowly

            self._pool = Pool(self.processes)
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.end()
            self._pool = None


def _load() -> None:
    """Load what compiling a file needs, which is slow."""
    from ruledeploy.compile import rule  # noqa: F401, PLC0415 - that is the point


def made(make: Make, files: Iterable[tuple[str, bytes]]) -> Iterator[Made]:
    """What `make` gives for each file."""
    for path, data in files:
        yield path, msgpack.encode(make(path, data))
