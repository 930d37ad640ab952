"""One run over several processes, which take cut after cut of the files until none is left.

The first events teach a run which tests are frequent and what frequent values give. They are looked
at before there are other processes: forked, those know it already. Where forking is not safe, a
process is started anew and binds and learns for itself, which takes more events to be worth it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeAlias

from ruledeploy.engine.resting import dozing
from ruledeploy.engine.run import Run
from ruledeploy.engine.sources import Part, Ruler
from ruledeploy.errors import RuledeployError

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

# Fewer bytes are not worth another process, by how it is started.
_SHARES = {"fork": 8 << 20, "spawn": 128 << 20}
# What is learnt from.
_LESSON = 2 << 20
# Cuts for each process: small enough that the last ones end together.
_CUTS = 32
# A cut is told by one byte, which no reader of a pipe can get a part of.
_MOST = 255

# Parts of files that one process goes through in one go.
Cut: TypeAlias = Sequence[Part]
# What went wrong, by the number of the cut.
Failure: TypeAlias = tuple[int, RuledeployError]


def run_parts(run: Run[Any], parts: Sequence[Part], index: str, jobs: int) -> None:
    """Put all events of the files to a run. Raises what is wrong with the first that is wrong."""
    way = _way(run) if jobs > 1 else ""
    wanted = min(jobs, sum(map(_size, parts)) // _SHARES[way]) if way else 1
    lesson, cuts = cuts_of(parts, wanted) if wanted > 1 else (parts, [])
    with dozing():
        for part in lesson:
            run.put_part(part, index)
        if cuts:
            _together(run, cuts, index, mp.get_context(way), wanted - 1)


def _way(run: Run[Any]) -> str:
    """How another process is started, if one can be that takes the run.

    Forking shares what is loaded and learnt, but is safe only on Linux and without threads.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        return "fork"
    if os.name != "posix":
        return ""
    try:
        pickle.dumps(run)
    except (pickle.PicklingError, AttributeError, TypeError):
        return ""
    return "spawn"


def cuts_of(parts: Sequence[Part], processes: int) -> tuple[Cut, list[Cut]]:
    """What to learn from, if that can be had, and the rest in order, in cuts of about one size.

    A large file of lines is cut, between two lines; small ones are put together.
    """
    size = -(-sum(map(_size, parts)) // min(processes * _CUTS, _MOST - 1))
    pieces = [piece for part in parts for piece in _pieces(part, size)]
    lesson, pieces = _lesson(pieces)
    cuts: list[list[Part]] = []
    room = 0
    for piece in pieces:
        if room <= 0:
            cuts.append([])
            room = size
        cuts[-1].append(piece)
        room -= _size(piece)
    return lesson, list(cuts)


def _lesson(pieces: list[Part]) -> tuple[list[Part], list[Part]]:
    """The first of some pieces or its first lines, and the rest; nothing if it is large and one."""
    first = pieces[0]
    if _size(first) <= _LESSON:
        return pieces[:1], pieces[1:]
    if first.end is None:
        return [], pieces
    return [replace(first, end=_LESSON)], [replace(first, start=_LESSON), *pieces[1:]]


def _size(part: Part) -> int:
    try:
        end = part.path.stat().st_size if part.end is None else part.end
    except OSError:
        return 0  # whoever reads it will say so
    return end - part.start


def _pieces(part: Part, most: int) -> list[Part]:
    size = _size(part)
    if part.path.suffix == ".gz" or size <= most or part.is_array():
        return [part]
    ruler = Ruler(part.path)
    bounds = [*range(0, size, most), size]
    return [Part(part.path, low, high, ruler) for low, high in pairwise(bounds)]


def _together(run: Run[Any], cuts: Sequence[Cut], index: str, context: Any, others: int) -> None:
    """Work the cuts off with other processes. `context` is one of `multiprocessing`."""
    todo, there = context.Pipe(duplex=False)
    with todo:
        with there:
            os.write(there.fileno(), bytes(range(len(cuts))))
        children: list[_Child] = []
        try:
            for _ in range(others):
                with suppress(OSError):  # no further process is to be had: those there are will do
                    children.append(_Child(context, (run, cuts, index, todo)))
            failures = [_work_off(run, cuts, index, todo)]
            for child in children:
                found, failure = child.answer()
                run.add(found)
                failures.append(failure)
        finally:
            for child in children:
                child.end()
    failed = [failure for failure in failures if failure is not None]
    if failed:
        _, error = min(failed, key=lambda failure: failure[0])
        raise error


def _work_off(run: Run[Any], cuts: Sequence[Cut], index: str, todo: Connection) -> Failure | None:
    """Take a cut and put it to the run, until there are none.

    They are taken in order: when one fails, no other is begun, and all before it will have been.
    """
    above = mp.parent_process()
    while (above is None or above.is_alive()) and (taken := os.read(todo.fileno(), 1)):
        try:
            for part in cuts[taken[0]]:
                run.put_part(part, index)
        except RuledeployError as error:
            os.read(todo.fileno(), _MOST)
            return taken[0], error
    return None


class _Child:
    """A process that works off cuts."""

    def __init__(self, context: Any, work: tuple[Any, ...]) -> None:
        self._answer: Connection
        self._answer, there = context.Pipe(duplex=False)
        ends = (self._answer, there)
        self._process: BaseProcess = context.Process(target=_work, args=(ends, *work), daemon=True)
        with there:
            self._process.start()

    def answer(self) -> tuple[dict[str, Any], Failure | None]:
        """What the process found, waited for, and what went wrong."""
        try:
            answer: tuple[dict[str, Any], Failure | None] = self._answer.recv()
        except EOFError:
            self._process.join()
            raise RuledeployError(
                f"a worker process ended with {self._process.exitcode}",
                hint="it may need more memory than there is",
            ) from None
        return answer

    def end(self) -> None:
        """End the process if it has not ended by itself."""
        self._process.terminate()
        self._process.join()
        self._answer.close()


def _work(
    ends: tuple[Connection, Connection],
    run: Run[Any],
    cuts: Sequence[Cut],
    index: str,
    todo: Connection,
) -> None:
    theirs, answer = ends
    theirs.close()  # kept open here, it would hide that the parent is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    run.forget_found()
    with dozing():
        failure = _work_off(run, cuts, index, todo)
    with suppress(BrokenPipeError):  # the parent is gone
        answer.send((run.found, failure))
    answer.close()
