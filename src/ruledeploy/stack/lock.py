"""One process per data folder: a lock that the system drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruledeploy.errors import RefusedError

LOCK_NAME = "stack.lock"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the folder for the length of the block.

    Raises `RefusedError` naming the process that holds it. A kill -9 leaves no stale lock.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / LOCK_NAME).open("a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise RefusedError(
                f"the local stack's data folder {data} is in use by process {holder}",
                hint="stop that process, or give this one another folder",
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield
