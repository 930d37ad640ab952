"""Events that a query finds or only just misses, made out of the query itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_network
from random import Random
from typing import Any

from ruledeploy.engine.binding import resolve
from ruledeploy.fields import FieldTable
from ruledeploy.query import glob
from ruledeploy.query.ir import (
    And,
    AnyOf,
    Column,
    Exists,
    Glob,
    Leaf,
    Match,
    Matcher,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Range,
    Regexp,
    Term,
    leaves,
)
from ruledeploy.query.numbers import WHOLE
from ruledeploy.query.regexp import parse_regexp
from ruledeploy.query.regexp_expr import Both, Chars, Either, Empty, Expr, Other, Repeat, Seq
from ruledeploy.query.terms import DATES, FLOATS

Event = dict[str, Any]
_FILLERS = ("", "x", "Yz", "\\q ", "ab.CD")


class Witnesses:
    """Makes events for the queries of one table; equal seeds make equal events."""

    def __init__(self, table: FieldTable, seed: int) -> None:
        self.table = table
        self.random = Random(seed)  # noqa: S311 - a seed names a world

    def events(self, node: Node, count: int) -> list[Event]:
        """Some events meant to be found, and for each a few that differ from it a little."""
        every = [leaf for leaf in leaves(node) if "*" not in leaf.field]
        out: list[Event] = [{}]
        while len(out) < count:
            event = self._event(list(self._wishes(node, wanted=True)))
            out.append(event)
            for _ in range(2):
                other = dict(event)
                for _ in range(self.random.choice((1, 1, 2))):
                    self._disturb(other, every)
                out.append(other)
        return out[:count]

    def _wishes(self, node: Node, *, wanted: bool) -> Iterator[Leaf]:
        """Leaves that should hold for the node to be what is wanted; the others stay away."""
        match node:
            case And(children) | Or(children):
                if isinstance(node, And) == wanted:
                    for child in children:
                        yield from self._wishes(child, wanted=wanted)
                else:
                    yield from self._wishes(self.random.choice(children), wanted=wanted)
            case Not(child):
                yield from self._wishes(child, wanted=not wanted)
            case Leaf() if wanted:
                yield node
            case _:
                pass

    def _event(self, wishes: list[Leaf]) -> Event:
        by_field: dict[str, list[Matcher]] = {}
        for leaf in wishes:
            by_field.setdefault(leaf.field, []).append(leaf.matcher)
        out: Event = {}
        for field, matchers in by_field.items():
            found = resolve(self.table, field)
            if found is not None:
                out[found.path] = self._value(field, matchers)
        return out

    def _value(self, field: str, matchers: list[Matcher]) -> Any:
        """A value for all of the matchers, where one text can hold what they ask."""
        found = resolve(self.table, field)
        type_ = found.type.type if found else "keyword"
        texts = [self._sample(matcher, type_) for matcher in matchers]
        if type_ in WHOLE or type_ in FLOATS or type_ in DATES or type_ in ("ip", "boolean"):
            return texts[0]
        order = sorted(zip(map(_place, matchers), range(len(texts)), strict=True))
        return "".join(str(texts[n]) for _, n in order)

    def _sample(self, matcher: Matcher, type_: str) -> Any:
        pick = self.random.choice
        match matcher:
            case Term(value) | Match(value) | Phrase(value):
                return self._address(str(value)) if type_ == "ip" else value
            case AnyOf(values):
                return self._sample(Term(pick(values)), type_)
            case Prefix(value):
                return value + pick(_FILLERS)
            case Glob(pattern):
                parts = glob.parts(pattern)
                wild = {"*": lambda: pick(_FILLERS), "?": lambda: pick("aQ1")}
                return "".join(wild[text]() if special else text for text, special in parts)
            case Regexp(pattern):
                return self._match(parse_regexp(pattern))
            case Range(low, high):
                return _between(low, high)
            case Column(inner):
                return self._sample(inner, type_)
            case Exists():
                return {"ip": "10.0.0.1", "boolean": True, "date": "2026-01-05"}.get(
                    type_, 7 if type_ in WHOLE or type_ in FLOATS else "Something"
                )
            case _:
                raise AssertionError(matcher)

    def _address(self, text: str) -> str:
        network = ip_network(text, strict=False)
        return str(network[self.random.randrange(min(network.num_addresses, 4))])

    def _match(self, expr: Expr) -> str:
        """A text that the expression matches; of a complement or intersection, any."""
        pick = self.random.choice
        match expr:
            case Chars(ranges):
                low, high = pick(ranges)
                codes = [low, high, *(code for code in map(ord, "aQ1 ") if low <= code <= high)]
                return chr(pick([code for code in codes if 32 <= code < 0xD800] or [low]))
            case Empty():
                return ""
            case Seq(first, rest):
                return self._match(first) + self._match(rest)
            case Either(options):
                return self._match(pick(sorted(options, key=repr)))
            case Repeat(inner, least, most):
                times = least + pick((0, 0, 1, 2))
                times = times if most is None else min(times, most)
                return "".join(self._match(inner) for _ in range(times))
            case Both() | Other():
                return "other"

    def _disturb(self, event: Event, every: list[Leaf]) -> None:
        """One small change: of the kind that an evader makes, or a mistake of ours."""
        pick = self.random.choice
        if every and (not event or self.random.random() < 0.3):
            event.update(self._event([pick(every)]))
            return
        if not event:
            return
        field = pick(sorted(event))
        value = event[field]
        changes: list[Any] = [None, [value, value], [], ["zz", value] if _is_text(value) else value]
        if _is_text(value):
            at = self.random.randrange(len(value) + 1)
            changes += [value.swapcase(), value.upper(), value.lower(), f"{value}x", f"x{value}"]
            changes += [
                value[:at] + value[at + 1 :],
                f"{value[:at]}~{value[at:]}",
                "",
                value.title(),
            ]
        changed = pick(changes)
        if changed is None and self.random.random() < 0.5:
            del event[field]
        else:
            event[field] = changed


def holds_arrays(event: Event) -> bool:
    """Whether a field has several values, which ES|QL compares to null."""
    return any(isinstance(value, list) and len(value) > 1 for value in event.values())


def _is_text(value: object) -> bool:
    return isinstance(value, str) and json.dumps(value) != "null"


def _place(matcher: Matcher) -> int:
    """Where in a text the matcher looks: at its start, anywhere, at its end."""
    match matcher:
        case Glob(pattern):
            starts, ends = pattern.startswith("*"), pattern.endswith("*")
            return 0 if not starts else (1 if ends else 2)
        case Regexp(pattern):
            return 1 if pattern.startswith(".*") else 0
        case _:
            return 0


def _between(low: Any, high: Any) -> Any:
    """A value inside a range."""
    low, high = _number(low), _number(high)
    if isinstance(low, str) or isinstance(high, str):
        return low if low is not None else high
    if low is not None and high is not None:
        return (low + high) // 2
    return low + 1 if low is not None else high - 1


def _number(bound: Any) -> Any:
    """A bound that a query string writes as text, as the number it is."""
    return int(bound) if isinstance(bound, str) and bound.lstrip("-").isdigit() else bound
