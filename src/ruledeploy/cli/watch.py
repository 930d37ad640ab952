"""Running something again whenever the files of a project change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ruledeploy.cli.boundary import tell
from ruledeploy.cli.output import say
from ruledeploy.errors import Collector, RuledeployError
from ruledeploy.project.files import content_files

_PAUSE = 0.3


def watch(root: Path, once: Callable[[], object]) -> NoReturn:
    """Run `once` now and after every change, until Ctrl-C; errors are told and do not end it."""
    seen: dict[str, tuple[int, int]] | None = None
    while True:
        now = _stamps(root)
        if now != seen:
            seen = now
            try:
                once()
            except RuledeployError as error:
                tell(error)
            say("waiting for changes, Ctrl-C ends")
        time.sleep(_PAUSE)


def _stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Time and size of every file of the project; a file that vanishes meanwhile is left out."""
    stamps: dict[str, tuple[int, int]] = {}
    try:
        files = content_files(root, Collector())
    except RuledeployError:
        return stamps
    for path in files.values():
        try:
            found = os.stat(path)  # noqa: PTH116 - a string, for there are many
        except OSError:
            continue
        stamps[path] = (found.st_mtime_ns, found.st_size)
    return stamps
