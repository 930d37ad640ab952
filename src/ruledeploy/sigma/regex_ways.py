"""Conditions on places, which Lucene lacks, turned into sets, intersections and complements.

An expression is searched for anywhere in a value, so the whole value is `.*` expression `.*`, and a
condition at a place speaks of what stands on its two sides: a word boundary narrows the last
character before it or the first one after it, a look-ahead intersects all that follows, a
look-behind all that precedes. Where a side has several shapes (`x*` is nothing, or ends in an x)
each is a way of its own; ways that cannot be are left out, and what they share is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ruledeploy.sigma.regex_nodes import (
    ANY,
    ANYTHING,
    EMPTY,
    NOTHING,
    After,
    Alt,
    Before,
    Both,
    Cat,
    Look,
    Node,
    Not,
    Ranges,
    Rep,
    Set,
    below,
    common,
    outside,
    ranges,
)
from ruledeploy.sigma.regex_read import RegexUnsupported

Way = tuple[Node, ...]
# More are refused: the expression would be too long for Elasticsearch anyway.
_MOST_WAYS = 64
_MOST_REPEATS = 8


def whole_value(node: Node) -> Node:
    """The expression that whole values match in which `node` is found.

    Raises `RegexUnsupported` for a condition that cannot be turned into an expression.
    """
    todo: Way = (ANYTHING, *(node.items if isinstance(node, Cat) else (node,)), ANYTHING)
    return _joined(_Ways().all(todo))


@dataclass(frozen=True, slots=True)
class _Ways:
    """Which of a sequence's ends are not the value's: what lies beyond is not known there."""

    open_start: bool = False
    open_end: bool = False

    def all(self, todo: Way) -> list[Way]:
        """Every way of the sequence, without conditions."""
        out: dict[Way, None] = {}
        for way in self.ways((), todo):
            out[_trimmed(way)] = None
            if len(out) > _MOST_WAYS:
                raise RegexUnsupported("a condition that can be met in so many ways is not in it")
        return list(out)

    def ways(self, done: Way, todo: Way) -> Iterator[Way]:
        """`done` has no conditions any more."""
        while todo:
            head, todo = todo[0], todo[1:]
            if _is_plain(head):
                done = (*done, head)
                continue
            match head:
                case Before():
                    for narrowed in self.before(done, head):
                        yield from self.ways(narrowed, todo)
                case After():
                    for follows in self.after(todo, head):
                        yield from self.ways(done, follows)
                case Look():
                    yield from self.look(done, head, todo)
                case _:
                    for shape in _shapes(head):
                        yield from self.ways(done, (*shape, *todo))
            return
        yield done

    def look(self, done: Way, look: Look, todo: Way) -> Iterator[Way]:
        """All that follows, or all that precedes, matches the condition too."""
        if not look.ahead:
            if self.open_start:
                raise _beyond("a look-behind")
            wanted = _joined(_Ways(open_end=True).all((ANYTHING, look.inner)))
            both = _both(Not(wanted) if look.negative else wanted, _sequence(done))
            yield from self.ways((both,), todo)
            return
        if self.open_end:
            raise _beyond("a look-ahead")
        if todo and isinstance(todo[0], Before):
            yield from self.ways(done, (todo[0], look, *todo[1:]))
            return
        wanted = _joined(_Ways(open_start=True).all((look.inner, ANYTHING)))
        rest = _joined(_Ways(open_start=True).all(todo))
        if rest != NOTHING:
            yield (*done, _both(Not(wanted) if look.negative else wanted, rest))

    def before(self, done: Way, wanted: Before) -> Iterator[Way]:
        """The ways of `done` that end in one of the characters, or are empty at the edge."""
        if not done:
            if self.open_start:
                raise _beyond("a condition on what precedes")
            if wanted.edge:
                yield ()
            return
        *front, last = done
        if _nullable(last):
            yield from self.before(tuple(front), wanted)
        yield from ((*front, *each) for each in _narrowed(last, wanted.chars, at_end=True))

    def after(self, todo: Way, wanted: After) -> Iterator[Way]:
        """The ways of `todo` that begin with one of the characters, or are empty at the edge."""
        if not todo:
            if self.open_end:
                raise _beyond("a condition on what follows")
            if wanted.edge:
                yield ()
            return
        head, rest = todo[0], todo[1:]
        match head:
            case After(chars, edge):
                both = After(common(chars, wanted.chars), edge and wanted.edge)
                yield from self.after(rest, both)
            case Before() | Look():
                yield (head, wanted, *rest)
            case _ if not _is_plain(head):
                for shape in _shapes(head):
                    yield from self.after((*shape, *rest), wanted)
            case _:
                if _nullable(head):
                    yield from self.after(rest, wanted)
                yield from ((*each, *rest) for each in _narrowed(head, wanted.chars, at_end=False))


def _beyond(what: str) -> RegexUnsupported:
    return RegexUnsupported(f"{what} from inside another condition is not in it")


def _is_plain(node: Node) -> bool:
    """Whether no condition is in the node."""
    return not isinstance(node, Before | After | Look) and all(map(_is_plain, below(node)))


def _shapes(node: Node) -> Iterator[Way]:
    """A node with conditions inside as sequences that show them."""
    match node:
        case Cat(items):
            yield items
        case Alt(options):
            yield from ((option,) for option in options)
        case Rep(inner, low, high) if high is not None and high <= _MOST_REPEATS:
            yield from ((inner,) * count for count in range(low, high + 1))
        case _:
            raise RegexUnsupported("an anchor or look-around that is repeated is not in it")


def _nullable(node: Node) -> bool:
    match node:
        case Cat(items):
            return all(map(_nullable, items))
        case Alt(options):
            return any(map(_nullable, options))
        case Both(parts):
            return all(map(_nullable, parts))
        case Not(inner):
            return not _nullable(inner)
        case Rep(inner, low):
            return low == 0 or _nullable(inner)
        case _:
            return False


def _narrowed(node: Node, chars: Ranges, *, at_end: bool) -> Iterator[Way]:
    """The texts of the node, but for the empty one, whose last (or first) character is in a set."""
    edge = _edge(node, at_end=at_end)
    inside = common(edge, chars)
    match node:
        case _ if not inside:
            return
        case Set():
            yield (Set(inside),)
        case Rep(Set() as one, low, high) if inside != one.ranges:
            rest = Rep(one, max(low - 1, 0), None if high is None else high - 1)
            yield (rest, Set(inside)) if at_end else (Set(inside), rest)
        case Rep(Set() as one, low, high):
            yield (Rep(one, max(low, 1), high),)
        case _ if inside == edge and not _nullable(node):
            yield (node,)
        case _:
            some = (ANYTHING, Set(chars)) if at_end else (Set(chars), ANYTHING)
            yield (_both(Cat(some), node),)


def _edge(node: Node, *, at_end: bool) -> Ranges:
    """At least every character that can be the last (or first) of the node."""
    match node:
        case Set(some):
            return some
        case Rep(inner):
            return _edge(inner, at_end=at_end)
        case Alt(options):
            return _union([_edge(option, at_end=at_end) for option in options])
        case Cat(items):
            found: list[Ranges] = []
            for item in reversed(items) if at_end else items:
                found.append(_edge(item, at_end=at_end))
                if not _nullable(item):
                    break
            return _union(found)
        case _:
            return ANY.ranges


def _union(some: Sequence[Ranges]) -> Ranges:
    return ranges([pair for each in some for pair in each])


# ---------------------------------------------------------------------------------- made shorter


def _sequence(way: Way) -> Node:
    return way[0] if len(way) == 1 else Cat(way)


def _both(one: Node, two: Node) -> Node:
    """The intersection; of anything and something it is that."""
    if ANYTHING in (one, two):
        return two if one == ANYTHING else one
    return NOTHING if NOTHING in (one, two) else Both((one, two))


def _trimmed(way: Way) -> Way:
    """What `.*` takes in is left out beside it: `.*a{2,5}` is `.*aa`."""
    return _trimmed_start(_trimmed_start(way)[::-1])[::-1]


def _trimmed_start(way: Way) -> Way:
    while len(way) > 1 and way[0] == ANYTHING and isinstance(rep := way[1], Rep):
        least = () if rep.low == 0 else (rep.inner,) if rep.low == 1 else (_exactly(rep),)
        if least == (rep,):
            break
        way = (ANYTHING, *least, *way[2:])
    return way


def _exactly(rep: Rep) -> Rep:
    return Rep(rep.inner, rep.low, rep.low)


def from_its_start(node: Node) -> Node:
    """`.*x{n}.*`, found where the run of `x` begins: an automaton then counts one run, not all."""
    match node:
        case Cat((first, Rep(Set(some) as one, low, high), last)) if (
            first == last == ANYTHING and low == high
        ):
            if one == ANY:
                return Rep(ANY, low, None)
            start = Alt((EMPTY, Cat((ANYTHING, Set(outside(some))))))
            return Cat((start, Rep(one, low, low), ANYTHING))
        case _:
            return node


def _joined(ways: list[Way]) -> Node:
    """Any of the ways, what they begin and end with written once."""
    ways = [way for way in ways if not any(_within(way, other) for other in ways)]
    if not ways:
        return NOTHING
    if len(ways) == 1:
        return _sequence(ways[0])
    head = _shared(ways, at_end=False)
    inner = [way[len(head) :] for way in ways]
    tail = _shared(inner, at_end=True)
    inner = [way[: len(way) - len(tail)] for way in inner]
    groups: dict[Way, list[Way]] = {}
    for way in inner:
        groups.setdefault(way[:1], []).append(way)
    options = (
        _sequence(group[0]) if len(group) == 1 else _joined(group) for group in groups.values()
    )
    middle = Alt(tuple(options))
    return _sequence((*head, middle, *tail)) if head or tail else middle


def _shared(ways: list[Way], *, at_end: bool) -> Way:
    """The longest sequence that all of them begin (or end) with."""
    columns = zip(*(way[::-1] if at_end else way for way in ways), strict=False)
    out: list[Node] = []
    for column in columns:
        if any(node != column[0] for node in column):
            break
        out.append(column[0])
    return tuple(reversed(out)) if at_end else tuple(out)


def _within(way: Way, other: Way) -> bool:
    """Whether a way is another with a narrower set in some places."""
    return (
        way != other
        and len(way) == len(other)
        and all(
            one == two or (isinstance(one, Set) and isinstance(two, Set) and not _left(one, two))
            for one, two in zip(way, other, strict=True)
        )
    )


def _left(one: Set, two: Set) -> Ranges:
    """What of a set another has not."""
    return common(one.ranges, outside(two.ranges))
