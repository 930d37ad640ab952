r"""Regular expressions in Lucene's syntax: from Sigma's (PCRE), and from text that folds case.

Lucene matches the whole value and knows no anchors, `\d`, flags or look-around; `~ # @ & < > "`
are operators there. What it cannot say is refused by name, never passed through.
"""

from __future__ import annotations

# Python's own parser gives the tree; it has kept this shape since 3.11, and the tests of this
# module say so for each supported version.
import re._parser as sre  # type: ignore[import-not-found]  # no stubs for the private module
from collections.abc import Iterable
from functools import cache
from re import IGNORECASE, error
from typing import Any

from ruledeploy.sigma.match import Pattern, Wildcard

# Elasticsearch's `index.max_regex_length`: longer ones fail the search.
MAX_LENGTH = 1000
_RESERVED = frozenset('.?+*|{}[]()"\\#@&<>~/^$-')
_CATEGORIES = {
    "CATEGORY_DIGIT": "0-9",
    "CATEGORY_WORD": "A-Za-z0-9_",
    "CATEGORY_SPACE": " \t\n\r\f\v",
}
_REFUSED = {
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "GROUPREF": "a back reference",
    "GROUPREF_EXISTS": "a conditional group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}


class RegexUnsupported(ValueError):
    """Lucene's regular expressions cannot say this; the message names the construct."""


def fold(pattern: Pattern) -> str:
    """A regular expression that matches the pattern in any letter case."""
    return _finish("".join(_part(part) for part in pattern.parts))


def _part(part: str | Wildcard) -> str:
    if isinstance(part, Wildcard):
        return ".*" if part is Wildcard.ANY else "."
    return "".join(map(_any_case, part))


def has_case(text: str) -> bool:
    """Whether letter case makes a difference to the text."""
    return any(_cases(char) != (char,) for char in text)


@cache
def _cases(char: str) -> tuple[str, ...]:
    """The character and its other case, where lower-casing makes one of the other."""
    low = char.lower()
    both = {each for each in (low, char.upper()) if len(each) == 1 and each.lower() == low}
    return tuple(sorted(both | {char}))


@cache
def _any_case(char: str) -> str:
    cases = _cases(char)
    return escape(char) if len(cases) == 1 else f"[{''.join(cases)}]"


def escape(char: str) -> str:
    """A literal character; control characters need nothing, Lucene takes them as they are."""
    return f"\\{char}" if char in _RESERVED else char


def _finish(regex: str) -> str:
    r"""Keep a last `\\` from reading as `\/` once the expression stands between slashes."""
    return f"{regex[:-2]}[\\\\]" if _ends_in_backslash(regex) else regex


def _ends_in_backslash(regex: str) -> bool:
    trailing = len(regex) - len(regex.rstrip("\\"))
    return trailing >= 2 and trailing % 2 == 0  # noqa: PLR2004 - an escaped backslash is two


def translate(regex: str, flags: Iterable[str] = ()) -> str:
    """A search with Sigma's `re` as a whole-value match of Lucene's.

    `flags` are letters of `i`, `m`, `s`. Raises `RegexUnsupported`.
    """
    try:
        tree = sre.parse(regex, sum({"i": 2, "m": 8, "s": 16}[flag] for flag in flags))
    except (error, OverflowError) as wrong:
        raise RegexUnsupported(f"not a regular expression: {wrong}") from wrong
    translator = _Translator(multiline="m" in flags or bool(tree.state.flags & 8))
    branches = translator.top(tree, fold=bool(tree.state.flags & IGNORECASE))
    return _finish(branches)


class _Translator:
    """Walks the tree of `re`'s parser. Anchors count only at the ends of a top-level branch."""

    def __init__(self, *, multiline: bool) -> None:
        self.multiline = multiline

    def top(self, items: Any, *, fold: bool) -> str:
        """The whole expression: each branch is searched for, unless its anchors forbid it."""
        nodes = list(items)
        if len(nodes) == 1 and nodes[0][0].name == "BRANCH":
            return "|".join(self.top(branch, fold=fold) for branch in nodes[0][1][1])
        if len(nodes) == 1 and nodes[0][0].name == "SUBPATTERN":
            _, add, remove, inner = nodes[0][1]
            return self.top(inner, fold=_fold(fold, add, remove))
        start = self._anchored(nodes, 0, ("AT_BEGINNING", "AT_BEGINNING_STRING"))
        end = self._anchored(nodes, -1, ("AT_END", "AT_END_STRING"))
        if start:
            nodes = nodes[1:]
        if end and nodes:
            nodes = nodes[:-1]
        body = self.sequence(nodes, fold=fold)
        before = "" if start or body.startswith(".*") else ".*"
        after = "" if end or (body.endswith(".*") and not body.endswith("\\.*")) else ".*"
        return f"{before}{body}{after}" or "()"

    def _anchored(self, nodes: list[Any], at: int, names: tuple[str, ...]) -> bool:
        if not nodes or nodes[at][0].name != "AT":
            return False
        return nodes[at][1].name in names and not self.multiline

    def sequence(self, items: Iterable[Any], *, fold: bool) -> str:
        """Nodes one after the other."""
        return "".join(self.node(op.name, value, fold=fold) for op, value in items)

    def node(self, name: str, value: Any, *, fold: bool) -> str:
        """One node in Lucene's syntax."""
        match name:
            case "LITERAL":
                return _any_case(chr(value)) if fold else escape(chr(value))
            case "NOT_LITERAL":
                return f"[^{_class_item(chr(value), fold=fold)}]"
            case "ANY":
                return "."
            case "IN":
                return _class(value, fold=fold)
            case "BRANCH":
                branches = (self.sequence(branch, fold=fold) for branch in value[1])
                inner = "|".join(branch or "()" for branch in branches)
                return f"({inner})"
            case "SUBPATTERN":
                _, add, remove, inner = value
                return f"({self.sequence(inner, fold=_fold(fold, add, remove)) or '()'})"
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(*value, fold=fold)
            case "AT":
                raise RegexUnsupported(_anchor_refusal(value.name, multiline=self.multiline))
            case _:
                raise RegexUnsupported(f"{_REFUSED.get(name, name.lower())} is not in it")

    def _repeat(self, low: int, high: Any, item: Any, *, fold: bool) -> str:
        inner = self.sequence(item, fold=fold)
        if len(item) != 1 or item[0][0].name not in {"LITERAL", "ANY", "IN", "NOT_LITERAL"}:
            inner = f"({inner})"
        unbounded = high == sre.MAXREPEAT
        match low, unbounded:
            case 0, True:
                return f"{inner}*"
            case 1, True:
                return f"{inner}+"
            case _, True:
                return f"{inner}{{{low},}}"
        if (low, high) == (0, 1):
            return f"{inner}?"
        return f"{inner}{{{low}}}" if low == high else f"{inner}{{{low},{high}}}"


def _fold(fold: bool, add: int, remove: int) -> bool:
    return (fold or bool(add & IGNORECASE)) and not remove & IGNORECASE


def _anchor_refusal(name: str, *, multiline: bool) -> str:
    if "BOUNDARY" in name:
        return "a word boundary is not in it"
    if multiline:
        return "the flag `m` (anchors at every line) is not in it"
    return "an anchor that is not at an end of the expression is not in it"


def _class(items: list[Any], *, fold: bool) -> str:
    names = {value.name for op, value in items if op.name == "CATEGORY"}
    negated = [name for name in names if "_NOT_" in name]
    if negated:
        return _negated_category(items, negated)
    prefix = "^" if items and items[0][0].name == "NEGATE" else ""
    inner = "".join(_item(op.name, value, fold=fold) for op, value in items)
    return f"[{prefix}{inner}]"


def _negated_category(items: list[Any], negated: list[str]) -> str:
    r"""`\D`, `[^\D]` and `[\s\S]`; any other mix with a negated category is refused."""
    names = {value.name for op, value in items if op.name == "CATEGORY"}
    plain = {name.replace("_NOT_", "_") for name in negated}
    inverted = items[0][0].name == "NEGATE"
    if plain & names and not inverted:
        return "."
    if len(items) - inverted > 1:
        raise RegexUnsupported("a negated class (such as `\\W`) among others in [] is not in it")
    return f"[{'' if inverted else '^'}{_CATEGORIES[plain.pop()]}]"


def _item(name: str, value: Any, *, fold: bool) -> str:
    match name:
        case "LITERAL":
            return _class_item(chr(value), fold=fold)
        case "RANGE":
            return _range(*value, fold=fold)
        case "CATEGORY":
            return _CATEGORIES[value.name]
        case _:
            return ""


def _class_item(char: str, *, fold: bool) -> str:
    return "".join(escape(each) for each in (_cases(char) if fold else (char,)))


def _range(low: int, high: int, *, fold: bool) -> str:
    written = f"{escape(chr(low))}-{escape(chr(high))}"
    if not fold:
        return written
    letters = [chr(code) for code in range(low, min(high, 0x17F) + 1)]
    others = {case for char in letters for case in _cases(char)} - set(letters)
    return written + "".join(escape(char) for char in sorted(others))
