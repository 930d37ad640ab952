"""The lines of `doctor` → a table: what is wrong first, each with its remedy below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import IO

from rich.text import Text

from ruledeploy.report.terminal import console

_SIGNS = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "error": ("✗", "bold red"),
    "unknown": ("?", "cyan"),
}
_WIDTH = 34


def print_checks(checks: Sequence[Mapping[str, str]], stream: IO[str] | None = None) -> None:
    """One line per check in the order they were made, and a count at the end."""
    out = console(stream)
    width = min(_WIDTH, max((len(check["what"]) for check in checks), default=0))
    for check in checks:
        sign, style = _SIGNS[check["state"]]
        line = Text(f"{sign} ", style)
        line.append(f"{check['what']:<{width}}  ")
        line.append(check["said"], style if check["state"] != "ok" else "")
        out.print(line)
        if check["remedy"] and check["state"] != "ok":
            out.print(Text(f"  → {check['remedy']}", "dim"))
    counts = Counter(check["state"] for check in checks)
    words = [f"{counts[state]} {state}" for state in _SIGNS if counts[state]]
    out.print(Text(", ".join(words), "bold"))
