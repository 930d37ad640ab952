"""Many files over several processes: the same outcomes as in one, in the same order."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.context import BaseContext

from msgspec import msgpack

# Below so many files, starting a process costs more than it saves.
MIN_FILES = 150
# Parts for each process: small enough that the last ones end together.
_CHUNKS = 8
MAX_PROCESSES = 8

Files = Sequence[tuple[str, bytes]]
Make = Callable[[str, bytes], object]


def available_processes() -> int:
    """The processors this process may use, at most `MAX_PROCESSES`."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_PROCESSES)
    return min(os.cpu_count() or 1, MAX_PROCESSES)


def results(make: Make, files: Mapping[str, bytes], processes: int) -> dict[str, bytes]:
    """What `make` gives for every file, as bytes (MessagePack), by path."""
    todo = list(files.items())
    if processes > 1 and len(todo) >= MIN_FILES:
        try:
            return _spread(make, todo, processes)
        except (BrokenProcessPool, OSError):
            # No semaphores, no memory for another process, or a killed one: do it here.
            pass
    return dict(_made(make, todo))


def _spread(make: Make, todo: Files, processes: int) -> dict[str, bytes]:
    size = -(-len(todo) // (processes * _CHUNKS))
    chunks = [todo[at : at + size] for at in range(0, len(todo), size)]
    pool = ProcessPoolExecutor(processes, _context(), _start)
    try:
        done = list(pool.map(partial(_chunk, make), chunks))
    finally:
        pool.shutdown(cancel_futures=True)
    return dict(pair for chunk in done for pair in chunk)


def _context() -> BaseContext:
    """Forking shares what is loaded, but is safe only on Linux and without threads."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if alone else "spawn")


def _chunk(make: Make, files: Files) -> list[tuple[str, bytes]]:
    """One part in another process, whose garbage is collected once, at its end."""
    try:
        return _made(make, files)
    finally:
        gc.collect()


def _made(make: Make, files: Files) -> list[tuple[str, bytes]]:
    return [(path, msgpack.encode(make(path, data))) for path, data in files]


def _start() -> None:
    # The parent handles Ctrl-C; and what it shares is not worth collecting at all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    gc.disable()


def _end_with_parent() -> None:
    """A parent that is killed closes no pool: its workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
