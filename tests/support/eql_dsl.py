"""EQL as the query DSL that Elasticsearch makes of it, for nodes that have no EQL themselves."""

from __future__ import annotations

from typing import Any

from ruledeploy.query.ir import (
    Always,
    And,
    AnyOf,
    Column,
    Exists,
    Glob,
    Leaf,
    Matcher,
    Never,
    Node,
    Not,
    Or,
    Prefix,
    Range,
    Regexp,
    Term,
)


def has_functions(node: Node) -> bool:
    """Whether a function is in it, which Elasticsearch asks by a script."""
    match node:
        case And(children) | Or(children):
            return any(map(has_functions, children))
        case Not(child):
            return has_functions(child)
        case Leaf(_, Column()):
            return True
        case _:
            return False


def to_dsl(node: Node) -> dict[str, Any]:
    """One condition as one query."""
    match node:
        case Always():
            return {"match_all": {}}
        case Never():
            return {"match_none": {}}
        case And(children):
            return {"bool": {"must": [to_dsl(child) for child in children]}}
        case Or(children):
            return {"bool": {"should": [to_dsl(child) for child in children]}}
        case Not(child):
            return {"bool": {"must_not": [to_dsl(child)]}}
        case Leaf(field, matcher):
            return _leaf(field, matcher)


def _leaf(field: str, matcher: Matcher) -> dict[str, Any]:
    match matcher:
        case Exists():
            return {"exists": {"field": field}}
        case Term(value, fold):
            return {"term": {field: {"value": value} | _insensitive(fold=fold)}}
        case AnyOf(values):
            return {"terms": {field: list(values)}}
        case Prefix(value, fold):
            return {"prefix": {field: {"value": value} | _insensitive(fold=fold)}}
        case Glob(pattern, fold):
            return {"wildcard": {field: {"value": pattern} | _insensitive(fold=fold)}}
        case Regexp(pattern, fold):
            options = {"value": pattern, "flags": "ALL"}
            return {"regexp": {field: options | _insensitive(fold=fold)}}
        case Range(low, high, include_low, include_high):
            bounds = {}
            if low is not None:
                bounds["gte" if include_low else "gt"] = low
            if high is not None:
                bounds["lte" if include_high else "lt"] = high
            return {"range": {field: bounds}}
    raise AssertionError(matcher)


def _insensitive(*, fold: bool) -> dict[str, bool]:
    """The option, which a date's or a number's query does not take even as false."""
    return {"case_insensitive": True} if fold else {}
