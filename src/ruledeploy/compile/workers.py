"""Many files, in one process or several: the same outcomes, in the same order."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from msgspec import msgpack

# Below so many files, starting a process costs more than it saves.
MIN_FILES = 150
MAX_PROCESSES = 8

Files = Sequence[tuple[str, bytes]]
Make = Callable[[str, bytes], object]


def available_processes() -> int:
    """The processors this process may use, at most `MAX_PROCESSES`."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    return min(os.cpu_count() or 1, MAX_PROCESSES)


def results(
    make: Make, files: Mapping[str, bytes], processes: int, prepare: Callable[[], object] = dict
) -> dict[str, bytes]:
    """What `make` gives for every file, as bytes (MessagePack), by path.

    `prepare` is called before there are several processes, which then share what it loads. Raises
    `RuledeployError` for a file whose process is killed each time.
    """
    todo = list(files.items())
    if processes > 1 and len(todo) >= MIN_FILES:
        from ruledeploy.compile.pool import spread  # noqa: PLC0415 - loads slowly

        prepare()
        # Where another process cannot be had, it is done here.
        with suppress(OSError):
            return spread(make, todo, processes)
    return dict(made(make, todo))


def made(make: Make, files: Files) -> list[tuple[str, bytes]]:
    """What `make` gives for each file, as bytes."""
    return [(path, msgpack.encode(make(path, data))) for path, data in files]
