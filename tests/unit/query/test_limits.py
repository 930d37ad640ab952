"""What Elasticsearch would refuse is refused before; tests/integration asks the node."""

from __future__ import annotations

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.query.limits import MAX_CLAUSES, check_limits
from ruledeploy.query.parse import parse_query
from ruledeploy.query.regexp import compile_regexp, parse_regexp
from ruledeploy.query.regexp_cost import is_too_complex

# Each family of patterns with the last length that an Elasticsearch 8.19 node takes.
LAST_ACCEPTED = {
    ".*a.{%d}": 12,
    ".*a.{%d}b.*": 11,
    ".*ab.{0,%d}c.*": 15,
    ".*[ab]+[^x]{0,%d}ab.*": 10,
}

MANY = ", ".join(f'"x{n}"' for n in range(MAX_CLAUSES + 1))


@pytest.mark.parametrize(("pattern", "last"), LAST_ACCEPTED.items())
def test_the_cost_of_a_pattern_is_lucenes(pattern: str, last: int) -> None:
    """Where the node stops, so do we."""
    assert not is_too_complex(parse_regexp(pattern % last))
    assert is_too_complex(parse_regexp(pattern % (last + 1)))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (f'f like "*{"a" * 315}*"', "too complex"),
        (f'to_lower(f) like "*a{"?" * 12}b*"', "too complex"),
        ('f rlike ".*x.{2,128}y.{1,32}z.*"', "too complex"),
        (f'starts_with(f, "{"a" * 1000}")', "1001 bytes"),
        (f'to_lower(f) == "{"a" * 1001}"', "1001 bytes"),
    ],
)
def test_es_ql_refuses_dear_patterns(condition: str, said: str) -> None:
    """Patterns that no node determinizes, and texts that make too large an automaton."""
    with pytest.raises(QueryError, match=said):
        check_limits("esql", parse_query("esql", f"from i | where {condition}").node)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (f'f : "*{"a" * 315}*"', "too complex"),
        (f'f like~ "*a{"?" * 12}b*"', "too complex"),
        ('f regex ".*x.{2,128}y.{1,32}z.*"', "too complex"),
        (f'startsWith~(f, "{"a" * 1001}")', "1002 bytes"),
        (f'f : "{"a" * 1001}"', "1001 bytes"),
        (f'f in~ ("x", "{"a" * 1001}")', "1001 bytes"),
        (f"f : ({MANY})", "clauses"),
    ],
)
def test_eql_refuses_what_its_searches_would_fail_on(condition: str, said: str) -> None:
    """The patterns that ES|QL refuses, and more clauses than a query holds."""
    with pytest.raises(QueryError, match=said):
        check_limits("eql", parse_query("eql", f"any where {condition}").node)
    check_limits("eql", parse_query("eql", f'any where f == "{"a" * 5000}" or f : "*a*"').node)


@pytest.mark.parametrize(
    "condition",
    [
        f'f like "*{"a" * 314}*"',
        f'f like "*{"ab" * 60}*"',
        f'f == "{"a" * 5000}"',
        f'f like "a{"?" * 40}b"',
        'f rlike "a.{2,128}b"',
        'f rlike "~(a.{2,128})&.*x.{30}"',
    ],
)
def test_es_ql_takes_what_is_cheap(condition: str) -> None:
    """Long texts without wildcards, anchored counts; operators that are not judged."""
    check_limits("esql", parse_query("esql", f"from i | where {condition}").node)


def test_a_run_too_long_to_count_is_refused_at_once() -> None:
    """Counting its states would take the memory of the machine."""
    assert is_too_complex(parse_regexp("a{60000}"))
    assert not is_too_complex(parse_regexp("a{9000}"))


def test_lucene_has_a_limit_on_clauses_and_on_regular_expressions() -> None:
    """As many clauses as a node of a gigabyte takes; regular expressions of 1,000 characters."""
    fits = " OR ".join(f"f:v{n}" for n in range(MAX_CLAUSES))
    check_limits("lucene", parse_query("lucene", fits).node)
    with pytest.raises(QueryError, match="16385 clauses"):
        check_limits("lucene", parse_query("lucene", f"{fits} OR f:x").node)
    with pytest.raises(QueryError, match="1001 characters"):
        check_limits("lucene", parse_query("lucene", f"f:/{'a' * 1001}/").node)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("f:/.*a.{13}/", "too complex"),
        (f"f:*{'a' * 315}*", "too complex"),
        (f"f:/.*{'a' * 315}.*/", "too complex"),
        (f"f:*a{'?' * 12}*", "too complex"),
        (f"f:{'a' * 1001}*", "1002 bytes"),
        (f"f:a*{'a' * 1000}", "1002 bytes"),
    ],
)
def test_lucene_finds_nothing_in_silence_for_what_the_others_refuse(query: str, said: str) -> None:
    """So it is refused before it is deployed."""
    with pytest.raises(QueryError, match=said):
        check_limits("lucene", parse_query("lucene", query).node)


@pytest.mark.parametrize(
    "query",
    [f"f:/.*{'[Aa][Bb][Cc]' * 80}.*/", f"f:*{'a' * 314}*", "f:/.*a.{12}/", f"f:{'a' * 998}*"],
)
def test_lucene_takes_what_is_cheap(query: str) -> None:
    """Long texts in any letter case."""
    check_limits("lucene", parse_query("lucene", query).node)


def test_a_pattern_of_a_thousand_characters_is_matched() -> None:
    """Expressions are nested as deep as they are long, and still hashed and compared."""
    text = "ab" * 500
    assert compile_regexp(text)(text)
    assert not compile_regexp(text)(text[:-1])
