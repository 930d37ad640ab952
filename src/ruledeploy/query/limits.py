"""What Elasticsearch parses and still refuses to run, told before it is deployed.

The figures were found on an Elasticsearch 8.19 node and are kept by a test against it:

* ES|QL makes the automaton of each LIKE and RLIKE deterministic while it parses (`regexp_cost`),
  and so does the search that a pattern of EQL, KQL or Lucene becomes. Kibana's Lucene queries name
  no fields, and are then lenient: what is too complex is no error there, but finds nothing;
* a pattern, affix or folded text of more than 1,000 bytes, wildcards included, is "too large";
* a Lucene query has at most `max_clause_count` clauses, which Elasticsearch derives from its heap
  and search threads: 16,384 for a node of one gigabyte and four of them;
* a regular expression of Lucene's has at most `index.max_regex_length` characters.

Not checked, because Elasticsearch does not refuse it: a Lucene term of more than 32,766 bytes,
which no index can hold, finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ruledeploy.errors import QueryError
from ruledeploy.query import glob
from ruledeploy.query.ir import (
    Column,
    Glob,
    Node,
    Prefix,
    Regexp,
    Term,
    Within,
    each_leaf,
)
from ruledeploy.query.regexp import MAX_REGEX_LENGTH
from ruledeploy.query.regexp_cost import MAX_EFFORT, is_too_complex, regex_is_too_complex
from ruledeploy.query.regexp_expr import ANY_CHAR, ANYTHING, EMPTY, Chars, Expr, seq

MAX_CLAUSES = 16_384
MAX_LITERAL_BYTES = 1_000
# What an automaton is made of.
_LIMITED = (Glob, Regexp, Prefix, Term)
# A character as it is, escaped, or in both cases; and `.*`.
_PIECE = re.compile(r"\.\*|\\[^A-Za-z]|\[[^\W\d_]{2}\]|[^.?+*|{}\[\]()\"\\#@&<>~]")
_FOLDED = re.compile(f"(?:{_PIECE.pattern})*")
# The same of ASCII, with nothing but a letter's two cases in brackets.
_FOLDED_ASCII = re.compile(
    r"(?:[^.?+*|{}\[\]()\"\\#@&<>~\x80-\U0010ffff]++"
    r"|\[([A-Za-z])(?ai:\1)\]|\.\*|\\[^A-Za-z\x80-\U0010ffff])*+"
)

__all__ = [
    "MAX_CLAUSES",
    "MAX_EFFORT",
    "MAX_LITERAL_BYTES",
    "MAX_REGEX_LENGTH",
    "LimitExceeded",
    "check_limits",
]


class LimitExceeded(QueryError):
    """The query is well formed, and more than Elasticsearch runs."""


def check_limits(language: str, node: Node) -> None:
    """Raise LimitExceeded for what a cluster would refuse; see the module for what that is."""
    asked = list(each_leaf(node))
    if language != "esql":
        count = sum(not isinstance(leaf.matcher, Within) for leaf in asked)
        if count > MAX_CLAUSES:
            raise LimitExceeded(
                f"the query has {count} clauses, Elasticsearch allows {MAX_CLAUSES}",
                hint="split the rule; indices.query.bool.max_clause_count",
            )
    for leaf in asked:
        if language != "esql" and isinstance(leaf.matcher, Regexp):
            _regex(leaf.field, leaf.matcher.pattern)
        matcher = leaf.matcher.inner if isinstance(leaf.matcher, Column) else leaf.matcher
        if isinstance(matcher, _LIMITED):
            _automaton(leaf.field, matcher)


def _regex(field: str, pattern: str) -> None:
    if len(pattern) > MAX_REGEX_LENGTH:
        raise LimitExceeded(
            f"the regular expression on {field} has {len(pattern)} characters, "
            f"Elasticsearch allows {MAX_REGEX_LENGTH}",
            hint="split it; index.max_regex_length",
        )


def _automaton(field: str, matcher: Glob | Regexp | Prefix | Term) -> None:
    match matcher:
        case Glob(pattern) if not _is_harmless(pattern):
            pieces = glob.parts(pattern)
            _short(field, "".join(text for text, _ in pieces))
            if _may_be_dear(pieces) and is_too_complex(_expression(pieces)):
                raise _too_complex(field, pattern)
        case Regexp(pattern):
            if not _is_cheap(pattern) and regex_is_too_complex(pattern):
                raise _too_complex(field, pattern)
        case Prefix(text):
            _short(field, f"{text}*")
        case Term(str(text), fold=True):
            _short(field, text)


def _is_harmless(pattern: str) -> bool:
    """Whether a wildcard pattern is below every limit whatever its characters are; most are."""
    length = len(pattern)
    return (
        4 * length <= MAX_LITERAL_BYTES
        and "?" not in pattern
        and _is_short(pattern.count("*"), length)
    )


def _short(field: str, text: str) -> None:
    if 4 * len(text) <= MAX_LITERAL_BYTES:
        return  # a character has at most four bytes
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_LITERAL_BYTES:
        raise LimitExceeded(
            f"{field} is compared with {size} bytes of text, "
            f"Elasticsearch allows {MAX_LITERAL_BYTES}",
            hint="match a shorter part of it",
        )


def _too_complex(field: str, pattern: str) -> LimitExceeded:
    return LimitExceeded(
        f"the pattern on {field} is too complex for Elasticsearch to make deterministic: {pattern}",
        hint="shorten a counted repeat such as {2,128}, or a run of `?`",
    )


def _is_cheap(pattern: str) -> bool:
    """Whether an expression is a text in any letter case with `.*` in it, bounded as below.

    Most of Lucene's are: they need not be parsed to be judged.
    """
    if _FOLDED_ASCII.fullmatch(pattern):
        letters = pattern.count("[") - pattern.count("\\[")  # of those in brackets, at least
        if _is_short(pattern.count(".*"), len(pattern) - 3 * letters):
            return True
    if not _FOLDED.fullmatch(pattern):
        return False
    found = [one.lower() for one in _PIECE.findall(pattern)]
    if any(one[0] == "[" and one[1] != one[2] for one in found):
        return False
    pieces = [("*", True) if one == ".*" else (one[1:2] or one, False) for one in found]
    return not _may_be_dear(pieces)


def _may_be_dear(pieces: Sequence[tuple[str, bool]]) -> bool:
    """Whether the sum could reach the limit at all, from what bounds it.

    Without `?` the sets are those of a search for several words: of all prefixes of the stars'
    texts, with as many positions at once as there are stars and equal characters.
    """
    text = "".join([text for text, wild in pieces if not wild])
    stars = pieces.count(("*", True))
    if ("?", True) in pieces:
        return stars > 0
    if _is_short(stars, len(text)):
        return False
    most = max(map(text.count, set(text)), default=0)
    return (stars + 1) * (len(text) + 1) * (stars + most) >= MAX_EFFORT


def _is_short(stars: int, length: int) -> bool:
    """Whether the sum is below the limit even if all characters are the same."""
    return (stars + 1) * (length + 1) * (stars + length) < MAX_EFFORT


def _expression(pieces: Sequence[tuple[str, bool]]) -> Expr:
    out: Expr = EMPTY
    for text, wild in reversed(pieces):
        if wild:
            out = seq(ANYTHING if text == "*" else ANY_CHAR, out)
            continue
        for char in reversed(text):
            out = seq(Chars(((ord(char), ord(char)),)), out)
    return out
