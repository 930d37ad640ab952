r"""Regular expressions in Lucene's syntax: from Sigma's (PCRE), and from text that folds case.

Lucene matches the whole value and knows no anchors, `\d`, flags or look-around; `~ # @ & < > "`
are operators there. What it cannot say is refused by name, never passed through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ruledeploy.query.regexp import MAX_REGEX_LENGTH
from ruledeploy.query.regexp_cost import regex_is_too_complex
from ruledeploy.sigma.match import Pattern, Wildcard
from ruledeploy.sigma.regex_nodes import Node, Rep, below, escape, rebuilt, written
from ruledeploy.sigma.regex_read import RegexUnsupported, cases, read
from ruledeploy.sigma.regex_ways import from_its_start, whole_value

__all__ = ["RegexUnsupported", "Translated", "escape", "fold", "has_case", "translate"]


@dataclass(frozen=True, slots=True)
class Translated:
    """A regular expression of Lucene's; `widened` are the counts that it leaves open above."""

    regex: str
    widened: tuple[str, ...] = ()


def translate(regex: str, flags: Iterable[str] = ()) -> Translated:
    """A search with Sigma's `re` as a whole-value match of Lucene's.

    `flags` are letters of `i`, `m`, `s`. Counts such as `{2,128}` that make the expression too
    complex for Elasticsearch are widened to `{2,}`. Raises `RegexUnsupported`.
    """
    try:
        node = whole_value(read(regex, flags))
        if not _fits(_finish(written(node))):
            node = from_its_start(node)
        widened: list[str] = []
        for low, high in sorted(_counts(node), key=lambda count: (-count[1], count[0])):
            if _fits(_finish(written(node))):
                break
            node = _open_above(node, low, high)
            widened.append(f"{{{low},{high}}}")
        return Translated(_finish(written(node)), tuple(widened))
    except RecursionError as deep:
        raise RegexUnsupported("an expression nested so deep is not in it") from deep


def fold(pattern: Pattern) -> str:
    """A regular expression that matches the pattern in any letter case."""
    return _finish("".join(_part(part) for part in pattern.parts))


def _part(part: str | Wildcard) -> str:
    if isinstance(part, Wildcard):
        return ".*" if part is Wildcard.ANY else "."
    return part.translate(_ANY_CASE)


def has_case(text: str) -> bool:
    """Whether letter case makes a difference to the text."""
    if text.isascii():
        return text.lower() != text.upper()
    return any(cases(char) != (char,) for char in text)


class _AnyCase(dict[int, str]):
    """What stands for a character in any letter case, filled as characters come."""

    def __missing__(self, code: int) -> str:
        """Work a character out for good."""
        both = cases(chr(code))
        made = escape(both[0]) if len(both) == 1 else f"[{''.join(both)}]"
        self[code] = made
        return made


_ANY_CASE = _AnyCase()


def _finish(regex: str) -> str:
    r"""Keep a last `\\` from reading as `\/` once the expression stands between slashes."""
    return f"{regex[:-2]}[\\\\]" if _ends_in_backslash(regex) else regex


def _ends_in_backslash(regex: str) -> bool:
    trailing = len(regex) - len(regex.rstrip("\\"))
    return trailing >= 2 and trailing % 2 == 0  # noqa: PLR2004 - an escaped backslash is two


def _counts(node: Node) -> set[tuple[int, int]]:
    """The repeats that have two bounds."""
    found = {count for inner in below(node) for count in _counts(inner)}
    if isinstance(node, Rep) and node.high is not None and node.high > max(node.low, 1):
        found.add((node.low, node.high))
    return found


def _fits(regex: str) -> bool:
    return len(regex) > MAX_REGEX_LENGTH or not regex_is_too_complex(regex)


def _open_above(node: Node, low: int, high: int) -> Node:
    inner = rebuilt(node, [_open_above(each, low, high) for each in below(node)])
    if isinstance(inner, Rep) and (inner.low, inner.high) == (low, high):
        return Rep(inner.inner, low, None)
    return inner
