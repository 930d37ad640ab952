"""How text reaches a terminal: width, colour, and nothing that a log file would choke on."""

from __future__ import annotations

import os
import sys
from typing import IO

from rich.console import Console
from rich.table import Table

# A log or a pipe has no width of its own; wrapping its lines would only break `grep`.
PLAIN_WIDTH = 160
_PICTURES = {code: 0x2400 + code for code in range(32) if code != ord("\n")} | {127: 0x2421}


class _Console(Console):
    """Rich ends the program when nobody reads any more; how it ends is the command line's."""

    def on_broken_pipe(self) -> None:
        """Called while the `BrokenPipeError` is handled."""
        raise  # noqa: PLE0704


def console(stream: IO[str] | None = None) -> Console:
    """A console on `stream` (stdout); `NO_COLOR` and `CI` are respected."""
    stream = stream or sys.stdout
    terminal = stream.isatty() and not os.environ.get("CI")
    return _Console(
        file=stream,
        force_terminal=terminal,
        no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not terminal,
    )


def visible(text: str) -> str:
    """A query with a picture for each control character but line ends: `[␉-␍ ]`.

    Rich drops them, or makes blanks of them, and a terminal obeys them.
    """
    return text.translate(_PICTURES)


def table(*columns: str, title: str | None = None) -> Table:
    """A table without a frame, as command-line tools print them."""
    made = Table(title=title, box=None, pad_edge=False, title_justify="left", header_style="bold")
    for column in columns:
        numeric = column.startswith("#")
        made.add_column(
            column.removeprefix("#"), justify="right" if numeric else "left", overflow="fold"
        )
    return made
