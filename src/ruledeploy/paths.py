"""Paths that hurt: those that lead to no file, and names that no terminal can show."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def refuse_special(path: Path, *, opened: bool = False) -> None:
    """Raise OSError for a path that leads to a pipe, a socket or a device, or nowhere.

    A pipe waits for its writer for ever, and a device may never end.
    With `opened` a pipe that whoever started us has opened may pass (`/dev/stdin`, `<(…)`).
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a folder says so when it is opened
        return
    ours = os.path.realpath(path).startswith("/proc/") and stat.S_ISFIFO(mode)
    if not (opened and ours):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def printable(name: str) -> str:
    """A name with escapes for what cannot be shown: line ends, control characters, broken UTF-8."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)
