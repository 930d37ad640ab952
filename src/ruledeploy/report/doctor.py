"""The checks of `doctor` → a table: what is well in a line, what is not with its remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
# More lines than this about rules, or about index patterns, hide the other lines.
MAX_LINES = 20
_NAMED = 3


def print_checks(checks: Sequence[Mapping[str, str]], stream: IO[str] | None = None) -> None:
    """The lines in the order the checks were made, and a count of all checks at the end."""
    out = console(stream)
    lines = list(_lines(checks))
    width = min(_WIDTH, max((len(line["what"]) for line in lines), default=0))
    for each in lines:
        sign, style = _SIGNS[each["state"]]
        line = Text(f"{sign} ", style)
        line.append(f"{each['what']:<{width}}  ")
        line.append(each["said"], style if each["state"] != "ok" else "")
        out.print(line)
        if each["remedy"] and each["state"] != "ok":
            out.print(Text(f"  → {each['remedy']}", "dim"))
    counts = Counter(check["state"] for check in checks)
    words = [f"{counts[state]} {state}" for state in _SIGNS if counts[state]]
    out.print(Text(", ".join(words), "bold"))


def _lines(checks: Sequence[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    """Of a group, those that are not well: alike ones in one line, and no more than `MAX_LINES`."""
    alike: dict[tuple[object, ...], list[Mapping[str, str]]] = {}
    for number, check in enumerate(checks):
        group = check["group"]
        if not group:
            alike[number,] = [check]
        elif check["state"] != "ok":
            key = (group, check["state"], check["said"], check["remedy"])
            alike.setdefault(key, []).append(check)
    left = Counter(same[0]["group"] for same in alike.values())
    shown: Counter[str] = Counter()
    for same in alike.values():
        group = same[0]["group"]
        shown[group] += 1
        if not group or shown[group] <= MAX_LINES:
            yield _together(same)
        elif shown[group] == MAX_LINES + 1:
            said = f"{left[group] - MAX_LINES} more are not well"
            remedy = "mend the ones above first; --json has them all"
            yield {"what": group, "state": same[0]["state"], "said": said, "remedy": remedy}


def _together(same: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Checks that say the same as one line, which names the first of them."""
    first = same[0]
    if len(same) == 1:
        return first
    names = [check["what"].removeprefix(f"{first['group']} ") for check in same]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = f"{len(names)} alike: {first['said']} ({', '.join(names[:_NAMED])}{more})"
    return {**first, "what": first["group"], "said": said}
