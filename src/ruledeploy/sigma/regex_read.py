r"""Sigma's regular expressions (PCRE) as nodes: flags, anchors and groups become plain sets.

`\d \w \s` are ASCII's, as in PCRE, and `.` is no line end without the flag `s`. `$` is the end of
the value, as in most languages: PCRE's is also right before a last line end.
"""

from __future__ import annotations

# Python's own parser gives the tree; it has kept this shape since 3.11, and the tests of this
# module say so for each supported version.
import re._parser as sre  # type: ignore[import-not-found]  # no stubs for the private module
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from re import DOTALL, IGNORECASE, MULTILINE, error
from typing import Any

from ruledeploy.sigma.regex_nodes import (
    ANY,
    NOTHING,
    After,
    Alt,
    Before,
    Cat,
    Group,
    Look,
    Node,
    Ranges,
    Ref,
    Rep,
    Set,
    below,
    outside,
    ranges,
    rebuilt,
)

_LINE_END: Ranges = ((10, 10),)
_WORD = ranges([(48, 57), (65, 90), (95, 95), (97, 122)])
_CATEGORIES = {"DIGIT": ((48, 57),), "WORD": _WORD, "SPACE": ((9, 13), (32, 32))}
_REFUSED = {
    "GROUPREF_EXISTS": "a conditional group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}
# Above it no letter has another case that is below it.
_LAST_CASED = 0x17F
# A back reference becomes one alternative for each text of its group.
_MOST_TEXTS = 40


class RegexUnsupported(ValueError):
    """Lucene's regular expressions cannot say this; the message names the construct."""


@cache
def cases(char: str) -> tuple[str, ...]:
    """The character and its other case, where lower-casing makes one of the other."""
    low = char.lower()
    both = {each for each in (low, char.upper()) if len(each) == 1 and each.lower() == low}
    return tuple(sorted(both | {char}))


def read(regex: str, flags: Iterable[str] = ()) -> Node:
    """The expression; `flags` are letters of `i`, `m`, `s`. Raises `RegexUnsupported`."""
    letters = {"i": IGNORECASE, "m": MULTILINE, "s": DOTALL}
    try:
        tree = sre.parse(regex, sum(int(letters[flag]) for flag in flags))
    except (error, OverflowError, RecursionError) as wrong:
        raise RegexUnsupported(f"not a regular expression: {wrong}") from wrong
    return _without_references(_Reader(int(tree.state.flags)).sequence(tree))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parser's tree under some flags."""

    flags: int

    def sequence(self, items: Iterable[Any]) -> Node:
        nodes = [self.node(op.name, value) for op, value in items]
        return nodes[0] if len(nodes) == 1 else Cat(tuple(nodes))

    def node(self, name: str, value: Any) -> Node:
        match name:
            case "LITERAL":
                return Set(self.folded([(value, value)]))
            case "NOT_LITERAL":
                return Set(outside(self.folded([(value, value)])))
            case "ANY":
                return ANY if self.flags & DOTALL else Set(outside(_LINE_END))
            case "IN":
                return Set(self.members(value))
            case "BRANCH":
                return Alt(tuple(self.sequence(branch) for branch in value[1]))
            case "SUBPATTERN":
                number, add, remove, inner = value
                read_ = _Reader((self.flags | add) & ~remove).sequence(inner)
                return read_ if number is None else Group(number, read_)
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, item = value
                return Rep(self.sequence(item), low, None if high == sre.MAXREPEAT else high)
            case "AT":
                return self.place(value.name)
            case "ASSERT" | "ASSERT_NOT":
                return _look(self.sequence(value[1]), value[0] > 0, name == "ASSERT_NOT")
            case "GROUPREF":
                return Ref(value, bool(self.flags & IGNORECASE))
            case "FAILURE":
                return NOTHING
        raise RegexUnsupported(f"{_REFUSED.get(name, name.lower())} is not in it")

    def members(self, items: Iterable[Any]) -> Ranges:
        """A class in brackets."""
        pairs: list[tuple[int, int]] = []
        negated = False
        for op, value in items:
            match op.name:
                case "NEGATE":
                    negated = True
                case "LITERAL":
                    pairs += self.folded([(value, value)])
                case "RANGE":
                    pairs += self.folded([value])
                case _:
                    pairs += _category(value.name)
        found = ranges(pairs)
        return outside(found) if negated else found

    def folded(self, pairs: list[tuple[int, int]]) -> Ranges:
        """The characters, in either case where the flag `i` holds."""
        if not self.flags & IGNORECASE:
            return ranges(pairs)
        more = list(pairs)
        for low, high in pairs:
            codes = range(low, (high if low == high else min(high, _LAST_CASED)) + 1)
            more += [(ord(each),) * 2 for code in codes for each in cases(chr(code))]
        return ranges(more)

    def place(self, name: str) -> Node:
        """An anchor or a word boundary."""
        multiline = bool(self.flags & MULTILINE)
        match name:
            case "AT_BEGINNING":
                return Before(_LINE_END if multiline else (), edge=True)
            case "AT_BEGINNING_STRING":
                return Before((), edge=True)
            case "AT_END" if multiline:
                return After(_LINE_END, edge=True)
            case "AT_END" | "AT_END_STRING":
                return After((), edge=True)
        out = outside(_WORD)
        inside, outer = (_WORD, False), (out, True)
        pairs = (
            [(inside, inside), (outer, outer)]
            if "NON_BOUNDARY" in name
            else [(inside, outer), (outer, inside)]
        )
        return Alt(tuple(Cat((Before(*before), After(*after))) for before, after in pairs))


def _category(name: str) -> Ranges:
    kind = name.rpartition("_")[2]
    return outside(_CATEGORIES[kind]) if "_NOT_" in name else _CATEGORIES[kind]


def _look(inner: Node, ahead: bool, negative: bool) -> Node:
    """One character is asked for by its set; anything longer as an expression."""
    if not isinstance(inner, Set):
        return Look(inner, ahead=ahead, negative=negative)
    chars = outside(inner.ranges) if negative else inner.ranges
    return (After if ahead else Before)(chars, edge=negative)


# -------------------------------------------------------------------------------- back references


def _without_references(node: Node) -> Node:
    """Each referenced group as alternatives, one for each text that it can be."""
    numbers = sorted(set(_references(node)))
    for number in numbers:
        items = node.items if isinstance(node, Cat) else (node,)
        group = next((n for n in items if isinstance(n, Group) and n.number == number), None)
        texts = None if group is None else _texts(group.inner)
        if texts is None:
            raise RegexUnsupported("a back reference to more than a few texts is not in it")
        options = (tuple(_put(item, number, text) for item in items) for text in texts)
        node = Alt(tuple(Cat(option) for option in options))
        if len(numbers) > 1:
            raise RegexUnsupported("back references to several groups are not in it")
    return _plain(node)


def _references(node: Node) -> Iterator[int]:
    if isinstance(node, Ref):
        yield node.number
    for inner in below(node):
        yield from _references(inner)


def _texts(node: Node) -> list[str] | None:
    """Every text that the node matches, if they are few and no condition is in it."""
    match node:
        case Set(some):
            count = sum(high - low + 1 for low, high in some)
            if count > _MOST_TEXTS:
                return None
            return [chr(code) for low, high in some for code in range(low, high + 1)]
        case Alt(options):
            found = [_texts(option) for option in options]
            flat = [text for texts in found if texts is not None for text in texts]
            return None if None in found or len(flat) > _MOST_TEXTS else list(dict.fromkeys(flat))
        case Cat(items):
            out = [""]
            for item in items:
                more = _texts(item)
                if more is None or len(out) * len(more) > _MOST_TEXTS:
                    return None
                out = ["".join(pair) for pair in product(out, more)]
            return out
        case Rep(inner, low, high) if high is not None and high <= _MOST_TEXTS:
            counts = Alt(tuple(Cat((inner,) * count) for count in range(low, high + 1)))
            return _texts(counts)
        case _:
            return None


def _put(node: Node, number: int, text: str) -> Node:
    """The node where the group has this text."""
    match node:
        case Group(own, _) if own == number:
            return Cat(tuple(Set(((ord(char),) * 2,)) for char in text))
        case Ref(own, fold) if own == number:
            reader = _Reader(IGNORECASE if fold else 0)
            return Cat(tuple(Set(reader.folded([(ord(char),) * 2])) for char in text))
        case _:
            return rebuilt(node, [_put(inner, number, text) for inner in below(node)])


def _plain(node: Node) -> Node:
    """The node without groups, which nothing refers to any more; sequences are flat."""
    match node:
        case Group(_, inner):
            return _plain(inner)
        case Cat(items):
            flat: list[Node] = []
            for item in map(_plain, items):
                flat += item.items if isinstance(item, Cat) else (item,)
            return flat[0] if len(flat) == 1 else Cat(tuple(flat))
        case _:
            return rebuilt(node, [_plain(inner) for inner in below(node)])
