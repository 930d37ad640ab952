"""One run over several processes, each with a share of the files.

The processes are forked, so that what was parsed and bound is not done again. Where a system cannot
fork, one process does it all.
"""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ruledeploy.engine.run import Run
from ruledeploy.engine.sources import Part
from ruledeploy.errors import RuledeployError

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, ForkProcess

# Smaller files are not worth another process.
_SHARE = 8 << 20


def shares_of(parts: Sequence[Part], jobs: int) -> list[list[Part]]:
    """The files in shares of about one size; a large file of lines is cut, between two lines."""
    whole = sum(_size(part) for part in parts)
    wanted = max(1, min(jobs, whole // _SHARE))
    share = -(-whole // wanted)
    out: list[list[Part]] = [[] for _ in range(wanted)]
    sizes = [0] * wanted
    for cut in sorted((cut for part in parts for cut in _cuts(part, share)), key=_size):
        least = sizes.index(min(sizes))
        out[least].append(cut)
        sizes[least] += _size(cut)
    return [sorted(some, key=lambda part: (part.path, part.start)) for some in out if some]


def _size(part: Part) -> int:
    try:
        end = part.path.stat().st_size if part.end is None else part.end
    except OSError:
        return 0  # whoever reads it will say so
    return end - part.start


def _cuts(part: Part, share: int) -> list[Part]:
    size = _size(part)
    if part.path.suffix == ".gz" or size <= share or part.is_array():
        return [part]
    bounds = [*range(0, size, share), size]
    return [Part(part.path, low, high) for low, high in pairwise(bounds)]


def run_parts(run: Run[Any], parts: Sequence[Part], index: str, jobs: int) -> None:
    """Put all events of the files to a run. Raises what any of the processes raises."""
    can_fork = "fork" in mp.get_all_start_methods()
    shares = shares_of(parts, jobs) if jobs > 1 and can_fork else [list(parts)]
    children = [_Child(mp.get_context("fork"), run, share, index) for share in shares[1:]]
    try:
        for part in shares[0] if shares else ():
            run.put_part(part, index)
        for child in children:
            run.add(child.found())
    finally:
        for child in children:
            child.end()


class _Child:
    """A process with a share of the files."""

    def __init__(self, context: ForkContext, run: Run[Any], share: list[Part], index: str) -> None:
        self._answer, there = context.Pipe(duplex=False)
        self._process: ForkProcess = context.Process(
            target=_work, args=(there, run, share, index), daemon=True
        )
        self._process.start()
        there.close()

    def found(self) -> dict[str, Any]:
        """What the process found, waited for."""
        try:
            answer = self._answer.recv()
        except EOFError:
            self._process.join()
            raise RuledeployError(
                f"a worker process ended with {self._process.exitcode}", hint="try `--jobs 1`"
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        found: dict[str, Any] = answer
        return found

    def end(self) -> None:
        """End the process if it has not ended by itself."""
        self._process.terminate()
        self._process.join()
        self._answer.close()


def _work(answer: Connection, run: Run[Any], share: list[Part], index: str) -> None:
    try:
        for part in share:
            run.put_part(part, index)
    except RuledeployError as error:
        answer.send(error)
    else:
        answer.send(run.found)
    answer.close()
