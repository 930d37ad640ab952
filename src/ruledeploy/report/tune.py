"""Proposals for an allowlist as text; what is taken over is the file, not this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.terminal import console


def print_tuned(rules: Sequence[Mapping[str, Any]], stream: IO[str] | None = None) -> None:
    """By rule: the items proposed with their evidence, and those withdrawn with the reason."""
    out = console(stream)
    if not rules:
        out.print(Text("nothing alerts", "bold"))
    for rule in rules:
        out.print(Text(f"{rule['rule']}: {rule['alerts']} alerts, {rule['left']} left", "bold"))
        for one in rule["proposals"]:
            refused = one["refused"]
            sign, style = ("-", "red") if refused else ("+", "green")
            hosts = "1 host" if one["hosts"] == 1 else f"{one['hosts']} hosts"
            evidence = f"{one['events']} events on {hosts}, {one['first']} to {one['last']}"
            out.print(Text(f"  {sign} {one['item_id']}: {evidence}", style))
            for name, value in one["match"].items():
                out.print(Text(f"      {name}: {value}"))
            if refused:
                out.print(Text(f"      not proposed: {refused}", "red"))
