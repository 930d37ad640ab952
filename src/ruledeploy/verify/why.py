"""Why a query does not match an event: the parts that fail, and the values they failed on."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from ruledeploy.engine import Document
from ruledeploy.engine.truth import Truth
from ruledeploy.fields import FieldType, table_of
from ruledeploy.model import DetectionRule, ExceptionItem, Release
from ruledeploy.query.dsl import parse_dsl
from ruledeploy.query.exceptions import is_expired, item_clause
from ruledeploy.query.ir import (
    And,
    AnyOf,
    Column,
    Exists,
    Glob,
    Leaf,
    Match,
    Matcher,
    Never,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Term,
    Within,
    fields_used,
    simplify,
)
from ruledeploy.query.kql import named_in
from ruledeploy.query.parse import parse_query
from ruledeploy.telemetry.validate import leaves
from ruledeploy.verify.running import Bench
from ruledeploy.verify.words import fits, listed, shown, wanted

# How near a field's name must be to another to be meant for it.
_NEAR = 0.8


def explain_silence(rule: DetectionRule, document: Document, bench: Bench) -> tuple[str, ...]:
    """Reasons why a rule's query does not match a document of its own family; none when it does."""
    table = table_of(rule.family, bench.pulled)
    truth = Truth(table, document, bench.now)

    def type_of(field: str) -> str | None:
        found = truth.type_of(field)
        return found.type if found else None

    language, text = str(rule.body["language"]), str(rule.body["query"])
    query = parse_query(language, text, type_of, named_in(table))
    reasons = why_not(query.node, truth)
    return (*reasons, *_misnamed(query.node, truth, document)) if reasons else ()


def explain_item(
    item: ExceptionItem, rule: DetectionRule, document: Document, bench: Bench, release: Release
) -> tuple[str, ...]:
    """Reasons why an item does not hide a document from a rule; none when it does."""
    if is_expired(item.body, bench.now):
        return (f"it expired at {item.body['expire_time']}",)
    values = {str(one.body["id"]): one.values for one in release.value_lists}
    truth = Truth(table_of(rule.family, bench.pulled), document, bench.now)
    node = simplify(parse_dsl(item_clause(item.body, values)))
    return tuple(one.replace("the query", "it") for one in why_not(node, truth))


def _misnamed(node: Node, truth: Truth, document: Document) -> Iterator[str]:
    """Fields of the event that nobody maps, and that may be meant for one that the query lacks."""
    lacking = [name for name in sorted(fields_used(node)) if not truth.values(name)]
    for name in dict.fromkeys(name for name, _ in leaves(document.source)):
        if truth.type_of(name) is not None:
            continue
        near = get_close_matches(name, lacking, n=1, cutoff=_NEAR)
        if near:
            yield f"the event has {name}, which is not mapped: is {near[0]} meant?"
        elif lacking and "." not in name:
            yield f"the event has {name}, which is not mapped: name it as the index does"


def why_not(node: Node, truth: Truth) -> tuple[str, ...]:
    """Reasons why the document does not satisfy the node; none when it does.

    Of a conjunction every failing part counts; of a disjunction the part that came nearest, for
    one is enough.
    """
    if truth.holds(node):
        return ()
    return tuple(dict.fromkeys(_reasons(node, truth)))


def _reasons(node: Node, truth: Truth) -> Iterator[str]:
    match node:
        case And(children):
            for child in children:
                if not truth.holds(child):
                    yield from _reasons(child, truth)
        case Or(children):
            yield from _alternatives(children, truth)
        case Not(child):
            yield from _excluded(child, truth)
        case Leaf():
            yield _leaf(node, truth)
        case Never():
            yield "the query can match no event"
        case _:
            return


def _alternatives(children: tuple[Node, ...], truth: Truth) -> Iterator[str]:
    """Alternatives on one field are told together; otherwise the nearest one."""
    alike = [child for child in children if isinstance(child, Leaf)]
    if len(alike) == len(children) and len({leaf.field for leaf in alike}) == 1:
        type_ = _type(alike[0].field, truth)
        asked = [wanted(leaf.matcher, type_) for leaf in alike]
        yield _said(alike[0].field, listed(asked), truth, [leaf.matcher for leaf in alike])
        return
    nearest = min((tuple(_reasons(child, truth)) for child in children), key=len)
    yield from nearest[:-1]
    yield f"{nearest[-1]} (nearest of {len(children)} alternatives)"


def _excluded(child: Node, truth: Truth) -> Iterator[str]:
    """What made the excluded part true, as narrowly as its shape tells."""
    match child:
        case Or(children):
            for one in children:
                if truth.holds(one):
                    yield from _excluded(one, truth)
        case And(children):
            parts = [_held(one, truth) for one in children]
            yield f"the query excludes an event where {' and '.join(parts)}"
        case _:
            yield f"the query excludes an event where {_held(child, truth)}"


def _held(node: Node, truth: Truth) -> str:
    """A part that holds, in words."""
    match node:
        case Leaf(field, Exists()):
            return f"{field} exists"
        case Leaf(field, matcher):
            return f"{field} ({_values(field, truth)}) {fits(matcher, _type(field, truth))}"
        case Not(Leaf(field, Exists())):
            return f"{field} is missing"
        case Not(Leaf(field, matcher)):
            asked = wanted(matcher, _type(field, truth))
            return f"{field} ({_values(field, truth)}) is not {asked}"
        case Or(children):
            return next(_held(one, truth) for one in children if truth.holds(one))
        case And(children):
            return " and ".join(_held(one, truth) for one in children)
        case _:
            return "a part of it holds"


def _leaf(leaf: Leaf, truth: Truth) -> str:
    match leaf.matcher:
        case Within(inner):
            fields = ", ".join(sorted(fields_used(inner)))
            return f"no object of {leaf.field} satisfies what is asked of {fields}"
        case _:
            asked = wanted(leaf.matcher, _type(leaf.field, truth))
            return _said(leaf.field, asked, truth, [leaf.matcher])


def _said(field: str, asked: str, truth: Truth, matchers: list[Matcher]) -> str:
    type_ = truth.type_of(field)
    if type_ is None:
        return f"{field} is not mapped, so nothing it says can match"
    values = truth.values(field)
    if not values:
        return f"{field} is missing, the query asks for {asked}"
    note = _remark(type_, values, matchers)
    return f"{field} is {_values(field, truth)}, the query asks for {asked}{note}"


def _remark(type_: FieldType, values: list[Any], matchers: list[Matcher]) -> str:
    """What the field's type has to do with it, where that is not obvious; or nothing."""
    limit = type_.ignore_above
    if limit is not None and all(isinstance(one, str) and len(one) > limit for one in values):
        return f"; a value longer than {limit} characters is not indexed there"
    sensitive = type_.type in ("keyword", "wildcard") and type_.normalizer is None
    if sensitive and any(_but_for_case(one, asked) for one in values for asked in matchers):
        return f" on a case-sensitive {type_.type}"
    return ""


def _but_for_case(value: Any, matcher: Matcher) -> bool:
    """Whether a value differs from what is asked in the case of its letters alone."""
    match matcher:
        case Column(inner, _):
            return _but_for_case(value, inner)
        case AnyOf(wanted):
            return any(_but_for_case(value, Term(one)) for one in wanted)
        case Match(wanted) | Phrase(wanted) | Term(wanted):
            return str(value).lower() == str(wanted).lower()
        case Prefix(wanted):
            return str(value).lower().startswith(wanted.lower())
        case Glob(pattern):
            literals = [part for part in _literals(pattern) if part]
            return bool(literals) and all(one.lower() in str(value).lower() for one in literals)
        case _:
            return False


def _literals(pattern: str) -> Iterator[str]:
    """The runs of plain characters between a pattern's wildcards."""
    run, characters = "", iter(pattern)
    for character in characters:
        if character in "*?":
            yield run
            run = ""
        else:
            run += next(characters, "") if character == "\\" else character
    yield run


def _values(field: str, truth: Truth) -> str:
    type_ = _type(field, truth)
    values = [shown(value, type_) for value in truth.values(field)]
    return listed(values, "and") if values else "missing"


def _type(field: str, truth: Truth) -> str | None:
    found = truth.type_of(field)
    return found.type if found else None
