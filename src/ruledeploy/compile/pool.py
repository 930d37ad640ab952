"""Many files over several processes, which share what this one has loaded."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypeAlias

from ruledeploy.compile.workers import Files, Make, made
from ruledeploy.errors import Location, RuledeployError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

# Parts for each process: small enough that the last ones end together.
_CHUNKS = 8

# Forking and spawning contexts have no type in common that has what both have.
Context: TypeAlias = Any


def spread(make: Make, todo: Files, processes: int) -> dict[str, bytes]:
    """Parts to whoever is free; what a killed process had in hand is done again, file by file."""
    size = -(-len(todo) // (processes * _CHUNKS))
    parts = deque(todo[at : at + size] for at in range(0, len(todo), size))
    context = _context()
    busy: dict[Connection, _Worker] = {}
    done: dict[str, bytes] = {}

    def employ(worker: _Worker) -> None:
        busy[worker.pipe] = worker
        worker.give(parts.popleft())

    try:
        for _ in range(min(processes, len(parts))):
            employ(_Worker(make, context))
        while busy:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]  # of the connections we gave
                answer = worker.answer()
                del busy[worker.pipe]
                if answer is None:
                    worker.end()
                    parts += _again(worker)
                    worker = _Worker(make, context)
                else:
                    done.update(answer)
                if parts:
                    employ(worker)
                else:
                    worker.end()
    finally:
        for worker in busy.values():
            worker.end()
    return {path: done[path] for path, _ in todo}


def _again(worker: _Worker) -> list[Files]:
    """Each file that a process had when it ended; raises when it was a single one."""
    if len(worker.part) > 1:
        return [[file] for file in worker.part]
    ((path, _),) = worker.part
    raise RuledeployError(
        f"the process that compiles it ends each time ({worker.reason})",
        location=Location(path),
        hint="it may need more memory than there is",
    )


class _Worker:
    """A process that makes one part after another; it shares no lock with any other."""

    def __init__(self, make: Make, context: Context) -> None:
        self.part: Files = ()
        self.reason = "out of memory"
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=_work, args=(make, theirs), daemon=True)
        with theirs:
            self._process.start()

    def give(self, part: Files) -> None:
        """Let it make a part. That it has ended shows when its answer is read."""
        self.part = part
        with suppress(OSError):
            self.pipe.send(part)

    def answer(self) -> list[tuple[str, bytes]] | None:
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
        answer: list[tuple[str, bytes]] | None = said
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _work(make: Make, pipe: Connection) -> None:
    """Answer part after part, until the parent ends this process or is gone."""
    _start()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(_answer(make, pipe))
            gc.collect()


def _answer(make: Make, pipe: Connection) -> list[tuple[str, bytes]] | Exception | None:
    try:
        return made(make, pipe.recv())
    except MemoryError:
        return None
    except (EOFError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return error


def _context() -> Context:
    """Forking shares what is loaded, but is safe only on Linux and without threads."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    return multiprocessing.get_context("fork" if alone else "spawn")


def _start() -> None:
    # The parent handles Ctrl-C; and what it shares is not worth collecting at all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(RuntimeError):  # no memory for a thread
        threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    gc.disable()


def _end_with_parent() -> None:
    """A parent that is killed closes no pool: its workers would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
