"""White space and comments between the tokens of the languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.errors import QueryError
from ruledeploy.query.ir import Node
from ruledeploy.query.parse import parse_query

PARTED = {
    "lucene": (" \u3000a:1\tAND\n( b:[1  TO \t2 ] ) \r\n", "a:1 AND (b:[1 TO 2])"),
    "eql": ("any where\t a == 1 // one\n and /* two */ b == 2 \n", "any where a==1 and b==2"),
    "esql": (
        "from x | where\u00a0 a == 1 // one\n and/* two */b == 2 \n",
        "from x|where a==1 and b==2",
    ),
}
MISPLACED = {
    "lucene": ("a:1 AND \t }", 10),
    "eql": ("any where a ==  ;", 16),
    "esql": ("from x | where a == /* b */ ;", 28),
}


@pytest.mark.parametrize("language", PARTED)
def test_white_space_and_comments_part_tokens_and_mean_nothing(language: str) -> None:
    """Also before the first token and after the last."""
    parted, close = (_node(language, text) for text in PARTED[language])
    assert parted == close


@pytest.mark.parametrize("language", MISPLACED)
def test_what_is_no_token_is_named_where_it_stands(language: str) -> None:
    """Not where the white space before it begins."""
    text, place = MISPLACED[language]
    with pytest.raises(QueryError) as caught:
        parse_query(language, text)
    assert caught.value.position == place


_AROUND = ("and", "and", "or", "or", "(", ")", "f(", "+", "a", "not")
_CLAUSES = {
    "esql": [
        *('a like "x*"', 'to_lower(a.b) == "X"', 'a == "x"', 'a : "y"', 'a like "\\\\q"'),
        *('to_lower(a) : "y"', 'not == "x"', 'a.in == "x"', 'a == "x"::ip', '== "x"', "is null"),
    ],
    "eql": [
        *('a like "x*"', '?a.b : ("X", "y?")', 'a == "x"', 'a in ("x", "y")', 'a : "\\\\*"'),
        *('not in ("x")', 'a.in == "x"', 'a == ("x", "y")', 'a in "x"', '== "x"', '?a == "x"'),
    ],
}
_BEGINNINGS = {"esql": "from x | where", "eql": "any where"}


@given(st.data(), st.sampled_from(["esql", "eql"]))
def test_clauses_read_alike_whole_and_in_parts(data: st.DataObject, language: str) -> None:
    """What is one token when written as converted rules are is several with other white space."""
    pieces = data.draw(st.lists(st.sampled_from([*_CLAUSES[language], *_AROUND]), min_size=1))
    whole = " ".join([_BEGINNINGS[language], *pieces])
    assert _outcome(language, whole) == _outcome(language, whole.replace(" ", "\n"))


def _outcome(language: str, text: str) -> tuple[Node, ...] | str:
    try:
        return (_node(language, text),)
    except QueryError as error:
        return f"{type(error).__name__} {error} {error.position} {error.hint}"


def _node(language: str, text: str) -> Node:
    return parse_query(language, text).node
