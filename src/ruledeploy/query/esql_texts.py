"""ES|QL's functions that search in texts: `locate`, hashes, and `replace` of plain patterns."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.esql_functions import Maker, count, scalar, texts
from ruledeploy.query.esql_types import Typed

_PUNCTUATION = frozenset(string.punctuation)
_CONTROLS = MappingProxyType({"t": "\t", "n": "\n", "r": "\r", "f": "\f"})
_META = frozenset(r"\[](){}.*+?^$|")
# Java's dot leaves out each of its line ends.
_DOT = "[^\n\r\x85\u2028\u2029]"
_REPEAT = re.compile(r"[*+?]|\{(\d{1,3})(,(\d{1,3})?)?\}", re.ASCII)


def _locate(name: str, args: Sequence[Typed], at: int) -> Typed:
    count(name, args, at, 2, 3)
    texts(name, args[:2], at)
    for start in args[2:]:
        if start.type not in ("integer", "null"):
            raise QueryError(f"{name} at {at} starts at a number, not {start.type}", position=at)
    return scalar("integer", _place, args)


def _place(text: str, part: str, start: int = 1) -> int:
    """Where the part begins, from 1, or 0; a start below 0 counts from the end."""
    first = start - 1 if start > 0 else max(len(text) + start, 0) if start else 0
    return text.find(part, min(first, len(text))) + 1


def _hash(algorithm: str) -> Maker:
    def of(text: str) -> str:
        return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()

    def make(name: str, args: Sequence[Typed], at: int) -> Typed:
        count(name, args, at, 1)
        texts(name, args, at)
        return scalar("keyword", of, args)

    return make


# ------------------------------------------------------------------------------------ replace


def _replace(name: str, args: Sequence[Typed], at: int) -> Typed:
    """Every place that a pattern fits, of the patterns that Java and Python read alike."""
    count(name, args, at, 3)
    texts(name, args, at)
    text, pattern, by = args
    if pattern.const is None or by.const is None:
        raise UnsupportedQuery(f"{name} at {at} with a pattern or text that varies", position=at)
    if pattern.const[0] is None or by.const[0] is None:
        return Typed("keyword", lambda _: None)
    written, put = str(pattern.const[0]), str(by.const[0])
    asked = _Pattern(written).read()
    if asked is None:
        raise UnsupportedQuery(f"the pattern {written!r} of {name} at {at}", position=at)
    if "$" in put or "\\" in put:
        raise UnsupportedQuery(f"the group in {put!r} of {name} at {at}", position=at)
    return scalar("keyword", lambda value: asked.sub(lambda _: put, value), (text,))


class _Pattern:
    """A regular expression of characters in a row, each of which may be repeated.

    At most one is repeated without bound, and some character is always asked for: so no text takes
    long, and nothing empty is found, where Java counts half characters.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> re.Pattern[str] | None:
        """The same for Python; None for whatever is beyond it."""
        parts, least, endless = [], 0, 0
        while self.at < len(self.text):
            one = self._one()
            if one is None:
                return None
            repeat = _REPEAT.match(self.text, self.at)
            self.at = repeat.end() if repeat else self.at
            low, high = _bounds(repeat)
            if high is not None and high < low:
                return None
            least += low
            endless += high is None
            parts.append(one + (repeat[0] if repeat else ""))
        if not least or endless > 1:
            return None
        return re.compile("".join(parts), re.ASCII)

    def _one(self) -> str | None:
        """What one character may be."""
        char = self.text[self.at]
        self.at += 1
        match char:
            case "\\":
                return self._escaped()
            case "[":
                return self._class()
            case ".":
                return _DOT
            case _:
                return None if char in _META else re.escape(char)

    def _escaped(self) -> str | None:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char and char in "dDwWsS":
            return f"\\{char}"
        found = char if char in _PUNCTUATION else _CONTROLS.get(char)
        return re.escape(found) if found else None

    def _class(self) -> str | None:
        """`[…]` of characters, ranges and escapes; Java's unions and intersections are not read."""
        negated = self.text.startswith("^", self.at)
        self.at += negated
        items: list[str] = []
        while self.at < len(self.text):
            if self.text[self.at] == "]":
                self.at += 1
                return f"[{'^' * negated}{''.join(items)}]" if items else None
            item = self._item()
            if item is None:
                return None
            items.append(item)
        return None

    def _item(self) -> str | None:
        """A character of a class, or a range of two."""
        first = self._member()
        if first is None or not self.text.startswith("-", self.at):
            return first
        if self.text.startswith("-]", self.at):
            self.at += 1
            return first + re.escape("-")
        self.at += 1
        last = self._member() if self.at < len(self.text) else None
        known = last is not None and {first, last} <= _RANGED and first <= last
        return f"{first}-{last}" if known else None

    def _member(self) -> str | None:
        char = self.text[self.at]
        self.at += 1
        if char == "\\":
            return self._escaped()
        return None if char in "[&^-]" else re.escape(char)


_RANGED = frozenset(string.ascii_letters + string.digits)


def _bounds(repeat: re.Match[str] | None) -> tuple[int, int | None]:
    """How often at least and at most; None without bound."""
    match repeat and repeat[0][0]:
        case None:
            return 1, 1
        case "*" | "+" as sign:
            return int(sign == "+"), None
        case "?":
            return 0, 1
        case _:
            low = int(repeat[1]) if repeat else 0
            if repeat and repeat[2]:
                return low, int(repeat[3]) if repeat[3] else None
            return low, low


TEXT_FUNCTIONS: Mapping[str, Maker] = MappingProxyType(
    {
        "locate": _locate,
        "replace": _replace,
        **{name: _hash(name) for name in ("md5", "sha1", "sha256")},
    }
)
