"""EQL: where errors are, what is refused, and that no query takes us down."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruledeploy.errors import QueryError, UnsupportedQuery
from ruledeploy.query.eql import parse_eql
from ruledeploy.query.eql_tokens import tokenize
from ruledeploy.query.ir import MAX_DEPTH, Or, fields_used, leaves
from ruledeploy.query.parse import parse_query
from ruledeploy.sigma.eql import field_name, string


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "unexpected end of the query"),
        ("process", 7, "category where condition"),
        ("where a == 1", 0, "unexpected 'where'"),
        ("any where", 9, "a field's name expected"),
        ("any where a ==", 14, "a field's name expected"),
        ("any where (a == 1", 17, "\\) expected"),
        ("any where a == 1)", 16, "unexpected '\\)'"),
        ("any where a == 1 b", 17, "unexpected 'b'"),
        ("any where a = 1", 12, "write =="),
        ("any where a == 1 AND b", 17, "write and"),
        ("any where 1 < a < 2", 16, "not chained"),
        ("any where a == 'x'", 15, "single quotes"),
        ('any where a == "x', 15, "does not end"),
        (r'any where a == "\d"', 15, "an escape that is none"),
        (r'any where a == "ab\u{110000}"', 18, "no character"),
        ('any where a == ?"x"', 16, "raw text"),
        ("any where a ! 1", 12, "unexpected '! 1'"),
        ("any where a == b", 12, "no field with a field"),
        ("any where a in (1, b)", 19, "no field with a field"),
        ("any where a in ()", 16, "a constant expected"),
        ("any where a not like 1", 12, "not before the field"),
        ("any where a : 4", 12, "only strings"),
        ("any where a.by == 1", 12, "`by`"),
        ('any where a regex "x["', 12, "expected"),
        ("any where " + f'a regex "{"x" * 1001}"', 12, "longer than 1000"),
        ("any where nosuch(a)", 10, "unknown function nosuch"),
        ('any where wildcard(a, "x")', 10, "like~"),
        ("any where length(a, 1)", 10, "takes a field"),
        ("any where startsWith(a)", 10, "takes a field and 1 constant"),
        ("any where cidrMatch(a)", 10, "takes a field and some constant"),
        ("any where length~(a) > 1", 10, "no ~ on it"),
        ("any where (a == 1) == 2", 19, "a condition is compared"),
        ("any where (a == 1) < true", 19, "compares conditions"),
        ('any where 1 == "x"', 12, "a string with a number"),
    ],
)
def test_an_error_says_where_it_is(text: str, at: int, says: str) -> None:
    """The offset is that of the token that cannot stand there."""
    with pytest.raises(QueryError, match=says) as raised:
        parse_eql(text)
    assert raised.value.position == at
    assert not isinstance(raised.value, UnsupportedQuery)


@pytest.mark.parametrize(
    ("text", "at", "name"),
    [
        ("sequence by a [any where true] [any where true]", 0, "sequence"),
        ("sequence with maxspan=5m [any where true] ![any where true]", 0, "sequence"),
        ("sample by a [any where true] [any where true]", 0, "sample"),
        ("join by a [any where true] [any where true]", 0, "join"),
        ("any where true | head 5", 15, "pipe head"),
        ("any where true | tail 5", 15, "pipe tail"),
        ("any where true until [any where true]", 15, "`until`"),
        ("any where true by a", 15, "`by`"),
        ("any where true with maxspan=5m", 15, "`with`"),
        ("any where child of [any where true]", 10, "`child of`"),
        ("any where a[0] == 1", 11, "array access"),
        ("any where a + 1 == 2", 12, "arithmetic"),
        ("any where -a == 2", 11, "arithmetic"),
        ("any where substring(a, 1) == 2", 10, "function substring"),
        ("any where between~(a, 1, 2) == 2", 10, "function between~"),
        ("any where startsWith(a, b)", 10, "startsWith of more than one field"),
        ('any where startsWith("x", a)', 10, "startsWith of what is no field"),
        ('any where a in ("x", concat("y", "z"))', 21, "function concat in a list"),
        ("any where (a == 1) == null", 19, "compared with null"),
        ('any where "a" : "a"', 14, "of what is no field"),
    ],
)
def test_what_is_beyond_us_is_refused_by_name(text: str, at: int, name: str) -> None:
    """Elasticsearch reads these; we say that we do not, and where."""
    with pytest.raises(UnsupportedQuery, match=name) as raised:
        parse_eql(text)
    assert raised.value.position == at


def test_a_field_s_type_decides_once_it_is_known() -> None:
    """The same query passes the gate, which has no mapping, and fails where the field is none."""
    text = 'any where nowhere == "x"'
    assert fields_used(parse_query("eql", text).node) == {"nowhere"}
    with pytest.raises(QueryError, match="unknown column nowhere") as raised:
        parse_query("eql", text, {"k": "keyword"}.get)
    assert raised.value.position == text.index("nowhere")
    assert "?nowhere" in str(raised.value.hint)


def test_a_long_query_is_read() -> None:
    """Ten thousand alternatives side by side make one flat disjunction."""
    chained = parse_eql("any where " + " or ".join(f'k : "*x{n}*"' for n in range(10_000)))
    assert isinstance(chained, Or)
    assert len(chained.children) == 10_000
    listed = parse_eql("any where k : (" + ", ".join(f'"*x{n}*"' for n in range(10_000)) + ")")
    assert listed == chained


def test_a_deep_query_is_read_or_refused() -> None:
    """To the depth that everything behind the parser takes; beyond it, by name."""

    def nested(depth: int) -> str:
        return f"any where {'(' * depth}k == 1 or k == 2{')' * depth}"

    assert len(leaves(parse_eql(nested(MAX_DEPTH)))) == 2
    for depth in (MAX_DEPTH + 1, 2_000, 100_000):
        with pytest.raises(UnsupportedQuery, match="nested deeper") as raised:
            parse_eql(nested(depth))
        assert raised.value.position == len("any where ") + MAX_DEPTH
    assert parse_eql(f"any where {'not ' * 100_000}k == 1") == parse_eql("any where k == 1")


PIECES = st.sampled_from(
    [
        *("any", "where", "and", "or", "not", "in", "in~", "like", "like~", "regex", "regex~"),
        *("null", "true", "false", "of", "by", "sequence", "head", "?", "(", ")", "[", "]", ","),
        *("==", "!=", "<", ">=", ":", "=", "|", "+", "-", "*", "/", ".", "k", "n", "length"),
        *("cidrMatch", "startsWith~", '"a*"', '"""\\"""', '"\\n"', "4", "1.5", "`a b`", "//", "'"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14).map(" ".join), st.booleans())
def test_any_text_is_read_or_refused(text: str, whole: bool) -> None:
    """Nothing but our own errors comes out, and each within the text."""
    query = text if whole else f"any where {text}"
    try:
        parse_eql(query, {"k": "keyword", "n": "long"}.get)
    except QueryError as error:
        assert 0 <= error.position <= len(query)  # noqa: PT017 - it need not be raised


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_string_written_is_the_string_read(text: str) -> None:
    """What the renderer quotes comes back, and so does a field's name."""
    assert [token.text for token in tokenize(string(text))] == [text, ""]
    if text:
        assert fields_used(parse_eql(f"any where {field_name(text)} == 1")) == {text}
