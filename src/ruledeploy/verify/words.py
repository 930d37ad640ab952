"""What a leaf of a query asks for, and what an event says, in words for the rule's author."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ruledeploy.query.ir import (
    AnyOf,
    Column,
    Exists,
    Glob,
    Match,
    Matcher,
    OneValue,
    Phrase,
    Prefix,
    Range,
    Regexp,
    Term,
)
from ruledeploy.query.numbers import WHOLE
from ruledeploy.query.terms import FLOATS, STRINGS, as_text

_SHOWN = 4
_LONGEST = 80
_ANY_CASE = " in any case"
_STEPS = {"lower": "in lower case", "upper": "in upper case"}
# Types of fields whose values are no texts, however a query or an event writes them.
_BARE = frozenset({*WHOLE, *FLOATS, "boolean"})
# What makes a regular expression more than a pattern with wildcards.
_OPERATORS = frozenset('*+?|(){}[]^$#&<>~@"')


def wanted(matcher: Matcher, type_: str | None = None) -> str:
    """What a leaf asks for, of a field of a type."""
    match matcher:
        case Column(inner, ("lower",)):
            # Lower-casing is how a rule says that it does not look at case.
            return wanted(inner, type_) + _ANY_CASE
        case Column(inner, steps):
            after = (f", {_STEPS.get(one, f'after {one}')}" for one in steps)
            return wanted(inner, type_) + "".join(after)
        case Match(value) | Phrase(value):
            return shown(value, type_)
        case Term(value, fold):
            return shown(value, type_) + _ANY_CASE * fold
        case AnyOf(values):
            return listed([shown(value, type_) for value in values])
        case Prefix(value, fold):
            return f"something that starts with {quoted(value)}" + _ANY_CASE * fold
        case Glob(pattern, fold):
            return f"the pattern {quoted(pattern)}" + _ANY_CASE * fold
        case Regexp(pattern, fold):
            return _expression(pattern) + _ANY_CASE * fold
        case Range():
            return f"a value {_range(matcher)}"
        case Exists():
            return "any value"
        case OneValue():
            return "exactly one value"
        case _:
            return "an object"


def fits(matcher: Matcher, type_: str | None = None) -> str:
    """What a value does that the leaf asks for, of a field of a type."""
    match matcher:
        case Prefix() | Column(Prefix()):
            return wanted(matcher).replace("something that starts", "starts", 1)
        case Glob() | Regexp() | Column(Glob() | Regexp()):
            return f"fits {wanted(matcher)}"
        case Range():
            return f"is {_range(matcher)}"
        case _:
            return f"is {wanted(matcher, type_)}"


def _expression(pattern: str) -> str:
    """A regular expression, read back as the pattern that was written where it is one."""
    parts = list(_parts(pattern))
    if None in parts:
        return f"the regular expression /{pattern}/"
    text = "".join(part for part in parts if part)
    any_case = _ANY_CASE if "[" in pattern else ""
    wild = any(one in text for one in "*?")
    return (f"the pattern {quoted(text)}" if wild else quoted(text)) + any_case


def _parts(pattern: str) -> Iterator[str | None]:
    """A pattern's characters and wildcards; None for what only a regular expression says."""
    at = 0
    while at < len(pattern):
        here, pair = pattern[at], pattern[at + 1 : at + 3]
        if here == "[" and pattern[at + 3 : at + 4] == "]" and pair[0].lower() == pair[1].lower():
            yield pair[1].lower()
            at += 4
        elif here == "\\":
            # A literal wildcard could not be told from a real one.
            yield None if pair[:1] in ("*", "?") else pair[:1]
            at += 2
        elif here == "." and pair[:1] == "*":
            yield "*"
            at += 2
        elif here == ".":
            yield "?"
            at += 1
        else:
            yield None if here in _OPERATORS else here
            at += 1


def _range(asked: Range) -> str:
    parts = []
    if asked.lower is not None:
        parts.append(f"{'>=' if asked.include_lower else '>'} {asked.lower}")
    if asked.upper is not None:
        parts.append(f"{'<=' if asked.include_upper else '<'} {asked.upper}")
    return " and ".join(parts)


def listed(words: list[str], last: str = "or") -> str:
    """A few words as a list, and how many more there are."""
    words = list(dict.fromkeys(words))
    if len(words) > _SHOWN:
        return f"{', '.join(words[:_SHOWN])} {last} {len(words) - _SHOWN} more"
    return f" {last} ".join(words)


def shown(value: Any, type_: str | None = None) -> str:
    """A value as its field holds it: numbers and truth values without quotes, texts in them."""
    if type_ in _BARE:
        return str(value).lower()
    return quoted((as_text(value) or value) if type_ in STRINGS else value)


def quoted(value: Any) -> str:
    """A text in quotes, cut short; a number or a truth value as JSON has it."""
    if not isinstance(value, str):
        return str(value).lower()
    return f"'{value if len(value) <= _LONGEST else value[:_LONGEST] + '…'}'"
