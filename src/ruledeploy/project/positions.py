"""Where a key stands in a TOML text (`tomllib` keeps no positions)."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from ruledeploy.errors import Location

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.-]+)+)\s*=""")


def locate(text: str, path: str, keys: tuple[str, ...]) -> Location:
    """The line that writes `keys`; the nearest enclosing table's line when the key has none."""
    best, best_length = 0, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        here: tuple[str, ...] | None = None
        if header := _HEADER.match(line):
            table = here = _dotted(header.group(1))
        elif key := _KEY.match(line):
            here = table + _dotted(key.group(1))
        if here and keys[: len(here)] == here and len(here) > best_length:
            best, best_length = number, len(here)
    return Location(path, max(best, 1))


def _dotted(text: str) -> tuple[str, ...]:
    """The parts of a dotted TOML key, quotes taken off by the TOML reader itself."""
    try:
        value: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return (text,)
    parts: list[str] = []
    while isinstance(value, dict):
        part = next(iter(value))
        parts.append(part)
        value = value[part]
    return tuple(parts)
