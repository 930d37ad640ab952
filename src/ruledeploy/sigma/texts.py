"""Lines of a detection that hold texts alone, as most do: pySigma's objects without its parser.

pySigma goes through a text letter by letter and again for each modifier.
"""

from __future__ import annotations

import re
from typing import Any

from sigma.conditions import ConditionAND, ConditionOR
from sigma.exceptions import SigmaRuleLocation
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetectionItem
from sigma.types import SigmaString, SpecialChars

_ANY = SpecialChars.WILDCARD_MULTI
_WILDCARDS = {"*": _ANY, "?": SpecialChars.WILDCARD_SINGLE}
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


def line_of_texts(
    key: str, value: Any, source: SigmaRuleLocation | None
) -> SigmaDetectionItem | None:
    """What pySigma makes of `key: value`; None for a line that it has to read itself."""
    name, *modifiers = key.split("|")
    opened = _OPENED.get(tuple(modifiers))
    values = value if isinstance(value, list) else [value]
    if opened is None or not name or not all(isinstance(each, str) and each for each in values):
        return None
    linking = ConditionAND if "all" in modifiers else ConditionOR
    return SigmaDetectionItem(
        name,
        [modifier_mapping[each] for each in modifiers],
        [_string(each, *opened) for each in values],
        linking,
        source=source,
        auto_modifiers=False,
    )


def _string(text: str, at_start: bool, at_end: bool) -> SigmaString:
    made = SigmaString()
    made.s = _parts(text)
    if at_start and made.s[0] is not _ANY:
        made.s.insert(0, _ANY)
    if at_end and made.s[-1] is not _ANY:
        made.s.append(_ANY)
    return made


def _parts(text: str) -> list[Any]:
    if "*" not in text and "?" not in text and "\\\\" not in text:
        return [text]
    return [
        _WILDCARDS[wild] if wild else _ESCAPED.sub(r"\1", literal)
        for wild, literal in _PIECES.findall(text)
    ]
