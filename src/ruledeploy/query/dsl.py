"""Elasticsearch's query DSL: the JSON that Kibana sends, read into the IR."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.model import JsonObject
from ruledeploy.query.ir import (
    ALWAYS,
    MAX_DEPTH,
    NEVER,
    AnyOf,
    Exists,
    Glob,
    Leaf,
    Match,
    Matcher,
    Node,
    Phrase,
    Prefix,
    Range,
    Regexp,
    Term,
    Within,
    all_of,
    any_of,
    negate,
)
from ruledeploy.query.lucene import Options, parse_lucene

ID_FIELD = "_id"
# `at least n of m` is spelled out; past this many combinations we refuse.
_MAX_COMBINATIONS = 5_000
# Parameters that change the score or the work, never what matches.
_IGNORED = frozenset(
    {
        "_name",
        "boost",
        "rewrite",
        "score_mode",
        "format",
        "time_zone",
        "adjust_pure_negative",
        "analyze_wildcard",
        "allow_leading_wildcard",
        "max_determinized_states",
        "zero_terms_query",
        "relation",
        "lenient",
        "type",
        "ignore_unmapped",
    }
)

# What `terms` takes beside its field.
_SCORING = frozenset({"_name", "boost"})


# Clauses that read a star in a field's name as a pattern.
_TAKES_PATTERNS = frozenset({"exists", "query_string", "multi_match", "simple_query_string"})


def parse_dsl(body: JsonObject) -> Node:
    """The query as a node. Raises UnsupportedQuery naming a clause that we do not evaluate."""
    return _query(body, 0)


def _query(body: object, depth: int) -> Node:
    if depth > MAX_DEPTH // 2:
        raise UnsupportedQuery(f"query nested deeper than {MAX_DEPTH // 2}")
    if not isinstance(body, Mapping) or len(body) != 1:
        raise QueryError(f"a query is an object with one key, not {body!r:.80}")
    ((kind, inner),) = body.items()
    if kind == "bool":
        return _bool(_object(inner, kind), depth)
    if kind == "nested":
        given = _options(inner, kind, {"path", "query"})
        return Leaf(str(given["path"]), Within(_query(given["query"], depth + 1)))
    if kind == "constant_score":
        return _query(_options(inner, kind, {"filter"})["filter"], depth + 1)
    reader = _LEAVES.get(str(kind))
    if reader is None:
        raise UnsupportedQuery(f"query DSL clause {kind!r}")
    return _literally(reader(_object(inner, str(kind))), str(kind))


def _literally(node: Node, kind: str) -> Node:
    """A clause that takes a field's name as it is: no field is called so with a star in it."""
    if isinstance(node, Leaf) and "*" in node.field and kind not in _TAKES_PATTERNS:
        return NEVER
    return node


def _object(value: object, kind: str) -> JsonObject:
    if not isinstance(value, Mapping):
        raise QueryError(f"{kind}: an object expected, not {value!r:.80}")
    return value


def _options(value: object, kind: str, known: set[str]) -> JsonObject:
    """The object, with every key known or without influence on what matches."""
    given = _object(value, kind)
    for key in given:
        if key not in known and key not in _IGNORED:
            raise UnsupportedQuery(f"{kind}: parameter {key!r}")
    return given


# ---------------------------------------------------------------------------------------- bool


def _bool(given: JsonObject, depth: int) -> Node:
    """Required, optional and prohibited clauses; without required ones an optional one must hold.

    An empty `bool` is true of every document.
    """
    known = {"must", "filter", "should", "must_not", "minimum_should_match"}
    _options(given, "bool", known)
    required = _clauses(given, "must", depth) + _clauses(given, "filter", depth)
    optional = _clauses(given, "should", depth)
    prohibited = [negate(node) for node in _clauses(given, "must_not", depth)]
    has_required = bool(given.get("must")) or bool(given.get("filter"))
    least = _least(given, len(optional), has_required=has_required)
    return all_of(*required, _at_least(least, optional), *prohibited)


def _clauses(given: JsonObject, key: str, depth: int) -> list[Node]:
    value = given.get(key) or []
    many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [_query(clause, depth + 1) for clause in many]


def _least(given: JsonObject, count: int, *, has_required: bool) -> int:
    """`minimum_should_match` as a number of clauses."""
    value = given.get("minimum_should_match")
    if value is None:
        return 0 if has_required or count == 0 else 1
    text = str(value)
    try:
        if text.endswith("%"):
            share = int(text[:-1])
            part = int(count * abs(share) / 100)
            return part if share >= 0 else count - part
        number = int(text)
    except ValueError:
        raise UnsupportedQuery(f"minimum_should_match {text!r}") from None
    return number if number >= 0 else max(count + number, 0)


def _at_least(least: int, options: Sequence[Node]) -> Node:
    if least <= 0:
        return ALWAYS
    if least > len(options):
        # Without optional clauses the parameter has nothing to count.
        return NEVER if options else ALWAYS
    if least == 1:
        return any_of(*options)
    chosen = []
    for count, group in enumerate(combinations(options, least)):
        if count >= _MAX_COMBINATIONS:
            raise UnsupportedQuery(f"minimum_should_match {least} of {len(options)} clauses")
        chosen.append(all_of(*group))
    return any_of(*chosen)


# -------------------------------------------------------------------------------------- leaves


def _field_and_value(
    given: JsonObject, kind: str, value_key: str, extra: set[str]
) -> tuple[str, Any, JsonObject]:
    """`{field: value}` or `{field: {value_key: value, …}}` as field, value and parameters."""
    # Elasticsearch takes every key here as a field: a field may be called `type` or `boost`.
    if len(given) != 1:
        raise QueryError(f"{kind}: one field expected")
    ((field, value),) = given.items()
    if not isinstance(value, Mapping):
        return field, value, {}
    options = _options(value, kind, {value_key, *extra})
    if value_key not in options:
        raise QueryError(f"{kind}: {value_key} is missing for {field}")
    return field, options[value_key], options


def _scalar(value: object, kind: str) -> Any:
    if not isinstance(value, str | int | float | bool):
        raise QueryError(f"{kind}: a value expected, not {value!r:.80}")
    return value


def _term(given: JsonObject) -> Node:
    field, value, options = _field_and_value(given, "term", "value", {"case_insensitive"})
    if field == ID_FIELD:
        return Leaf(ID_FIELD, AnyOf((str(value),)))
    return Leaf(field, Term(_scalar(value, "term"), fold=_flag(options)))


def _flag(options: JsonObject) -> bool:
    return bool(options.get("case_insensitive", False))


def _terms(given: JsonObject) -> Node:
    # Here a scalar is a parameter and a list the field's values, whatever the key.
    fields = {key: value for key, value in given.items() if key not in _SCORING or _listed(value)}
    if len(fields) != 1:
        raise QueryError("terms: one field expected")
    ((field, values),) = fields.items()
    if not _listed(values):
        raise UnsupportedQuery("terms: a look-up in another index")
    if not values:
        return NEVER
    return Leaf(field, AnyOf(tuple(_scalar(value, "terms") for value in values)))


def _listed(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _match(given: JsonObject) -> Node:
    field, value, options = _field_and_value(given, "match", "query", {"operator"})
    every = str(options.get("operator", "or")).lower() == "and"
    return Leaf(field, Match(_scalar(value, "match"), every=every))


def _match_phrase(given: JsonObject) -> Node:
    field, value, options = _field_and_value(given, "match_phrase", "query", {"slop"})
    if options.get("slop", 0) != 0:
        raise UnsupportedQuery("match_phrase: slop")
    return Leaf(field, Phrase(_scalar(value, "match_phrase")))


def _pattern(kind: str, make: Callable[[str, bool], Matcher]) -> Callable[[JsonObject], Node]:
    """The reader of a clause that takes one pattern."""

    def read(given: JsonObject) -> Node:
        known = {"case_insensitive", "wildcard", "flags"}
        key = "wildcard" if kind == "wildcard" and _uses_key(given, "wildcard") else "value"
        field, value, options = _field_and_value(given, kind, key, known)
        if str(options.get("flags", "ALL")).upper() != "ALL":
            raise UnsupportedQuery(f"{kind}: flags {options['flags']!r}")
        return Leaf(field, make(str(_scalar(value, kind)), _flag(options)))

    return read


def _uses_key(given: JsonObject, key: str) -> bool:
    return any(isinstance(value, Mapping) and key in value for value in given.values())


def _exists(given: JsonObject) -> Node:
    return Leaf(str(_options(given, "exists", {"field"})["field"]), Exists())


def _range(given: JsonObject) -> Node:
    if len(given) != 1:
        raise QueryError("range: one field expected")
    ((field, bounds),) = given.items()
    options = _options(bounds, "range", {"gt", "gte", "lt", "lte"})
    lower = options.get("gte", options.get("gt"))
    upper = options.get("lte", options.get("lt"))
    return Leaf(
        field,
        Range(
            lower,
            upper,
            include_lower=options.get("gt") is None,
            include_upper=options.get("lt") is None,
        ),
    )


def _ids(given: JsonObject) -> Node:
    values = tuple(str(value) for value in _options(given, "ids", {"values"})["values"])
    return Leaf(ID_FIELD, AnyOf(values)) if values else NEVER


def _query_string(given: JsonObject) -> Node:
    options = _options(
        given, "query_string", {"query", "default_field", "fields", "lenient", "analyze_wildcard"}
    )
    text = str(options["query"])
    if not text.strip():
        return NEVER
    fields = options.get("fields") or [options.get("default_field", "*")]
    if len(fields) > 1:
        raise UnsupportedQuery("query_string over several fields")
    # Over all fields it is lenient, unless told otherwise.
    field = str(fields[0])
    lenient = bool(options.get("lenient", field == "*"))
    return parse_lucene(text, Options(field, lenient, bool(options.get("analyze_wildcard", False))))


def _multi_match(given: JsonObject) -> Node:
    options = _options(given, "multi_match", {"query", "fields"})
    value = _scalar(options["query"], "multi_match")
    matcher = Phrase(value) if given.get("type") == "phrase" else Match(value)
    fields = options.get("fields") or ["*"]
    return any_of(*(Leaf(str(name), matcher, lenient=True) for name in fields))


def _everything(given: JsonObject) -> Node:
    _options(given, "match_all", set())
    return ALWAYS


def _nothing(given: JsonObject) -> Node:
    _options(given, "match_none", set())
    return NEVER


_LEAVES: Mapping[str, Callable[[JsonObject], Node]] = MappingProxyType(
    {
        "match_all": _everything,
        "match_none": _nothing,
        "term": _term,
        "terms": _terms,
        "match": _match,
        "match_phrase": _match_phrase,
        "multi_match": _multi_match,
        "wildcard": _pattern("wildcard", lambda value, fold: Glob(value, fold=fold)),
        "prefix": _pattern("prefix", lambda value, fold: Prefix(value, fold=fold)),
        "regexp": _pattern("regexp", lambda value, fold: Regexp(value, fold=fold)),
        "exists": _exists,
        "range": _range,
        "ids": _ids,
        "query_string": _query_string,
    }
)
