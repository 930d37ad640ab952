"""The limits that `query.limits` knows are those of a real Elasticsearch."""

from __future__ import annotations

import pytest
from elasticsearch import BadRequestError

from ruledeploy.errors import QueryError
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.limits import check_limits
from ruledeploy.query.parse import parse_query
from support.elasticsearch_node import FreshIndex, Node
from support.eql_dsl import to_dsl

# Pairs that lie next to each other: the first runs, the second is refused.
ESQL = {
    "a counted repeat": ('f rlike ".*a.{12}"', 'f rlike ".*a.{13}"'),
    "an optional repeat": ('f rlike ".*ab.{0,15}c.*"', 'f rlike ".*ab.{0,16}c.*"'),
    "a class before it": (
        'f rlike ".*[ab]+[^x]{0,10}ab.*"',
        'f rlike ".*[ab]+[^x]{0,11}ab.*"',
    ),
    "a long text": (f'f like "*{"a" * 314}*"', f'f like "*{"a" * 315}*"'),
    "single wildcards": (f'f like "*a{"?" * 11}*"', f'f like "*a{"?" * 13}*"'),
    "a folded text": (
        f'to_lower(f) == "{"a" * 1000}"',
        f'to_lower(f) == "{"a" * 1001}"',
    ),
    "a prefix": (f'starts_with(f, "{"a" * 999}")', f'starts_with(f, "{"a" * 1000}")'),
}
EQL = {
    "a long text in EQL": (f'f : "*{"a" * 314}*"', f'f : "*{"a" * 315}*"'),
    "single wildcards in EQL": (f'f like "*a{"?" * 11}*"', f'f like "*a{"?" * 12}*"'),
    "a counted repeat in EQL": ('f regex~ ".*a.{12}"', 'f regex~ ".*a.{13}"'),
    "a folded text in EQL": (f'f : "{"a" * 1000}"', f'f : "{"a" * 1001}"'),
    "a prefix in EQL": (f'f : "{"a" * 999}*"', f'f : "{"a" * 1000}*"'),
}
LUCENE = {
    "a regular expression": (f"f:/{'a' * 1000}/", f"f:/{'a' * 1001}/"),
}


def runs(node: Node, language: str, query: str, index: str) -> bool:
    """Whether the node takes the query."""
    try:
        if language == "esql":
            node.client.esql.query(query=f"{query} | limit 1")
        elif language == "eql":
            # The node of the tests has no EQL; this is the search it makes.
            node.client.search(index=index, query=to_dsl(parse_eql(query)))
        else:
            node.client.search(index=index, query={"query_string": {"query": query}})
    except BadRequestError:
        return False
    return True


def allowed(language: str, query: str) -> bool:
    """Whether we would let it through."""
    try:
        check_limits(language, parse_query(language, query).node)
    except QueryError:
        return False
    return True


@pytest.mark.parametrize(
    ("language", "pair"),
    [("esql", pair) for pair in ESQL.values()]
    + [("eql", pair) for pair in EQL.values()]
    + [("lucene", pair) for pair in LUCENE.values()],
    ids=[*ESQL, *EQL, *LUCENE],
)
def test_the_node_stops_where_we_do(
    node: Node, fresh_index: FreshIndex, language: str, pair: tuple[str, str]
) -> None:
    """The last that runs and the first that does not, on an index with a value in the field."""
    index = fresh_index("limits")
    node.client.indices.create(index=index, mappings={"properties": {"f": {"type": "keyword"}}})
    node.client.index(index=index, document={"f": "C:\\Windows\\a.exe"}, refresh=True)
    for query, wanted in zip(pair, (True, False), strict=True):
        heads = {"esql": f"from {index} | where ", "eql": "any where "}
        text = heads.get(language, "") + query
        assert runs(node, language, text, index) is wanted, query
        assert allowed(language, text) is wanted, query


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("aa" + "b" * 12, ("f:/.*a.{12}/", "f:/.*a.{13}/")),
        ("a" * 400, (f"f:*{'a' * 314}*", f"f:*{'a' * 315}*")),
        ("a" * 400, (f"f:/.*{'a' * 314}.*/", f"f:/.*{'a' * 315}.*/")),
        ("a" + "b" * 14, (f"f:*a{'?' * 11}*", f"f:*a{'?' * 12}*")),
        ("a" * 2000, (f"f:{'a' * 999}*", f"f:{'a' * 1001}*")),
    ],
)
def test_lucene_finds_nothing_where_a_pattern_is_too_complex(
    node: Node, fresh_index: FreshIndex, value: str, pair: tuple[str, str]
) -> None:
    """A query without fields is lenient: the first finds the value, the second nothing at all."""
    index = fresh_index("silent")
    node.client.indices.create(index=index, mappings={"properties": {"f": {"type": "keyword"}}})
    node.client.index(index=index, document={"f": value}, refresh=True)
    for query, wanted in zip(pair, (True, False), strict=True):
        asked = {"query_string": {"query": query, "analyze_wildcard": True}}
        found = node.client.search(index=index, query=asked)["hits"]["total"]["value"]
        assert bool(found) is wanted, query
        assert allowed("lucene", query) is wanted, query


def test_a_long_term_is_no_error_in_lucene(node: Node, fresh_index: FreshIndex) -> None:
    """No index can hold a term of more than 32,766 bytes: it is searched for and not found."""
    index = fresh_index("terms")
    node.client.indices.create(index=index, mappings={"properties": {"f": {"type": "keyword"}}})
    assert runs(node, "lucene", f"f:{'a' * 40_000}", index)
    assert allowed("lucene", f"f:{'a' * 40_000}")
