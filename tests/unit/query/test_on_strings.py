"""Questions to fields of strings: what Lucene takes of them."""

from __future__ import annotations

from random import Random

import pytest

from ruledeploy.errors import QueryError
from ruledeploy.fields import FieldType
from ruledeploy.query.ir import Range, Regexp
from ruledeploy.query.kinds import Each
from ruledeploy.query.literals import texts_of_regexp
from ruledeploy.query.on_strings import on_string
from ruledeploy.query.regexp import compile_regexp
from ruledeploy.query.text import lower

LONG = "x" * 1001


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(LONG, LONG, True), ("x", LONG, True), ("y", LONG, False), (None, LONG, True)],
)
def test_a_range_of_one_term_or_none_may_begin_with_a_long_one(
    low: str | None, high: str, holds: bool
) -> None:
    """Elasticsearch 8.19 builds an automaton only between two different bounds in order."""
    asked = on_string(Range(low, high), FieldType("keyword"))
    assert isinstance(asked, Each)
    assert asked.test(LONG) is holds


@pytest.mark.parametrize("high", ["y", None])
def test_a_long_lower_bound_of_a_wider_range_is_refused(high: str | None) -> None:
    """As "input automaton is too large"."""
    with pytest.raises(QueryError, match="longer than 1000"):
        on_string(Range(LONG, high), FieldType("keyword"))


# What patterns are made of that may be but texts. The last letters look like others, or have a
# lower case in ASCII: Kelvin, a long s, a dotted I.
PIECES = [
    ".*",
    "[Aa]",
    "[aA]",
    "[aa]",
    "a",
    "B",
    "[Kk]",
    r"\.",
    r"\[",
    r"\]",
    r"\\",
    "1",
    " ",
    "\n",
]
PIECES += ["\u2013", "\\\u2013", "\u00c9", "\u03a3", "\u212a", "\u017f", "\u0130"]
CHARS = "aAbB.[]\\1 \nkKsi\u2013\u00c9\u00e9\u03a3\u03c3\u03c2\u212a\u017f\u0130"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fold", [False, True])
def test_a_regular_expression_that_is_but_texts_is_still_one(seed: int, fold: bool) -> None:
    """Its texts tell what its automaton tells, and whatever it fits has the longest of them."""
    random = Random(seed)  # noqa: S311 - a seed names the test
    texts, passing = 0, 0
    for _ in range(400):
        pattern = "".join(random.choices(PIECES, k=random.randint(1, 4)))
        exact = compile_regexp(pattern, fold=fold)
        asked = on_string(Regexp(pattern, fold), FieldType("keyword"))
        assert isinstance(asked, Each)
        texts += texts_of_regexp(pattern, fold=fold) is not None
        for _ in range(40):
            term = "".join(random.choices(CHARS, k=random.randint(0, 4)))
            wanted = exact(term)
            passing += wanted
            assert asked.test(term) is wanted, (pattern, term)
            assert not wanted or asked.needle in lower(term), (pattern, term)
            known = asked.anchored
            if known is not None and term.isascii() and (known.fold or term == term.lower()):
                low = term.lower()
                found = known.text in low
                found = low.startswith(known.text) if known.starts else found
                found = found and (not known.ends or low.endswith(known.text))
                found = low == known.text if known.starts and known.ends else found
                assert found is wanted, (pattern, term)
    assert texts > 100
    assert passing > 100
