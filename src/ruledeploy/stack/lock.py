"""One process per data folder: a lock that the system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ruledeploy.errors import RefusedError, RuledeployError

LOCK_NAME = "stack.lock"
_PATIENCE_S = 0.1


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the folder for the length of the block.

    Raises `RefusedError` naming the process that holds it, `RuledeployError` when it cannot be
    written to. A kill -9 leaves no stale lock.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        opened = (data / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise RuledeployError(
            f"the data folder {data} cannot be used: {error.strerror}", hint="name another"
        ) from error
    with opened as handle:
        if not _taken(handle):
            handle.seek(0)
            other = handle.read().strip() or "unknown"
            raise RefusedError(
                f"the local stack's data folder {data} is in use by process {other}",
                hint="stop that process, or give this one another folder",
            )
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _taken(handle: TextIO) -> bool:
    """Whether the lock is ours; tried again for a moment, since `holder` holds it to look."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(_PATIENCE_S / 10)
        else:
            return True


def holder(data: Path) -> int | None:
    """The process that holds the folder, or None; what a dead one left behind does not count."""
    try:
        with (data / LOCK_NAME).open("r+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(handle.read())
    except (OSError, ValueError):
        return None
    return None
