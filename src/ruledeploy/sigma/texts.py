"""Lines of a detection that hold texts alone, as most do: read without pySigma.

pySigma goes through a text letter by letter and again for each modifier.
"""

from __future__ import annotations

import re
from typing import Any

from ruledeploy.errors import Location
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.tree import Line

_WILDCARDS = {"*": Wildcard.ANY, "?": Wildcard.ONE}
# Modifiers, and whether they open a text at its start and at its end.
_OPENED = {
    (): (False, False),
    ("contains",): (True, True),
    ("contains", "all"): (True, True),
    ("startswith",): (False, True),
    ("endswith",): (True, False),
}
# A backslash stands for itself unless a wildcard or another one follows.
_PIECES = re.compile(r"([*?])|((?:[^*?\\]+|\\[*?\\]?)+)")
_ESCAPED = re.compile(r"\\([*?\\])")


def line_of_texts(key: str, value: Any, place: Location) -> Line | None:
    """What pySigma makes of `key: value`; None for a line that it has to read itself."""
    name, *modifiers = key.split("|")
    opened = _OPENED.get(tuple(modifiers))
    values = value if isinstance(value, list) else [value]
    if opened is None or not name or not values:
        return None
    if not all([isinstance(each, str) and each for each in values]):  # noqa: C419 - the faster
        return None
    patterns = tuple([text_pattern(each, *opened) for each in values])
    return Line(name, patterns, "all" in modifiers, negated=False, place=place)


def text_pattern(text: str, at_start: bool = False, at_end: bool = False) -> Pattern:
    """A text of a rule, opened at its start and at its end where no star is there yet."""
    parts = _parts(text)
    if at_start and parts[:1] != [Wildcard.ANY]:
        parts.insert(0, Wildcard.ANY)
    if at_end and parts[-1:] != [Wildcard.ANY]:
        parts.append(Wildcard.ANY)
    return Pattern(tuple(parts))


def _parts(text: str) -> list[str | Wildcard]:
    if "*" not in text and "?" not in text and "\\\\" not in text:
        return [text] if text else []
    return [
        _WILDCARDS[wild] if wild else _ESCAPED.sub(r"\1", literal)
        for wild, literal in _PIECES.findall(text)
    ]
