"""Many files over several processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypeAlias

from ruledeploy.compile.workers import Files, Made, Make, made
from ruledeploy.errors import Location, RuledeployError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

# A process gets one in so many of each process's share of what is left, so that all end together.
_SHARE = 4
_SMALLEST = 8
# Files after which a process looks for garbage.
_SWEEP = 2_000

# Forking and spawning contexts have no type in common that has what both have.
Context: TypeAlias = Any
Load: TypeAlias = Callable[[], object]


class Pool:
    """Some processes, started when there is a part for each; they keep what they have loaded."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}

    def ahead(self, load: Load) -> None:
        """Let a process load what it will need. Raises `OSError` when it cannot be had."""
        self._idle.append(_Worker(load))

    def spread(self, make: Make, todo: Files) -> Iterator[Made]:
        """Parts to whoever is free; what a killed process had in hand is done again, file by file.

        Results come as they are made. Raises `OSError` when a process cannot be had.
        """
        parts = deque(_parts(todo, self._processes))
        alone: set[str] = set()
        self._employ(make, parts)
        while self._busy:
            for pipe in wait(list(self._busy)):
                worker = self._busy[pipe]  # type: ignore[index]  # of the connections we gave
                answer = worker.answer()
                del self._busy[worker.pipe]
                if answer is None:
                    worker.end()
                    parts += _again(worker, alone)
                else:
                    self._idle.append(worker)
                # Before its results are looked at, so that it need not wait for that.
                self._employ(make, parts)
                yield from answer or ()

    def _employ(self, make: Make, parts: deque[Files]) -> None:
        while parts and len(self._busy) < self._processes:
            worker = self._idle.pop() if self._idle else _Worker()
            self._busy[worker.pipe] = worker
            worker.give(make, parts.popleft())

    def end(self) -> None:
        """End every process, whatever it does."""
        for worker in (*self._idle, *self._busy.values()):
            worker.kill()
        for worker in (*self._idle, *self._busy.values()):
            worker.end()
        self._idle.clear()
        self._busy.clear()


def _parts(todo: Files, processes: int) -> Iterator[Files]:
    """All files in parts, each smaller than the one before."""
    at = 0
    while at < len(todo):
        size = max((len(todo) - at) // (processes * _SHARE), _SMALLEST)
        yield todo[at : at + size]
        at += size


def _again(worker: _Worker, alone: set[str]) -> list[Files]:
    """Each file that a process had when it ended, by itself; raises when it was there before.

    `alone` are the files that one process each has had.
    """
    for path, _ in worker.part:
        if path in alone:
            raise RuledeployError(
                f"the process that compiles it ends each time ({worker.reason})",
                location=Location(path),
                hint="it may need more memory than there is",
            )
    if len(worker.part) == 1:
        alone.add(worker.part[0][0])
    return [[file] for file in worker.part]


class _Worker:
    """A process that makes one part after another; it shares no lock with any other."""

    def __init__(self, load: Load = dict) -> None:
        self.part: Files = ()
        self.reason = "out of memory"
        self._make: Make | None = None
        context = _context()
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_work, args=(load, theirs), daemon=True)
        with theirs:
            self._process.start()

    def give(self, make: Make, part: Files) -> None:
        """Let it make a part. That it has ended shows when its answer is read."""
        new, self._make, self.part = make is not self._make, make, part
        with suppress(OSError):
            self.pipe.send((make if new else None, part))

    def answer(self) -> list[Made] | None:
        """What it made, waited for; None when it cannot, which `reason` then explains."""
        try:
            said = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            self.reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return None
        if isinstance(said, BaseException):
            raise said
        answer: list[Made] | None = said
        return answer

    def kill(self) -> None:
        """End the process, whatever it does, and do not wait for that."""
        self._process.kill()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _work(load: Load, pipe: Connection) -> None:
    """Answer part after part, until the parent ends this process or is gone."""
    _start()
    make: Any = None  # comes with the first part
    files = 0
    # What goes wrong here does so again, and is told, when a file is made.
    with suppress(Exception):
        load()
    gc.freeze()  # what is loaded stays
    with suppress(EOFError, OSError):
        while True:
            given, part = pipe.recv()
            make = given or make
            pipe.send(_answer(make, part))
            files += len(part)
            if files >= _SWEEP:
                gc.collect()
                files = 0


def _answer(make: Make, part: Files) -> list[Made] | Exception | None:
    try:
        return list(made(make, part))
    except MemoryError:
        return None
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return error


def _context() -> Context:
    """Forking shares what is loaded, but is safe only on Linux and without threads."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if alone else "spawn")


def _start() -> None:
    # The parent handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(RuntimeError):  # no memory for a thread
        threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()


def _end_with_parent() -> None:
    """A parent that is killed closes no pool: its workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
