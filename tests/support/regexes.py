"""Regular expressions of Sigma's (PCRE), made up, over a small alphabet that shows every edge."""

from __future__ import annotations

from hypothesis import strategies as st

ALPHABET = "abAB1 ._\n"

_ATOMS = ("a", "b", "A", "1", " ", r"\.", "_", ".", r"\n", r"\w", r"\W", r"\d", r"\s", r"\S")
_CLASSES = ("[ab]", "[^a]", "[^b\\n]", "[a-zA-Z]", "[\\W\\d]", "[^\\w ]", "[A1]")
_PLACES = ("^", "$", r"\b", r"\B", r"\A", r"\Z")
_TIMES = ("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "{0,2}?")
_FLAGS = ("", "(?i)", "(?m)", "(?s)", "(?im)", "(?ims)")

values = st.text(st.sampled_from(ALPHABET), max_size=8)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = inner.map(lambda text: f"(?:{text})")
    looks = st.tuples(st.sampled_from(("(?=", "(?!", "(?i:", "(", "(?:")), inner)
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map(lambda text: f"(?:{text})"),
        st.tuples(grouped, st.sampled_from(_TIMES)).map("".join),
        looks.map(lambda pair: f"{pair[0]}{pair[1]})"),
        st.sampled_from(("(?<=a)", "(?<!a)", r"(?<=\w)", r"(?<!ab)", "(?<=a.)")),
    )


_expressions = st.recursive(st.sampled_from((*_ATOMS, *_CLASSES, *_PLACES)), _larger, max_leaves=8)
_repeating = st.tuples(_expressions, st.sampled_from((r"([ab])%s\1", r"(a|bb)%s\1"))).map(
    lambda pair: pair[1].replace("%s", pair[0])
)
expressions = st.tuples(st.sampled_from(_FLAGS), st.one_of(_expressions, _repeating)).map("".join)
