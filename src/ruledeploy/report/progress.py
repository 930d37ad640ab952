"""A progress bar on a terminal; silence anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress as Bar


class Step(Protocol):
    """What a push says of itself: `done` of `total` writes, in `stage`."""

    @property
    def stage(self) -> str:
        """The stage at work."""

    @property
    def done(self) -> int:
        """Writes done."""

    @property
    def total(self) -> int:
        """Writes in all."""


@contextmanager
def progress() -> Iterator[Callable[[Step], None]]:
    """A function that draws each step, for the length of the block."""
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda _: None
        return
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("push", total=None)

        def draw(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.total, description=step.stage)

        yield draw
